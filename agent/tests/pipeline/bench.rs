//! A pipeline under test.

use std::sync::{Arc, Mutex};

use telltale::{
    admin::{Health, SelfMetric},
    capture::{ConnectionId, Direction, Event, EventKind, GapReason, Open, Role, Timestamp},
    exchange::mcp::Correlator,
    export::{LineSender, LineSink},
    pipeline::{Pipeline, Settings},
    policy::{Plan, PlanStore, Plans},
    telemetry::{self, LogSink, Outlets, Recorder, metrics::Metrics},
    workload::Source,
};

pub(crate) const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// Keeps the lines of the access log.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<serde_json::Value>>>);

impl LineSink for Lines {
    fn line(&mut self, line: &[u8]) {
        self.0.lock().unwrap().push(serde_json::from_slice(line).expect("a line is JSON"));
    }
}

impl Lines {
    pub(crate) fn take(&self) -> Vec<serde_json::Value> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// A pipeline with its outputs.
pub(crate) struct Bench {
    pub(crate) pipeline: Pipeline,
    pub(crate) lines: Lines,
    pub(crate) health: Arc<Health>,
    pub(crate) metrics: Arc<Metrics>,
    /// Of the next event, in nanoseconds.
    pub(crate) time: u64,
}

/// Series per instrument.
pub(crate) const SERIES: usize = 100;

impl Bench {
    /// Metrics and access logs of everything, with at most so many connections.
    pub(crate) fn new(connections: usize) -> Self {
        Self::with_queue(connections, &Health::new(), &[])
    }

    /// With these sinks beside its own.
    pub(crate) fn with_queue(connections: usize, health: &Arc<Health>, queues: &[LineSender]) -> Self {
        let plans = PlanStore::new(Plans::everywhere(Plan::of_signals(true, false, true)));
        Self::build(&plans, connections, health, queues)
    }

    /// Of what these plans ask for.
    pub(crate) fn following(plans: &Arc<PlanStore>) -> Self {
        Self::following_many(plans, 2)
    }

    /// The same with at most so many connections.
    pub(crate) fn following_many(plans: &Arc<PlanStore>, connections: usize) -> Self {
        Self::build(plans, connections, &Health::new(), &[])
    }

    pub(crate) fn build(
        plans: &Arc<PlanStore>,
        connections: usize,
        health: &Arc<Health>,
        queues: &[LineSender],
    ) -> Self {
        let settings = Settings { connections, ..Settings::new(plans, Source::Events) };
        Self::with_settings(settings, health, queues)
    }

    /// One worker of several, which share this correlator.
    pub(crate) fn sharing(correlator: &Correlator) -> Self {
        let plans = PlanStore::new(Plans::everywhere(Plan::of_signals(true, false, true)));
        let settings =
            Settings { connections: 2, correlator: correlator.clone(), ..Settings::new(&plans, Source::Events) };
        Self::with_settings(settings, &Health::new(), &[])
    }

    fn with_settings(pipeline: Settings, health: &Arc<Health>, queues: &[LineSender]) -> Self {
        let (lines, health, queues) = (Lines::default(), Arc::clone(health), queues.to_vec());
        let settings = telemetry::Settings::default();
        let metrics = Metrics::with_limit(settings.methods.clone(), SERIES - 1);
        metrics.report_to(&health);
        let (sink, shards) = (lines.clone(), Arc::clone(&metrics));
        let outlets = move |plan: &Arc<Plan>| {
            let mut logs: Vec<Box<dyn LogSink>> = vec![Box::new(sink.clone())];
            logs.extend(queues.iter().map(|queue| Box::new(queue.clone()) as Box<dyn LogSink>));
            Outlets { metrics: shards.shard(plan), logs, ..Outlets::default() }
        };
        let recorder = Recorder::new(settings, Box::new(outlets), &health);
        Self { pipeline: Pipeline::new(pipeline, recorder, &health), lines, health, metrics, time: 1_000_000_000 }
    }

    pub(crate) fn event(&mut self, connection: u64, kind: EventKind<'_>) {
        self.time += 1000;
        self.pipeline.event(&Event { time: Timestamp(self.time), connection: ConnectionId(connection), kind });
    }

    /// A client's connection is opened, by a process of the same number.
    pub(crate) fn open(&mut self, connection: u64) {
        self.event(connection, open(Some(Role::Client), connection as u32));
    }

    pub(crate) fn data(&mut self, connection: u64, direction: Direction, position: u64, bytes: &[u8]) {
        self.event(connection, EventKind::Data { direction, position, length: bytes.len() as u32, bytes });
    }

    pub(crate) fn gap(&mut self, connection: u64, direction: Direction, position: u64, length: u64, reason: GapReason) {
        self.event(connection, EventKind::Gap { direction, position, length, reason });
    }

    pub(crate) fn close(&mut self, connection: u64) {
        self.event(connection, EventKind::Close { how: None });
    }

    /// Time passes by itself.
    pub(crate) fn tick(&mut self, nanos: u64) {
        self.time += nanos;
        self.pipeline.tick(Timestamp(self.time));
    }

    /// A request and its response on a connection of their own.
    pub(crate) fn exchange(&mut self, connection: u64, request: &[u8], response: &[u8]) {
        self.open(connection);
        self.data(connection, Direction::Out, 0, request);
        self.data(connection, Direction::In, 0, response);
        self.close(connection);
    }

    /// A count of the agent's own, as it is published.
    pub(crate) fn count(&mut self, metric: &'static SelfMetric, labels: &[&str]) -> u64 {
        self.tick(0);
        self.health.value(metric, labels)
    }
}

pub(crate) fn open(role: Option<Role>, pid: u32) -> EventKind<'static> {
    EventKind::Open(Box::new(Open {
        role,
        pid,
        comm: "client".to_owned(),
        ..Open::new(([10, 0, 0, 1], 4000).into(), ([10, 0, 0, 2], 80).into())
    }))
}
