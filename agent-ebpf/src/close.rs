//! End of a connection.

use agent_common::{
    gap::GapReason,
    record::{CLOSE_FIN, CLOSE_RESET, OUT},
};
use aya_ebpf::{helpers::generated::bpf_skc_to_tcp_sock, macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{
    call::now,
    emit,
    kernel::{layout, member},
    maps::socket_state,
    socket::{fin_sent, position, state},
};

/// `inet_sock_set_state(sk, oldstate, newstate)`.
#[btf_tracepoint(function = "inet_sock_set_state")]
fn set_state(context: BtfTracePointContext) -> i32 {
    let sk: *const u8 = context.arg(0);
    let new: i32 = context.arg(2);
    if new != i32::from(state::CLOSE) {
        return 0;
    }
    let old: i32 = context.arg(1);
    let Some(socket) = socket_state(sk, false) else { return 0 };
    if socket.opened == 0 {
        return 0;
    }
    let old = old as u8;
    // Both ends have closed when the last state was one of these; any other way here is an abort.
    let in_order = matches!(old, state::LAST_ACK | state::FIN_WAIT2 | state::CLOSING | state::TIME_WAIT);
    let reached = socket.reached[OUT as usize];
    let proven = socket.proven[OUT as usize] != 0;
    let mut sent = reached;
    // SAFETY: `sk` is typed.
    let tcp = unsafe { bpf_skc_to_tcp_sock(sk.cast_mut().cast()) } as *const u8;
    if !tcp.is_null() {
        // SAFETY: `tcp` is typed.
        let write = unsafe { member::<u32>(tcp, layout!(write_seq)) };
        sent = position(sent, socket.base[OUT as usize], write.wrapping_sub(u32::from(fin_sent(old))));
    }
    // The state may come again (a socket can be connected anew): a new open record is due then.
    socket.opened = 0;
    socket.placed = 0;
    socket.proven = [0; 2];
    let time = now();
    let unseen = sent.wrapping_sub(reached);
    if proven && unseen as i64 > 0 {
        emit::gap(socket.cookie, time, OUT, reached, unseen, GapReason::Unseen as u8);
    }
    emit::close(socket.cookie, time, if in_order { CLOSE_FIN } else { CLOSE_RESET });
    0
}
