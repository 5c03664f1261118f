//! What is captured: one control block and three sets, filled by userspace.

/// The control block, one entry in an array map. A change of scope bumps `generation`, and every socket is looked up anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Scope {
    /// Counts up with every change; 0 before the first and after the end of the capture: nothing is in scope.
    pub generation: u32,
    /// Which kinds of scope are in force ([`ALL`], [`PROCESS`], [`CGROUP`], [`PORT`]); any one suffices.
    pub kinds: u32,
}

/// Every socket but the agent's own.
pub const ALL: u32 = 1;
/// Sockets used by a process of the set.
pub const PROCESS: u32 = 2;
/// Sockets used by a task in a cgroup of the set that is [`INCLUDED`] or [`INCLUDED_PLAIN`], or below one.
pub const CGROUP: u32 = 4;
/// Sockets whose own or other port is in the set.
pub const PORT: u32 = 8;

/// Value of a cgroup in the set: tasks in it and below are in scope. Of a task's cgroup and those above it, the first one in the set decides.
pub const INCLUDED: u8 = 1;
/// Tasks in it and below are not in scope, although a cgroup above it is.
pub const EXCLUDED: u8 = 2;
/// As [`INCLUDED`], but not what is inside TLS.
pub const INCLUDED_PLAIN: u8 = 3;

/// Positions before which the payload of a connection need not be copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Skip {
    /// By direction: [`OUT`](crate::record::OUT), [`IN`](crate::record::IN).
    pub until: [u64; 2],
}

const _: () = assert!(size_of::<Scope>() == 8);
const _: () = assert!(size_of::<Skip>() == 16);
