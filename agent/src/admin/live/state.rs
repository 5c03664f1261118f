//! `/v1/state`: which agent it is, how it captures, what it counted.

use std::{collections::BTreeMap, time::Instant};

use serde::Serialize;

use super::{CaptureState, LiveState, lock};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StateView {
    version: &'static str,
    node: Option<String>,
    pid: u32,
    started_at: String,
    ready: bool,
    waits_for: Vec<WaitView>,
    /// `null` before it captures.
    capture: Option<CaptureState>,
    /// Why this node captures nothing, if it does not.
    cannot: Vec<String>,
    workers: Vec<WorkerView>,
    plan_generation: u64,
    /// Metrics about the agent, by name.
    counters: BTreeMap<&'static str, Vec<CounterView>>,
}

#[derive(Debug, Serialize)]
struct WaitView {
    name: &'static str,
    reason: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WorkerView {
    name: String,
    alive: bool,
    milliseconds_since_tick: Option<u64>,
}

#[derive(Debug, Serialize)]
struct CounterView {
    labels: BTreeMap<&'static str, String>,
    value: f64,
}

impl StateView {
    pub(super) fn of(live: &LiveState) -> Self {
        let inner = &live.0;
        let waits_for: Vec<WaitView> =
            inner.readiness.waits_for().into_iter().map(|(name, reason)| WaitView { name, reason }).collect();
        let worker = |(name, since): (String, Option<std::time::Duration>)| WorkerView {
            name,
            alive: since.is_some_and(|since| since < crate::admin::liveness::PATIENCE),
            milliseconds_since_tick: since.map(|since| since.as_millis() as u64),
        };
        let mut counters: BTreeMap<&'static str, Vec<CounterView>> = BTreeMap::new();
        for sample in inner.health.samples() {
            let labels = sample.metric.labels.iter().copied().zip(sample.labels).collect();
            counters.entry(sample.metric.name).or_default().push(CounterView { labels, value: sample.value });
        }
        Self {
            version: inner.about.version,
            node: inner.about.node.clone(),
            pid: inner.about.pid,
            started_at: inner.about.started.to_string(),
            ready: waits_for.is_empty(),
            waits_for,
            capture: lock(&inner.capture).clone(),
            cannot: lock(&inner.cannot).clone(),
            workers: inner.liveness.since_last(Instant::now()).into_iter().map(worker).collect(),
            plan_generation: inner.plans.generation(),
            counters,
        }
    }
}
