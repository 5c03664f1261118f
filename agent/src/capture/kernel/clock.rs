//! Boot-time clock of the kernel side -> time since the epoch.

use nix::time::{ClockId, clock_gettime};

use crate::capture::Timestamp;

/// Nanoseconds since boot, by the clock of the kernel side.
pub(super) fn boot_time() -> nix::Result<u64> {
    read(ClockId::CLOCK_BOOTTIME)
}

fn read(clock: ClockId) -> nix::Result<u64> {
    clock_gettime(clock).map(|time| time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
}

/// The mapping, taken once at start: events of one run keep their distances whatever happens to the wall clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// Nanoseconds between the epoch and boot.
    boot: u64,
}

impl Clock {
    /// Reads both clocks.
    pub(super) fn start() -> nix::Result<Self> {
        // The reading of the wall clock stands between two of the boot clock, whose middle is its moment.
        let before = boot_time()?;
        let wall = read(ClockId::CLOCK_REALTIME)?;
        let after = boot_time()?;
        Ok(Self { boot: wall.saturating_sub(before + (after - before) / 2) })
    }

    /// The moment of a reading of `CLOCK_BOOTTIME`.
    pub(super) const fn timestamp(self, boot_time: u64) -> Timestamp {
        Timestamp(self.boot.saturating_add(boot_time))
    }
}
