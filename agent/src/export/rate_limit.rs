//! How many lines one policy may write to standard output (POLICY.md section 4).

use std::{
    num::NonZeroU32,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::LineSink;
use crate::admin::Counter;

/// Lines per second that a policy may write under `agent`, unless `--config` says otherwise.
pub const DEFAULT_LINES_PER_SECOND: NonZeroU32 = NonZeroU32::new(1000).expect("not zero");

/// So many in every second, and as many at once after a second of silence. Shared by all workers.
#[derive(Debug)]
pub struct RateLimit {
    /// Between two of a steady stream.
    interval: Duration,
    /// How far `next` may be ahead of now.
    burst: Duration,
    /// When the next would come if they came steadily from now on.
    next: Mutex<Instant>,
    refused: AtomicU64,
    counted: Counter,
}

impl RateLimit {
    /// A limit; what it refuses is also counted there.
    pub fn new(per_second: NonZeroU32, counted: Counter) -> Self {
        Self {
            interval: Duration::from_secs(1) / per_second.get(),
            burst: Duration::from_secs(1),
            next: Mutex::new(Instant::now()),
            refused: AtomicU64::new(0),
            counted,
        }
    }

    /// Whether one may pass at this time. Never waits for time to pass.
    pub fn allows(&self, now: Instant) -> bool {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let after = (*next).max(now) + self.interval;
        let allowed = after.saturating_duration_since(now) <= self.burst;
        if allowed {
            *next = after;
        } else {
            self.refused.fetch_add(1, Ordering::Relaxed);
            self.counted.add(1);
        }
        allowed
    }

    /// How many were refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// Passes on as many lines as its limit allows.
#[derive(Clone)]
pub struct Limited<S> {
    sink: S,
    limit: Arc<RateLimit>,
}

impl<S> Limited<S> {
    /// A sink behind a limit.
    pub fn new(sink: S, limit: Arc<RateLimit>) -> Self {
        Self { sink, limit }
    }
}

impl<S: LineSink> LineSink for Limited<S> {
    fn line(&mut self, line: &[u8]) {
        if self.limit.allows(Instant::now()) {
            self.sink.line(line);
        }
    }

    fn flush(&mut self) {
        self.sink.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{Health, table};

    #[test]
    fn a_second_holds_as_many_as_the_limit_and_the_rest_is_counted() {
        let refused = Health::new().counter(&table::QUEUE_DROPPED, &["access_log", "rate_limit"]);
        let limit = RateLimit::new(NonZeroU32::new(1000).unwrap(), refused);
        let start = Instant::now() + Duration::from_secs(1);
        let passed = |from: Instant| (0..5000).filter(|_| limit.allows(from)).count();
        assert_eq!(passed(start), 1000);
        assert_eq!(limit.refused(), 4000);
        assert_eq!(passed(start + Duration::from_millis(100)), 100);
        assert_eq!(passed(start + Duration::from_mins(1)), 1000);
        // A clock that goes back a little does not open the gate.
        assert_eq!(passed(start + Duration::from_secs(59)), 0);
    }
}
