//! Bounds of the kernel side that are set when it is loaded, and what tests take away to reach what no test could else.

use agent_common::limits;

/// Entries of the tables in the kernel. The defaults are those of [`limits`]; tests make them small to fill them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Connections with a position before which nothing need be copied ([`limits::SKIPS`]).
    pub skips: u32,
    /// Processes in scope at once ([`limits::PROCESSES`]).
    pub processes: u32,
    /// Cgroups in scope ([`limits::CGROUPS`]).
    pub cgroups: u32,
    /// Ports in scope ([`limits::PORTS`]).
    pub ports: u32,
    /// Programs that can copy at once on a CPU, at most [`limits::SCRATCH_SLOTS`].
    pub scratch_slots: u32,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            skips: limits::SKIPS,
            processes: limits::PROCESSES,
            cgroups: limits::CGROUPS,
            ports: limits::PORTS,
            scratch_slots: limits::SCRATCH_SLOTS,
        }
    }
}

impl Sizes {
    /// The tables by their names in the object.
    pub(super) fn tables(self) -> [(&'static str, u32); 4] {
        [
            ("SKIP", self.skips),
            ("SCOPE_PROCESSES", self.processes),
            ("SCOPE_CGROUPS", self.cgroups),
            ("SCOPE_PORTS", self.ports),
        ]
    }
}

/// What the kernel side does without, for tests. Off, each is a constant that the verifier knows, and costs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failpoints {
    /// The helpers of 5.17, even where the kernel has them: as on 5.12 to 5.16.
    pub without_new_helpers: bool,
    /// The state of threads, as if there were no memory for it. (A test could use up only all memory of the machine.)
    pub without_thread_state: bool,
    /// Links of the kind `uprobe_multi`, even where the kernel has them: as before 6.6.
    pub without_uprobe_multi: bool,
}
