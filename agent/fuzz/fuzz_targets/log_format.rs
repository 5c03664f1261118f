//! Any text as a format string of access logs, and any bytes as the values it writes: the format is compiled or said to be wrong, and a line is one line.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use telltale::{
    capture::{Open, Role, Timestamp},
    exchange::{Connection, Exchange, Half},
    policy::{
        Defaults, Trust,
        model::{AccessLogs, LogFormat, Mode},
        plan::AccessLogPlan,
    },
    protocol::{Head, Headers, HttpVersion, Protocol, StartLine},
    telemetry::{ExchangeSubject, Facts, KnownMethods, access_log::write_line, trace_context::identify},
    workload::Workload,
};

fn half(start: StartLine, value: &[u8]) -> Half {
    let mut headers = Headers::default();
    for name in ["host", "user-agent", "x-a"] {
        headers.push(name.as_bytes(), value);
    }
    Half {
        head: Head {
            start,
            version: HttpVersion::Http11,
            headers,
            position: 0,
            request: 0,
            first_byte: Timestamp(1),
            complete: Timestamp(2),
        },
        body_size: None,
        trailers: Headers::default(),
        last_byte: Timestamp(3),
        content: None,
        complete: true,
    }
}

fn exchange(value: &[u8]) -> Exchange {
    let target = String::from_utf8_lossy(value).into();
    Exchange {
        connection: Arc::new(Connection {
            open: Open::new(([10, 0, 0, 2], 80).into(), ([10, 0, 0, 1], 4000).into()),
            role: Role::Server,
            workload: Arc::new(Workload::default()),
            peer: None,
            protocol: Protocol::Http1,
            hello: None,
        }),
        request: half(StartLine::Request { method: "GET".into(), target }, value),
        response: Some(half(StartLine::Response { status: 200 }, value)),
        incomplete: None,
        end: Timestamp(3),
        call: None,
        closed: false, epoch: 0,
    }
}

fuzz_target!(|input: (&str, &[u8])| {
    let (format, value) = input;
    let stanza = AccessLogs {
        mode: Mode::Enabled,
        format: LogFormat::Text,
        text: Some(format.to_owned()),
        ..AccessLogs::default()
    };
    let mut findings = Vec::new();
    let Some(plan) = AccessLogPlan::compile(&stanza, Defaults::default(), &Trust::tenant(), &mut findings) else {
        return;
    };
    let exchange = exchange(value);
    let facts = Facts::of(&exchange).expect("it is a request");
    let head = &exchange.request.head;
    let identity = identify(&exchange.connection.open, facts.role, head.position, head.first_byte, None);
    let mut line = Vec::new();
    write_line(
        &mut line,
        &plan.line,
        &ExchangeSubject { facts: &facts, identity: Some(&identity), methods: &KnownMethods::default() },
    );
    assert_eq!(line.pop(), Some(b'\n'));
    assert!(!line.iter().any(u8::is_ascii_control));
});
