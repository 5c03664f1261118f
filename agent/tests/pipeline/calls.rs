//! Calls of language models and of MCP, from bytes to lines: who asks for them, what is copied for them, and what a loss does.

use serde_json::json;
use telltale::{
    admin::table,
    capture::{Direction, GapReason, Role},
    policy::{Plan, PlanStore, Plans},
};

use super::bench::{Bench, open};

const ASKED: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"secret question"}],"max_tokens":5}"#;
const ANSWER: &str = concat!(
    r#"{"id":"chatcmpl-1","model":"gpt-4o-2024-08-06","choices":[{"index":0,"finish_reason":"stop","message":"#,
    r#"{"role":"assistant","content":"secret answer"}}],"usage":{"prompt_tokens":9,"completion_tokens":12}}"#
);

fn request(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: llm.example\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn response(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

#[test]
fn a_call_is_told_and_its_content_is_not() {
    let mut bench = Bench::new(2);
    bench.exchange(1, &request("/v1/chat/completions", ASKED), &response(ANSWER));
    let lines = bench.lines.take();
    assert_eq!(lines.len(), 1);
    let line = &lines[0];
    assert_eq!(line["gen_ai.operation.name"], "chat");
    assert_eq!(line["gen_ai.request.model"], "gpt-4o");
    assert_eq!(line["gen_ai.response.model"], "gpt-4o-2024-08-06");
    assert_eq!(line["gen_ai.usage.input_tokens"], 9);
    assert_eq!(line["gen_ai.usage.output_tokens"], 12);
    assert_eq!(line["incomplete"], json!(null));
    assert!(!line.to_string().contains("secret"), "{line}");
}

#[test]
fn a_tool_call_is_told_on_both_ends_by_its_name() {
    let mut bench = Bench::new(2);
    let asked =
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"execute","arguments":{"a":"secret"}}}"#;
    let answer = r#"{"jsonrpc":"2.0","id":7,"result":{"content":[],"isError":true}}"#;
    bench.exchange(1, &request("/mcp", asked), &response(answer));
    let lines = bench.lines.take();
    assert_eq!(lines[0]["mcp.method.name"], "tools/call");
    assert_eq!(lines[0]["gen_ai.tool.name"], "execute");
    assert_eq!(lines[0]["error_type"], "tool_error");
    assert!(!lines[0].to_string().contains("secret"));
}

