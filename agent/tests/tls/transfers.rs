//! What a library does beside handing bytes over: sessions that are taken up again, older versions, calls that it asks to be made again.

use std::process::Command;

use crate::{
    common::{
        program::done,
        seen::{attribute, row},
        tools,
    },
    peers::{Authority, base, capture},
};

/// A handshake that takes up a session has no certificate, and in TLS 1.2 another order.
#[test]
fn resumed_sessions_of_both_versions() {
    let authority = Authority::new();
    let server = authority.python("asyncio");
    let run = capture(server.port);
    done(&mut authority.client(tools::interpreter(), "resumed", server.port));
    let expected = [0, 1, 2, 3].map(|size| row("GET", format!("/bytes/{size}"), 200, 0, size));
    let seen = run.expect_both_ends(&expected);
    let mut versions: Vec<_> = seen.spans.iter().filter_map(|span| attribute(span, "tls.protocol.version")).collect();
    versions.sort();
    assert_eq!(versions, ["1.2", "1.2", "1.2", "1.2", "1.3", "1.3", "1.3", "1.3"]);
}

/// A write that would block is made again with the same bytes, which are counted once: by a client that sends without blocking, and by nginx to one that
/// reads slowly.
#[test]
fn writes_that_would_block_are_counted_once() {
    let authority = Authority::new();
    let server = authority.python("threads");
    let run = capture(server.port);
    done(&mut authority.client(tools::interpreter(), "upload", server.port));
    // The client began before the server, though its last attempt to write may be later.
    run.expect_both_ends(&[row("POST", "/sink", 200, 300_000, 2)]);

    let size = 300_000;
    std::fs::create_dir_all(authority.file("bytes")).expect("the folder is ours");
    std::fs::write(authority.file("bytes/slow"), vec![b's'; size]).expect("a file can be written");
    let (_nginx, port) = authority.nginx();
    let run = capture(port);
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--output", "/dev/null", "--limit-rate", "1M"]);
    curl.arg(format!("{}/bytes/slow", base(port)));
    done(&mut authority.trusted_by(curl));
    run.expect_both_ends(&[row("GET", "/bytes/slow", 200, 0, size as u64)]);
}
