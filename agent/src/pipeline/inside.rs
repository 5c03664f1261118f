//! A connection of TLS is two here: its bytes as the socket moves them, and what is inside. What each knows, the other needs.

use std::sync::Arc;

use agent_common::tls;

use super::{Ending, Tracked, table::Table};
use crate::{
    capture::{ConnectionId, Event, EventKind, Timestamp},
    exchange::{Ended, Visibility},
    protocol::{Protocol, tls::Hello},
};

/// The socket's connection that this one is inside of; `None` if it is one of a socket itself, or that is not known.
fn around(id: ConnectionId) -> Option<ConnectionId> {
    if tls::is_inside(id.0) { tls::socket(id.0).map(ConnectionId) } else { None }
}

/// What a connection has moved, and what it is to the one around it or inside it.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// Bytes by direction, read or not.
    bytes: [u64; 2],
    /// Its first byte was not seen.
    joined_late: bool,
    /// What is spoken inside it, once somebody has read there.
    inside: Option<Protocol>,
    /// It is inside one that is told of with it.
    is_inside: bool,
}

impl Account {
    /// Counts what an event moved.
    pub(super) fn moved(&mut self, event: &Event<'_>) {
        let (direction, position, length) = match event.kind {
            EventKind::Data { direction, position, length, .. } => (direction, position, u64::from(length)),
            EventKind::Gap { direction, position, length, .. } => (direction, position, length),
            EventKind::Open(_) | EventKind::Close { .. } => return,
        };
        let bytes = &mut self.bytes[direction.index()];
        self.joined_late |= *bytes == 0 && position > 0;
        *bytes = bytes.saturating_add(length);
    }
}

/// A connection was first seen. If it is inside another, they come to know of each other.
pub(super) fn begin(connections: &mut Table<Tracked>, id: ConnectionId) {
    let Some(outer) = around(id).and_then(|outer| connections.peek_mut(outer)) else { return };
    outer.account.inside.get_or_insert(Protocol::Unknown);
    let hello = outer.assembler.connection().hello.clone();
    let Some(inner) = connections.peek_mut(id) else { return };
    inner.account.is_inside = true;
    if let Some(hello) = hello {
        inner.assembler.set_hello(hello);
    }
}

/// More is known of a connection: the hello of its TLS, or what it speaks.
pub(super) fn tell(
    connections: &mut Table<Tracked>,
    id: ConnectionId,
    hello: Option<Hello>,
    protocol: Option<Protocol>,
) {
    if let Some(outer) = around(id).and_then(|outer| connections.peek_mut(outer)) {
        // Of TLS within TLS what is read inside of it counts.
        let known = outer.account.inside;
        outer.account.inside = protocol.filter(|_| known != Some(Protocol::Http1)).or(known);
        return;
    }
    let (Some(hello), false) = (hello.map(Arc::new), tls::is_inside(id.0)) else { return };
    for id in [id, ConnectionId(tls::inside(id.0, 0))] {
        if let Some(tracked) = connections.peek_mut(id) {
            tracked.assembler.set_hello(Arc::clone(&hello));
        }
    }
}

/// What is told of a connection that is over; `None` if it is told of with another, or nothing can be.
pub(super) fn ended(id: ConnectionId, tracked: &Tracked, ending: Ending, time: Timestamp) -> Option<Ended> {
    let Account { bytes, joined_late, inside, is_inside } = tracked.account;
    // Where the socket is not known, it is counted as the socket's, of which nobody knows that it was read.
    if is_inside || tls::is_inside(id.0) && around(id).is_none() {
        return None;
    }
    let connection = Arc::clone(tracked.assembler.connection());
    let own = if connection.open.tls { Protocol::Tls } else { connection.protocol };
    let silent = bytes == [0; 2];
    let inside = if connection.open.tls { Some(connection.protocol) } else { inside };
    // What is not to be told of was not read.
    let inside = inside.filter(|_| tracked.followed.current().wants(true));
    let own = if own == Protocol::Upgraded && connection.hello.is_some() { Protocol::Tls } else { own };
    let closed = matches!(ending, Ending::Closed(_));
    Some(Ended {
        role: tracked.parser.role(),
        tls: own == Protocol::Tls || inside.is_some(),
        protocol: inside.unwrap_or(own),
        visibility: (!silent).then(|| Visibility::of(own, inside)),
        duration: (closed && !joined_late).then(|| time.since(tracked.began)),
        bytes,
        connection,
    })
}
