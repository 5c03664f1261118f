//! Trace identity: from the request's W3C `traceparent`, or hashed from what both ends of a connection can see (DESIGN section 5).

use std::{
    fmt,
    hash::Hasher,
    net::{IpAddr, SocketAddr},
};

use siphasher::sip128::{Hasher128, SipHasher24};

use crate::capture::{Open, Role, Timestamp};

/// A trace id; never zero (W3C Trace Context section 3.2.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceId(pub u128);

/// A span id; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpanId(pub u64);

impl fmt::Display for TraceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

/// The context that a request carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// `trace-id`.
    pub trace_id: TraceId,
    /// `parent-id`: the sender's span.
    pub span_id: SpanId,
    /// The sampled flag.
    pub sampled: bool,
    /// `tracestate`, empty if absent or not valid.
    pub state: String,
}

/// Who an exchange is in its trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The trace.
    pub trace_id: TraceId,
    /// The span of this end of the exchange.
    pub span_id: SpanId,
    /// Its parent: the sender's span of an incoming context, or the client's hashed span for a server.
    pub parent_span_id: Option<SpanId>,
    /// What the request carried.
    pub parent: Option<Parent>,
}

/// Parses a `traceparent` value as strictly as W3C Trace Context (level 2, section 3.2) demands: lower-case hexadecimal, no zero ids, version
/// `00` has exactly 55 bytes, a later one at least these, version `ff` is invalid.
pub fn parse_traceparent(value: &[u8]) -> Option<(TraceId, SpanId, bool)> {
    let fixed = value.get(..55)?;
    let version = hex(&fixed[..2])?;
    let dashes = fixed[2] == b'-' && fixed[35] == b'-' && fixed[52] == b'-';
    let length = match version {
        0xff => false,
        0 => value.len() == 55,
        _ => value.len() == 55 || value[55] == b'-',
    };
    if !dashes || !length {
        return None;
    }
    let trace = hex(&fixed[3..35])?;
    let span = hex(&fixed[36..52])? as u64;
    let flags = hex(&fixed[53..55])?;
    (trace != 0 && span != 0).then_some((TraceId(trace), SpanId(span), flags & 1 == 1))
}

fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0_u128, |value, &digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u128::from(digit))
    })
}

/// Longest `tracestate` that is kept: W3C asks for at least 512.
const MAX_STATE: usize = 512;

/// Joins the `tracestate` fields of a request. Empty if a member is malformed, if there are more than 32, or if it is longer than 512 bytes: the
/// whole is then discarded (section 3.3).
pub fn join_tracestate<'a>(fields: impl Iterator<Item = &'a [u8]>) -> String {
    let mut state = String::new();
    let mut members = 0;
    for field in fields {
        let Ok(field) = std::str::from_utf8(field) else { return String::new() };
        for member in
            field.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty())
        {
            members += 1;
            if members > 32 || !valid_member(member) || state.len() + member.len() + 1 > MAX_STATE {
                return String::new();
            }
            if !state.is_empty() {
                state.push(',');
            }
            state.push_str(member);
        }
    }
    state
}

/// `key=value` of section 3.3.1.3.
fn valid_member(member: &str) -> bool {
    let Some((key, value)) = member.split_once('=') else { return false };
    let key_byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte);
    let starts = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    key.len() <= 256
        && key.as_bytes().first().is_some_and(starts)
        && key.bytes().all(key_byte)
        && !value.is_empty()
        && value.len() <= 256
        && value.bytes().all(|byte| (0x20..=0x7e).contains(&byte) && byte != b',' && byte != b'=')
        && !value.ends_with(' ')
}

/// What each hash is for. The numbers are part of the ids' definition: all agents of a fleet must agree, so they never change.
#[derive(Clone, Copy)]
enum Purpose {
    Trace = 1,
    ClientSpan = 2,
    ServerSpan = 3,
}

