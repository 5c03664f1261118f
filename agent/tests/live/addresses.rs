//! IPv4, IPv6, and IPv4 inside an IPv6 socket.

use crate::common::{
    agent::Run,
    program::{Server, curl, done},
    seen::{row, text},
};

#[test]
fn ipv6() {
    let server = Server::python_on("::1");
    let run = Run::port(server.port);
    done(&mut curl([format!("http://[::1]:{}/bytes/77", server.port)]));
    let seen = run.expect_both_ends(&[row("GET", "/bytes/77", 200, 0, 77)]);
    assert_eq!(text(seen.of("client")[0], "destination"), format!("[::1]:{}", server.port));
    assert!(text(seen.of("server")[0], "source").starts_with("[::1]:"));
}

/// An IPv6 socket that takes IPv4 too: its peer is told as IPv4, and both ends still are in one trace.
#[test]
fn v4_mapped() {
    let server = Server::python_on("::");
    let run = Run::port(server.port);
    done(&mut curl([server.url("/bytes/78")]));
    let seen = run.expect_both_ends(&[row("GET", "/bytes/78", 200, 0, 78)]);
    assert_eq!(text(seen.of("client")[0], "destination"), format!("127.0.0.1:{}", server.port));
    assert!(text(seen.of("server")[0], "source").starts_with("127.0.0.1:"));
}
