//! Records in the ring buffers: a [`Head`], then what its kind says.

/// Start of every record.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Head {
    /// Socket cookie.
    pub connection: u64,
    /// `CLOCK_BOOTTIME`, nanoseconds.
    pub time: u64,
    /// Stream position of the first byte.
    pub position: u64,
    /// Bytes of the stream that the record stands for.
    pub length: u32,
    /// Bytes of payload that follow.
    pub copied: u32,
    /// [`KIND_OPEN`] and the like.
    pub kind: u8,
    /// [`OUT`] or [`IN`].
    pub direction: u8,
    /// Of a gap: a [`GapReason`](crate::gap::GapReason) number. Of a close: [`CLOSE_FIN`] and the like.
    pub reason: u8,
    /// Zero.
    pub reserved: [u8; 5],
}

/// An [`Open`] follows.
pub const KIND_OPEN: u8 = 1;
/// `copied` bytes follow.
pub const KIND_DATA: u8 = 2;
/// Nothing follows; `length` bytes are missing.
pub const KIND_GAP: u8 = 3;
/// Nothing follows; the connection is over.
pub const KIND_CLOSE: u8 = 4;

/// The process sent.
pub const OUT: u8 = 0;
/// The process received.
pub const IN: u8 = 1;

/// Ended by FIN of both ends.
pub const CLOSE_FIN: u8 = 1;
/// Ended by a reset of either end.
pub const CLOSE_RESET: u8 = 2;

/// Not known which end the process is.
pub const ROLE_UNKNOWN: u8 = 0;
/// The process connected.
pub const ROLE_CLIENT: u8 = 1;
/// The process accepted.
pub const ROLE_SERVER: u8 = 2;

/// Identity of a connection and of the process that used it first.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Open {
    /// Id of the process's cgroup in the hierarchy of the scope.
    pub cgroup: u64,
    /// Address of the own end: 16 bytes of IPv6, or 4 of IPv4 and zeros.
    pub local: [u8; 16],
    /// Address of the other end.
    pub peer: [u8; 16],
    /// Name of the process (of its main thread), zero-terminated.
    pub comm: [u8; 16],
    /// Thread group id in the initial PID namespace.
    pub pid: u32,
    /// Sequence number of the own SYN, if `isn_known`.
    pub isn_out: u32,
    /// Sequence number of the other end's SYN.
    pub isn_in: u32,
    /// Port of the own end, host order.
    pub local_port: u16,
    /// Port of the other end, host order.
    pub peer_port: u16,
    /// `AF_INET` (2) or `AF_INET6` (10).
    pub family: u16,
    /// [`ROLE_CLIENT`] and the like.
    pub role: u8,
    /// 1 if `isn_out` is right; 0 if it may be one too small.
    pub isn_known: u8,
    /// Zero.
    pub reserved: [u8; 4],
}

const _: () = assert!(size_of::<Head>() == 40);
const _: () = assert!(size_of::<Open>() == 80);
