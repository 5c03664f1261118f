//! `socket` backend: fentry and fexit of the functions that move the bytes of TCP.

use agent_common::{
    gap::GapReason,
    record::{IN, OUT},
};
use aya_ebpf::{
    EbpfContext as _,
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};

use crate::{call, kernel::layout, socket::changes, source::Source};

/// The result of a traced function.
#[inline(always)]
fn result(context: &FExitContext, arguments: u32) -> i32 {
    if layout!(use_func_ret) != 0 {
        return context.ret::<i32>().unwrap_or(0);
    }
    // Before 5.17 there is no helper: the result follows the last argument. The index must be a constant for the
    // verifier, so there is a branch for each number of arguments, and the verifier drops all but one.
    let arguments_of = context.as_ptr().cast::<u64>();
    // SAFETY: the context holds the arguments and the result; the verifier checks the index.
    unsafe {
        match arguments {
            3 => core::ptr::read_volatile(arguments_of.add(3)) as i32,
            4 => core::ptr::read_volatile(arguments_of.add(4)) as i32,
            5 => core::ptr::read_volatile(arguments_of.add(5)) as i32,
            _ => core::ptr::read_volatile(arguments_of.add(6)) as i32,
        }
    }
}

/// `tcp_sendmsg_locked(sk, msg, size)`: the socket lock is held.
#[fentry(function = "tcp_sendmsg_locked")]
fn send_begin(context: FEntryContext) -> i32 {
    let message: *const u8 = context.arg(1);
    call::begin(context.arg(0), OUT, false, || Source::of_message(message));
    0
}

#[fexit(function = "tcp_sendmsg_locked")]
fn send_end(context: FExitContext) -> i32 {
    let message: *const u8 = context.arg(1);
    let result = result(&context, 3);
    call::sent(context.arg(0), result, |kept| Source::of_done_message(message, result as u32, kept));
    0
}

/// `tcp_set_ulp(sk, name)`: from here on the functions of TCP may not be the ones that the application's calls come to.
#[fexit(function = "tcp_set_ulp")]
fn layer_end(context: FExitContext) -> i32 {
    changes(context.arg(0));
    0
}

/// `tcp_sendpage(sk, page, offset, size, flags)`, until 6.4: `sendfile` goes this way. (`tcp_sendpage_locked` within it may
/// be inlined.)
#[fentry(function = "tcp_sendpage")]
fn sendpage_begin(context: FEntryContext) -> i32 {
    call::begin(context.arg(0), OUT, false, || Source::nowhere(GapReason::Sendfile));
    0
}

#[fexit(function = "tcp_sendpage")]
fn sendpage_end(context: FExitContext) -> i32 {
    call::sent(context.arg(0), result(&context, 5), |_| Source::nowhere(GapReason::Sendfile));
    0
}

/// `tcp_recvmsg(sk, msg, len, [nonblock,] flags, [addr_len])`.
#[fentry(function = "tcp_recvmsg")]
fn receive_begin(context: FEntryContext) -> i32 {
    let message: *const u8 = context.arg(1);
    call::begin(context.arg(0), IN, false, || Source::of_message(message));
    0
}

#[fexit(function = "tcp_recvmsg")]
fn receive_end(context: FExitContext) -> i32 {
    let arguments = layout!(recvmsg_arguments);
    // Until 5.18 `nonblock` stands before `flags`.
    let flags: i32 = if arguments == 6 { context.arg(4) } else { context.arg(3) };
    let message: *const u8 = context.arg(1);
    let result = result(&context, arguments);
    call::received(context.arg(0), result, flags as u32, |kept| Source::of_done_message(message, result as u32, kept));
    0
}
