//! Ring records -> [`Event`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use agent_common::record::{
    CLOSE_FIN, CLOSE_RESET, Head, KIND_CLOSE, KIND_DATA, KIND_GAP, KIND_OPEN, OUT, Open as OpenRecord, ROLE_CLIENT,
    ROLE_SERVER,
};

use super::clock::Clock;
use crate::capture::{CloseHow, ConnectionId, Direction, Event, EventKind, GapReason, Open, Role};

/// A record that the kernel side cannot have written: the ring is corrupt or of another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record of {length} bytes is malformed")]
pub(super) struct MalformedRecord {
    /// Its length.
    pub length: usize,
}

/// Decodes one record.
pub(super) fn decode(record: &[u8], clock: Clock) -> Result<Event<'_>, MalformedRecord> {
    let malformed = MalformedRecord { length: record.len() };
    let (head, rest) = take::<Head>(record).ok_or(malformed)?;
    let direction = if head.direction == OUT { Direction::Out } else { Direction::In };
    let kind = match head.kind {
        KIND_DATA => EventKind::Data {
            direction,
            position: head.position,
            length: head.length,
            bytes: rest.get(..head.copied as usize).ok_or(malformed)?,
        },
        KIND_GAP => EventKind::Gap {
            direction,
            position: head.position,
            length: u64::from(head.length),
            reason: GapReason::from_number(head.reason).ok_or(malformed)?,
        },
        KIND_OPEN => EventKind::Open(Box::new(open(&take::<OpenRecord>(rest).ok_or(malformed)?.0))),
        KIND_CLOSE => EventKind::Close {
            how: match head.reason {
                CLOSE_FIN => Some(CloseHow::Fin),
                CLOSE_RESET => Some(CloseHow::Reset),
                _ => None,
            },
        },
        _ => return Err(malformed),
    };
    Ok(Event { time: clock.timestamp(head.time), connection: ConnectionId(head.connection), kind })
}

/// Marks the records, which are plain integers: any bytes are a value of them.
trait Plain: Copy {}
impl Plain for Head {}
impl Plain for OpenRecord {}

fn take<T: Plain>(bytes: &[u8]) -> Option<(T, &[u8])> {
    let (head, rest) = bytes.split_at_checked(size_of::<T>())?;
    // SAFETY: `head` has the size of `T`, any bytes are a value of `T`, and an unaligned read needs no alignment.
    Some((unsafe { head.as_ptr().cast::<T>().read_unaligned() }, rest))
}

fn open(record: &OpenRecord) -> Open {
    let name_end = record.comm.iter().position(|byte| *byte == 0).unwrap_or(record.comm.len());
    Open {
        role: match record.role {
            ROLE_CLIENT => Some(Role::Client),
            ROLE_SERVER => Some(Role::Server),
            _ => None,
        },
        local: address(record.family, record.local, record.local_port),
        peer: address(record.family, record.peer, record.peer_port),
        pid: record.pid,
        comm: String::from_utf8_lossy(&record.comm[..name_end]).into_owned(),
        cgroup: (record.cgroup != 0).then_some(record.cgroup),
        isn_out: (record.isn_known != 0).then_some(record.isn_out),
        isn_in: (record.isn_known != 0).then_some(record.isn_in),
        tls: false,
        pod: None,
        container: None,
    }
}

/// `AF_INET`.
const INET: u16 = 2;

fn address(family: u16, bytes: [u8; 16], port: u16) -> SocketAddr {
    let ip = if family == INET {
        IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]))
    } else {
        Ipv6Addr::from(bytes).to_canonical()
    };
    SocketAddr::new(ip, port)
}
