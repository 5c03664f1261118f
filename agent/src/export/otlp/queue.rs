//! Spans that wait for their batch.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::{
    admin::{Counter, Gauge, Health, table},
    telemetry::span::SpanRecord,
};

/// The name of this queue in metrics.
pub(super) const NAME: &str = "otlp_spans";

/// A bounded queue from many workers to one exporter. A span that finds it full is dropped and counted; nobody waits.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    capacity: usize,
    batch: usize,
    /// Told when a batch is full, and at the end.
    pub(super) ready: Notify,
    length: Gauge,
    full: Counter,
}

#[derive(Debug, Default)]
struct State {
    spans: VecDeque<SpanRecord>,
    closed: bool,
}

impl Queue {
    pub(super) fn new(capacity: usize, batch: usize, health: &Health) -> Self {
        health.gauge(&table::QUEUE_CAPACITY, &[NAME]).set(capacity as i64);
        Self {
            state: Mutex::default(),
            capacity,
            batch,
            ready: Notify::new(),
            length: health.gauge(&table::QUEUE_LENGTH, &[NAME]),
            full: health.counter(&table::QUEUE_DROPPED, &[NAME, "full"]),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, record: SpanRecord) {
        let mut state = self.lock();
        if state.closed || state.spans.len() >= self.capacity {
            drop(state);
            self.full.add(1);
            return;
        }
        state.spans.push_back(record);
        self.length.set(state.spans.len() as i64);
        let wake = state.spans.len() == self.batch;
        drop(state);
        if wake {
            self.ready.notify_one();
        }
    }

    /// Takes at most a batch.
    pub(super) fn take(&self) -> Vec<SpanRecord> {
        let mut state = self.lock();
        let count = state.spans.len().min(self.batch);
        let batch = state.spans.drain(..count).collect();
        self.length.set(state.spans.len() as i64);
        batch
    }

    pub(super) fn len(&self) -> usize {
        self.lock().spans.len()
    }

    /// Takes nothing more in.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.ready.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }
}
