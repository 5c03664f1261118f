//! The whole pipeline on keep-alive exchanges, metrics only: budget 500k HTTP/1 exchanges a second and core (DESIGN section 9).

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use telltale::{
    admin::Health,
    capture::{
        ConnectionId, Direction, Event, EventKind, Open, Role, Timestamp,
        recording::{Reader, Writer},
    },
    pipeline::{Pipeline, Settings},
    policy::{
        Defaults, Plan, PlanStore, Plans, Setting, Trust, compile,
        document::{self, Documents},
        validation,
    },
    telemetry::{self, Outlets, Recorder, metrics::Metrics},
    workload::Source,
};

const EXCHANGES: u64 = 10_000;
const CONNECTIONS: u64 = 64;

const REQUEST: &[u8] = b"GET /api/v1/orders?id=12345 HTTP/1.1\r\nHost: shop.example:8080\r\nUser-Agent: python-requests/2.32.3\r\n\
    Accept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\nAuthorization: Bearer abcdefghijklmnop\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx/1.26.0\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\n\
    Content-Type: application/json\r\nContent-Length: 27\r\nConnection: keep-alive\r\n\r\n{\"id\":12345,\"state\":\"paid\"}";

fn open(connection: u64) -> Open {
    Open {
        role: Some(Role::Client),
        pid: 12,
        comm: "python3".to_owned(),
        isn_out: Some(1),
        isn_in: Some(2),
        ..Open::new(([10, 0, 0, 1], 40_000 + connection as u16).into(), ([10, 0, 0, 2], 8080).into())
    }
}

/// Keep-alive exchanges, in turn on every connection.
fn events() -> Vec<Event<'static>> {
    let mut events = Vec::new();
    let mut time = 1_700_000_000_000_000_000;
    let mut add = |connection, kind| {
        time += 1000;
        events.push(Event { time: Timestamp(time), connection: ConnectionId(connection), kind });
    };
    for connection in 0..CONNECTIONS {
        add(connection, EventKind::Open(Box::new(open(connection))));
    }
    for exchange in 0..EXCHANGES {
        let (connection, turn) = (exchange % CONNECTIONS, exchange / CONNECTIONS);
        for (direction, bytes) in [(Direction::Out, REQUEST), (Direction::In, RESPONSE)] {
            let position = turn * bytes.len() as u64;
            add(connection, EventKind::Data { direction, position, length: bytes.len() as u32, bytes });
        }
    }
    events
}

fn pipeline() -> Pipeline {
    following(Plan::of_signals(true, false, false))
}

/// The same with the content of both messages kept and redacted.
fn keeping() -> Pipeline {
    const POLICY: &str = "apiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: TelemetryPolicy\nmetadata: {name: p, namespace: shop}\nspec:\n  \
                          targetRefs: [{group: '', kind: Namespace, name: shop}]\n  metrics: {mode: Enabled}\n  \
                          content: {capture: All, redact: [{jsonPath: $.id}, {pattern: '[0-9]{13,19}'}]}\n";
    let documents = Documents::read(&[document::Source::new("policy.yaml", POLICY)]);
    let setting = Setting { defaults: Defaults::default(), trust: Trust::own() };
    let plan = compile(&validation::candidates(&documents)[0].policy, &setting).0;
    assert!(plan.content.is_some());
    following(plan)
}

fn following(plan: Plan) -> Pipeline {
    let settings = telemetry::Settings::default();
    let health = Health::new();
    let metrics = Metrics::new(settings.methods.clone());
    let outlets = Outlets { metrics: metrics.shard(&plan), ..Outlets::default() };
    let recorder = Recorder::new(settings, Box::new(outlets), &health);
    let plans = PlanStore::new(Plans::everywhere(plan));
    let settings = Settings::new(&plans, Source::Events);
    Pipeline::new(settings, recorder, &health)
}

fn run(pipeline: &mut Pipeline, events: &[Event<'_>]) {
    for event in events {
        pipeline.event(black_box(event));
        pipeline.take_skips().for_each(drop);
    }
}

fn benchmark(criterion: &mut Criterion) {
    let events = events();
    let mut check = pipeline();
    run(&mut check, &events);
    assert_eq!(check.finish().exchanges(), EXCHANGES, "every exchange is seen");

    let mut group = criterion.benchmark_group("pipeline");
    group.throughput(Throughput::Elements(EXCHANGES));
    group.bench_function("http1 keep-alive", |bencher| {
        bencher.iter_batched_ref(pipeline, |pipeline| run(pipeline, &events), BatchSize::PerIteration);
    });

    group.bench_function("http1 keep-alive, content kept and redacted", |bencher| {
        bencher.iter_batched_ref(keeping, |pipeline| run(pipeline, &events), BatchSize::PerIteration);
    });

    let mut writer = Writer::new(Vec::new());
    for event in &events {
        writer.write(event).expect("a vector takes everything");
    }
    let recording = writer.finish().expect("a vector takes everything");
    group.bench_function("http1 keep-alive, read from a recording", |bencher| {
        bencher.iter_batched_ref(
            pipeline,
            |pipeline| {
                let mut reader = Reader::new("bench".to_owned(), &recording[..]);
                while let Some(event) = reader.next_event() {
                    pipeline.event(&event.expect("what was written can be read"));
                    pipeline.take_skips().for_each(drop);
                }
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
