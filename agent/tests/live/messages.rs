//! Every way to frame a message, and every way to move its bytes.

use std::{fs, process::Command};

use crate::common::{
    agent::Run,
    program::{Server, curl, done},
    seen::{Row, row, text},
    tools,
};

fn python(way: &str, server: &Server) -> Command {
    let mut command = tools::python("client.py");
    command.arg(way).arg(server.url(""));
    command
}

/// Runs a client against `server.py` and checks what both ends saw.
fn case(client: impl FnOnce(&Server) -> Command, expected: &[Row]) {
    let server = Server::python();
    let run = Run::port(server.port);
    done(&mut client(&server));
    run.expect_both_ends(expected);
}

#[test]
fn fifty_pipelined_requests() {
    let expected: Vec<Row> = (0..50).map(|size| row("GET", format!("/bytes/{size}"), 200, 0, size)).collect();
    case(
        |server| {
            let mut client = python("pipelined", server);
            client.arg("50");
            client
        },
        &expected,
    );
}

#[test]
fn one_byte_a_call() {
    case(
        |server| python("bytewise", server),
        &[row("POST", "/echo", 200, 30, 30), row("GET", "/bytewise/40", 200, 0, 40)],
    );
}

#[test]
fn peeked_bytes_count_once_and_vectors_are_whole() {
    case(|server| python("peek", server), &[row("GET", "/bytes/100", 200, 0, 100)]);
}

#[test]
fn head_and_statuses_without_content() {
    let statuses = [200, 204, 304];
    let expected = [
        row("HEAD", "/bytes/12345", 200, 0, 0),
        row("GET", "/status/200", 200, 0, 7),
        row("GET", "/status/204", 204, 0, 0),
        row("GET", "/status/304", 304, 0, 0),
    ];
    case(
        |server| {
            let mut client = curl(["--head", &server.url("/bytes/12345")]);
            for status in statuses {
                client.args(["--next", "--silent", "-o", "/dev/null", &server.url(&format!("/status/{status}"))]);
            }
            client
        },
        &expected,
    );
}

#[test]
fn interim_responses_are_not_the_answer() {
    case(|server| curl([server.url("/hints/33")]), &[row("GET", "/hints/33", 200, 0, 33)]);
}

/// `Expect: 100-continue`: the body follows an interim response.
#[test]
fn a_body_that_waits_for_100() {
    case(
        |server| curl(["-H", "Expect: 100-continue", "--data-binary", &"d".repeat(2000), &server.url("/sink")]),
        &[row("POST", "/sink", 200, 2000, 4)],
    );
}

#[test]
fn an_answer_before_the_end_of_the_request() {
    case(|server| python("early", server), &[row("POST", "/early/9", 413, 20_000, 9)]);
}

/// Whatever the agent can keep up with: heads and statuses are seen, sizes are exact or absent, never wrong.
#[test]
fn ten_megabytes_each_way() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let body = folder.path().join("body");
    fs::write(&body, vec![b'u'; 10_000_000]).expect("a file can be written");
    let body = format!("@{}", body.display());
    let server = Server::python();
    let run = Run::port(server.port);
    // Not so fast that a full ring has no room for a head, where an unoptimised agent reads it on a busy machine.
    let mut client = curl(["--limit-rate", "20M", "--data-binary", &body, &server.url("/sink/a")]);
    let next = ["--next", "--silent", "-o", "/dev/null", "--limit-rate", "20M"];
    client.args(next).args(["--data-binary", &body]);
    client.args(["-H", "Transfer-Encoding: chunked", &server.url("/sink/b")]);
    for path in ["/bytes/10000000", "/chunked/10000000", "/close/10000000"] {
        client.args(next).arg(server.url(path));
    }
    done(&mut client);
    let seen = run.stop_after(10);
    for reporter in ["client", "server"] {
        let lines = seen.of(reporter);
        assert_eq!(lines.len(), 5, "{lines:#?}\n{}", seen.stderr);
        for line in lines {
            let (sizes, framed) = match text(line, "path") {
                "/sink/a" => ([10_000_000, 8], true),
                "/sink/b" => ([10_000_000, 8], false),
                "/bytes/10000000" => ([0, 10_000_000], true),
                _ => ([0, 10_000_000], false),
            };
            assert_eq!(line["response_code"], 200, "{line}\n{}", seen.stderr);
            for (key, size) in ["bytes_received", "bytes_sent"].into_iter().zip(sizes) {
                let known = line[key].as_u64();
                assert!(known == Some(size) || (!framed && known.is_none()), "{key} of {line}");
            }
            let incomplete = text(line, "incomplete");
            assert!(["", "call_limit", "ring_full"].contains(&incomplete), "{line}");
        }
    }
    seen.assert_joined();
}

/// After the upgrade nothing is HTTP, whatever it looks like.
#[test]
fn a_websocket_is_one_exchange() {
    case(|server| python("upgrade", server), &[row("GET", "/upgrade", 101, 0, 0)]);
}

#[test]
fn other_methods() {
    case(
        |server| {
            let mut client = curl(["-X", "PATCH", "-d", "abc", &server.url("/bytes/1")]);
            client.args(["--next", "--silent", "-X", "OPTIONS", "-o", "/dev/null", &server.url("/bytes/2")]);
            client.args(["--next", "--silent", "-X", "BREW", "-o", "/dev/null", &server.url("/bytes/3")]);
            client
        },
        &[
            row("PATCH", "/bytes/1", 200, 3, 1),
            row("OPTIONS", "/bytes/2", 200, 0, 2),
            row("BREW", "/bytes/3", 200, 0, 3),
        ],
    );
}
