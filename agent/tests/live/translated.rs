//! Addresses that differ at the two ends of a connection: the ids of traces come from what no translation changes.

use crate::common::{
    agent::Run,
    namespaces::{Namespaces, SERVER, TRANSLATED, VIRTUAL},
    program::{Server, curl, done, free_port},
    seen::{attribute, row, text},
    tools,
};

/// A client in one network namespace calls a virtual address, which becomes another address and port on the way, and so does its own: four requests on two
/// connections, without any header, give four traces of a client's span and a server's span below it.
#[test]
fn both_ends_are_one_trace_across_address_translation() {
    let namespaces = match Namespaces::new() {
        Ok(namespaces) => namespaces,
        Err(why) => return eprintln!("skipped: no network namespaces can be made here: {why}"),
    };
    let server = Server::start(&mut namespaces.server(tools::python("server.py").arg(SERVER)));
    let port = free_port();
    if let Err(why) = namespaces.translate(port, server.port) {
        return eprintln!("skipped: no addresses can be translated here: {why}");
    }
    let run = Run::start(["--port", &port.to_string(), "--port", &server.port.to_string()]);
    for sizes in [[1, 2], [3, 4]] {
        let urls = sizes.map(|size| format!("http://{VIRTUAL}:{port}/bytes/{size}"));
        let [first, second] = &urls;
        done(&mut namespaces.client(curl([first]).arg("--output").arg("/dev/null").arg(second)));
    }
    let rows = [1, 2, 3, 4].map(|size| row("GET", format!("/bytes/{size}"), 200, 0, size));
    let seen = run.expect_both_ends(&rows);
    let peers = |kind: u64| {
        let spans = seen.spans.iter().filter(move |span| span["kind"] == kind);
        spans.map(|span| attribute(span, "network.peer.address").unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(peers(3), [VIRTUAL; 4], "the ends do not see the same addresses");
    assert_eq!(peers(2), [TRANSLATED; 4], "the ends do not see the same addresses");
    let destination = text(seen.of("server")[0], "destination");
    assert!(!destination.contains(&port.to_string()), "{destination}");
    let traces: std::collections::BTreeSet<_> = seen.spans.iter().map(|span| text(span, "traceId")).collect();
    assert_eq!(traces.len(), 4);
}