/// SipHash-2-4 with 128 bits of output; the keys are part of the ids' definition.
fn hasher(purpose: Purpose) -> SipHasher24 {
    let mut hasher = SipHasher24::new_with_keys(0x7465_6c6c_7461_6c65, 0x7472_6163_6500_0001);
    hasher.write_u8(purpose as u8);
    hasher
}

/// What the ids of an exchange are hashed from.
enum Seed {
    /// The same on both ends, whatever addresses NAT shows them.
    Sequence { client: u32, server: u32, position: u64 },
    /// The sequence numbers are not known: the ends cannot be joined.
    Addresses { role: Role, client: SocketAddr, server: SocketAddr, position: u64, time: Timestamp },
}

impl Seed {
    fn of(open: &Open, role: Role, position: u64, time: Timestamp) -> Self {
        match (role, open.isn_out, open.isn_in) {
            (Role::Client, Some(client), Some(server)) | (Role::Server, Some(server), Some(client)) => {
                Self::Sequence { client, server, position }
            }
            (Role::Client, ..) => Self::Addresses { role, client: open.local, server: open.peer, position, time },
            (Role::Server, ..) => Self::Addresses { role, client: open.peer, server: open.local, position, time },
        }
    }

    fn hash(&self, purpose: Purpose) -> u128 {
        let mut hasher = hasher(purpose);
        // Little-endian by hand: `write_u32` of the trait would use the order of the machine.
        match self {
            Self::Sequence { client, server, position } => {
                hasher.write(&client.to_le_bytes());
                hasher.write(&server.to_le_bytes());
                hasher.write(&position.to_le_bytes());
            }
            Self::Addresses { role, client, server, position, time } => {
                hasher.write(&[u8::from(*role == Role::Server)]);
                for address in [client, server] {
                    match address.ip() {
                        IpAddr::V4(ip) => hasher.write(&ip.to_ipv6_mapped().octets()),
                        IpAddr::V6(ip) => hasher.write(&ip.octets()),
                    }
                    hasher.write(&address.port().to_le_bytes());
                }
                hasher.write(&position.to_le_bytes());
                hasher.write(&time.0.to_le_bytes());
            }
        }
        let hash = hasher.finish128();
        u128::from(hash.h1) << 64 | u128::from(hash.h2)
    }

    fn trace_id(&self) -> TraceId {
        TraceId(self.hash(Purpose::Trace).max(1))
    }

    fn span_id(&self, purpose: Purpose) -> SpanId {
        SpanId((self.hash(purpose) as u64).max(1))
    }
}

