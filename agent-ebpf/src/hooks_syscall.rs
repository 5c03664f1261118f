//! `syscall` backend: tracepoints with BTF, for kernels that allow neither fentry nor kprobes.
//!
//! No system call is hooked: at the end of a socket call the registers that it was entered with still tell where its buffer
//! is, so a program that does not use sockets pays nothing.

use agent_common::record::OUT;
use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{call, source::Source};

/// `tcp_sendmsg_locked(sk, msg, skb, size_goal)`, from 6.16, in the loop of a send, the socket lock held.
#[btf_tracepoint(function = "tcp_sendmsg_locked")]
fn send_loop(context: BtfTracePointContext) -> i32 {
    let message: *const u8 = context.arg(1);
    call::begin(context.arg(0), OUT, || Source::of_message(message));
    0
}

/// `sock_send_length(sk, ret, flags)`.
#[btf_tracepoint(function = "sock_send_length")]
fn send_length(context: BtfTracePointContext) -> i32 {
    call::sent(context.arg(0), context.arg(1), Source::of_registers);
    0
}

/// `sock_recv_length(sk, ret, flags)`.
#[btf_tracepoint(function = "sock_recv_length")]
fn receive_length(context: BtfTracePointContext) -> i32 {
    let flags: i32 = context.arg(2);
    call::received(context.arg(0), context.arg(1), flags as u32, Source::of_registers);
    0
}
