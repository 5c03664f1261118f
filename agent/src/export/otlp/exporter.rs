//! The task that sends batches of records.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use super::{
    BatchConfig, ExportRecord, OtlpConfig, RetryPolicy, Transport, TransportError,
    queue::{Pool, Queue},
    transport::{Request, SendError},
};
use crate::{
    admin::{Counter, Health, table},
    telemetry::{SpanSink, span::SpanRecord},
};

/// Exports records of observed traffic, spans unless it says otherwise, to one endpoint.
#[derive(Debug)]
pub struct OtlpExporter<T: ExportRecord = SpanRecord> {
    queue: Arc<Queue<T>>,
    in_flight: Arc<AtomicU64>,
    health: Arc<Health>,
    task: JoinHandle<()>,
}

/// One worker's end of the exporter's queue.
#[derive(Debug)]
pub struct RecordSender<T: ExportRecord>(Arc<Queue<T>>);

impl<T: ExportRecord> RecordSender<T> {
    pub(super) fn push(&self, record: T) {
        self.0.push(record);
    }
}

impl<T: ExportRecord> Clone for RecordSender<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl SpanSink for RecordSender<SpanRecord> {
    fn span(&mut self, record: SpanRecord) {
        self.push(record);
    }
}

/// What the task works with.
struct Worker<T: ExportRecord> {
    queue: Arc<Queue<T>>,
    in_flight: Arc<AtomicU64>,
    sender: Sender,
    batch: BatchConfig,
    local_attributes: Vec<(String, String)>,
    exported: Counter,
    rejected: Counter,
    health: Arc<Health>,
}

/// Sends with retries and says in the log when an endpoint goes away and comes back, once each.
pub(super) struct Sender {
    pub(super) transport: Transport,
    pub(super) endpoint: String,
    pub(super) retry: RetryPolicy,
    /// Longest time for one request, retries included.
    pub(super) limit: Duration,
    pub(super) sink: &'static str,
    pub(super) health: Arc<Health>,
    pub(super) away: bool,
    pub(super) failures: Vec<(String, Counter)>,
}

impl<T: ExportRecord> OtlpExporter<T> {
    /// Starts the task on the current tokio runtime. `local_attributes` are added to the resources of workloads that are of no pod.
    pub fn start(
        config: &OtlpConfig,
        batch: BatchConfig,
        retry: RetryPolicy,
        local_attributes: Vec<(String, String)>,
        health: &Arc<Health>,
    ) -> Result<Self, TransportError> {
        Self::start_in(None, config, batch, retry, local_attributes, health)
    }

    /// As [`Self::start`], with a queue that shares its bound with others.
    pub(super) fn start_in(
        pool: Option<&Arc<Pool>>,
        config: &OtlpConfig,
        batch: BatchConfig,
        retry: RetryPolicy,
        local_attributes: Vec<(String, String)>,
        health: &Arc<Health>,
    ) -> Result<Self, TransportError> {
        let queue = Arc::new(Queue::new(batch.queue_size, batch.batch_size, pool, health));
        let in_flight = Arc::new(AtomicU64::new(0));
        let worker = Worker {
            queue: Arc::clone(&queue),
            in_flight: Arc::clone(&in_flight),
            sender: Sender {
                transport: Transport::new(config)?,
                endpoint: config.endpoint.clone(),
                retry,
                limit: batch.export_timeout,
                sink: T::NAME,
                health: Arc::clone(health),
                away: false,
                failures: Vec::new(),
            },
            batch,
            local_attributes,
            exported: health.shared_counter(&table::EXPORTED, &[T::NAME]),
            rejected: health.shared_counter(&table::EXPORT_REJECTED, &[T::NAME]),
            health: Arc::clone(health),
        };
        let task = tokio::spawn(worker.run());
        Ok(Self { queue, in_flight, health: Arc::clone(health), task })
    }