/// The ids of an exchange whose request began at `position` of its stream and at `time`.
///
/// With an incoming context both ends continue it as children of the sender's span: nothing was injected, so the application's own spans cannot
/// name ours as parent. Without one, and with both initial sequence numbers known, both ends come to one trace, in which the
/// server's span is the child of the client's. Else the span is a root of its own.
pub fn identify(open: &Open, role: Role, position: u64, time: Timestamp, parent: Option<Parent>) -> Identity {
    let seed = Seed::of(open, role, position, time);
    let span_id = match role {
        Role::Client => seed.span_id(Purpose::ClientSpan),
        Role::Server => seed.span_id(Purpose::ServerSpan),
    };
    if let Some(parent) = parent {
        return Identity {
            trace_id: parent.trace_id,
            span_id,
            parent_span_id: Some(parent.span_id),
            parent: Some(parent),
        };
    }
    let joined = role == Role::Server && matches!(seed, Seed::Sequence { .. });
    let parent_span_id = joined.then(|| seed.span_id(Purpose::ClientSpan));
    Identity { trace_id: seed.trace_id(), span_id, parent_span_id, parent: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(role: Role, isn: Option<(u32, u32)>) -> Open {
        let (client, server) = ("10.0.0.1:4000".parse().unwrap(), "10.0.0.2:80".parse().unwrap());
        let (local, peer) = if role == Role::Client { (client, server) } else { (server, client) };
        let (isn_out, isn_in) = match (role, isn) {
            (_, None) => (None, None),
            (Role::Client, Some((client, server))) => (Some(client), Some(server)),
            (Role::Server, Some((client, server))) => (Some(server), Some(client)),
        };
        Open { role: Some(role), pid: 1, isn_out, isn_in, ..Open::new(local, peer) }
    }

    fn ids(role: Role, isn: Option<(u32, u32)>, position: u64) -> Identity {
        identify(&open(role, isn), role, position, Timestamp(5), None)
    }

    #[test]
    fn both_ends_join_one_trace() {
        let client = ids(Role::Client, Some((7, 9)), 120);
        let server = ids(Role::Server, Some((7, 9)), 120);
        assert_eq!(client.trace_id, server.trace_id);
        assert_eq!(server.parent_span_id, Some(client.span_id));
        assert_eq!(client.parent_span_id, None);
        assert_ne!(client.span_id, server.span_id);
        assert_ne!(client.trace_id, ids(Role::Client, Some((7, 9)), 121).trace_id);
        assert_ne!(client.trace_id, ids(Role::Client, Some((9, 7)), 120).trace_id);
    }

    /// The ids are an agreement between all agents: a change here breaks traces during a roll-out.
    #[test]
    fn ids_never_change() {
        let client = ids(Role::Client, Some((7, 9)), 120);
        let show = |identity: &Identity| format!("{} {}", identity.trace_id, identity.span_id);
        assert_eq!(show(&client), "24bc8dc4a3f38ef908d5129251ab3ab4 ae8d9f5fdf996bfc");
        let alone = ids(Role::Client, None, 120);
        assert_eq!(show(&alone), "9f8006982edb98a8fc72e81fdb3d8c4c 8e9dbf7e1b3740d5");
    }

    #[test]
    fn without_sequence_numbers_each_end_is_a_root() {
        let client = ids(Role::Client, None, 0);
        let server = ids(Role::Server, None, 0);
        assert_ne!(client.trace_id, server.trace_id);
        assert_eq!(server.parent_span_id, None);
        assert_eq!(client, ids(Role::Client, None, 0));
    }

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn an_incoming_context_is_continued() {
        let (trace_id, span_id, sampled) = parse_traceparent(VALID.as_bytes()).unwrap();
        let parent = Parent { trace_id, span_id, sampled, state: "a=b".into() };
        let identity = identify(&open(Role::Server, Some((1, 2))), Role::Server, 0, Timestamp(0), Some(parent));
        assert_eq!(identity.trace_id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(identity.parent_span_id, Some(SpanId(0x00f0_67aa_0ba9_02b7)));
    }

    #[test]
    fn traceparent_is_strict() {
        let later = format!("01{}-more", &VALID[2..]);
        assert!(parse_traceparent(later.as_bytes()).is_some());
        let unsampled = VALID.replace("-01", "-02");
        assert!(!parse_traceparent(unsampled.as_bytes()).unwrap().2);
        for bad in [
            String::new(),
            VALID[..54].to_owned(),
            format!("{VALID}-x"),
            format!("{VALID}0"),
            format!("ff{}", &VALID[2..]),
            format!("01{}x", &VALID[2..]),
            VALID.to_uppercase(),
            VALID.replace('-', "_"),
            VALID.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            VALID.replace("00f067aa0ba902b7", &"0".repeat(16)),
        ] {
            assert_eq!(parse_traceparent(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn tracestate_is_joined_or_discarded_whole() {
        let join = |fields: &[&str]| join_tracestate(fields.iter().map(|field| field.as_bytes()));
        assert_eq!(join(&["a=1, b@c=x y", "d=2"]), "a=1,b@c=x y,d=2");
        assert_eq!(join(&["a=1", "B=1"]), "");
        assert_eq!(join(&["a"]), "");
        assert_eq!(join(&[&"a=1,".repeat(33)]), "");
        assert_eq!(join(&[&format!("a={}", "x".repeat(257))]), "");
    }
}
