//! What else may forbid things: lockdown, security modules, system-wide settings, and the namespaces of a container.

use std::{fs, path::Path};

use super::{Capability, Status, row};
use crate::{admin::Health, workload::cgroup::CgroupWatcher};

fn read(path: &str) -> Option<String> {
    let text = fs::read(path).ok()?;
    // The labels of security modules end in NUL.
    Some(String::from_utf8_lossy(&text).trim_matches(['\0', '\n', ' ']).to_owned())
}

pub(super) fn pid_namespace() -> Capability {
    let tried = "compare the PID namespace with the kernel's first";
    if super::super::loader::pid_namespace_is_initial() {
        return row("PID namespace", Status::Ok, tried, &"the host's");
    }
    row("PID namespace", Status::Fatal, tried, &"one of its own").mend("run in the host's (a pod: hostPID: true)")
}

pub(super) fn lockdown() -> Capability {
    let tried = "read /sys/kernel/security/lockdown";
    let Some(text) = read("/sys/kernel/security/lockdown") else {
        return row("lockdown", Status::Ok, tried, &"not known: securityfs is not mounted");
    };
    let active = text.split(['[', ']']).nth(1).unwrap_or("none");
    match active {
        "none" | "integrity" => row("lockdown", Status::Ok, tried, &active),
        _ => row("lockdown", Status::Fatal, tried, &active)
            .mend("confidentiality mode forbids reading memory by BPF; boot with lockdown=integrity or none"),
    }
}

/// `AppArmor` or `SELinux`, and seccomp. They are no fault by themselves; where a backend is refused, they may be why.
pub(super) fn confinement() -> [Capability; 2] {
    let tried = "read /proc/self/attr and /sys/fs/selinux";
    let profile = read("/proc/self/attr/apparmor/current").filter(|profile| !profile.is_empty());
    let module = match (profile, read("/sys/fs/selinux/enforce")) {
        (Some(profile), _) if profile == "unconfined" => {
            row("security module", Status::Ok, tried, &"AppArmor: unconfined")
        }
        (Some(profile), _) => row("security module", Status::Ok, tried, &format!("AppArmor: {profile}"))
            .mend("if a backend is refused with EACCES or EPERM: chart value `appArmorProfile: {type: Unconfined}`"),
        (None, Some(enforcing)) => {
            let label = read("/proc/self/attr/current").unwrap_or_default();
            let enforcing = if enforcing == "1" { "enforcing" } else { "permissive" };
            row("security module", Status::Ok, tried, &format!("SELinux: {label}, {enforcing}"))
                .mend("if a backend is refused with EACCES: chart value `seLinuxOptions: {type: spc_t}`")
        }
        (None, None) => row("security module", Status::Ok, tried, &"none that can be seen"),
    };
    let tried = "read /proc/self/status";
    let status = read("/proc/self/status").unwrap_or_default();
    let mode = status.lines().find_map(|line| line.strip_prefix("Seccomp:")).unwrap_or_default();
    let seccomp = match mode.trim() {
        "" | "0" => row("seccomp", Status::Ok, tried, &"no filter"),
        _ => row("seccomp", Status::Ok, tried, &"a filter")
            .mend("if `bpf` is refused although BPF is held: chart value `seccompProfile: {type: Unconfined}`"),
    };
    [module, seccomp]
}

/// Settings of the whole system that are often taken for the reason.
pub(super) fn settings() -> [Capability; 2] {
    let value = |name: &str| read(&format!("/proc/sys/kernel/{name}"));
    let tried = "read kernel.perf_event_paranoid";
    // What 2 and 3 refuse is perf_event_open, and PERFMON overrules 2 (Documentation/admin-guide/perf-security.rst); 3 is Debian's own.
    let paranoid = value("perf_event_paranoid").map_or_else(
        || "not known".to_owned(),
        |level| format!("{level}; it is for perf events, as probes inside TLS are before 6.6"),
    );
    let paranoid = row("perf_event_paranoid", Status::Ok, tried, &paranoid);
    let tried = "read kernel.unprivileged_bpf_disabled";
    let disabled = match value("unprivileged_bpf_disabled").as_deref() {
        Some("0") => {
            "0: whoever is not privileged may load some programs; the agent needs its capabilities all the same"
        }
        Some("1") => "1: only with the capability BPF, until the next boot",
        Some("2") => "2: only with the capability BPF",
        _ => "not known",
    };
    [paranoid, row("unprivileged_bpf_disabled", Status::Ok, tried, &disabled)]
}

/// Whether the cgroups of pods can be seen: what `agent` tells pods by.
pub(super) fn cgroup_root(root: &Path) -> Capability {
    let (name, tried) = ("cgroups of pods", format!("look for pods below {}", root.display()));
    match CgroupWatcher::start(root, &Health::new()) {
        Ok(watcher) => {
            let (pods, tree) = (watcher.index().pods(), watcher.tree().root.display().to_string());
            row(
                name,
                Status::Ok,
                &tried,
                &if pods == 1 { format!("1 pod below {tree}") } else { format!("{pods} pods below {tree}") },
            )
        }
        Err(error) => row(name, Status::Missing, &tried, &error)
            .mend("only `agent` needs it: mount the host's /sys/fs/cgroup and name it with --cgroup-root"),
    }
}
