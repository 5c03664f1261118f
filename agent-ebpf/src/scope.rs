//! Default deny: is this socket, used by this task, asked for?

use agent_common::scope::{ALL, CGROUP, PORT, PROCESS, Scope};

use crate::{
    kernel::{layout, member},
    maps::{SCOPE, SCOPE_PORTS, SCOPE_PROCESSES},
    task::{current_process, in_scoped_cgroup},
};

/// The control block; generation 0 (nothing in scope) before userspace wrote one.
#[inline(always)]
pub(crate) fn current() -> Scope {
    SCOPE.get(0).copied().unwrap_or_default()
}

/// Whether a process is in the set.
#[inline(always)]
pub(crate) fn holds_process(process: u32) -> bool {
    // SAFETY: the value is not kept.
    unsafe { SCOPE_PROCESSES.get(process) }.is_some()
}

/// Decides for a socket and the current task. No payload is read before this says yes.
#[inline(always)]
pub(crate) fn admits(scope: Scope, sk: *const u8, process: u32) -> bool {
    if scope.kinds & ALL != 0 {
        return true;
    }
    if scope.kinds & PROCESS != 0 && holds_process(process) {
        return true;
    }
    if scope.kinds & PORT != 0 {
        // SAFETY: `sk` is a typed `struct sock`.
        let (local, peer) =
            unsafe { (member::<u16>(sk, layout!(sk_num)), u16::from_be(member::<u16>(sk, layout!(sk_dport)))) };
        // SAFETY: the values are not kept.
        if unsafe { SCOPE_PORTS.get(local).is_some() || SCOPE_PORTS.get(peer).is_some() } {
            return true;
        }
    }
    scope.kinds & CGROUP != 0 && in_scoped_cgroup()
}

/// Whether the current task is the agent.
#[inline(always)]
pub(crate) fn is_agent(process: u32) -> bool {
    process == layout!(own_pid)
}

/// The process that runs now.
#[inline(always)]
pub(crate) fn process() -> u32 {
    current_process()
}
