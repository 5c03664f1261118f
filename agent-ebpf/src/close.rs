//! Begin and end of a connection.

use agent_common::{
    gap::GapReason,
    record::{CLOSE_FIN, CLOSE_RESET, OUT},
};
use aya_ebpf::{helpers::generated::bpf_skc_to_tcp_sock, macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{
    call::{self, now},
    emit, hello,
    kernel::{layout, member},
    maps::socket_state,
    scope,
    socket::{changes, fin_sent, is_tcp, position, state, unread},
};

/// `inet_sock_set_state(sk, oldstate, newstate)`.
#[btf_tracepoint(function = "inet_sock_set_state")]
fn set_state(context: BtfTracePointContext) -> i32 {
    let sk: *const u8 = context.arg(0);
    let (old, new): (i32, i32) = (context.arg(1), context.arg(2));
    // Not of one that listens. (One that is accepted was a copy of it.)
    let connected = old != i32::from(state::LISTEN) && old != i32::from(state::CLOSE);
    if connected || new == i32::from(state::SYN_SENT) {
        changes(sk);
    }
    if new == i32::from(state::ESTABLISHED) {
        begin(sk);
    } else if new == i32::from(state::CLOSE) {
        end(sk, old as u8);
    }
    0
}

/// Remembers that nothing was moved yet: that proves whose the first bytes are.
#[inline(always)]
fn begin(sk: *const u8) {
    let generation = scope::current().generation;
    if generation != 0
        && is_tcp(sk)
        && let Some(socket) = socket_state(sk, true)
    {
        socket.begin(generation, now());
    }
}

#[inline(always)]
fn end(sk: *const u8, old: u8) {
    let Some(socket) = socket_state(sk, false) else { return };
    if layout!(tls) != 0 && socket.placed != 0 {
        hello::ends(socket.cookie);
    }
    // What was moved since the capture ended is not missing.
    if socket.opened == 0 || scope::current().generation == 0 {
        return;
    }
    // Both ends have closed when the last state was one of these; any other way here is an abort.
    let in_order = matches!(old, state::LAST_ACK | state::FIN_WAIT2 | state::CLOSING | state::TIME_WAIT);
    socket.closing = if in_order { CLOSE_FIN } else { CLOSE_RESET };
    // A reset that arrives inside a send (loopback delivers it at once): the end of the send tells of its bytes and then of this.
    if call::is_sending(sk) {
        return;
    }
    let reached = socket.reached[OUT as usize];
    let proven = socket.proven[OUT as usize] != 0;
    let time = now();
    // SAFETY: `sk` is typed.
    let tcp = unsafe { bpf_skc_to_tcp_sock(sk.cast_mut().cast()) } as *const u8;
    if !tcp.is_null() {
        // SAFETY: `tcp` is typed.
        let write = unsafe { member::<u32>(tcp, layout!(write_seq)) };
        let sent = position(reached, socket.base[OUT as usize], write.wrapping_sub(u32::from(fin_sent(old))));
        let unseen = sent.wrapping_sub(reached);
        if proven && unseen as i64 > 0 {
            emit::gap(socket.cookie, time, OUT, reached, unseen, GapReason::Unseen as u8);
            socket.reached[OUT as usize] = sent;
        }
        // What has come may still be received: the end is told of after that, or when the socket goes.
        if unread(sk, tcp) != 0 {
            return;
        }
    }
    emit::close(socket, time);
}

/// `tcp_destroy_sock(sk)`.
#[btf_tracepoint(function = "tcp_destroy_sock")]
fn destroy(context: BtfTracePointContext) -> i32 {
    let sk: *const u8 = context.arg(0);
    if let Some(socket) = socket_state(sk, false)
        && socket.closing != 0
    {
        emit::close(socket, now());
    }
    0
}
