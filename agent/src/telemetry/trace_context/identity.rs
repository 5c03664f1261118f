//! Ids: continued from the context of the request, or hashed from what both ends of a connection can see (DESIGN section 5).

use std::{
    hash::Hasher,
    net::{IpAddr, SocketAddr},
};

use siphasher::sip128::{Hasher128, SipHasher24};

use super::{Context, SpanId, TraceId};
use crate::capture::{Open, Role, Timestamp};

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
    pub context: Option<Context>,
    /// What the request around it carried, where it is a message with a context of its own.
    pub around: Option<Context>,
}

/// What each hash is for. The numbers are part of the ids' definition: all agents of a fleet must agree, so they never change.
#[derive(Clone, Copy)]
enum Purpose {
    Trace = 1,
    ClientSpan = 2,
    ServerSpan = 3,
    SenderOfPart = 4,
    ReceiverOfPart = 5,
}

/// SipHash-2-4 with 128 bits of output; the keys are part of the ids' definition.
fn hasher(purpose: Purpose) -> SipHasher24 {
    let mut hasher = SipHasher24::new_with_keys(0x7465_6c6c_7461_6c65, 0x7472_6163_6500_0001);
    hasher.write_u8(purpose as u8);
    hasher
}

/// What the ids of an exchange are hashed from.
enum Seed {
    /// The same on both ends, whatever addresses NAT shows them. What is inside TLS has positions of its own.
    Sequence { client: u32, server: u32, position: u64, tls: bool },
    /// The sequence numbers are not known: the ends cannot be joined.
    Addresses { role: Role, client: SocketAddr, server: SocketAddr, position: u64, time: Timestamp },
}

impl Seed {
    fn of(open: &Open, role: Role, position: u64, time: Timestamp) -> Self {
        match (role, open.isn_out, open.isn_in) {
            (Role::Client, Some(client), Some(server)) | (Role::Server, Some(server), Some(client)) => {
                Self::Sequence { client, server, position, tls: open.tls }
            }
            (Role::Client, ..) => Self::Addresses { role, client: open.local, server: open.peer, position, time },
            (Role::Server, ..) => Self::Addresses { role, client: open.peer, server: open.local, position, time },
        }
    }

    fn hash(&self, purpose: Purpose) -> u128 {
        self.hash_of_part(purpose, 0)
    }

