//! Default deny: is this socket, used by this task, asked for?

use agent_common::scope::{ALL, CGROUP, INCLUDED, INCLUDED_PLAIN, PORT, PROCESS, Scope};

use crate::{
    kernel::{layout, member},
    maps::{SCOPE, SCOPE_PORTS, SCOPE_PROCESSES},
    task::{cgroup_verdict, current_process},
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
    scope.kinds & CGROUP != 0 && matches!(cgroup_verdict(), INCLUDED | INCLUDED_PLAIN)
}

/// Whether what a task moves inside TLS is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Inside {
    /// It is not.
    No = 0,
    /// Whatever the task moves is.
    Task = 1,
    /// What it moves over some sockets is: it is not if the socket is not known.
    SomeSocket = 2,
}

impl Inside {
    /// That of a number.
    #[inline(always)]
    pub(crate) fn of(number: u32) -> Self {
        if number == Self::Task as u32 {
            Self::Task
        } else if number == Self::SomeSocket as u32 {
            Self::SomeSocket
        } else {
            Self::No
        }
    }
}

/// Decides for the current task.
#[inline(always)]
pub(crate) fn inside(scope: Scope, process: u32) -> Inside {
    if layout!(tls) == 0 || scope.generation == 0 || scope.kinds == 0 || is_agent(process) {
        return Inside::No;
    }
    if scope.kinds & ALL != 0 || scope.kinds & PROCESS != 0 && holds_process(process) {
        return Inside::Task;
    }
    if scope.kinds & CGROUP != 0 {
        match cgroup_verdict() {
            INCLUDED => return Inside::Task,
            INCLUDED_PLAIN => return Inside::No,
            _ => {}
        }
    }
    if scope.kinds & PORT != 0 { Inside::SomeSocket } else { Inside::No }
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
