//! The task that sends batches of records.

use std::{
    future::{Future, ready},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::watch,
    task::{JoinHandle, spawn_blocking},
    time::{Instant, timeout},
};

use super::{
    BatchConfig, ExportRecord, OtlpConfig, RetryPolicy, Transport, TransportError,
    queue::{Pool, Queue, SHUTDOWN},
    sender::Sender,
    transport::invalid,
};
use crate::{
    admin::{Counter, Health, table},
    telemetry::{SpanSink, span::SpanRecord},
};

/// Why records are lost whose exporter ended by a fault of its own.
const FAULT: &str = "exporter_fault";
/// Why records are lost whose exporter has no client.
const NOT_STARTED: &str = "not_started";

/// Exports records of observed traffic, spans unless it says otherwise, to one endpoint.
#[derive(Debug)]
pub struct OtlpExporter<T: ExportRecord = SpanRecord> {
    queue: Arc<Queue<T>>,
    /// Told until when the last requests may take.
    closing: watch::Sender<Option<Instant>>,
    task: JoinHandle<()>,
}

/// One worker's end of the exporter's queue.
#[derive(Debug)]
pub struct RecordSender<T: ExportRecord>(Arc<Queue<T>>);

impl<T: ExportRecord> RecordSender<T> {
    pub(super) fn push(&self, record: T) {
        self.0.push(record);
    }

    /// Whether the exporter has no client, or ended by a fault.
    pub(super) fn has_failed(&self) -> bool {
        self.0.has_failed()
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
    held: Held<T>,
    batch: BatchConfig,
    local_attributes: Vec<(String, String)>,
    exported: Counter,
    rejected: Counter,
    health: Arc<Health>,
}

/// What the task has not sent yet. However it ends, all of this is counted as lost then, and the share of the pool is given back.
struct Held<T: ExportRecord> {
    queue: Arc<Queue<T>>,
    /// Records of the batch that is being sent.
    in_flight: AtomicU64,
}

impl<T: ExportRecord> Drop for Held<T> {
    fn drop(&mut self) {
        let fault = std::thread::panicking();
        let lost = self.queue.end(if fault { FAULT } else { SHUTDOWN }, self.in_flight.load(Ordering::Relaxed));
        if fault {
            tracing::error!(
                "an exporter has failed; its {lost} {0} and all {0} to come are lost and counted",
                T::PLURAL
            );
        } else if lost > 0 {
            tracing::warn!("{lost} {} were not exported before the deadline", T::PLURAL);
        }
    }
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
        let transport = ready(Ok(Transport::new(config)?));
        Ok(Self::spawn(None, config, transport, batch, retry, local_attributes, health))
    }

    /// As [`Self::start`], with a queue that shares its bound with others. The files of the configuration are read later and elsewhere: whoever calls this
    /// waits for nothing. If that fails, the log says why, and the records are counted as lost.
    pub(super) fn start_in(
        pool: Option<&Arc<Pool>>,
        config: &OtlpConfig,
        batch: BatchConfig,
        retry: RetryPolicy,
        local_attributes: Vec<(String, String)>,
        health: &Arc<Health>,
    ) -> Self {
        let transport = transport(config.clone());
        Self::spawn(pool, config, transport, batch, retry, local_attributes, health)
    }

    fn spawn(
        pool: Option<&Arc<Pool>>,
        config: &OtlpConfig,
        transport: impl Future<Output = Result<Transport, TransportError>> + Send + 'static,
        batch: BatchConfig,
        retry: RetryPolicy,
        local_attributes: Vec<(String, String)>,
        health: &Arc<Health>,
    ) -> Self {
        let queue = Arc::new(Queue::new(batch.queue_size, batch.batch_size, pool, health));
        let (closing, closes) = watch::channel(None);
        let worker = Worker {
            held: Held { queue: Arc::clone(&queue), in_flight: AtomicU64::new(0) },
            batch,
            local_attributes,
            exported: health.shared_counter(&table::EXPORTED, &[T::NAME]),
            rejected: health.shared_counter(&table::EXPORT_REJECTED, &[T::NAME]),
            health: Arc::clone(health),
        };
        let (config, health) = (config.clone(), Arc::clone(health));
        let task = tokio::spawn(async move {
            let worker = worker;
            match transport.await {
                Ok(transport) => {
                    let limit = batch.export_timeout;
                    worker.run(Sender::new(transport, &config, T::NAME, limit, retry, closes, &health)).await;
                }
                Err(error) => {
                    tracing::error!("{error}; {} of policies that name it are lost and counted", T::PLURAL);
                    worker.held.queue.end(NOT_STARTED, 0);
                }
            }
        });
        Self { queue, closing, task }
    }

