//! The one type that leaves this stage.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use super::GapReason;

/// A moment: nanoseconds since the Unix epoch.
///
/// Of captured events it is the time of the application's call (entry of a send, return of a receive), not of the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The time from `earlier` to `self`; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Identifies one connection end for the life of a capture (the kernel's socket cookie) or of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Which way bytes go, seen from the process that owns the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// The process sent.
    Out,
    /// The process received.
    In,
}

impl Direction {
    /// The other direction.
    #[must_use]
    pub const fn reverse(self) -> Self {
        match self {
            Self::Out => Self::In,
            Self::In => Self::Out,
        }
    }

    /// An index for two-element tables: `Out` is 0, `In` is 1.
    pub const fn index(self) -> usize {
        match self {
            Self::Out => 0,
            Self::In => 1,
        }
    }
}

/// Which end of a connection the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// It connected.
    Client,
    /// It accepted.
    Server,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseHow {
    /// Both ends closed in order.
    Fin,
    /// It was aborted by either end.
    Reset,
}

/// One thing that happened on one connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Event<'a> {
    /// When.
    pub time: Timestamp,
    /// On which connection.
    pub connection: ConnectionId,
    /// What.
    pub kind: EventKind<'a>,
}

/// What happened. Bytes are borrowed from the ring buffer or the recording: a later stage copies what it must keep.
#[derive(Clone, Debug, PartialEq)]
pub enum EventKind<'a> {
    /// The connection was first seen (not always its establishment: see [`Open`]).
    Open(Box<Open>),
    /// The process sent or received.
    Data {
        /// Which way.
        direction: Direction,
        /// Stream position of the first byte: 0 is the first byte after the SYN.
        position: u64,
        /// How many bytes of the stream this stands for. More than `bytes` holds: the rest was not copied.
        length: u32,
        /// The bytes copied, from `position` on.
        bytes: &'a [u8],
    },
    /// Bytes that were moved and could not be seen.
    Gap {
        /// Which way.
        direction: Direction,
        /// Stream position of the first missing byte.
        position: u64,
        /// How many are missing.
        length: u64,
        /// Why.
        reason: GapReason,
    },
    /// The connection is over.
    Close {
        /// How, where it is known.
        how: Option<CloseHow>,
    },
}

/// Who is connected to whom, as known when the connection was first seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// Which end this is; `None` if the socket does not tell (then it follows from the traffic).
    pub role: Option<Role>,
    /// The address of the process's own end; [`Self::NO_ADDRESS`] if not known. v4-mapped IPv6 addresses are given as IPv4.
    pub local: SocketAddr,
    /// The address of the other end, likewise.
    pub peer: SocketAddr,
    /// Process id (thread group id, in the initial PID namespace); 0 if not known.
    pub pid: u32,
    /// The process's command name, at most 15 bytes; empty if not known.
    pub comm: String,
    /// What the process is called, where a recording says so: a replay cannot read its command line.
    pub service: Option<String>,
    /// Id of the process's cgroup.
    pub cgroup: Option<u64>,
    /// Initial sequence number of the process's own end.
    pub isn_out: Option<u32>,
    /// Initial sequence number of the other end.
    pub isn_in: Option<u32>,
    /// The data of this connection is what was inside TLS.
    pub tls: bool,
    /// The pod, as `namespace/name`, where a recording says so.
    pub pod: Option<String>,
    /// The container's name, where a recording says so.
    pub container: Option<String>,
}

impl Open {
    /// Stands for an address that is not known: what is inside TLS, where it cannot be proven which socket it went over.
    pub const NO_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

    /// Whether it is known who is connected to whom.
    pub fn addresses_known(&self) -> bool {
        self.peer != Self::NO_ADDRESS
    }

    /// A connection between the process's own end and another, of which nothing else is known.
    pub const fn new(local: SocketAddr, peer: SocketAddr) -> Self {
        Self {
            role: None,
            local,
            peer,
            pid: 0,
            comm: String::new(),
            service: None,
            cgroup: None,
            isn_out: None,
            isn_in: None,
            tls: false,
            pod: None,
            container: None,
        }
    }
}
