//! Processes that fork with a TLS connection in their hands.

use std::process::Command;

use crate::{
    common::{
        program::{Program, done},
        seen::{Seen, attribute, row},
        tools,
    },
    peers::{Authority, capture, file},
};

/// Four requests over one connection to a server that forks after the handshake: each is seen once at each end, by the addresses of the socket.
fn fork(way: &str) -> Seen {
    let authority = Authority::new();
    let mut command = Command::new(tools::interpreter());
    command.arg(file("forks.py")).arg(way).arg(authority.file("cert.pem")).arg(authority.file("key.pem"));
    let mut server = Program::start(&mut command);
    let port: u16 = server.line().parse().expect("its port");
    let run = capture(port);
    done(&mut authority.client(tools::interpreter(), "http_client", port));
    assert_ne!(server.line(), server.id().to_string(), "another process answers");
    let seen = run.stop_after(8);
    let expected = [
        row("GET", "/bytes/1000", 200, 0, 1000),
        row("POST", "/sink", 200, 500, 2),
        row("GET", "/bytes/200000", 200, 0, 200_000),
        row("GET", "/status/404", 404, 0, 2),
    ];
    for end in ["client", "server"] {
        seen.assert_reporter(end, &expected);
    }
    for span in &seen.spans {
        assert_eq!(attribute(span, "network.peer.address").as_deref(), Some("127.0.0.1"), "{span}");
        assert_eq!(attribute(span, "server.port"), Some(port.to_string()), "{span}");
    }
    // As one that is not TLS, a connection is of the process that accepted it, whoever goes on with it.
    let mut servers = seen.spans.iter().filter(|span| span["kind"] == 2);
    assert!(servers.all(|span| attribute(&span["resource"], "process.pid") == Some(server.id().to_string())));
    seen
}

#[test]
fn the_child_goes_on_after_the_handshake() {
    fork("child").assert_joined();
}

/// How much the other process had moved is not known of the child's object: its exchanges are in no trace with those of the other end.
#[test]
fn the_child_goes_on_after_an_exchange() {
    let seen = fork("both");
    let joined = seen.of("client").into_iter().filter(|client| {
        let is_same = |server: &&serde_json::Value| server["trace_id"] == client["trace_id"];
        seen.of("server").iter().any(is_same)
    });
    let paths: Vec<_> = joined.map(|line| line["path"].clone()).collect();
    assert_eq!(paths, ["/bytes/1000"]);
}
