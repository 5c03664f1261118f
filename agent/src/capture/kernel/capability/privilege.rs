//! The capabilities of Linux (capabilities(7)) that something of the agent may need, as data.

use super::{Capability, Status, row};

/// What the agent does without a capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Without {
    /// Nothing is captured.
    Nothing(&'static str),
    /// Something is told less exactly.
    Less(&'static str),
    /// Everything.
    Everything(&'static str),
}

/// A capability of Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Privilege {
    /// Its name, without `CAP_`, as Kubernetes spells it.
    pub name: &'static str,
    /// Its number (`include/uapi/linux/capability.h`).
    pub number: u32,
    /// The value of the Helm chart that grants it.
    pub chart: &'static str,
    /// What is missing without it.
    pub without: Without,
}

/// All of them, as seen by running with each set (`tests/live/capabilities.rs`); docs/kubernetes.md has the same rows.
pub const PRIVILEGES: [Privilege; 5] = [
    Privilege {
        name: "BPF",
        number: 39,
        chart: "capabilities.bpf",
        without: Without::Nothing("maps and programs are refused"),
    },
    Privilege {
        name: "PERFMON",
        number: 38,
        chart: "capabilities.perfmon",
        without: Without::Nothing("programs load, but attaching one that traces is refused"),
    },
    Privilege {
        name: "SYS_PTRACE",
        number: 19,
        chart: "capabilities.sysPtrace",
        without: Without::Less(
            "process.executable.name of a process with other rights is the name that the kernel has of it, and what is inside its TLS is not read",
        ),
    },
    Privilege {
        name: "DAC_READ_SEARCH",
        number: 2,
        chart: "capabilities.dacReadSearch",
        without: Without::Everything("what is read of the node may be read by everybody"),
    },
    Privilege {
        name: "SYS_ADMIN",
        number: SYS_ADMIN,
        chart: "capabilities.sysAdmin",
        without: Without::Everything("BPF and PERFMON are enough, but before 6.6 for what is inside TLS"),
    },
];

/// Stands for BPF and PERFMON (`bpf_capable` and `perfmon_capable` of the kernel).
const SYS_ADMIN: u32 = 21;

/// The capabilities in effect in this process: bit N is capability N. `None` if `/proc/self/status` cannot be read.
pub fn effective() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

impl Privilege {
    /// Whether this set grants what it is for.
    pub const fn is_in(&self, effective: u64) -> bool {
        let stands_for_it = matches!(self.without, Without::Nothing(_)) && effective >> SYS_ADMIN & 1 == 1;
        stands_for_it || effective >> self.number & 1 == 1
    }

    /// What is off without it, in a few words; `None` where nothing is.
    pub fn loss(&self) -> Option<String> {
        match self.without {
            Without::Nothing(why) => Some(format!("nothing is captured: {why} ({} is not granted)", self.name)),
            Without::Less(what) => Some(format!("{what} ({} is not granted)", self.name)),
            Without::Everything(_) => None,
        }
    }

    fn row(&self, effective: Option<u64>) -> Capability {
        let (name, tried) = (format!("capability {}", self.name), "read the effective capabilities");
        let Some(effective) = effective else {
            return row(&name, Status::Missing, tried, &"cannot read /proc/self/status");
        };
        if self.is_in(effective) {
            let own = effective >> self.number & 1 == 1;
            return row(&name, Status::Ok, tried, if own { &"held" } else { &"not held; SYS_ADMIN stands for it" });
        }
        let mend = format!(
            "grant it: chart value `{}: true`; without Kubernetes run it with sudo, or with AmbientCapabilities=CAP_{}",
            self.chart, self.name
        );
        match self.without {
            Without::Nothing(why) => {
                row(&name, Status::Fatal, tried, &format!("not held: nothing is captured, {why}")).mend(&mend)
            }
            Without::Less(what) => row(&name, Status::Missing, tried, &format!("not held: {what}")).mend(&mend),
            Without::Everything(why) => row(&name, Status::Ok, tried, &format!("not held, and not needed: {why}")),
        }
    }
}

/// A row for each capability.
pub(super) fn rows() -> impl Iterator<Item = Capability> {
    let effective = effective();
    PRIVILEGES.iter().map(move |privilege| privilege.row(effective))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_capabilities_or_one_that_stands_for_them() {
        let captures = |effective: u64| {
            PRIVILEGES
                .iter()
                .filter(|privilege| matches!(privilege.without, Without::Nothing(_)))
                .all(|privilege| privilege.is_in(effective))
        };
        assert!(captures(1 << 39 | 1 << 38) && captures(1 << 21));
        assert!(!captures(1 << 39) && !captures(1 << 38) && !captures(0));
        let ptrace = &PRIVILEGES[2];
        assert!(!ptrace.is_in(1 << 21) && ptrace.is_in(1 << 19));
        assert!(ptrace.loss().unwrap().ends_with("(SYS_PTRACE is not granted)"));
        assert_eq!(PRIVILEGES[3].loss(), None);
    }
}
