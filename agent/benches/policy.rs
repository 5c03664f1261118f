//! Cost per exchange of what policies ask for.

use std::{hint::black_box, sync::Arc};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use telltale::{
    capture::{Open, Role, Timestamp},
    exchange::{Connection, Exchange, Half},
    policy::{
        Trust,
        attribute::{Extractor, Program},
        model::{Attribute, AttributeSource, FieldPath},
    },
    protocol::{Head, Headers, HttpVersion, Protocol, StartLine},
    telemetry::{ExchangeSubject, Facts, KnownMethods},
    workload::Workload,
};

/// A request of ten header fields and its answer, as a server sees them.
fn exchange() -> Exchange {
    let section = |fields: &[(&str, &str)]| {
        let mut headers = Headers::with_capacity(512);
        for (name, value) in fields {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        headers
    };
    let half = |start, headers, first, last| Half {
        head: Head {
            start,
            version: HttpVersion::Http11,
            headers,
            position: 0,
            first_byte: Timestamp(first),
            complete: Timestamp(first),
            request: 0,
        },
        body_size: Some(512),
        trailers: Headers::default(),
        last_byte: Timestamp(last),
        complete: true,
        content: None,
    };
    let request = section(&[
        ("Host", "shop.example:8080"),
        ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
        ("Accept", "application/json"),
        ("Accept-Encoding", "gzip, deflate, br"),
        ("Accept-Language", "en-US,en;q=0.5"),
        ("Connection", "keep-alive"),
        ("X-Request-Id", "5a3b0d1e-9d55-4b1b-8a7b-6a7d64c6b3ad"),
        ("X-Forwarded-Proto", "http"),
        ("X-Team", "red"),
        ("Content-Length", "0"),
    ]);
    let start = StartLine::Request { method: "GET".into(), target: "/api/orders?id=7".into() };
    let answer = section(&[("Content-Type", "application/json"), ("Content-Length", "512")]);
    Exchange {
        connection: Arc::new(Connection {
            open: Open::new(([10, 0, 0, 2], 80).into(), ([10, 0, 0, 1], 4000).into()),
            role: Role::Server,
            workload: Arc::new(Workload { service_name: "shop".to_owned(), ..Workload::default() }),
            peer: None,
            protocol: Protocol::Http1,
            hello: None,
        }),
        request: half(start, request, 1_700_000_000_000_000_000, 1_700_000_000_000_001_000),
        response: Some(half(
            StartLine::Response { status: 200 },
            answer,
            1_700_000_000_011_000_000,
            1_700_000_000_012_000_000,
        )),
        incomplete: None,
        end: Timestamp(1_700_000_000_012_000_000),
        call: None,
        closed: false,
        epoch: 0,
    }
}

fn cel(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cel_filter");
    group.throughput(Throughput::Elements(1));
    let (exchange, methods) = (exchange(), KnownMethods::default());
    let facts = Facts::of(&exchange).expect("a request");
    let subject = ExchangeSubject { facts: &facts, identity: None, methods: &methods };
    for (name, expression) in [
        ("code", "response.code >= 500 || has(error.type)"),
        ("three", "response.code < 500 && request.url_path.startsWith('/api/') && request.duration > duration('1s')"),
        ("header", "request.headers['x-team'] in ['red', 'blue']"),
        ("pattern", "request.useragent.matches('Firefox/1[0-9]+')"),
        ("macro", "request.headers.exists(name, name == 'x-team')"),
    ] {
        let mut findings = Vec::new();
        let program = Program::filter(expression, &FieldPath::default(), &Trust::own(), &mut findings);
        let program = program.unwrap_or_else(|| panic!("{findings:?}"));
        group.bench_function(name, |bencher| bencher.iter(|| black_box(program.holds(&subject))));
    }
    group.finish();
}

fn attributes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("attribute");
    group.throughput(Throughput::Elements(1));
    let (exchange, methods) = (exchange(), KnownMethods::default());
    let facts = Facts::of(&exchange).expect("a request");
    let subject = ExchangeSubject { facts: &facts, identity: None, methods: &methods };
    for (name, source) in [
        ("literal", AttributeSource::Literal("production".into())),
        ("header", AttributeSource::Header("x-team".into())),
        ("key", AttributeSource::Key("http.response.status_code".into())),
        ("cel", AttributeSource::Cel("response.code >= 500 ? 'bad' : 'good'".into())),
    ] {
        let attribute = Attribute { at: FieldPath::default(), name: name.into(), source, default: None };
        let extractor = Extractor::compile(&attribute, &Trust::own(), &mut Vec::new()).expect("a valid attribute");
        group.bench_function(name, |bencher| bencher.iter(|| black_box(extractor.value(&subject))));
    }
    group.finish();
}

criterion_group!(benches, cel, attributes);
criterion_main!(benches);