/// JSON that is neither is let go of as soon as it is known: the rest need not be copied, nor the answer.
#[test]
fn what_is_no_call_is_not_read_on() {
    let mut bench = Bench::new(2);
    let body = format!(r#"{{"items":[{}0]}}"#, "1,".repeat(200_000));
    let bytes = request("/orders", &body);
    bench.open(1);
    let mut skipped = 0;
    for (index, chunk) in bytes.chunks(16_384).enumerate() {
        bench.data(1, Direction::Out, index as u64 * 16_384, chunk);
        skipped = bench.pipeline.take_skips().map(|skip| skip.until).max().unwrap_or(skipped);
    }
    assert_eq!(skipped, bytes.len() as u64);
    bench.data(
        1,
        Direction::In,
        0,
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 50000\r\n\r\n{\"a\"",
    );
    assert!(bench.pipeline.take_skips().any(|skip| skip.direction == Direction::In && skip.until > 50_000));
    bench.close(1);
    let lines = bench.lines.take();
    assert!(!lines[0].to_string().contains("gen_ai"), "{}", lines[0]);
}

/// A plan whose signals tell nothing of calls has no content read.
#[test]
fn nothing_is_read_where_no_plan_asks() {
    let plan = Plan { calls: false, ..Plan::of_signals(true, false, true) };
    let mut bench = Bench::following(&PlanStore::new(Plans::everywhere(plan)));
    let bytes = request("/v1/chat/completions", ASKED);
    bench.open(1);
    bench.data(1, Direction::Out, 0, &bytes[..150]);
    assert!(bench.pipeline.take_skips().any(|skip| skip.until == bytes.len() as u64));
    bench.data(1, Direction::Out, 150, &bytes[150..]);
    bench.data(1, Direction::In, 0, &response(ANSWER));
    let lines = bench.lines.take();
    assert_eq!(lines[0]["gen_ai.request.model"], json!(null));
    assert_eq!(bench.count(&table::BODY_ITEMS, &["document"]), 0);
}

/// What was complete before a gap stands, what was behind it is absent, and the exchange says why.
#[test]
fn a_gap_in_a_call_is_told() {
    let mut bench = Bench::new(2);
    bench.open(1);
    bench.data(1, Direction::Out, 0, &request("/v1/chat/completions", ASKED));
    let bytes = response(ANSWER);
    let cut = bytes.len() - 40;
    bench.data(1, Direction::In, 0, &bytes[..cut]);
    bench.gap(1, Direction::In, cut as u64, 40, GapReason::CallLimit);
    let lines = bench.lines.take();
    assert_eq!(lines[0]["gen_ai.response.id"], "chatcmpl-1");
    assert_eq!(lines[0]["gen_ai.usage.output_tokens"], json!(null));
    assert_eq!(lines[0]["incomplete"], "call_limit");
    assert_eq!(bench.count(&table::BODY_CUT, &["gap"]), 1);
}

/// One connection, many models: each call is its own.
#[test]
fn calls_of_one_connection_are_told_apart() {
    let mut bench = Bench::new(2);
    bench.open(1);
    let mut positions = [0, 0];
    for model in ["a", "b/c:d", "a"] {
        let asked = request("/gateway/v1/chat/completions", &ASKED.replace("gpt-4o", model));
        let answer = response(&ANSWER.replace("gpt-4o-2024-08-06", model));
        bench.data(1, Direction::Out, positions[0], &asked);
        bench.data(1, Direction::In, positions[1], &answer);
        positions = [positions[0] + asked.len() as u64, positions[1] + answer.len() as u64];
    }
    let models: Vec<_> = bench.lines.take().iter().map(|line| line["gen_ai.request.model"].clone()).collect();
    assert_eq!(models, ["a", "b/c:d", "a"]);
}

/// Instruments of calls, with how often each measured.
fn measured(bench: &Bench) -> Vec<(String, u64)> {
    let families = bench.metrics.snapshot().families;
    let of_calls =
        families.into_iter().filter(|family| ["gen_ai.", "mcp."].iter().any(|name| family.name.starts_with(name)));
    of_calls.map(|family| (family.name, family.series.iter().map(|series| series.data.count()).sum())).collect()
}

/// A gateway is asked and asks: one call on each side, and neither is counted on both.
#[test]
fn a_gateway_is_a_server_once_and_a_client_once() {
    let mut bench = Bench::new(4);
    let (asked, answer) = (request("/v1/chat/completions", ASKED), response(ANSWER));
    bench.event(1, open(Some(Role::Server), 7));
    bench.data(1, Direction::In, 0, &asked);
    bench.event(2, open(Some(Role::Client), 7));
    bench.data(2, Direction::Out, 0, &asked);
    bench.data(2, Direction::In, 0, &answer);
    bench.data(1, Direction::Out, 0, &answer);
    let measured = measured(&bench);
    let measured: Vec<_> = measured.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    assert_eq!(
        measured,
        [
            // Input and output.
            ("gen_ai.client.token.usage", 2),
            ("gen_ai.client.operation.duration", 1),
            ("gen_ai.server.request.duration", 1),
        ]
    );
    assert_eq!(bench.lines.take().len(), 2);
}

/// A session of 2024-11-05 is as long as its stream, which a close ends and an eviction does not.
#[test]
fn a_stream_that_is_a_session_lasts_until_it_is_closed() {
    for (connections, closed, expected) in [(2, true, 1), (2, false, 0), (1, false, 0)] {
        let mut bench = Bench::new(connections);
        bench.open(1);
        bench.data(1, Direction::Out, 0, b"GET /sse HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n");
        let event = "event: endpoint\ndata: /messages?session_id=4f2a\n\n";
        let stream = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{event}\r\n",
            event.len()
        );
        bench.data(1, Direction::In, 0, stream.as_bytes());
        if closed {
            bench.close(1);
        }
        // Takes the place of the first where there is but one.
        bench.open(2);
        bench.pipeline.finish();
        let sessions = measured(&bench)
            .iter()
            .filter(|(name, _)| name == "mcp.client.session.duration")
            .map(|(_, count)| count)
            .sum::<u64>();
        assert_eq!(sessions, expected, "{connections} {closed}");
    }
}
