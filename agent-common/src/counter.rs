//! What the kernel side counts, per CPU.

use crate::gap::GapReason;

/// Index into the per-CPU counter array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Counter {
    /// Records written to a ring.
    Records = 0,
    /// Payload bytes written to a ring.
    CopiedBytes = 1,
    /// Records that a full ring refused.
    RingFull = 2,
    /// Stream bytes that a full ring refused.
    RingFullBytes = 3,
    /// Sockets for which no storage could be allocated.
    SocketState = 4,
    /// Threads for which no storage could be allocated.
    ThreadState = 5,
    /// Processes that could not be added to the scope.
    ProcessTable = 6,
    /// Sockets in scope that kernel TLS encrypts.
    KernelTls = 7,
    /// Multipath TCP sockets in scope.
    Mptcp = 8,
    /// Sockets in scope that a socket map redirects.
    Sockmap = 9,
    /// Times that a task's cgroup was too deep for the scope to be decided; the socket was left out.
    CgroupDepth = 10,
    /// Calls that moved plaintext inside TLS.
    TlsCalls = 11,
    /// Such calls that were left out: only the port of their socket is in scope, and which socket it is is not known.
    TlsNoSocket = 12,
    /// TLS objects that were bound to their socket.
    TlsBound = 13,
    /// TLS objects whose socket could not be proven.
    TlsUnbound = 14,
    /// TLS objects for which the table had no room.
    TlsObjects = 15,
    /// Notices of processes that a full ring refused.
    NoticesLost = 16,
    /// Calls of TLS libraries by processes that are not in scope, which came into a probe since they share a file with one that is.
    TlsOthers = 17,
}

/// Number of plain counters.
pub const PLAIN: u32 = 18;

/// Index of the counter of calls that ended as a gap of this reason.
pub const fn gap(reason: GapReason) -> u32 {
    PLAIN + reason as u32
}

/// Length of the counter array.
pub const LENGTH: u32 = PLAIN + GapReason::ALL.len() as u32;
