//! The core that every hook family shares: a send or receive begins, a send or receive is done.

use agent_common::{
    counter::{self, Counter},
    gap::GapReason,
    record::{IN, OUT},
    scope::PORT,
};
use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;

use crate::{
    account::{self, Moved},
    emit, hello,
    kernel::layout,
    maps::{count, current_call},
    scope,
    socket::{Admitted, admit, state},
    source::{self, Source},
    tls_call::TlsCalls,
    transfer::{self, Transfer},
};

/// `MSG_OOB`, `MSG_PEEK`, `MSG_ERRQUEUE`: what is received so is not the next of the stream.
const NOT_STREAM: u32 = 0x1 | 0x2 | 0x2000;
/// A call from here on may not be the first with bytes of a hello that begins a direction.
const HELLO_START: u64 = 5;
/// `MSG_TRUNC`: TCP drops the bytes instead of copying them.
const TRUNC: u32 = 0x20;

/// The call that a thread is in, kept from its start to its end. Thread, not socket: two threads may be in one socket.
#[repr(C)]
pub(crate) struct Call {
    /// Address of the socket; 0 if no call is under way. Only compared.
    socket: u64,
    /// When it began.
    time: u64,
    /// When the last system call that sends was entered, where only that is known of the start of a send.
    entered: u64,
    source: Source,
    /// Sequence number of the direction when it began.
    sequence: u32,
    /// Number of the system call that `entered` is of.
    number: u32,
    direction: u8,
    reserved: [u8; 7],
    /// The call of a TLS library that the thread is in.
    pub(crate) tls: TlsCalls,
}

#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: no arguments.
    unsafe { bpf_ktime_get_boot_ns() }
}

/// A send or receive begins, or goes on (`in_loop`). `source` is only asked for if the socket is in scope.
#[inline(always)]
pub(crate) fn begin(sk: *const u8, direction: u8, in_loop: bool, source: impl FnOnce() -> Source) {
    let Some(mut socket) = admit(sk) else { return };
    // A socket that is connecting has its own numbers and not yet the other end's; it is placed at the end of the call.
    if !socket.place() && socket.tcp_state() != state::SYN_SENT {
        return;
    }
    let Some(call) = current_call(true) else {
        count(Counter::ThreadState as u32, 1);
        return;
    };
    let sequence = if direction == OUT { socket.write_sequence() } else { socket.read_sequence() };
    // A hook inside the loop of a send fires many times: the first is the start. What is kept where nothing was moved since
    // may also be of an older call whose end the kernel did not run (it leaves out a program that it has preempted).
    if in_loop && call.socket == sk as u64 && call.direction == direction && call.sequence != sequence {
        return;
    }
    call.time = now();
    call.source = source();
    call.sequence = sequence;
    call.direction = direction;
    call.socket = sk as u64;
}

/// A system call that sends is entered. Only its time is kept, for kernels where no hook sees a send begin.
#[inline(always)]
pub(crate) fn entered(number: u32) {
    let Some(call) = current_call(true) else {
        count(Counter::ThreadState as u32, 1);
        return;
    };
    call.entered = now();
    call.number = number;
}

/// What was kept at the start of the call that now ends. Not an option of it, whose unused bytes kernels before 6.3 do not
/// let a program copy.
struct Begun {
    /// False if nothing was kept.
    known: bool,
    time: u64,
    source: Source,
    sequence: u32,
    /// The thread is inside a call of a TLS library.
    in_tls: bool,
}

#[inline(always)]
fn take(sk: *const u8, direction: u8) -> Begun {
    let mut in_tls = false;
    if let Some(call) = current_call(false) {
        in_tls = layout!(tls) != 0 && call.tls.is_under_way();
        if call.socket == sk as u64 && call.direction == direction {
            call.socket = 0;
            return Begun { known: true, time: call.time, source: call.source, sequence: call.sequence, in_tls };
        }
    }
    Begun { known: false, time: 0, source: Source::nowhere(GapReason::NoState), sequence: 0, in_tls }
}

/// When the system call that now ends was entered, if that was kept.
#[inline(always)]
fn entry_time() -> Option<u64> {
    let call = current_call(false)?;
    (call.entered != 0 && call.number == source::current_number()).then_some(call.entered)
}

