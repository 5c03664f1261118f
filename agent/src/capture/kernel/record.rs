//! Ring records -> [`Event`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use agent_common::{
    record::{
        CLOSE_FIN, CLOSE_RESET, Head, KIND_CLOSE, KIND_DATA, KIND_GAP, KIND_OPEN, OUT, Open as OpenRecord, ROLE_CLIENT,
        ROLE_SERVER,
    },
    tls,
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
        // More bytes than the stream moved cannot be.
        KIND_DATA if head.copied > head.length => return Err(malformed),
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
        KIND_OPEN => {
            let open = open(&take::<OpenRecord>(rest).ok_or(malformed)?.0);
            EventKind::Open(Box::new(Open { tls: tls::is_inside(head.connection), ..open }))
        }
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
        pid: record.pid,
        comm: String::from_utf8_lossy(&record.comm[..name_end]).into_owned(),
        cgroup: (record.cgroup != 0).then_some(record.cgroup),
        isn_out: (record.isn_known != 0).then_some(record.isn_out),
        isn_in: (record.isn_known != 0).then_some(record.isn_in),
        ..Open::new(
            address(record.family, record.local, record.local_port),
            address(record.family, record.peer, record.peer_port),
        )
    }
}

/// `AF_INET`.
const INET: u16 = 2;
/// `AF_UNSPEC`: the addresses are not known.
const UNSPECIFIED: u16 = 0;

fn address(family: u16, bytes: [u8; 16], port: u16) -> SocketAddr {
    if family == UNSPECIFIED {
        return Open::NO_ADDRESS;
    }
    let ip = if family == INET {
        IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]))
    } else {
        Ipv6Addr::from(bytes).to_canonical()
    };
    SocketAddr::new(ip, port)
}

#[cfg(test)]
mod tests {
    use agent_common::record::{CLOSE_RESET, Head, IN, KIND_CLOSE, KIND_DATA, KIND_GAP, KIND_OPEN, ROLE_SERVER};
    use proptest::prelude::*;

    use super::{Clock, decode};
    use crate::capture::{CloseHow, ConnectionId, Direction, EventKind, GapReason, Role};

    fn clock() -> Clock {
        Clock::start().expect("clocks")
    }

    /// A record as the kernel side writes it: words in host order, then bytes.
    fn record(kind: u8, length: u32, copied: u32, reason: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [7_u64, 1, 4096] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(length.to_ne_bytes());
        bytes.extend(copied.to_ne_bytes());
        bytes.extend([kind, IN, reason, 0, 0, 0, 0, 0]);
        assert_eq!(bytes.len(), size_of::<Head>());
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn data_and_gaps_have_positions() {
        let bytes = record(KIND_DATA, 5, 5, 0, b"hello");
        let event = decode(&bytes, clock()).expect("well-formed");
        assert_eq!(event.connection, ConnectionId(7));
        let expected = EventKind::Data { direction: Direction::In, position: 4096, length: 5, bytes: b"hello" };
        assert_eq!(event.kind, expected);
        let bytes = record(KIND_GAP, 900, 0, GapReason::Fault as u8, &[]);
        let expected =
            EventKind::Gap { direction: Direction::In, position: 4096, length: 900, reason: GapReason::Fault };
        assert_eq!(decode(&bytes, clock()).expect("well-formed").kind, expected);
        let bytes = record(KIND_CLOSE, 0, 0, CLOSE_RESET, &[]);
        let expected = EventKind::Close { how: Some(CloseHow::Reset) };
        assert_eq!(decode(&bytes, clock()).expect("well-formed").kind, expected);
    }

    #[test]
    fn an_open_says_who() {
        let mut payload = Vec::new();
        payload.extend(55_u64.to_ne_bytes());
        payload.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1]);
        payload.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
        payload.extend(*b"nginx\0garbage\0\0\0");
        for word in [42_u32, 1000, 2000] {
            payload.extend(word.to_ne_bytes());
        }
        for half in [80_u16, 4000, 10] {
            payload.extend(half.to_ne_bytes());
        }
        payload.extend([ROLE_SERVER, 1, 0, 0, 0, 0]);
        let bytes = record(KIND_OPEN, 0, payload.len() as u32, 0, &payload);
        let EventKind::Open(open) = decode(&bytes, clock()).expect("well-formed").kind else { panic!("an open") };
        assert_eq!(open.role, Some(Role::Server));
        assert_eq!(open.local, "10.0.0.1:80".parse().expect("an address"), "v4-mapped is IPv4");
        assert_eq!(open.peer, "[2001:db8::9]:4000".parse().expect("an address"));
        assert_eq!((open.pid, open.comm.as_str(), open.cgroup), (42, "nginx", Some(55)));
        assert_eq!((open.isn_out, open.isn_in), (Some(1000), Some(2000)));
    }

    #[test]
    fn what_cannot_be_is_malformed() {
        let whole = record(KIND_DATA, 5, 5, 0, b"hello");
        for length in 0..whole.len() {
            assert!(decode(&whole[..length], clock()).is_err(), "{length} bytes");
        }
        assert!(decode(&record(KIND_DATA, 4, 5, 0, b"hello"), clock()).is_err(), "more copied than moved");
        assert!(decode(&record(KIND_GAP, 4, 0, 255, &[]), clock()).is_err(), "no such reason");
        assert!(decode(&record(KIND_OPEN, 0, 80, 0, &[0; 79]), clock()).is_err(), "an open that is cut");
        assert!(decode(&record(0, 0, 0, 0, &[]), clock()).is_err(), "no such kind");
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0_u8..6) {
            if let Some(byte) = bytes.get_mut(32) {
                *byte = kind;
            }
            if let Ok(event) = decode(&bytes, clock())
                && let EventKind::Data { length, bytes, .. } = event.kind
            {
                prop_assert!(bytes.len() <= length as usize);
            }
        }
    }
}
