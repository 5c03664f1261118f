//! `syscall` backend: tracepoints with BTF, for kernels that allow neither fentry nor kprobes.
//!
//! At the end of a socket call the registers that the system call was entered with still tell where its buffer is. So no
//! system call is hooked, and a program that does not use sockets pays nothing, where a tracepoint sees a send begin
//! (`tcp_sendmsg_locked`, from 6.16). Before, `sys_enter` keeps the time of system calls that send.

use agent_common::record::OUT;
use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{call, kernel::layout, source::Source};

/// `tcp_sendmsg_locked(sk, msg, skb, size_goal)`, from 6.16, in the loop of a send, the socket lock held.
#[btf_tracepoint(function = "tcp_sendmsg_locked")]
fn send_loop(context: BtfTracePointContext) -> i32 {
    let message: *const u8 = context.arg(1);
    call::begin(context.arg(0), OUT, true, || Source::of_message(message));
    0
}

/// `sys_enter(regs, id)`, attached only where there is no [`send_loop`].
#[btf_tracepoint(function = "sys_enter")]
fn enter(context: BtfTracePointContext) -> i32 {
    let number: i64 = context.arg(1);
    let number = number as u32;
    if number == layout!(calls.write)
        || number == layout!(calls.writev)
        || number == layout!(calls.sendto)
        || number == layout!(calls.sendmsg)
        || number == layout!(calls.sendmmsg)
        || number == layout!(calls.sendfile)
        || number == layout!(calls.splice)
    {
        call::entered(number);
    }
    0
}

/// `sock_send_length(sk, ret, flags)`.
#[btf_tracepoint(function = "sock_send_length")]
fn send_length(context: BtfTracePointContext) -> i32 {
    let sk: *const u8 = context.arg(0);
    call::sent(sk, context.arg(1), |kept| Source::of_registers_or(sk, kept));
    0
}

/// `sock_recv_length(sk, ret, flags)`.
#[btf_tracepoint(function = "sock_recv_length")]
fn receive_length(context: BtfTracePointContext) -> i32 {
    let flags: i32 = context.arg(2);
    let sk: *const u8 = context.arg(0);
    call::received(sk, context.arg(1), flags as u32, |kept| Source::of_registers_or(sk, kept));
    0
}
