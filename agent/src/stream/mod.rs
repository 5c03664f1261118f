//! [`Event`](crate::capture::Event) -> [`Segment`]: the bytes of each direction in order, with gaps said out loud.

mod counters;
mod lane;
mod streams;
#[cfg(test)]
mod tests;

use crate::capture::{GapReason, Timestamp};

pub use counters::Counters;
pub use streams::Streams;

/// Most payload bytes that one direction of a connection holds back while it waits for bytes before them.
pub const WINDOW_BYTES: usize = 256 * 1024;
/// Most events that one direction holds back.
pub const WINDOW_EVENTS: usize = 64;
/// How long an event is held back, in nanoseconds of event time.
pub const WINDOW_TIME: u64 = 100_000_000;

/// The next piece of one direction of a connection. Segments of a direction are contiguous: each starts where the last ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Segment<'a> {
    /// Bytes that were seen.
    Data {
        /// Stream position of the first byte.
        position: u64,
        /// When the application's call moved them.
        time: Timestamp,
        /// The bytes, never empty.
        bytes: &'a [u8],
    },
    /// Bytes that were not.
    Gap {
        /// Stream position of the first missing byte.
        position: u64,
        /// How many, never 0.
        length: u64,
        /// Why.
        reason: GapReason,
        /// When this was known.
        time: Timestamp,
    },
}
