//! Boot-time clock of the kernel side -> time since the epoch.

use crate::capture::Timestamp;

/// The mapping, taken once at start: events of one run keep their distances whatever happens to the wall clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// Nanoseconds between the epoch and boot.
    boot: u64,
}

impl Clock {
    /// Reads both clocks.
    pub(super) fn start() -> nix::Result<Self> {
        use nix::time::{ClockId, clock_gettime};
        let nanoseconds = |time: nix::sys::time::TimeSpec| time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64;
        // The reading of the wall clock stands between two of the boot clock, whose middle is its moment.
        let before = nanoseconds(clock_gettime(ClockId::CLOCK_BOOTTIME)?);
        let wall = nanoseconds(clock_gettime(ClockId::CLOCK_REALTIME)?);
        let after = nanoseconds(clock_gettime(ClockId::CLOCK_BOOTTIME)?);
        Ok(Self { boot: wall.saturating_sub(before + (after - before) / 2) })
    }

    /// The moment of a reading of `CLOCK_BOOTTIME`.
    pub(super) const fn timestamp(self, boot_time: u64) -> Timestamp {
        Timestamp(self.boot.saturating_add(boot_time))
    }
}
