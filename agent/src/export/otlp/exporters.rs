//! The exporters that policies ask for: one for each receiver, shared by all plans that name it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{runtime::Handle, task::JoinSet};

use super::{BatchConfig, ExportRecord, OtlpConfig, OtlpExporter, RecordSender, RetryPolicy, queue::Pool};
use crate::{
    admin::{Counter, Health, table},
    policy::{Reach, plan::Receiver},
    telemetry::{ExchangeSubject, LogSink, SpanSink, access_log::LineRecord, span::SpanRecord},
};

/// Exporters at one time, those that are ending included. Policies beyond it wait for one to end; their records are counted as dropped.
pub const MAX_EXPORTERS: usize = 64;

/// How all of them work.
#[derive(Clone, Debug)]
pub struct ExporterSettings {
    /// Limits of each exporter. What all queues hold together is limited too: each may always hold a sixteenth of its own, and all share four times one's own
    /// beyond that.
    pub batch: BatchConfig,
    /// When to try again.
    pub retry: RetryPolicy,
    /// Added to the resources of workloads that are of no pod.
    pub local_attributes: Vec<(String, String)>,
    /// Where policies may send.
    pub reach: Reach,
    /// Longest time that an exporter which is no longer needed takes to send what it holds.
    pub deadline: Duration,
}

/// Starts an exporter when the first plan needs it, and ends it when the last has gone. Clones are the same.
#[derive(Debug)]
pub struct Exporters<T: ExportRecord = SpanRecord>(Arc<Shared<T>>);

impl<T: ExportRecord> Clone for Exporters<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct Shared<T: ExportRecord> {
    runtime: Handle,
    settings: ExporterSettings,
    pool: Arc<Pool>,
    health: Arc<Health>,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T: ExportRecord> {
    open: HashMap<Arc<Receiver>, Open<T>>,
    ending: JoinSet<()>,
}

/// An exporter that somebody needs.
#[derive(Debug)]
struct Open<T: ExportRecord> {
    lease: Weak<Lease<T>>,
    sender: RecordSender<T>,
}

impl<T: ExportRecord> State<T> {
    /// How many there are. One that has failed only counts what is lost.
    fn count(&mut self) -> usize {
        while self.ending.try_join_next().is_some() {}
        self.open.values().filter(|open| !open.sender.has_failed()).count() + self.ending.len()
    }
}

impl<T: ExportRecord> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running exporter. The last one who drops it ends it.
#[derive(Debug)]
struct Lease<T: ExportRecord> {
    shared: Arc<Shared<T>>,
    receiver: Arc<Receiver>,
    sender: RecordSender<T>,
    exporter: Mutex<Option<OtlpExporter<T>>>,
}

impl<T: ExportRecord> Lease<T> {
    fn take(&self) -> Option<OtlpExporter<T>> {
        self.exporter.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<T: ExportRecord> Drop for Lease<T> {
    fn drop(&mut self) {
        let exporter = self.take();
        let mut state = self.shared.lock();
        // Another one of the same receiver may have been started in the meantime.
        if state.open.get(&self.receiver).is_some_and(|open| open.lease.strong_count() == 0) {
            state.open.remove(&self.receiver);
        }
        if let Some(exporter) = exporter {
            let deadline = self.shared.settings.deadline;
            state.ending.spawn_on(async move { exporter.close(deadline).await }, &self.shared.runtime);
        }
    }
}

impl<T: ExportRecord> Exporters<T> {
    /// With none yet. Their tasks run on `runtime`.
    pub fn new(runtime: Handle, settings: ExporterSettings, health: &Arc<Health>) -> Self {
        let pool = Pool::new(settings.batch.queue_size * 4, settings.batch.queue_size.div_ceil(16));
        Self(Arc::new(Shared {
            runtime,
            settings,
            pool,
            health: Arc::clone(health),
            state: Mutex::new(State { open: HashMap::new(), ending: JoinSet::new() }),
        }))
    }

    /// A sink whose records this receiver gets.
    pub fn sink(&self, receiver: &Arc<Receiver>) -> ReceiverSink<T> {
        ReceiverSink {
            exporters: self.clone(),
            receiver: Arc::clone(receiver),
            lease: self.lease(receiver),
            too_many: self.0.health.shared_counter(&table::QUEUE_DROPPED, &[T::NAME, "too_many_exporters"]),
        }
    }

    /// How many there are, those that are ending included.
    pub fn count(&self) -> usize {
        self.0.lock().count()
    }

    /// Ends all of them at once, each for at most the deadline. What was not sent by then is counted.
    pub async fn close(self) {
        let leases: Vec<Arc<Lease<T>>> = self.0.lock().open.values().filter_map(|open| open.lease.upgrade()).collect();
        for lease in leases {
            if let Some(exporter) = lease.take() {
                let deadline = self.0.settings.deadline;
                self.0.lock().ending.spawn_on(async move { exporter.close(deadline).await }, &self.0.runtime);
            }
        }
        let mut ending = std::mem::take(&mut self.0.lock().ending);
        while ending.join_next().await.is_some() {}
    }

    /// None while there are [`MAX_EXPORTERS`].
    fn lease(&self, receiver: &Arc<Receiver>) -> Option<Arc<Lease<T>>> {
        let mut state = self.0.lock();
        // One that has failed is tried again for whoever comes: a file may be there now.
        if let Some(lease) =
            state.open.get(receiver).filter(|open| !open.sender.has_failed()).and_then(|open| open.lease.upgrade())
        {
            return Some(lease);
        }
        if state.count() >= MAX_EXPORTERS {
            return None;
        }
        let settings = &self.0.settings;
        let config = OtlpConfig::of_receiver(receiver, settings.reach.clone());
        let _entered = self.0.runtime.enter();
        let exporter = OtlpExporter::start_in(
            Some(&self.0.pool),
            &config,
            settings.batch,
            settings.retry,
            settings.local_attributes.clone(),
            &self.0.health,
        );
        let sender = exporter.sender();
        let lease = Arc::new(Lease {
            shared: Arc::clone(&self.0),
            receiver: Arc::clone(receiver),
            sender: sender.clone(),
            exporter: Mutex::new(Some(exporter)),
        });
        state.open.insert(Arc::clone(receiver), Open { lease: Arc::downgrade(&lease), sender });
        Some(lease)
    }
}

/// One worker's way to one receiver, for one plan.
pub struct ReceiverSink<T: ExportRecord> {
    exporters: Exporters<T>,
    receiver: Arc<Receiver>,
    lease: Option<Arc<Lease<T>>>,
    too_many: Counter,
}

impl<T: ExportRecord> ReceiverSink<T> {
    fn push(&mut self, record: T) {
        if self.lease.is_none() {
            self.lease = self.exporters.lease(&self.receiver);
        }
        match &self.lease {
            Some(lease) => lease.sender.push(record),
            None => self.too_many.add(1),
        }
    }
}

impl SpanSink for ReceiverSink<SpanRecord> {
    fn span(&mut self, record: SpanRecord) {
        self.push(record);
    }
}

impl LogSink for ReceiverSink<LineRecord> {
    fn log(&mut self, line: &[u8], subject: &ExchangeSubject<'_>) {
        self.push(LineRecord::new(line, subject));
    }
}

impl LogSink for RecordSender<LineRecord> {
    fn log(&mut self, line: &[u8], subject: &ExchangeSubject<'_>) {
        self.push(LineRecord::new(line, subject));
    }
}
