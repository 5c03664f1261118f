//! Connections inside TLS: each gets the addresses of its socket, a begin and an end.
//!
//! The kernel side tells of plaintext by the socket's cookie (see [`agent_common::tls`]) and of the socket as of any other.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use agent_common::tls;
use foldhash::HashMap;

use crate::capture::{CloseHow, ConnectionId, Event, EventKind, Open, Timestamp};

/// Sockets that are remembered at once, at most. Without one, what is inside its TLS has no addresses.
const MAX_SOCKETS: usize = 65_536;
/// How long after its socket a connection inside TLS ends: an application may read what had come before.
const LINGER: Duration = Duration::from_millis(300);

/// What is remembered of a socket that may carry TLS.
#[derive(Debug)]
struct Socket {
    open: Box<Open>,
    /// Identities of the connections inside that were told of.
    inside: Vec<ConnectionId>,
}

/// A connection inside TLS whose socket is over.
#[derive(Debug)]
struct Ended {
    due: Instant,
    time: Timestamp,
    connection: ConnectionId,
    how: Option<CloseHow>,
}

/// The sockets of one ring.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    by_cookie: HashMap<u64, Socket>,
    ended: VecDeque<Ended>,
}

impl Sockets {
    /// Hands on an event, and before it what it needs to be understood.
    pub(super) fn event<'a>(&mut self, event: Event<'a>, to: &mut impl FnMut(Event<'a>)) {
        let id = event.connection.0;
        match &event.kind {
            EventKind::Data { position, .. } | EventKind::Gap { position, .. } if tls::is_inside(id) => {
                self.introduce(event.connection, event.time, *position, to);
            }
            EventKind::Open(open) if !tls::is_inside(id) => self.remember(id, open),
            EventKind::Data { position: 0, bytes, .. } if !may_become_tls(bytes) => {
                self.by_cookie.remove(&id);
            }
            EventKind::Close { how } if !tls::is_inside(id) => {
                let how = *how;
                if let Some(socket) = self.by_cookie.remove(&id) {
                    let due = Instant::now() + LINGER;
                    let ended = |connection| Ended { due, time: event.time, connection, how };
                    self.ended.extend(socket.inside.into_iter().map(ended));
                }
            }
            _ => {}
        }
        to(event);
    }

    /// Ends what is due.
    pub(super) fn tick(&mut self, now: Instant, to: &mut impl FnMut(Event<'_>)) {
        while let Some(ended) = self.ended.pop_front_if(|ended| ended.due <= now) {
            to(ended.into_event());
        }
    }

    /// Ends all whose socket is over.
    pub(super) fn finish(&mut self, to: &mut impl FnMut(Event<'_>)) {
        for ended in self.ended.drain(..) {
            to(ended.into_event());
        }
    }

    fn remember(&mut self, cookie: u64, open: &Open) {
        if self.by_cookie.len() >= MAX_SOCKETS
            && let Some(&another) = self.by_cookie.keys().next()
        {
            self.by_cookie.remove(&another);
        }
        // An open that is told again is of another connection of the same socket.
        self.by_cookie.insert(cookie, Socket { open: Box::new(open.clone()), inside: Vec::new() });
    }

    /// Tells whose a connection inside TLS is, before its first bytes.
    fn introduce<'a>(
        &mut self,
        connection: ConnectionId,
        time: Timestamp,
        position: u64,
        to: &mut impl FnMut(Event<'a>),
    ) {
        // Of an unknown socket: the kernel side told of it.
        let Some(cookie) = tls::socket(connection.0) else { return };
        if !self.by_cookie.contains_key(&cookie) {
            self.remember(cookie, &Open::new(Open::NO_ADDRESS, Open::NO_ADDRESS));
        }
        let Some(socket) = self.by_cookie.get_mut(&cookie) else { return };
        if socket.inside.contains(&connection) {
            return;
        }
        socket.inside.push(connection);
        let mut open = Open { tls: true, ..(*socket.open).clone() };
        if position >= tls::LATE || tls::ordinal(connection.0) != 0 {
            // Positions are not those of the other end, so nothing may be derived from them.
            (open.isn_out, open.isn_in) = (None, None);
        }
        to(Event { time, connection, kind: EventKind::Open(Box::new(open)) });
    }
}

impl Ended {
    fn into_event(self) -> Event<'static> {
        Event { time: self.time, connection: self.connection, kind: EventKind::Close { how: self.how } }
    }
}

/// Whether a connection that begins so may carry TLS: with its handshake (RFC 8446 section 5.1), or behind a tunnel's (RFC 9110 section 9.3.6).
fn may_become_tls(bytes: &[u8]) -> bool {
    bytes.is_empty() || bytes[0] == 0x16 || bytes.starts_with(b"CONNECT ") || bytes.starts_with(b"HTTP/")
}