    /// The hash of the exchange itself is that of part 0.
    fn hash_of_part(&self, purpose: Purpose, part: u32) -> u128 {
        let mut hasher = hasher(purpose);
        // Little-endian by hand: `write_u32` of the trait would use the order of the machine.
        match self {
            Self::Sequence { client, server, position, tls } => {
                hasher.write(&client.to_le_bytes());
                hasher.write(&server.to_le_bytes());
                hasher.write(&position.to_le_bytes());
                if *tls {
                    hasher.write(b"tls");
                }
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
        if part > 0 {
            hasher.write(&part.to_le_bytes());
        }
        let hash = hasher.finish128();
        u128::from(hash.h1) << 64 | u128::from(hash.h2)
    }

    fn trace_id(&self) -> TraceId {
        TraceId(self.hash(Purpose::Trace).max(1))
    }

    fn span_id(&self, purpose: Purpose) -> SpanId {
        self.span_id_of_part(purpose, 0)
    }

    fn span_id_of_part(&self, purpose: Purpose, part: u32) -> SpanId {
        SpanId((self.hash_of_part(purpose, part) as u64).max(1))
    }
}

/// The ids of an exchange whose request began at `position` of its stream and at `time`.
///
/// With an incoming context both ends continue it as children of the sender's span: nothing was injected, so the application's own spans cannot
/// name ours as parent. Without one, and with both initial sequence numbers known, both ends come to one trace, in which the
/// server's span is the child of the client's. Else the span is a root of its own.
pub fn identify(open: &Open, role: Role, position: u64, time: Timestamp, context: Option<Context>) -> Identity {
    let seed = Seed::of(open, role, position, time);
    let span_id = match role {
        Role::Client => seed.span_id(Purpose::ClientSpan),
        Role::Server => seed.span_id(Purpose::ServerSpan),
    };
    if let Some(parent) = context.as_ref().and_then(|context| context.parent) {
        return Identity {
            trace_id: parent.trace_id,
            span_id,
            parent_span_id: Some(parent.span_id),
            context,
            around: None,
        };
    }
    let joined = role == Role::Server && matches!(seed, Seed::Sequence { .. });
    let parent_span_id = joined.then(|| seed.span_id(Purpose::ClientSpan));
    Identity { trace_id: seed.trace_id(), span_id, parent_span_id, context, around: None }
}

/// The ids of a part of an exchange beside the one that stands for it, a message of a batch or one that the server sent: the `part`-th, which this end
/// `receives` or not. As with the exchange itself, both ends come to one trace in which the receiver's span is the child of the sender's.
pub fn identify_part(
    open: &Open,
    role: Role,
    (position, time): (u64, Timestamp),
    (part, receives): (u32, bool),
    context: Option<Context>,
) -> Identity {
    let seed = Seed::of(open, role, position, time);
    let purpose = if receives { Purpose::ReceiverOfPart } else { Purpose::SenderOfPart };
    let span_id = seed.span_id_of_part(purpose, part);
    if let Some(parent) = context.as_ref().and_then(|context| context.parent) {
        return Identity {
            trace_id: parent.trace_id,
            span_id,
            parent_span_id: Some(parent.span_id),
            context,
            around: None,
        };
    }
    let joined = receives && matches!(seed, Seed::Sequence { .. });
    let parent_span_id = joined.then(|| seed.span_id_of_part(Purpose::SenderOfPart, part));
    Identity { trace_id: seed.trace_id(), span_id, parent_span_id, context, around: None }
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
    fn parts_of_both_ends_join_the_trace_of_their_exchange() {
        let part = |role, part, receives| {
            identify_part(&open(role, Some((7, 9))), role, (120, Timestamp(5)), (part, receives), None)
        };
        let whole = ids(Role::Client, Some((7, 9)), 120);
        let (sent, received) = (part(Role::Client, 2, false), part(Role::Server, 2, true));
        assert_eq!((sent.trace_id, received.trace_id), (whole.trace_id, whole.trace_id));
        assert_eq!((sent.parent_span_id, received.parent_span_id), (None, Some(sent.span_id)));
        // What the server sends to the client is the same the other way round.
        let (asked, answered) = (part(Role::Server, 3, false), part(Role::Client, 3, true));
        assert_eq!(answered.parent_span_id, Some(asked.span_id));
        let ids = [&whole, &sent, &received, &asked, &answered].map(|identity| identity.span_id.0);
        assert_eq!(std::collections::BTreeSet::from(ids).len(), 5);
        assert_eq!(format!("{} {}", sent.span_id, received.span_id), "eb63c048cbd7940e 65d26ea538171f99");
    }

    #[test]
    fn without_sequence_numbers_each_end_is_a_root() {
        let client = ids(Role::Client, None, 0);
        let server = ids(Role::Server, None, 0);
        assert_ne!(client.trace_id, server.trace_id);
        assert_eq!(server.parent_span_id, None);
        assert_eq!(client, ids(Role::Client, None, 0));
    }

    #[test]
    fn an_incoming_context_is_continued() {
        let context = Context::of(TraceId(0x4bf9), SpanId(0xf067), Some(true));
        let identity = identify(&open(Role::Server, Some((1, 2))), Role::Server, 0, Timestamp(0), Some(context));
        assert_eq!((identity.trace_id, identity.parent_span_id), (TraceId(0x4bf9), Some(SpanId(0xf067))));
    }

    #[test]
    fn a_decision_without_ids_changes_none() {
        let open = open(Role::Client, Some((7, 9)));
        let denied = Context { sampled: Some(false), ..Context::default() };
        let identity = identify(&open, Role::Client, 120, Timestamp(5), Some(denied.clone()));
        let plain = ids(Role::Client, Some((7, 9)), 120);
        assert_eq!((identity.trace_id, identity.span_id), (plain.trace_id, plain.span_id));
        assert_eq!((identity.parent_span_id, identity.context), (None, Some(denied)));
    }
}
