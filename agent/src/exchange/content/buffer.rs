//! The first bytes of the content of one message.

use std::fmt;

use super::budget::{Budget, Cut};

/// What a buffer is first made for, in bytes; it doubles from there.
const FIRST: usize = 1024;

/// Bytes from the first one on, without a hole. Grows in steps that do not depend on how the content was cut into segments, so
/// that neither does what a bound leaves of it.
#[derive(Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    /// Room that was taken from the budget, at least what [`Self::bytes`] allocated.
    reserved: usize,
    /// Something behind these bytes was not kept; nothing is from then on.
    cut: Option<Cut>,
}

/// What the buffers of a worker and of a connection may still hold.
#[derive(Clone, Copy)]
pub(super) struct Room<'a> {
    /// Of this message.
    pub(super) limit: usize,
    /// Of this connection, beyond what it holds.
    pub(super) connection: usize,
    pub(super) budget: &'a Budget,
}

impl Buffer {
    /// Takes the next bytes, as many as there is room for.
    pub(super) fn push(&mut self, bytes: &[u8], room: Room<'_>) {
        let taken = if self.cut.is_some() { 0 } else { self.make_room(bytes.len(), room) };
        self.bytes.extend_from_slice(&bytes[..taken]);
        if let Some(cut) = self.cut {
            room.budget.count_cut(cut, bytes.len() - taken);
        }
    }

    /// What comes next was not seen.
    pub(super) fn gap(&mut self) {
        self.cut.get_or_insert(Cut::Gap);
    }

    /// How many of so many more bytes can be kept. If not all, this notes why.
    fn make_room(&mut self, more: usize, room: Room<'_>) -> usize {
        let length = self.bytes.len();
        let wanted = length.saturating_add(more);
        let (before, mut refused) = (self.reserved, Cut::Size);
        while self.reserved < wanted.min(room.limit) {
            let next = (2 * self.reserved).max(FIRST).min(room.limit);
            if next - before > room.connection {
                refused = Cut::Connection;
                break;
            }
            if !room.budget.take(next - self.reserved) {
                refused = Cut::Worker;
                break;
            }
            self.reserved = next;
        }
        if self.reserved > before {
            self.bytes.reserve_exact(self.reserved - length);
        }
        let fits = more.min(self.reserved - length);
        if fits < more {
            self.cut = Some(refused);
        }
        fits
    }

    /// Bytes of the budget that this holds. Whoever drops it gives them back.
    pub(super) const fn held(&self) -> usize {
        self.reserved
    }

    /// Why it is not all, as far as it was cut.
    pub(super) const fn cut(&self) -> Option<Cut> {
        self.cut
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Without the bytes: they are not redacted.
impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("length", &self.bytes.len()).field("cut", &self.cut).finish_non_exhaustive()
    }
}
