//! What becomes of exchanges that are over.

use std::sync::Arc;

use crate::{
    capture::Timestamp,
    exchange::{
        Exchange,
        mcp::{Correlator, CorrelatorCounters, Waiting},
    },
    policy::Plan,
    protocol::body,
    telemetry::{Recorder, summary::Summary},
};

/// What the exchanges of a worker told, for people and for the agent's health; and those that wait for answers over other connections.
pub(super) struct Told {
    pub(super) summary: Summary,
    pub(super) bodies: body::Counters,
    waiting: Waiting<Arc<Plan>>,
    correlator: Arc<Correlator>,
    counters: CorrelatorCounters,
}

impl Told {
    /// Nothing yet. `tree`: the summary keeps the order of calls.
    pub(super) fn new(tree: bool, correlator: &Arc<Correlator>) -> Self {
        Self {
            summary: if tree { Summary::with_tree() } else { Summary::default() },
            bodies: body::Counters::default(),
            waiting: Waiting::new(Arc::clone(correlator)),
            correlator: Arc::clone(correlator),
            counters: CorrelatorCounters::default(),
        }
    }

    /// Records an exchange under the plan that it began with, or keeps it until its answers came.
    pub(super) fn exchange(&mut self, exchange: Exchange, plan: &Arc<Plan>, recorder: &mut Recorder) {
        if Waiting::<Arc<Plan>>::concerns(&exchange) {
            for (exchange, plan) in self.waiting.offer(exchange, Arc::clone(plan)) {
                self.record(&exchange, &plan, recorder);
            }
        } else {
            self.record(&exchange, plan, recorder);
        }
    }

    /// It is now `now`: records those whose answers came, and those that waited long enough.
    pub(super) fn answered(&mut self, now: Timestamp, recorder: &mut Recorder) {
        for (exchange, plan) in self.waiting.take_ready(now) {
            self.record(&exchange, &plan, recorder);
        }
    }

    /// Records all that wait: nothing more will come.
    pub(super) fn all(&mut self, recorder: &mut Recorder) {
        for (exchange, plan) in self.waiting.take_all() {
            self.record(&exchange, &plan, recorder);
        }
    }

    /// What the correlator of all workers counted, as far as this one was the first to ask.
    pub(super) fn correlation(&mut self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + use<> {
        self.counters += self.correlator.take_counters();
        self.counters.rows()
    }

    fn record(&mut self, exchange: &Exchange, plan: &Arc<Plan>, recorder: &mut Recorder) {
        if let Some(facts) = recorder.record(exchange, plan) {
            self.summary.record(&facts);
        }
    }
}
