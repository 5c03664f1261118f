//! How long to wait before something that failed is tried again.

use std::time::Duration;

use super::clock;

/// Twice as long after every failure, with jitter, so that the agents of a cluster do not come back in step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(30);

    /// It failed: how long to wait now.
    pub(super) fn failed(&mut self) -> Duration {
        let longest = Self::FIRST.saturating_mul(1 << self.failures.min(16)).min(Self::LONGEST);
        self.failures = self.failures.saturating_add(1);
        longest.mul_f64(0.5 + clock::chance() / 2.0)
    }

    /// It worked.
    pub(super) fn worked(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_up_to_a_bound() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..40).map(|_| backoff.failed()).collect();
        assert!(waits[0] <= Backoff::FIRST && waits[0] >= Backoff::FIRST / 2);
        assert!(waits[39] <= Backoff::LONGEST && waits[39] >= Backoff::LONGEST / 2);
        backoff.worked();
        assert!(backoff.failed() <= Backoff::FIRST);
    }
}