    /// An end for one worker.
    pub fn sender(&self) -> RecordSender<T> {
        RecordSender(Arc::clone(&self.queue))
    }

    /// Sends what waits, for at most this long, and stops. What was not sent by then is counted as dropped.
    pub async fn close(mut self, deadline: Duration) {
        self.queue.close();
        if timeout(deadline, &mut self.task).await.is_ok() {
            return;
        }
        self.task.abort();
        // Only after the task has really ended do its numbers stand still.
        let _ = self.task.await;
        let late = self.queue.len() as u64 + self.in_flight.load(Ordering::Relaxed);
        if late > 0 {
            self.health.shared_counter(&table::QUEUE_DROPPED, &[T::NAME, "shutdown"]).add(late);
            tracing::warn!("{late} {} were not exported before the deadline", T::PLURAL);
        }
    }
}

impl<T: ExportRecord> Worker<T> {
    async fn run(mut self) {
        loop {
            if !self.queue.is_closed() && !self.queue.has_batch() {
                // Either a batch is full, or the delay is over, or the end has come.
                let _ = timeout(self.batch.schedule_delay, self.queue.ready.notified()).await;
            }
            loop {
                let batch = self.queue.take();
                if batch.is_empty() {
                    break;
                }
                self.export(batch).await;
                if !self.queue.has_batch() && !self.queue.is_closed() {
                    break;
                }
            }
            if self.queue.is_closed() && self.queue.len() == 0 {
                return;
            }
        }
    }

    async fn export(&mut self, batch: Vec<T>) {
        let records = batch.len() as u64;
        self.in_flight.store(records, Ordering::Relaxed);
        let request = T::request(batch, &self.local_attributes);
        match self.sender.send(&request).await {
            Ok(rejected) => {
                self.exported.add(records.saturating_sub(rejected));
                self.rejected.add(rejected);
            }
            Err(reason) => self.health.shared_counter(&table::QUEUE_DROPPED, &[T::NAME, reason]).add(records),
        }
        self.in_flight.store(0, Ordering::Relaxed);
    }
}

impl Sender {
    /// Sends until it is accepted, refused for good, or the time is over. Returns how many entries were rejected, or why all were lost.
    pub(super) async fn send(&mut self, request: &Request) -> Result<u64, &'static str> {
        let end = Instant::now() + self.limit;
        for attempt in 0.. {
            let error = match self.transport.send(request).await {
                Ok(accepted) => {
                    if self.away {
                        tracing::info!("OTLP endpoint {} works again", self.endpoint);
                        self.away = false;
                    }
                    if accepted.rejected > 0 || !accepted.message.is_empty() {
                        tracing::warn!(
                            "OTLP endpoint {} rejected {} entries: {}",
                            self.endpoint,
                            accepted.rejected,
                            accepted.message
                        );
                    }
                    return Ok(accepted.rejected);
                }
                Err(error) => error,
            };
            self.count(&error);
            if !self.away {
                let then = if error.retryable { "it is tried again" } else { "the batch is lost and counted" };
                tracing::error!("cannot export to OTLP endpoint {}: {}; {then}", self.endpoint, error.message);
                self.away = true;
            }
            if !error.retryable {
                return Err("refused");
            }
            let wait = self.retry.wait(attempt, error.retry_after);
            if Instant::now() + wait >= end {
                return Err("retries_exhausted");
            }
            sleep(wait).await;
        }
        Err("retries_exhausted")
    }

    fn count(&mut self, error: &SendError) {
        // Reasons are statuses and codes: at most some hundred, in practice a handful.
        let found = self.failures.iter().position(|(reason, _)| *reason == error.reason);
        let index = found.unwrap_or_else(|| {
            let counter = self.health.shared_counter(&table::EXPORT_FAILURES, &[self.sink, &error.reason]);
            self.failures.push((error.reason.clone(), counter));
            self.failures.len() - 1
        });
        self.failures[index].1.add(1);
    }
}
