//! What ordering cost: one set per worker.

use crate::capture::GapReason;

/// Counts of all streams of one worker. Only ever grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Events that came after an event of a later position, and were put before it.
    pub reordered: u64,
    /// Bytes that were delivered already, or came after their place had been given up.
    pub late_bytes: u64,
    /// Times that a window was full, so that the wait for missing bytes was cut short.
    pub window_overflows: u64,
    /// Times that a wait for missing bytes ended by time or by the end of the connection.
    pub window_timeouts: u64,
    /// Bytes delivered.
    pub data_bytes: u64,
    /// Bytes given as gaps, by the number of their reason.
    pub gap_bytes: [u64; GapReason::ALL.len()],
}

impl Counters {
    /// Every count as metric name, value of its `reason` attribute (empty: it has none) and value.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        [
            ("telltale.stream.reordered", "", self.reordered),
            ("telltale.stream.late_bytes", "", self.late_bytes),
            ("telltale.stream.window.cut_short", "full", self.window_overflows),
            ("telltale.stream.window.cut_short", "time", self.window_timeouts),
            ("telltale.stream.data_bytes", "", self.data_bytes),
        ]
        .into_iter()
        .chain(
            GapReason::ALL
                .iter()
                .map(|reason| ("telltale.stream.gap_bytes", reason.name(), self.gap_bytes[*reason as usize])),
        )
    }

    pub(super) fn count_gap(&mut self, reason: GapReason, length: u64) {
        let count = &mut self.gap_bytes[reason as usize];
        *count = count.saturating_add(length);
    }
}
