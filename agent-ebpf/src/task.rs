//! The current task: process, name, cgroups.

use agent_common::{counter::Counter, layout::ABSENT, limits::CGROUP_LEVELS};
use aya_ebpf::helpers::generated::{bpf_get_current_pid_tgid, bpf_get_current_task_btf};

use crate::{
    kernel::{layout, read},
    maps::{SCOPE_CGROUPS, count},
};

/// Thread group id in the initial PID namespace.
#[inline(always)]
pub(crate) fn current_process() -> u32 {
    // SAFETY: no arguments.
    (unsafe { bpf_get_current_pid_tgid() } >> 32) as u32
}

/// Name of the process: of its main thread, since other threads name themselves after what they do.
#[inline(always)]
pub(crate) fn current_comm() -> [u8; 16] {
    // SAFETY: no arguments.
    let task = unsafe { bpf_get_current_task_btf() } as u64;
    let leader = read::<u64>(task + u64::from(layout!(task_leader))).unwrap_or(task);
    read::<[u8; 16]>(leader + u64::from(layout!(task_comm))).unwrap_or_default()
}

/// Address of the current task's cgroup in the hierarchy of the scope.
#[inline(always)]
fn current_cgroup() -> Option<u64> {
    // SAFETY: no arguments.
    let task = unsafe { bpf_get_current_task_btf() } as u64;
    let set = read::<u64>(task + u64::from(layout!(task_cgroups)))?;
    let subsystem = layout!(cgroup_subsystem);
    if subsystem == ABSENT {
        return read::<u64>(set + u64::from(layout!(css_set_default)));
    }
    let css = read::<u64>(set + u64::from(layout!(css_set_subsystems)) + u64::from(subsystem) * 8)?;
    read::<u64>(css + u64::from(layout!(css_cgroup)))
}

#[inline(always)]
fn cgroup_id(cgroup: u64) -> Option<u64> {
    let node = read::<u64>(cgroup + u64::from(layout!(cgroup_node)))?;
    read::<u64>(node + u64::from(layout!(node_id)))
}

/// Id of the current task's cgroup; 0 if it cannot be read.
#[inline(always)]
pub(crate) fn current_cgroup_id() -> u64 {
    current_cgroup().and_then(cgroup_id).unwrap_or(0)
}

/// What the set of cgroups says of the current task: of its cgroup and those above it, the first in the set decides. 0 if none is.
#[inline(always)]
pub(crate) fn cgroup_verdict() -> u8 {
    let Some(mut cgroup) = current_cgroup() else { return 0 };
    for _ in 0..CGROUP_LEVELS {
        let Some(id) = cgroup_id(cgroup) else { return 0 };
        // SAFETY: the value is not kept.
        if let Some(verdict) = unsafe { SCOPE_CGROUPS.get(id) } {
            return *verdict;
        }
        let own = cgroup + u64::from(layout!(cgroup_self));
        let Some(parent) = read::<u64>(own + u64::from(layout!(css_parent))) else { return 0 };
        if parent == 0 {
            return 0;
        }
        let Some(above) = read::<u64>(parent + u64::from(layout!(css_cgroup))) else { return 0 };
        cgroup = above;
    }
    count(Counter::CgroupDepth as u32, 1);
    0
}
