//! When to try again (OTLP specification, "Failures" and "OTLP/gRPC Throttling").

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

/// Longest wait that a receiver can ask for. It is asked again after that, whatever it said.
pub const MAX_ASKED: Duration = Duration::from_hours(1);

/// Exponential backoff with jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Wait before the first retry.
    pub initial: Duration,
    /// Longest wait.
    pub max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { initial: Duration::from_secs(1), max: Duration::from_secs(30) }
    }
}

impl RetryPolicy {
    /// The wait before retry number `attempt` (from 0): the doubled wait of the one before, of which a random half to whole is taken, so that the agents of
    /// a fleet do not come back at once. What the receiver asked for is waited at least, up to [`MAX_ASKED`].
    pub fn wait(&self, attempt: u32, asked: Option<Duration>) -> Duration {
        let doubled = self.initial.saturating_mul(1_u32.checked_shl(attempt.min(20)).unwrap_or(u32::MAX)).min(self.max);
        // RandomState is seeded by the system: enough randomness for jitter without a dependency.
        let random = RandomState::new().hash_one(attempt) as u32;
        let jittered = doubled / 2 + (doubled / 2).mul_f64(f64::from(random) / f64::from(u32::MAX));
        asked.map_or(jittered, |asked| asked.min(MAX_ASKED).max(jittered))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let policy = RetryPolicy { initial: Duration::from_secs(1), max: Duration::from_secs(8) };
        for (attempt, whole) in [(0, 1), (1, 2), (2, 4), (3, 8), (4, 8), (40, 8)] {
            let wait = policy.wait(attempt, None);
            let whole = Duration::from_secs(whole);
            assert!(wait >= whole / 2 && wait <= whole, "{attempt}: {wait:?}");
        }
        assert_eq!(policy.wait(0, Some(Duration::from_secs(99))), Duration::from_secs(99));
        assert_eq!(policy.wait(0, Some(Duration::MAX)), MAX_ASKED);
    }
}
