//! What all connections of a worker keep together, and what did not come out of it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::Omission;

/// Bytes of content that the unfinished exchanges of one connection hold, at most: two exchanges of the largest `maxBytes` that policies may ask
/// for. Where the operator allows more, it is always room for both messages of one.
pub const MAX_CONNECTION_CONTENT: usize = 4 << 20;
/// Bytes of content that the unfinished exchanges of one worker hold, at most.
pub const MAX_WORKER_CONTENT: usize = 64 << 20;

/// Why bytes of content were not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::exchange) enum Cut {
    /// Beyond the policy's `maxBytes`.
    Size,
    /// Beyond [`MAX_CONNECTION_CONTENT`].
    Connection,
    /// Beyond [`MAX_WORKER_CONTENT`].
    Worker,
    /// Behind bytes that were not seen.
    Gap,
}

impl Cut {
    const NAMES: [&'static str; 4] = ["size", "connection_limit", "worker_limit", "gap"];

    pub(super) const fn omission(self) -> Omission {
        match self {
            Self::Size => Omission::Size,
            Self::Connection | Self::Worker => Omission::AgentLimit,
            Self::Gap => Omission::NotSeen,
        }
    }
}

/// The bound of one worker. Only its own thread touches it.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    held: AtomicUsize,
    /// Bytes, by [`Cut`].
    cut: [AtomicU64; 4],
    /// Contents, by their place in [`Omission::WITHHELD`].
    withheld: [AtomicU64; 6],
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(MAX_WORKER_CONTENT)
    }
}

impl Budget {
    /// At most so many bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, held: AtomicUsize::new(0), cut: Default::default(), withheld: Default::default() }
    }

    /// Bytes that are held now.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// What was not kept or not given out: metric name, value of its `reason` attribute and value. Only ever grows.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let cut =
            Cut::NAMES.into_iter().zip(&self.cut).map(|(reason, bytes)| ("telltale.content.cut_bytes", reason, bytes));
        let withheld = Omission::WITHHELD.into_iter().zip(&self.withheld);
        let withheld = withheld.map(|(why, contents)| ("telltale.content.withheld", why.name(), contents));
        cut.chain(withheld).map(|(name, reason, count)| (name, reason, count.load(Ordering::Relaxed)))
    }

    /// Takes so many bytes, if they are left.
    pub(in crate::exchange) fn take(&self, bytes: usize) -> bool {
        let more = |held: usize| held.checked_add(bytes).filter(|held| *held <= self.limit);
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    pub(in crate::exchange) fn give_back(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(in crate::exchange) fn count_cut(&self, why: Cut, bytes: usize) {
        self.cut[why as usize].fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(in crate::exchange) fn count_withheld(&self, why: Omission) {
        if let Some(index) = Omission::WITHHELD.iter().position(|other| *other == why) {
            self.withheld[index].fetch_add(1, Ordering::Relaxed);
        }
    }
}
