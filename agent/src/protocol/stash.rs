//! Segments that must wait: a bounded, owned queue.

use std::collections::VecDeque;

use crate::{
    capture::{Direction, GapReason, Timestamp},
    stream::Segment,
};

/// Most segments that a stash holds, so that many short ones do not cost much more than their bytes.
pub(super) const STASH_SEGMENTS: usize = 8192;

/// Segments in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Stash {
    segments: VecDeque<(Direction, Stashed)>,
    bytes: usize,
}

#[derive(Debug)]
pub(super) enum Stashed {
    Data { position: u64, time: Timestamp, bytes: Box<[u8]> },
    Gap { position: u64, length: u64, reason: GapReason, time: Timestamp },
}

impl Stashed {
    pub(super) fn as_segment(&self) -> Segment<'_> {
        match *self {
            Self::Data { position, time, ref bytes } => Segment::Data { position, time, bytes },
            Self::Gap { position, length, reason, time } => Segment::Gap { position, length, reason, time },
        }
    }
}

impl Stash {
    pub(super) fn push(&mut self, direction: Direction, segment: Segment<'_>) {
        let stashed = self.keep(segment);
        self.segments.push_back((direction, stashed));
    }

    /// Puts the rest of a segment that was taken out back in its place.
    pub(super) fn push_front(&mut self, direction: Direction, segment: Segment<'_>) {
        let stashed = self.keep(segment);
        self.segments.push_front((direction, stashed));
    }

    fn keep(&mut self, segment: Segment<'_>) -> Stashed {
        match segment {
            Segment::Data { position, time, bytes } => {
                self.bytes += bytes.len();
                Stashed::Data { position, time, bytes: bytes.into() }
            }
            Segment::Gap { position, length, reason, time } => Stashed::Gap { position, length, reason, time },
        }
    }

    pub(super) fn pop(&mut self) -> Option<(Direction, Stashed)> {
        let popped = self.segments.pop_front();
        match &popped {
            Some((_, Stashed::Data { bytes, .. })) => self.bytes -= bytes.len(),
            Some(_) => {}
            None => self.segments = VecDeque::new(),
        }
        popped
    }

    /// Drops the segments of one direction, and says how many bytes of data those were.
    pub(super) fn drop_direction(&mut self, direction: Direction) -> u64 {
        let before = self.bytes;
        self.segments.retain(|(other, stashed)| {
            let keep = *other != direction;
            if let (false, Stashed::Data { bytes, .. }) = (keep, stashed) {
                self.bytes -= bytes.len();
            }
            keep
        });
        (before - self.bytes) as u64
    }

    /// Bytes of data that it holds.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it holds more than `bytes` bytes or [`STASH_SEGMENTS`] segments.
    pub(super) fn is_above(&self, bytes: usize) -> bool {
        self.bytes > bytes || self.segments.len() > STASH_SEGMENTS
    }
}