/// Whether the current thread is inside a send on this socket.
#[inline(always)]
pub(crate) fn is_sending(sk: *const u8) -> bool {
    current_call(false).is_some_and(|call| call.socket == sk as u64 && call.direction == OUT)
}

/// The thread has moved bytes of a socket that is not in scope, although what it does inside TLS may be: where ports are.
#[inline(always)]
fn elsewhere(direction: u8, result: i32) {
    if layout!(tls) != 0
        && result > 0
        && scope::current().kinds & PORT != 0
        && let Some(call) = current_call(false)
    {
        call.tls.uses(0, direction);
    }
}

/// A send is done. `result` is what the application is told. `source` finds the payload, from what was kept at the begin.
#[inline(always)]
pub(crate) fn sent(sk: *const u8, result: i32, source: impl FnOnce(Source) -> Source) {
    let Some(mut socket) = admit(sk) else { return elsewhere(OUT, result) };
    let begun = take(sk, OUT);
    if result > 0 {
        if !socket.place() {
            return count(counter::gap(GapReason::NoState), 1);
        }
        let sequence = socket.write_sequence();
        finish(&mut socket, OUT, result as u32, sequence, begun, false, source);
    }
    // The connection ended inside this send.
    if socket.state.closing != 0 && socket.unread() == 0 {
        emit::close(socket.state, now());
    }
}

/// A receive is done. `flags` are those of the call.
#[inline(always)]
pub(crate) fn received(sk: *const u8, result: i32, flags: u32, source: impl FnOnce(Source) -> Source) {
    let Some(mut socket) = admit(sk) else { return elsewhere(IN, result) };
    let begun = take(sk, IN);
    if result < 0 || flags & NOT_STREAM != 0 {
        return;
    }
    if result > 0 {
        if !socket.place() {
            return count(counter::gap(GapReason::NoState), 1);
        }
        let sequence = socket.read_sequence();
        finish(&mut socket, IN, result as u32, sequence, begun, flags & TRUNC != 0, source);
    }
    // The connection ended before the application had received all of it.
    if socket.state.closing != 0 && socket.unread() == 0 {
        emit::close(socket.state, now());
    }
}

#[inline(always)]
fn finish(
    socket: &mut Admitted,
    direction: u8,
    length: u32,
    sequence: u32,
    begun: Begun,
    discarded: bool,
    source: impl FnOnce(Source) -> Source,
) {
    let side = usize::from(direction & 1);
    let time = now();
    if begun.in_tls
        && let Some(call) = current_call(false)
    {
        call.tls.uses(socket.state.cookie, direction);
    }
    if socket.state.opened == 0 {
        // Its end was told of; nothing can follow.
        if socket.tcp_state() == state::CLOSE {
            return count(counter::gap(GapReason::NoState), 1);
        }
        if emit::open(socket, time) {
            socket.state.opened = 1;
        }
    }
    let call = Moved { length, sequence, begun: begun.sequence, begun_known: begun.known };
    let account = account::account(socket.state, side, &call, time);
    if account.nothing {
        return;
    }
    let cookie = socket.state.cookie;
    if account.unseen.1 != 0 {
        emit::gap(cookie, time, direction, account.unseen.0, account.unseen.1, GapReason::Unseen as u8);
    }
    if account.gap != 0 {
        emit::gap(cookie, time, direction, account.start, account.gap, GapReason::Interleaved as u8);
        return;
    }
    // A send is timed at its start and a receive at its end, so that no response precedes its request.
    let time = if direction == IN {
        time
    } else if begun.known {
        begun.time
    } else {
        entry_time().unwrap_or(time)
    };
    let source = if discarded { Source::nowhere(GapReason::Discarded) } else { source(begun.source) };
    let ask = socket.state.tls != 0;
    transfer::transfer(&Transfer { cookie, time, position: account.start, length, direction, ask, source });
    if layout!(tls) != 0 && account.start <= HELLO_START && hello::begins(cookie, socket.state.began()) {
        socket.state.tls = 1;
    }
}
