//! Many at once, and many one after the other.

use std::collections::BTreeSet;

use crate::common::{
    agent::{Run, run_command},
    program::{Server, done},
    seen::{Row, row, text},
    tools,
};

/// 200 connections open at once, two requests on each: 800 lines.
#[test]
fn two_hundred_connections() {
    let server = Server::python();
    let run = Run::port(server.port);
    done(tools::python("client.py").arg("concurrent").arg(server.url("")).arg("200"));
    let expected: Vec<Row> = (0..200)
        .flat_map(|size| (0..2).map(move |turn| row("GET", format!("/bytes/{size}?turn={turn}"), 200, 0, size)))
        .collect();
    run.expect_both_ends(&expected);
}

/// 200 processes that live for some milliseconds each: every one complete, and known by name.
#[test]
fn two_hundred_short_lives() {
    let server = Server::go();
    let run = run_command(
        &[],
        &[
            "sh",
            "-c",
            "for n in $(seq 200); do curl -s -o /dev/null --noproxy '*' \"$0/bytes/$n?n=$n\"; done",
            &server.url(""),
        ],
    );
    assert_eq!(run.code(), 0, "{}", run.stderr());
    let expected: Vec<Row> = (1..=200).map(|n| row("GET", format!("/bytes/{n}?n={n}"), 200, 0, n)).collect();
    run.seen.assert_reporter("client", &expected);
    assert_eq!(run.seen.logs.len(), 200, "the server is out of scope");
    let sources: BTreeSet<&str> = run.seen.logs.iter().map(|line| text(line, "source")).collect();
    assert_eq!(sources, BTreeSet::from(["curl"]));
}
