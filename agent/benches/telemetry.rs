//! Cost per exchange of what comes after pairing: metrics alone (the budget's case), an access-log line, a span.

use std::{hint::black_box, sync::Arc};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use telltale::{
    admin::Health,
    capture::{Open, Role, Timestamp},
    exchange::{
        Call, Connection, Exchange, Half,
        genai::{self, GenAi, Stream, Usage},
    },
    export::LineSink,
    policy::{
        Defaults, Plan, Trust,
        model::{
            self, AccessLogs, Attribute, AttributeSource, FieldPath, LogField, LogFormat, Match, MatchKind,
            MetricOverride, Mode,
        },
        plan::{AccessLogPlan, ContextFormat, MetricsPlan},
    },
    protocol::{Head, Headers, HttpVersion, Protocol, StartLine},
    telemetry::{
        ExchangeSubject, Facts, KnownMethods, Outlets, Recorder, Settings, SpanSink, access_log::write_line,
        metrics::Metrics, span::SpanRecord, trace_context::identify,
    },
    workload::Workload,
};

/// Takes everything and keeps nothing.
struct Nowhere;

impl SpanSink for Nowhere {
    fn span(&mut self, record: SpanRecord) {
        black_box(record);
    }
}

impl LineSink for Nowhere {
    fn line(&mut self, line: &[u8]) {
        black_box(line);
    }
}

