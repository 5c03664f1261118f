//! Many at once.

use std::process::Command;

use crate::{
    common::{agent::run_command_with, program::done, seen::row, tools},
    peers::{Authority, base, capture},
};

/// 200 connections at once over memory BIOs, two requests on each, at both ends: none is given to another.
#[test]
fn two_hundred_connections_at_once() {
    let authority = Authority::new();
    let server = authority.python("asyncio");
    let run = capture(server.port);
    done(&mut authority.client(tools::interpreter(), "concurrent", server.port));
    let expected: Vec<_> = (0..400).map(|size| row("GET", format!("/bytes/{size}"), 200, 0, size)).collect();
    run.expect_both_ends(&expected);
}

/// Each of 500 processes makes one request and is gone: the first call of each is seen.
#[test]
fn five_hundred_short_processes() {
    let authority = Authority::new();
    let server = authority.python("threads");
    let one = format!("curl --silent --output /dev/null {}/bytes/", base(server.port));
    let script = format!("i=0; while [ $i -lt 500 ]; do {one}$i || exit 1; i=$((i+1)); done");
    let finished = run_command_with(&[], &["sh", "-c", &script], |run| {
        let trusting = authority.trusted_by(Command::new("true"));
        for (name, value) in trusting.get_envs() {
            match value {
                Some(value) => run.env(name, value),
                None => run.env_remove(name),
            };
        }
        run
    });
    assert_eq!(finished.code(), 0, "{}", finished.stderr());
    let expected: Vec<_> = (0..500).map(|size| row("GET", format!("/bytes/{size}"), 200, 0, size)).collect();
    finished.seen.assert_reporter("client", &expected);
}
