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

/// A call that has moved bytes.
pub(crate) struct Moved {
    /// How many.
    pub(crate) length: u32,
    /// Sequence number of the direction when it ended.
    pub(crate) sequence: u32,
    /// The same when it began, if that is known.
    pub(crate) begun: u32,
    pub(crate) begun_known: bool,
}

/// What a call's end tells of its stream.
pub(crate) struct Account {
    /// The call's bytes were told of before.
    pub(crate) nothing: bool,
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

/// Accounts for a call that ends at `time`.
#[inline(always)]
pub(crate) fn account(socket: &mut Socket, side: usize, call: &Moved, time: u64) -> Account {
    let length = u64::from(call.length);
    let reached = socket.reached[side];
    let end = position(reached, socket.base[side], call.sequence);
    let start = end.wrapping_sub(length);
    let moved = u64::from(call.sequence.wrapping_sub(call.begun));
    if socket.proven[side] == 0 {
        socket.proven[side] = 1;
        socket.reached[side] = end;
        let gap = if call.begun_known && moved != length { moved } else { 0 };
        let start = if gap == 0 { start } else { end.wrapping_sub(gap) };
        return Account { nothing: false, unseen: (0, 0), start, gap };
    }
    if end.wrapping_sub(reached) as i64 <= 0 {
        // Another call's end told of these bytes, as a gap.
        owe(socket, side, length.wrapping_neg());
        return Account { nothing: true, unseen: (0, 0), start, gap: 0 };
    }
    if socket.owed[side] != 0 && time.wrapping_sub(socket.unsettled[side]) > PATIENCE {
        socket.owed[side] = 0;
    }
    socket.reached[side] = end;
    let ahead = start.wrapping_sub(reached);
    if ahead != 0 {
        // Bytes of calls that are yet to end, or of none that is seen. (Negative: of this one, told of before.)
        owe(socket, side, ahead);
        socket.unsettled[side] = time;
    }
    if call.begun_known && moved == length && ahead as i64 >= 0 {
        return Account { nothing: false, unseen: (reached, ahead), start, gap: 0 };
    }
    let follows = ahead == 0 && socket.owed[side] == 0;
    let gap = if follows { 0 } else { end.wrapping_sub(reached) };
    Account { nothing: false, unseen: (0, 0), start: reached, gap }
}
