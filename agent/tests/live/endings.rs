//! Connections that end badly, and those that began before anybody looked.

use std::process::Command;

use crate::common::{
    agent::Run,
    program::{Program, Server, curl, done, free_port},
    seen::{row, text, unanswered},
    tools,
};

fn python(way: &str, base: &str) -> Command {
    let mut command = tools::python("client.py");
    command.arg(way).arg(base);
    command
}

/// Exactly once, at its true position: the second exchange is whole and in one trace.
#[test]
fn a_connection_from_before_the_agent() {
    let server = Server::python();
    let mut client = Program::start(&mut python("held", &server.url("")));
    assert_eq!(client.line(), "ready");
    let run = Run::port(server.port);
    for path in ["/bytes/2000", "/chunked/21"] {
        client.say(path);
        assert_eq!(client.line(), "done");
    }
    client.finish();
    run.expect_both_ends(&[row("GET", "/bytes/2000", 200, 0, 2000), row("GET", "/chunked/21", 200, 0, 21)]);
}

#[test]
fn a_refused_connection_is_no_exchange() {
    let port = free_port();
    let run = Run::port(port);
    done(&mut python("refused", &format!("http://127.0.0.1:{port}")));
    let seen = run.stop();
    assert!(seen.logs.is_empty() && seen.spans.is_empty(), "{:?}", seen.logs);
}

/// The end of the connection is the only answer: an exchange each, marked so, with the span that says why.
#[test]
fn a_server_that_does_not_answer() {
    let server = Server::python();
    let run = Run::port(server.port);
    done(&mut python("hung_up", &server.url("")));
    let seen = run.expect_both_ends(&[unanswered("GET", "/hangup", "closed"), unanswered("GET", "/reset", "reset")]);
    for line in &seen.logs {
        let expected = if line["path"] == "/hangup" { "connection_closed" } else { "connection_reset" };
        assert_eq!(text(line, "error_type"), expected, "{line}");
        assert!(line.get("duration").is_none(), "{line}");
    }
    let durations = seen.metrics.lines().any(|line| line.contains("request_duration_seconds_count"));
    assert!(!durations, "what was not answered is in no histogram: {}", seen.metrics);
}

/// Less than `Content-Length` said.
#[test]
fn an_answer_that_is_cut() {
    let server = Server::python();
    let run = Run::port(server.port);
    let status = curl([server.url("/cut/500")]).status().expect("curl is there");
    assert_eq!(status.code(), Some(18), "curl noticed");
    run.expect_both_ends(&[row("GET", "/cut/500", 200, 0, 500).incomplete("truncated")]);
}

#[test]
fn a_client_that_goes_away() {
    let server = Server::python();
    let run = Run::port(server.port);
    done(&mut python("abort", &server.url("")));
    let seen = run.stop_after(2);
    assert_eq!((seen.of("client").len(), seen.of("server").len()), (1, 1), "{}", seen.stderr);
    for line in &seen.logs {
        assert_eq!(line["response_code"], 200);
        let why = text(line, "incomplete");
        assert!(["reset", "truncated"].contains(&why), "{line}");
    }
    seen.assert_joined();
}
