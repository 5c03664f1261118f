//! Probes in TLS libraries, and what tells that a process may have another library.

use agent_common::{
    counter::Counter,
    tls::{NOTICE_EXEC, NOTICE_LIBRARIES, Notice},
};
use aya_ebpf::{
    EbpfContext as _,
    bindings::BPF_RB_FORCE_WAKEUP,
    helpers::generated::{bpf_get_attach_cookie, bpf_ringbuf_output},
    macros::{btf_tracepoint, uprobe, uretprobe},
    programs::{BtfTracePointContext, ProbeContext, RetProbeContext},
};

use crate::{
    maps::{NOTICES, count},
    scope, tls,
};

/// Every function that moves plaintext, at its start.
#[uprobe]
fn tls_begin(context: ProbeContext) -> u32 {
    // SAFETY: the context is the program's own.
    let probe = unsafe { bpf_get_attach_cookie(context.as_ptr()) };
    let argument = |index: usize| context.arg::<u64>(index).unwrap_or(0);
    // SAFETY: the registers are the program's context.
    let stack = unsafe { stack_of(context.regs) };
    tls::begin(probe, argument(0), argument(1), argument(3), argument(4), stack);
    0
}

/// The same at its end.
#[uretprobe]
fn tls_end(context: RetProbeContext) -> u32 {
    // SAFETY: the registers are the program's context.
    let stack = unsafe { stack_of(context.regs) };
    tls::end(context.ret::<u64>(), stack.wrapping_sub(RETURN));
    0
}

/// `SSL_free(ssl)`.
#[uprobe]
fn tls_free(context: ProbeContext) -> u32 {
    tls::free(context.arg::<u64>(0).unwrap_or(0));
    0
}

/// `_dl_debug_state()` of a dynamic linker, which it calls when it has mapped libraries, for debuggers to see them.
#[uprobe]
fn libraries(_context: ProbeContext) -> u32 {
    notice(NOTICE_LIBRARIES);
    0
}

/// `sched_process_exec(task, old_pid, binary)`.
#[btf_tracepoint(function = "sched_process_exec")]
fn process_exec(_context: BtfTracePointContext) -> i32 {
    notice(NOTICE_EXEC);
    0
}

#[inline(always)]
fn notice(kind: u32) {
    let process = scope::process();
    // Files of processes whose TLS is not asked for are never attached to.
    if scope::inside(scope::current(), process) == scope::Inside::No {
        return;
    }
    let notice = Notice { process, kind };
    // SAFETY: the record is a local of that size.
    let failed = unsafe {
        bpf_ringbuf_output(
            (&raw const NOTICES).cast_mut().cast(),
            (&raw const notice).cast_mut().cast(),
            size_of::<Notice>() as u64,
            u64::from(BPF_RB_FORCE_WAKEUP),
        )
    };
    if failed != 0 {
        count(Counter::NoticesLost as u32, 1);
    }
}

/// Bytes that a return takes from the stack.
#[cfg(bpf_target_arch = "x86_64")]
const RETURN: u64 = 8;
#[cfg(not(bpf_target_arch = "x86_64"))]
const RETURN: u64 = 0;

/// The stack pointer.
///
/// # Safety
/// `registers` must be a program's context.
#[inline(always)]
unsafe fn stack_of(registers: *const aya_ebpf::bindings::pt_regs) -> u64 {
    // SAFETY: the verifier checks the access.
    #[cfg(bpf_target_arch = "x86_64")]
    return unsafe { (*registers).rsp };
    #[cfg(not(bpf_target_arch = "x86_64"))]
    // SAFETY: likewise.
    return unsafe { (*registers.cast::<aya_ebpf::bindings::user_pt_regs>()).sp };
}
