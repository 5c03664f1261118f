//! Any content under any head of MCP: no panic, the bounds hold, and however it is cut into pieces the same is read.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use telltale::{
    capture::{Direction, GapReason, Open, Role, Timestamp},
    exchange::{
        Asked, Assembler, Budget, Call,
        genai::Providers,
        mcp::{MAX_MESSAGES, MAX_NAME, Messages},
    },
    policy::Plan,
    protocol::{End, Head, Headers, HttpVersion, Incomplete, MessageSink as _, StartLine},
    workload::Workload,
};

/// Fields of requests: each is there or not.
const REQUEST: [(&str, &str); 8] = [
    ("Content-Type", "application/json"),
    ("Accept", "application/json, text/event-stream"),
    ("Mcp-Session-Id", "s"),
    ("MCP-Protocol-Version", "2026-07-28"),
    ("Mcp-Method", "tools/call"),
    ("Mcp-Name", "=?base64?5LiW55WM?="),
    ("A2A-Version", "1.0"),
    ("Last-Event-ID", "1"),
];
const METHODS: [&str; 4] = ["POST", "GET", "POST", "DELETE"];
const STATUS: [u16; 4] = [200, 202, 404, 400];

/// How it arrives.
#[derive(Clone, Copy)]
struct Arrival {
    /// Bytes of a piece.
    piece: usize,
    /// The response ends before it should.
    cut: bool,
    /// So many bytes of the response were not seen, behind its first half.
    gap: u64,
}

fn head(start: StartLine, fields: &[(&str, &str)], time: u64) -> Head {
    let mut headers = Headers::default();
    for (name, value) in fields {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    let time = Timestamp(time);
    Head { start, version: HttpVersion::Http11, headers, position: 0, first_byte: time, complete: time, request: 0 }
}

fn read(setup: [u8; 2], request: &[u8], response: &[u8], arrival: Arrival) -> Option<Call> {
    let plan = Arc::new(Plan::of_signals(true, true, true));
    let asked = Asked::by(&plan, &Arc::new(Budget::default()), &Arc::new(Providers::default()));
    let open = Open {
        role: Some(Role::Client),
        ..Open::new(([10, 0, 0, 1], 4000).into(), ([10, 0, 0, 2], 80).into())
    };
    let mut assembler = Assembler::new(open, Arc::new(Workload::default()), asked);
    let fields: Vec<_> = REQUEST.into_iter().enumerate().filter(|(bit, _)| setup[0] >> bit & 1 == 1).collect();
    let fields: Vec<_> = fields.into_iter().map(|(_, field)| field).collect();
    let method = METHODS[usize::from(setup[1] & 3)];
    let start = StartLine::Request { method: method.into(), target: "/messages?session_id=x".into() };
    assembler.head(Direction::Out, head(start, &fields, 1));
    for piece in request.chunks(arrival.piece) {
        assembler.body(Direction::Out, Timestamp(2), piece);
    }
    let end = |time| End { time: Timestamp(time), ..End::default() };
    assembler.end(Direction::Out, end(2));
    let media = if setup[1] & 4 == 0 { "application/json" } else { "text/event-stream" };
    let mut fields = vec![("Content-Type", media)];
    if setup[1] & 8 != 0 {
        fields.push(("Mcp-Session-Id", "s"));
    }
    let start = StartLine::Response { status: STATUS[usize::from(setup[1] >> 4 & 3)] };
    assembler.head(Direction::In, head(start, &fields, 3));
    let (first, second) = response.split_at(response.len() / 2);
    for piece in first.chunks(arrival.piece) {
        assembler.body(Direction::In, Timestamp(4), piece);
    }
    if arrival.gap > 0 {
        assembler.body_gap(Direction::In, arrival.gap, GapReason::RingFull);
    }
    for piece in second.chunks(arrival.piece) {
        assembler.body(Direction::In, Timestamp(4), piece);
    }
    let incomplete = arrival.cut.then_some(Incomplete::Truncated);
    assembler.end(Direction::In, End { incomplete, ..end(4) });
    assembler.take_done().next().and_then(|exchange| exchange.call)
}

fn check(messages: &Messages) {
    assert!(messages.messages.len() <= MAX_MESSAGES);
    for message in &messages.messages {
        let texts = [&message.id, &message.tool, &message.prompt, &message.resource, &message.traceparent];
        assert!(!message.method.is_empty() && message.method.len() <= MAX_NAME);
        assert!(texts.into_iter().flatten().all(|text| !text.is_empty() && text.len() <= MAX_NAME));
        assert!((1..=4).contains(&message.start.0));
        assert_eq!(message.end.is_some(), message.answered || message.notification);
        assert!(message.answered || (message.error.is_none() && !message.tool_error));
        assert!(message.error.is_none() || !message.tool_error);
    }
}

// Input: two bytes of heads, a byte of arrival, the request's content, 0xff, the response's.
fuzz_target!(|input: &[u8]| {
    let [fields, heads, arrives, content @ ..] = input else { return };
    let mut parts = content.splitn(2, |&byte| byte == 0xff);
    let (request, response) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let arrival = |piece| Arrival { piece, cut: arrives & 1 == 1, gap: u64::from(arrives >> 1 & 1) * 100 };
    let setup = [*fields, *heads];
    let once = read(setup, request, response, arrival(usize::MAX));
    let apart = read(setup, request, response, arrival(usize::from(arrives >> 2) + 1));
    assert_eq!(once, apart);
    if let Some(Call::Mcp(messages) | Call::JsonRpc(messages)) = &once {
        check(messages);
    }
});