/// A request as a browser or a service mesh makes them: ten fields.
fn exchange(role: Role, status: u16, nanos: u64) -> Exchange {
    let (client, server) = ("10.0.0.1:4000".parse().unwrap(), "10.0.0.2:80".parse().unwrap());
    let (local, peer) = if role == Role::Client { (client, server) } else { (server, client) };
    let open = Open {
        role: Some(role),
        pid: 1,
        comm: "shop".to_owned(),
        isn_out: Some(1),
        isn_in: Some(2),
        ..Open::new(local, peer)
    };
    let mut headers = Headers::with_capacity(512);
    for (name, value) in [
        ("Host", "shop.example:8080"),
        ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
        ("Accept", "application/json"),
        ("Accept-Encoding", "gzip, deflate, br"),
        ("Accept-Language", "en-US,en;q=0.5"),
        ("Connection", "keep-alive"),
        ("X-Request-Id", "5a3b0d1e-9d55-4b1b-8a7b-6a7d64c6b3ad"),
        ("X-Forwarded-Proto", "http"),
        ("Content-Type", "application/json"),
        ("Content-Length", "0"),
    ] {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    let half = |start, headers, first, last| Half {
        head: Head {
            start,
            version: HttpVersion::Http11,
            headers,
            position: 0,
            request: 0,
            first_byte: Timestamp(first),
            complete: Timestamp(first),
        },
        body_size: Some(300),
        trailers: Headers::default(),
        last_byte: Timestamp(last),
        complete: true,
        content: None,
    };
    let start = 1_700_000_000_000_000_000;
    let request = StartLine::Request { method: "GET".into(), target: "/orders/1234?verbose=1".into() };
    let workload = Workload {
        service_name: "shop".to_owned(),
        namespace: Some("prod".to_owned()),
        attributes: vec![
            ("k8s.deployment.name".into(), "shop".to_owned()),
            ("k8s.pod.name".into(), "shop-1".to_owned()),
        ],
        ..Workload::default()
    };
    Exchange {
        connection: Arc::new(Connection {
            open,
            role,
            workload: Arc::new(workload),
            peer: None,
            protocol: Protocol::Http1,
            hello: None,
        }),
        request: half(request, headers, start, start),
        response: Some(half(StartLine::Response { status }, Headers::default(), start + nanos, start + nanos)),
        incomplete: None,
        end: Timestamp(start + nanos),
        call: None,
        closed: false,
        epoch: 0,
    }
}

/// Metrics with three attributes of the policy on every instrument: two header fields and a text.
fn with_attributes() -> Plan {
    let attribute = |name: &str, source| Attribute {
        at: FieldPath::default(),
        name: name.to_owned(),
        source,
        default: Some("none".to_owned()),
    };
    let attributes = vec![
        attribute("kind", AttributeSource::Header("content-type".to_owned())),
        attribute("model", AttributeSource::Header("x-model-id".to_owned())),
        attribute("env", AttributeSource::Literal("production".to_owned())),
    ];
    let overrides = ["request_count", "request_size", "response_size"].map(|name| MetricOverride {
        name: name.to_owned(),
        attributes: attributes.clone(),
        ..MetricOverride::default()
    });
    let metrics = model::Metrics { overrides: overrides.into(), ..model::Metrics::default() };
    let mut findings = Vec::new();
    let compiled = MetricsPlan::compile(&metrics, Defaults::EVERYTHING, &Trust::own(), &mut findings);
    assert!(findings.is_empty(), "{findings:?}");
    Plan { metrics: Some(Arc::new(compiled)), ..Plan::of_signals(true, false, false) }
}

fn record(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record");
    group.throughput(Throughput::Elements(1));
    for (name, plan) in [
        ("metrics", Plan::of_signals(true, false, false)),
        ("metrics_3_attributes", with_attributes()),
        ("access_log", Plan::of_signals(false, false, true)),
        ("span", Plan::of_signals(false, true, false)),
        ("all", Plan::of_signals(true, true, true)),
    ] {
        let plan = Arc::new(plan);
        for role in [Role::Server, Role::Client] {
            let settings = Settings::default();
            let metrics = Metrics::new(Arc::clone(&settings.methods));
            let outlets = Outlets {
                metrics: metrics.shard(&plan),
                spans: vec![Box::new(Nowhere)],
                logs: vec![Box::new(Nowhere)],
            };
            let mut recorder = Recorder::new(settings, Box::new(outlets), &Health::new());
            // Some series, so that the look-up is a real one.
            let exchanges: Vec<_> =
                (0..32).map(|number| exchange(role, 200 + number, u64::from(number) * 700_000)).collect();
            let mut next = exchanges.iter().cycle();
            group.bench_function(format!("{name}/{role:?}").to_lowercase(), |bencher| {
                bencher.iter(|| recorder.record(black_box(next.next().unwrap()), &plan));
            });
        }
    }
    group.finish();
}

/// A chat, and one that was streamed in so many chunks of 20 ms.
fn chat(chunks: u32) -> Exchange {
    let exchange = exchange(Role::Client, 200, 20_000_000 * u64::from(chunks.max(1)));
    let start = exchange.request.head.first_byte;
    let after = |chunk: u32| Timestamp(start.0 + 20_000_000 * u64::from(chunk));
    let stream = Stream {
        first_chunk: after(1),
        first_token: Some(after(1)),
        last_token: Some(after(chunks)),
        last_chunk: after(chunks),
        chunks: chunks.into(),
        intervals: vec![20_000; chunks.saturating_sub(1) as usize],
        complete: true,
    };
    let call = GenAi {
        provider: "openai".into(),
        request: genai::Request { model: Some("gpt-4o".into()), ..genai::Request::default() },
        response: genai::Response { model: Some("gpt-4o-2024-08-06".into()), ..genai::Response::default() },
        usage: Usage { input: Some(1200), output: Some(chunks.into()), ..Usage::default() },
        stream: (chunks > 0).then_some(stream),
        ..GenAi::default()
    };
    Exchange { call: Some(Call::GenAi(Box::new(call))), ..exchange }
}

/// What a call of a model costs in metrics, beside the exchange that it is.
fn call(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("call");
    group.throughput(Throughput::Elements(1));
    let plan = Arc::new(Plan::of_signals(true, false, false));
    for (name, exchange) in [("none", exchange(Role::Client, 200, 1)), ("chat", chat(0)), ("stream_200", chat(200))] {
        let settings = Settings::default();
        let metrics = Metrics::new(Arc::clone(&settings.methods));
        let outlets = Outlets { metrics: metrics.shard(&plan), ..Outlets::default() };
        let mut recorder = Recorder::new(settings, Box::new(outlets), &Health::new());
        group.bench_function(name, |bencher| bencher.iter(|| recorder.record(black_box(&exchange), &plan)));
    }
    group.finish();
}

/// One line alone: the default, a list of fields, and Envoy's default text.
fn line(criterion: &mut Criterion) {
    let at = FieldPath::new("accessLogs");
    let names =
        ["start_time", "response_code", "duration", "method", "path", "authority", "x-request-id", "user-agent"];
    let fields = names.map(|name| LogField::Named { at: at.clone(), name: name.to_owned() }).into();
    let stanza = || AccessLogs { mode: Mode::Enabled, ..AccessLogs::default() };
    let matches = vec![Match { at, kind: MatchKind::Path("/api/v1/sensitive".to_owned()) }];
    let mut group = criterion.benchmark_group("access_log_line");
    group.throughput(Throughput::Elements(1));
    for (name, stanza) in [
        ("json_default", stanza()),
        ("json_8_fields", AccessLogs { fields, ..stanza() }),
        ("text_envoy", AccessLogs { format: LogFormat::Text, ..stanza() }),
        ("filtered_out", AccessLogs { matches, ..stanza() }),
    ] {
        let plan = AccessLogPlan::compile(&stanza, Defaults::default(), &Trust::own(), &mut Vec::new());
        let plan = plan.expect("it is enabled");
        let exchange = exchange(Role::Server, 200, 12_000_000);
        let facts = Facts::of(&exchange).expect("it is a request");
        let head = &exchange.request.head;
        let open = &exchange.connection.open;
        let identity =
            identify(open, facts.role, head.position, head.first_byte, facts.context(ContextFormat::DEFAULT));
        let methods = KnownMethods::default();
        let subject = ExchangeSubject { facts: &facts, identity: Some(&identity), methods: &methods };
        let mut line = Vec::with_capacity(1024);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                line.clear();
                if plan.wants(black_box(&facts).parsed_target().path, &subject) {
                    write_line(&mut line, &plan.line, &subject);
                }
                black_box(line.len())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, record, call, line);
criterion_main!(benches);
