//! A connection of TLS is two here: its bytes as the socket moves them, and what is inside. What each knows, the other needs.

use std::{sync::Arc, time::Duration};

use agent_common::tls;

use super::{Ending, Tracked, table::Table};
use crate::{
    capture::{ConnectionId, Event, EventKind, Timestamp},
    exchange::{Report, Visibility},
    protocol::{Protocol, tls::Hello},
};

/// How often the bytes of a connection that goes on are told: a rate over some minutes is true, and most connections are over before.
const TELLING: Duration = Duration::from_mins(1);

/// The socket's connection that this one is inside of; `None` if it is one of a socket itself, or that is not known.
fn around(id: ConnectionId) -> Option<ConnectionId> {
    if tls::is_inside(id.0) { tls::socket(id.0).map(ConnectionId) } else { None }
}

/// What a connection has moved, and what it is to the one around it or inside it.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// Bytes by direction, read or not.
    bytes: [u64; 2],
    /// Those of them that were told of.
    told: [u64; 2],
    /// When that was, or would have been.
    told_at: Timestamp,
    /// Its first byte was not seen.
    joined_late: bool,
    /// What is spoken inside it, once somebody has read there.
    inside: Option<Inside>,
    /// What the hellos among its bytes say.
    hello: Option<Arc<Hello>>,
}

/// What is spoken inside a connection, as far inside as was read.
#[derive(Clone, Copy, Debug)]
struct Inside {
    /// How many TLS are around that one.
    ordinal: u32,
    protocol: Protocol,
}

impl Account {
    /// What is spoken inside is known, or is another protocol from now on. Of TLS within TLS the innermost counts.
    fn speaks(&mut self, ordinal: u32, protocol: Protocol) {
        if self.inside.is_none_or(|inside| inside.ordinal <= ordinal) {
            self.inside = Some(Inside { ordinal, protocol });
        }
    }

    /// Whether it is time to tell what a connection that goes on has moved.
    pub(super) fn is_due(&self, began: Timestamp, now: Timestamp) -> bool {
        now.since(self.told_at.max(began)) >= TELLING
    }

    /// What was not told of yet, which it is now.
    fn take_untold(&mut self, now: Timestamp) -> [u64; 2] {
        self.told_at = now;
        let told = std::mem::replace(&mut self.told, self.bytes);
        [self.bytes[0] - told[0], self.bytes[1] - told[1]]
    }

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

/// The connection whose bytes are the records of the TLS that this one is inside of. Which other object of a socket an object is inside of is not known, but
/// the first one that is used is that of the socket's TLS, and within that another one is begun only after it.
fn records_of(id: ConnectionId) -> Option<ConnectionId> {
    let outer = around(id)?;
    Some(tls::ordinal(id.0).checked_sub(1).map_or(outer, |ordinal| ConnectionId(tls::inside(outer.0, ordinal))))
}

/// The connection inside the TLS whose records are the bytes of this one.
fn within(id: ConnectionId) -> Option<ConnectionId> {
    let ordinal = if tls::is_inside(id.0) { tls::ordinal(id.0) + 1 } else { 0 };
    let socket = tls::socket(id.0)?;
    (ordinal < tls::OBJECTS_OF_SOCKET).then(|| ConnectionId(tls::inside(socket, ordinal)))
}

/// A connection was first seen. If it is inside another, or another inside it, they come to know of each other, whichever was first.
pub(super) fn begin(connections: &mut Table<Tracked>, id: ConnectionId) {
    if !tls::is_inside(id.0) {
        let inner = within(id).and_then(|inner| connections.peek(inner));
        let protocol = inner.map(|inner| inner.assembler.connection().protocol);
        if let (Some(protocol), Some(outer)) = (protocol, connections.peek_mut(id)) {
            outer.account.speaks(0, protocol);
        }
        return;
    }
    let Some(outer) = around(id).and_then(|outer| connections.peek_mut(outer)) else { return };
    let unread = Inside { ordinal: tls::ordinal(id.0), protocol: Protocol::Unknown };
    outer.account.inside.get_or_insert(unread);
    let hello = records_of(id).and_then(|records| connections.peek(records)?.account.hello.clone());
    if let (Some(hello), Some(inner)) = (hello, connections.peek_mut(id)) {
        inner.assembler.set_hello(hello);
    }
}

/// More is known of a connection: the hello among its bytes, or what it speaks.
pub(super) fn tell(
    connections: &mut Table<Tracked>,
    id: ConnectionId,
    hello: Option<Hello>,
    protocol: Option<Protocol>,
) {
    if let Some(outer) = around(id).and_then(|outer| connections.peek_mut(outer))
        && let Some(protocol) = hello.as_ref().map(|_| Protocol::Tls).or(protocol)
    {
        outer.account.speaks(tls::ordinal(id.0), protocol);
    }
    let Some(hello) = hello.map(Arc::new) else { return };
    if let Some(tracked) = connections.peek_mut(id) {
        tracked.account.hello = Some(Arc::clone(&hello));
        // What is inside another TLS has the hello of that.
        if !tls::is_inside(id.0) {
            tracked.assembler.set_hello(Arc::clone(&hello));
        }
    }
    if let Some(inner) = within(id).and_then(|inner| connections.peek_mut(inner)) {
        inner.assembler.set_hello(hello);
    }
}

/// What is told of a connection, at its end or before; `None` if it is told of with another, or there is nothing.
pub(super) fn report(
    id: ConnectionId,
    tracked: &mut Tracked,
    ending: Option<Ending>,
    now: Timestamp,
) -> Option<Report> {
    let untold = tracked.account.take_untold(now);
    let Account { bytes, joined_late, inside, .. } = tracked.account;
    // What is inside is told of with its socket's. Where that is not known, it is counted as one of which nobody knows that it was read.
    if tls::is_inside(id.0) || ending.is_none() && untold == [0; 2] {
        return None;
    }
    let connection = Arc::clone(tracked.assembler.connection());
    let own = if connection.open.tls { Protocol::Tls } else { connection.protocol };
    let silent = bytes == [0; 2];
    let inside = if connection.open.tls { Some(connection.protocol) } else { inside.map(|inside| inside.protocol) };
    // What is not to be told of was not read.
    let inside = inside.filter(|_| tracked.followed.current().wants(true));
    let own = if own == Protocol::Upgraded && connection.hello.is_some() { Protocol::Tls } else { own };
    let closed = matches!(ending, Some(Ending::Closed(_)));
    Some(Report {
        over: ending.is_some(),
        role: tracked.parser.role(),
        tls: own == Protocol::Tls || inside.is_some(),
        protocol: inside.unwrap_or(own),
        visibility: (!silent).then(|| Visibility::of(own, inside)),
        duration: (closed && !joined_late).then(|| now.since(tracked.began)),
        bytes: untold,
        connection,
    })
}
