//! Records that wait for their batch.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;

use super::ExportRecord;
use crate::admin::{Counter, Gauge, Health, table};

/// Why records are lost that were not sent before the end.
pub(super) const SHUTDOWN: &str = "shutdown";

/// Bytes that one queue holds, at most ([`ExportRecord::size`]).
const MAX_BYTES: usize = 32 << 20;
/// Bytes after which a batch is full: receivers refuse requests that are too large, the Collector's by default those of more than 4 MiB
/// (gRPC's default).
const BATCH_BYTES: usize = 3 << 20;

/// What several queues hold together, at most.
#[derive(Debug)]
pub(super) struct Pool {
    /// Entries that every queue may hold whatever the others do.
    each: usize,
    /// Entries that are left for all queues together, beyond those.
    left: AtomicUsize,
}

impl Pool {
    pub(super) fn new(shared: usize, each: usize) -> Arc<Self> {
        Arc::new(Self { each, left: AtomicUsize::new(shared) })
    }

    fn take(&self) -> bool {
        let less = |left: usize| left.checked_sub(1);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    /// Takes back what a queue held that was `from` long and is `to` long now.
    fn give_back(&self, from: usize, to: usize) {
        self.left.fetch_add(from.saturating_sub(self.each) - to.saturating_sub(self.each), Ordering::Relaxed);
    }
}

/// A bounded queue from many workers to one exporter. A record that finds it full is dropped and counted; nobody waits.
#[derive(Debug)]
pub(super) struct Queue<T: ExportRecord> {
    state: Mutex<State<T>>,
    capacity: usize,
    batch: usize,
    /// Shared with other queues, if it is.
    pool: Option<Arc<Pool>>,
    /// Told when a batch is full, and at the end.
    pub(super) ready: Notify,
    length: Gauge,
    capacities: Gauge,
    full: Counter,
    health: Arc<Health>,
}

#[derive(Debug)]
struct State<T> {
    /// With their sizes.
    records: VecDeque<(usize, T)>,
    /// Sum of their sizes.
    bytes: usize,
    closed: bool,
    /// Counts what comes after nobody takes anything out any more.
    ended: Option<Counter>,
    /// Whether that was too soon.
    failed: bool,
}

impl<T: ExportRecord> Queue<T> {
    pub(super) fn new(capacity: usize, batch: usize, pool: Option<&Arc<Pool>>, health: &Arc<Health>) -> Self {
        let capacities = health.shared_gauge(&table::QUEUE_CAPACITY, &[T::NAME]);
        capacities.add(capacity as i64);
        Self {
            state: Mutex::new(State { records: VecDeque::new(), bytes: 0, closed: false, ended: None, failed: false }),
            capacity,
            batch,
            pool: pool.cloned(),
            ready: Notify::new(),
            length: health.shared_gauge(&table::QUEUE_LENGTH, &[T::NAME]),
            capacities,
            full: health.shared_counter(&table::QUEUE_DROPPED, &[T::NAME, "full"]),
            health: Arc::clone(health),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, record: T) {
        let size = record.size();
        let mut state = self.lock();
        let length = state.records.len();
        let fits = length < self.capacity && (length == 0 || state.bytes + size <= MAX_BYTES);
        let pooled = || self.pool.as_ref().is_none_or(|pool| length < pool.each || pool.take());
        if state.closed || !fits || !pooled() {
            state.ended.as_ref().unwrap_or(&self.full).add(1);
            return;
        }
        let had_batch = self.is_batch(&state);
        state.records.push_back((size, record));
        state.bytes += size;
        self.length.add(1);
        let wake = !had_batch && self.is_batch(&state);
        drop(state);
        if wake {
            self.ready.notify_one();
        }
    }

    /// Takes at most a batch.
    pub(super) fn take(&self) -> Vec<T> {
        let mut state = self.lock();
        let length = state.records.len();
        let (mut batch, mut bytes) = (Vec::with_capacity(length.min(self.batch)), 0);
        while batch.len() < self.batch
            && let Some((size, record)) =
                state.records.pop_front_if(|(size, _)| batch.is_empty() || bytes + *size <= BATCH_BYTES)
        {
            bytes += size;
            batch.push(record);
        }
        state.bytes -= bytes;
        self.taken(length, length - batch.len());
        batch
    }

    fn taken(&self, from: usize, to: usize) {
        self.length.add(to as i64 - from as i64);
        if let Some(pool) = &self.pool {
            pool.give_back(from, to);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lock().records.len()
    }

    /// Whether a whole batch waits.
    pub(super) fn has_batch(&self) -> bool {
        self.is_batch(&self.lock())
    }

    fn is_batch(&self, state: &State<T>) -> bool {
        state.records.len() >= self.batch || state.bytes >= BATCH_BYTES
    }

    /// Takes nothing more in.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.ready.notify_one();
    }

    /// Nobody takes anything out any more. What waits, these records that were taken, and what comes from now on is lost for this reason. Returns how
    /// many the first two are.
    pub(super) fn end(&self, reason: &str, taken: u64) -> u64 {
        let mut state = self.lock();
        if state.ended.is_some() {
            return 0;
        }
        let waiting = std::mem::take(&mut state.records).len();
        (state.bytes, state.closed) = (0, true);
        self.taken(waiting, 0);
        let (lost, counter) =
            (waiting as u64 + taken, self.health.shared_counter(&table::QUEUE_DROPPED, &[T::NAME, reason]));
        if lost > 0 {
            counter.add(lost);
        }
        (state.ended, state.failed) = (Some(counter), reason != SHUTDOWN);
        lost
    }

    /// Whether it ended before anybody wanted that.
    pub(super) fn has_failed(&self) -> bool {
        self.lock().failed
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }
}

impl<T: ExportRecord> Drop for Queue<T> {
    fn drop(&mut self) {
        let length = self.len();
        self.taken(length, 0);
        self.capacities.add(-(self.capacity as i64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        capture::Role,
        policy::plan::TracingPlan,
        telemetry::{
            KnownMethods,
            span::{self, SpanRecord},
            test_support::Sample,
            trace_context,
        },
    };

    fn record() -> SpanRecord {
        Sample::new(Role::Client).facts(|facts| {
            let head = &facts.exchange.request.head;
            let open = &facts.exchange.connection.open;
            let identity = trace_context::identify(open, facts.role, head.position, head.first_byte, None);
            span::build(facts, &identity, &KnownMethods::default(), &TracingPlan::default())
        })
    }

    /// One queue cannot take what another is sure of, and all together cannot hold more than the pool and these shares.
    #[test]
    fn queues_of_a_pool_leave_room_for_each_other() {
        let (health, pool, span) = (Health::new(), Pool::new(3, 2), record());
        let queues = [(); 2].map(|()| Queue::new(100, 10, Some(&pool), &health));
        for queue in &queues {
            for _ in 0..10 {
                queue.push(span.clone());
            }
        }
        assert_eq!((queues[0].len(), queues[1].len()), (5, 2));
        assert_eq!(health.value(&table::QUEUE_DROPPED, &[SpanRecord::NAME, "full"]), 13);
        assert_eq!(health.value(&table::QUEUE_LENGTH, &[SpanRecord::NAME]), 7);
        assert_eq!(queues[0].take().len(), 5);
        for _ in 0..10 {
            queues[1].push(span.clone());
        }
        assert_eq!(queues[1].len(), 5, "what one gave back, the other has");
        drop(queues);
        assert_eq!(pool.left.load(Ordering::Relaxed), 3);
        assert_eq!(health.value(&table::QUEUE_LENGTH, &[SpanRecord::NAME]), 0);
        assert_eq!(health.value(&table::QUEUE_CAPACITY, &[SpanRecord::NAME]), 0);
    }

    /// Spans with content are few and large: what waits and what is sent at once is bounded in bytes too.
    #[test]
    fn large_records_are_bounded_by_their_bytes() {
        let (health, mut large) = (Health::new(), record());
        large.span.attributes = vec![span::text("a", "")];
        let text = (1 << 20) - large.size();
        large.span.attributes = vec![span::text("a", "x".repeat(text))];
        let queue = Queue::new(100, 10, None, &health);
        for _ in 0..40 {
            queue.push(large.clone());
        }
        assert_eq!(queue.len(), 32);
        assert_eq!(health.value(&table::QUEUE_DROPPED, &[SpanRecord::NAME, "full"]), 8);
        assert!(queue.has_batch());
        assert_eq!(queue.take().len(), 3);
        queue.push(large.clone());
        queue.push(record());
        assert_eq!(queue.len(), 31);
        while queue.has_batch() {
            assert_eq!(queue.take().len(), 3);
        }
        assert_eq!((queue.len(), queue.take().len()), (1, 1));
        large.span.attributes = vec![span::text("a", "x".repeat(MAX_BYTES + 1))];
        queue.push(large);
        queue.push(record());
        assert_eq!((queue.len(), queue.take().len()), (1, 1), "one that is too large is alone");
    }
}
