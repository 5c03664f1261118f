//! The core that every hook family shares: a send or receive begins, a send or receive is done.

use agent_common::{
    counter::Counter,
    gap::GapReason,
    record::{IN, OUT},
};
use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;

use crate::{
    emit,
    maps::{count, current_call},
    socket::{Admitted, admit, position, state},
    source::Source,
    transfer::{self, Transfer},
};

/// `MSG_OOB`, `MSG_PEEK`, `MSG_ERRQUEUE`: what is received so is not the next of the stream.
const NOT_STREAM: u32 = 0x1 | 0x2 | 0x2000;
/// `MSG_TRUNC`: TCP drops the bytes instead of copying them.
const TRUNC: u32 = 0x20;

/// The call that a thread is in, kept from its start to its end. Thread, not socket: two threads may be in one socket.
#[repr(C)]
pub(crate) struct Call {
    /// Address of the socket; 0 if no call is under way. Only compared.
    socket: u64,
    /// When it began.
    time: u64,
    source: Source,
    /// Sequence number of the direction when it began.
    sequence: u32,
    direction: u8,
    reserved: [u8; 3],
}

#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: no arguments.
    unsafe { bpf_ktime_get_boot_ns() }
}

/// A send or receive begins. `source` is only asked for if the socket is in scope.
#[inline(always)]
pub(crate) fn begin(sk: *const u8, direction: u8, source: impl FnOnce() -> Source) {
    let Some(mut socket) = admit(sk) else { return };
    let state = socket.tcp_state();
    if state == state::CLOSE || state == state::LISTEN {
        return;
    }
    socket.place();
    let Some(call) = current_call(true) else {
        count(Counter::ThreadState as u32, 1);
        return;
    };
    // A hook inside the loop of a send fires many times: the first is the start.
    if call.socket == sk as u64 && call.direction == direction {
        return;
    }
    call.time = now();
    call.source = source();
    call.sequence = if direction == OUT { socket.write_sequence() } else { socket.read_sequence() };
    call.direction = direction;
    call.socket = sk as u64;
}

/// What was kept at the start of the call that now ends.
struct Begun {
    time: u64,
    source: Source,
    sequence: u32,
}

#[inline(always)]
fn take(sk: *const u8, direction: u8) -> Option<Begun> {
    let call = current_call(false)?;
    if call.socket != sk as u64 || call.direction != direction {
        return None;
    }
    call.socket = 0;
    Some(Begun { time: call.time, source: call.source, sequence: call.sequence })
}

/// A send is done. `result` is what the application is told. Where nothing was kept at its start, `source` finds the payload.
#[inline(always)]
pub(crate) fn sent(sk: *const u8, result: i32, source: impl FnOnce() -> Source) {
    let Some(mut socket) = admit(sk) else { return };
    let begun = take(sk, OUT);
    if result <= 0 {
        return;
    }
    socket.place();
    let sequence = socket.write_sequence();
    finish(&mut socket, OUT, result as u32, sequence, begun, source);
}

/// A receive is done. `flags` are those of the call.
#[inline(always)]
pub(crate) fn received(sk: *const u8, result: i32, flags: u32, source: impl FnOnce() -> Source) {
    let Some(mut socket) = admit(sk) else { return };
    let begun = take(sk, IN);
    if result <= 0 || flags & NOT_STREAM != 0 {
        return;
    }
    socket.place();
    let sequence = socket.read_sequence();
    let discarded = flags & TRUNC != 0;
    finish(&mut socket, IN, result as u32, sequence, begun, || {
        if discarded { Source::nowhere(GapReason::Discarded) } else { source() }
    });
}

#[inline(always)]
fn finish(
    socket: &mut Admitted,
    direction: u8,
    length: u32,
    sequence: u32,
    begun: Option<Begun>,
    source: impl FnOnce() -> Source,
) {
    let side = usize::from(direction & 1);
    let time = now();
    if socket.state.opened == 0 && emit::open(socket, time) {
        socket.state.opened = 1;
    }
    let base = socket.state.base[side];
    let reached = socket.state.reached[side];
    let proven = socket.state.proven[side] != 0;
    let end = position(reached, base, sequence);
    let start = end.wrapping_sub(u64::from(length));
    // The bytes are this call's if the stream moved by just its result: since its start, or since the last byte that was
    // accounted for. Otherwise other threads moved bytes meanwhile, and whose are which cannot be known.
    let alone = begun.as_ref().is_some_and(|begun| sequence.wrapping_sub(begun.sequence) == length);
    let follows = proven && start == reached;
    let first = !proven && begun.is_none();
    if proven && end.wrapping_sub(reached) as i64 <= 0 {
        return;
    }
    socket.state.reached[side] = end;
    socket.state.proven[side] = 1;
    if !(alone || follows || first) {
        let from = match &begun {
            Some(begun) => position(reached, base, begun.sequence),
            None => reached,
        };
        emit::gap(socket.state.cookie, time, direction, from, end.wrapping_sub(from), GapReason::Interleaved as u8);
        return;
    }
    let transfer = Transfer {
        cookie: socket.state.cookie,
        // A send is timed at its start and a receive at its end, so that no response precedes its request.
        time: match &begun {
            Some(begun) if direction == OUT => begun.time,
            _ => time,
        },
        position: start,
        length,
        direction,
        source: match begun {
            Some(begun) => begun.source,
            None => source(),
        },
    };
    transfer::transfer(&transfer);
}
