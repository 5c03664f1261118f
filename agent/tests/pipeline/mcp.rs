//! Messages of MCP whose answers come over another connection than their requests.

use serde_json::json;
use telltale::{
    admin::table,
    capture::{Direction, Role, Timestamp},
    exchange::mcp::{Correlator, MAX_WAIT},
};

use super::bench::{Bench, open};

const STREAM: &[u8] = b"GET /sse HTTP/1.1\r\nHost: tools.example\r\nAccept: text/event-stream\r\n\r\n";
const EVENTS: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
const ENDPOINT: &[u8] = b"event: endpoint\ndata: /messages?session_id=4f2a\n\n";
const ACCEPTED: &[u8] = b"HTTP/1.1 202 Accepted\r\nContent-Length: 8\r\n\r\nAccepted";
const ANSWER: &[u8] =
    b"event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{\"content\":[],\"isError\":true}}\n\n";

fn call() -> Vec<u8> {
    let body = r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"execute","arguments":{}}}"#;
    format!(
        "POST /messages?session_id=4f2a HTTP/1.1\r\nHost: tools.example\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A process opens its stream on connection 1. Returns the position behind what the server sent.
fn stream(bench: &mut Bench) -> u64 {
    bench.event(1, open(Some(Role::Client), 7));
    bench.data(1, Direction::Out, 0, STREAM);
    bench.data(1, Direction::In, 0, EVENTS);
    bench.data(1, Direction::In, EVENTS.len() as u64, ENDPOINT);
    (EVENTS.len() + ENDPOINT.len()) as u64
}

/// The same process calls a tool on connection 2.
fn calls(bench: &mut Bench) {
    bench.event(2, open(Some(Role::Client), 7));
    bench.data(2, Direction::Out, 0, &call());
    bench.data(2, Direction::In, 0, ACCEPTED);
}

#[test]
fn a_call_is_told_when_its_answer_came_on_the_stream() {
    let mut bench = Bench::new(2);
    let position = stream(&mut bench);
    calls(&mut bench);
    assert!(bench.lines.take().is_empty());
    bench.data(1, Direction::In, position, ANSWER);
    let lines = bench.lines.take();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["mcp.method.name"], "tools/call");
    assert_eq!(lines[0]["gen_ai.tool.name"], "execute");
    assert_eq!(lines[0]["mcp.session.id"], "4f2a");
    assert_eq!(lines[0]["error_type"], "tool_error");
    assert_eq!(bench.count(&table::MCP_ANSWERS, &["joined"]), 1);
}

#[test]
fn the_stream_may_be_read_by_another_worker() {
    let correlator = Correlator::default();
    let (mut streams, mut posts) = (Bench::sharing(&correlator), Bench::sharing(&correlator));
    let position = stream(&mut streams);
    calls(&mut posts);
    assert!(posts.lines.take().is_empty());
    streams.data(1, Direction::In, position, ANSWER);
    posts.tick(1000);
    let lines = posts.lines.take();
    assert_eq!(lines[0]["error_type"], "tool_error");
    assert_eq!(streams.count(&table::MCP_ANSWERS, &["joined"]) + posts.count(&table::MCP_ANSWERS, &["joined"]), 1);
}

#[test]
fn nobody_waits_for_ever() {
    let mut bench = Bench::new(2);
    stream(&mut bench);
    calls(&mut bench);
    bench.pipeline.tick(Timestamp(1_000_000_000 + MAX_WAIT.as_nanos() as u64));
    assert!(bench.lines.take().is_empty());
    bench.tick(MAX_WAIT.as_nanos() as u64 + 1_000_000);
    let lines = bench.lines.take();
    assert_eq!(lines[0]["gen_ai.tool.name"], "execute");
    assert_eq!(lines[0]["error_type"], json!(null));
    assert_eq!(bench.count(&table::MCP_UNANSWERED, &["in_vain"]), 1);
    // Nor beyond the end of the stream, or of the capture.
    for ends in [|bench: &mut Bench| bench.close(1), |bench: &mut Bench| drop(bench.pipeline.finish())] {
        let mut bench = Bench::new(2);
        stream(&mut bench);
        calls(&mut bench);
        assert!(bench.lines.take().is_empty());
        ends(&mut bench);
        let tools = bench.lines.take().into_iter().filter(|line| line["gen_ai.tool.name"] == "execute").count();
        assert_eq!(tools, 1);
    }
}
