//! Scope by process: children of a process in scope are in scope.

use agent_common::{counter::Counter, scope::PROCESS};
use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{
    kernel::{layout, member, read},
    maps::{SCOPE_PROCESSES, count},
    scope,
};

/// `sched_process_fork(parent, child)`.
#[btf_tracepoint(function = "sched_process_fork")]
fn process_fork(context: BtfTracePointContext) -> i32 {
    if scope::current().kinds & PROCESS == 0 {
        return 0;
    }
    let (parent, child): (*const u8, *const u8) = (context.arg(0), context.arg(1));
    // SAFETY: both are typed `struct task_struct`.
    let (parent, child) =
        unsafe { (member::<u32>(parent, layout!(task_tgid)), member::<u32>(child, layout!(task_tgid))) };
    if parent != child && scope::holds_process(parent) && SCOPE_PROCESSES.insert(child, 1, 0).is_err() {
        count(Counter::ProcessTable as u32, 1);
    }
    0
}

/// `sched_process_exit(task, ...)`, once a thread: the process is gone with the last.
#[btf_tracepoint(function = "sched_process_exit")]
fn process_exit(context: BtfTracePointContext) -> i32 {
    if scope::current().kinds & PROCESS == 0 {
        return 0;
    }
    let task: *const u8 = context.arg(0);
    // SAFETY: `task` is typed.
    let process = unsafe { member::<u32>(task, layout!(task_tgid)) };
    let signal = read::<u64>(task as u64 + u64::from(layout!(task_signal))).unwrap_or(0);
    let live = read::<u32>(signal + u64::from(layout!(signal_live))).unwrap_or(0);
    if live == 0 && scope::holds_process(process) {
        let _ = SCOPE_PROCESSES.remove(process);
    }
    0
}
