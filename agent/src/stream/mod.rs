//! [`Event`](crate::capture::Event) -> [`Segment`]: the bytes of each direction in order, with gaps said out loud.

use crate::capture::{GapReason, Timestamp};

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