    /// An end for one worker.
    pub fn sender(&self) -> RecordSender<T> {
        RecordSender(Arc::clone(&self.queue))
    }

    /// Sends what waits, for at most this long, and stops. What was not sent by then is counted as dropped.
    pub async fn close(mut self, deadline: Duration) {
        self.closing.send_replace(Some(Instant::now() + deadline));
        self.queue.close();
        if timeout(deadline, &mut self.task).await.is_err() {
            self.task.abort();
            // Only after the task has really ended do its numbers stand still.
            let _ = self.task.await;
        }
    }
}

/// Makes the client where it holds nobody up: the certificates that the system trusts are many.
async fn transport(config: OtlpConfig) -> Result<Transport, TransportError> {
    let endpoint = config.clone();
    let made = spawn_blocking(move || Transport::new(&config)).await;
    made.unwrap_or_else(|error| Err(invalid(&endpoint, error.to_string())))
}

impl<T: ExportRecord> Worker<T> {
    async fn run(mut self, mut sender: Sender) {
        let queue = Arc::clone(&self.held.queue);
        loop {
            if !queue.is_closed() && !queue.has_batch() {
                // Either a batch is full, or the delay is over, or the end has come.
                let _ = timeout(self.batch.schedule_delay, queue.ready.notified()).await;
            }
            loop {
                let batch = queue.take();
                if batch.is_empty() {
                    break;
                }
                if !self.export(batch, &mut sender).await {
                    return;
                }
                if !queue.has_batch() && !queue.is_closed() {
                    break;
                }
            }
            if queue.is_closed() && queue.len() == 0 {
                return;
            }
        }
    }

    /// Whether there is time for more.
    async fn export(&mut self, batch: Vec<T>, sender: &mut Sender) -> bool {
        let records = batch.len() as u64;
        self.held.in_flight.store(records, Ordering::Relaxed);
        let request = T::request(batch, &self.local_attributes);
        match sender.send(&request).await {
            Ok(rejected) => {
                self.exported.add(records.saturating_sub(rejected));
                self.rejected.add(rejected);
            }
            // It is among what is held.
            Err(SHUTDOWN) => return false,
            Err(reason) => self.health.shared_counter(&table::QUEUE_DROPPED, &[T::NAME, reason]).add(records),
        }
        self.held.in_flight.store(0, Ordering::Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::otlp::{Protocol, transport::Request};

    /// A record that no request can be made of.
    #[derive(Debug)]
    struct Faulty;

    impl ExportRecord for Faulty {
        const NAME: &'static str = "otlp_spans";
        const PLURAL: &'static str = "spans";

        fn size(&self) -> usize {
            1
        }

        fn request(_: Vec<Self>, _: &[(String, String)]) -> Request {
            panic!("a fault of the exporter, for this test")
        }
    }

    /// Nothing that a faulty exporter held or gets is lost unseen, and it holds nothing that others could have.
    #[tokio::test]
    async fn an_exporter_that_fails_counts_what_it_held() {
        let (health, pool) = (Health::new(), Pool::new(3, 2));
        let config = OtlpConfig::new(Protocol::HttpProtobuf, "http://127.0.0.1:9");
        let batch = BatchConfig { batch_size: 4, ..BatchConfig::default() };
        let exporter =
            OtlpExporter::<Faulty>::start_in(Some(&pool), &config, batch, RetryPolicy::default(), Vec::new(), &health);
        let lost = |reason| health.value(&table::QUEUE_DROPPED, &["otlp_spans", reason]);
        let sender = exporter.sender();
        for _ in 0..6 {
            sender.push(Faulty);
        }
        assert_eq!(lost("full"), 1);
        while lost(FAULT) == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!((lost(FAULT), health.value(&table::QUEUE_LENGTH, &["otlp_spans"])), (5, 0));
        sender.push(Faulty);
        exporter.close(Duration::from_mins(1)).await;
        assert_eq!((lost(FAULT), lost("full"), lost(SHUTDOWN)), (6, 1, 0));
        let other = Queue::new(100, 100, Some(&pool), &health);
        for _ in 0..6 {
            other.push(Faulty);
        }
        assert_eq!(other.len(), 5);
    }
}
