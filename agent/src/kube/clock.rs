//! A clock for what must not be done too late.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Time since some moment before the start of this process. It never goes back, and on Linux it goes on while the machine sleeps: an agent that
/// wakes up knows that others may have taken its place.
pub(super) fn local() -> Duration {
    #[cfg(target_os = "linux")]
    if let Ok(time) = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME) {
        return time.into();
    }
    START.elapsed()
}

/// A number between 0 and 1, by chance.
pub(super) fn chance() -> f64 {
    random() as f64 / u64::MAX as f64
}

/// A number by chance: the keys of a hash map's hasher come from the operating system.
pub(super) fn random() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::hash::RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_and_chance_varies() {
        let before = local();
        let drawn: std::collections::BTreeSet<u64> = (0..100).map(|_| random()).collect();
        assert!(drawn.len() > 90);
        assert!((0..100).map(|_| chance()).all(|chance| (0.0..=1.0).contains(&chance)));
        assert!(local() >= before);
    }
}
