//! Which bytes of a stream a call that ends has moved, proven by sequence numbers.
//!
//! Threads may share a socket, and most hooks run after the socket lock was released, so the stream may have moved further
//! than the call. A call is given bytes in three cases only:
//! - the stream moved by just its result between its start and its end;
//! - the stream moved by just its result since the last byte that was told of, and every call whose bytes were told of has
//!   ended (none is owed to a call that is still on its way to its hook);
//! - it is the first call seen of a connection older than the capture, where nothing can be proven yet. (Two threads that
//!   make their first calls on such a socket at the same moment would be mistaken for one.)
//!
//! All other bytes are a gap. A path that no hook sees (`splice` out of a socket) leaves bytes owed for ever, so after
//! [`PATIENCE`] without news they are forgotten.

use crate::{
    atomic,
    socket::{Socket, position},
};

/// Nanoseconds after which a call that has moved bytes is taken to have passed its hook.
const PATIENCE: u64 = 1_000_000_000;

/// What a call's end tells of its stream.
pub(crate) struct Account {
    /// Start of the bytes that no call seen has moved, and their number.
    pub(crate) unseen: (u64, u64),
    /// Start of the bytes that are this call's, or of the gap.
    pub(crate) start: u64,
    /// Length of the gap; 0 if the bytes are this call's.
    pub(crate) gap: u64,
}

#[inline(always)]
fn owe(socket: &mut Socket, side: usize, bytes: u64) {
    // SAFETY: a word of the socket's state. Atomic: an update that got lost could let bytes go to the wrong call.
    unsafe { atomic::add(&raw mut socket.owed[side], bytes) };
}

/// Accounts for a call of `length` bytes that ends at `time` with the stream at `sequence`, and began at `begun` if that is
/// known. `None` if its bytes were told of before.
#[inline(always)]
pub(crate) fn account(
    socket: &mut Socket,
    side: usize,
    length: u32,
    sequence: u32,
    begun: Option<u32>,
    time: u64,
) -> Option<Account> {
    let length = u64::from(length);
    let reached = socket.reached[side];
    let end = position(reached, socket.base[side], sequence);
    let start = end.wrapping_sub(length);
    if socket.proven[side] == 0 {
        socket.proven[side] = 1;
        socket.reached[side] = end;
        let from = begun.map_or(start, |begun| position(reached, socket.base[side], begun));
        let gap = if from == start { 0 } else { end.wrapping_sub(from) };
        return Some(Account { unseen: (0, 0), start: from, gap });
    }
    if end.wrapping_sub(reached) as i64 <= 0 {
        // Another call's end told of these bytes, as a gap.
        owe(socket, side, length.wrapping_neg());
        return None;
    }
    if socket.owed[side] != 0 && time.wrapping_sub(socket.unsettled[side]) > PATIENCE {
        socket.owed[side] = 0;
    }
    socket.reached[side] = end;
    let ahead = start.wrapping_sub(reached);
    let alone = begun.is_some_and(|begun| u64::from(sequence.wrapping_sub(begun)) == length) && ahead as i64 >= 0;
    if ahead != 0 {
        // Bytes of calls that are yet to end, or of none that is seen. (Negative: of this one, told of before.)
        owe(socket, side, ahead);
        socket.unsettled[side] = time;
    }
    if alone {
        return Some(Account { unseen: (reached, ahead), start, gap: 0 });
    }
    let follows = ahead == 0 && socket.owed[side] == 0;
    Some(Account { unseen: (0, 0), start: reached, gap: if follows { 0 } else { end.wrapping_sub(reached) } })
}
