//! Connections inside TLS: each gets the addresses of its socket, a begin and an end.
//!
//! The kernel side tells of plaintext by the socket's cookie (see [`agent_common::tls`]) and of the socket as of any other.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use agent_common::tls;
use foldhash::HashMap;

use crate::capture::{CloseHow, ConnectionId, Event, EventKind, Open, Timestamp};

/// Sockets that are remembered at once, at most. One more has the oldest forgotten, and what is inside its TLS ends.
const MAX_SOCKETS: usize = 65_536;
/// How long a connection inside TLS goes on after its socket, or after the last bytes since: an application may read what had come before.
const LINGER: Duration = Duration::from_secs(1);

/// What is remembered of a socket that may carry TLS.
#[derive(Debug)]
struct Socket {
    open: Box<Open>,
    /// The connections inside that were told of.
    inside: Vec<Inside>,
    /// When it was remembered, among the others.
    turn: u64,
    ended: Option<Ended>,
}

/// A connection inside TLS.
#[derive(Clone, Copy, Debug)]
struct Inside {
    connection: ConnectionId,
    /// Its positions are those of one that was joined in the middle ([`tls::LATE`]).
    is_late: bool,
}

/// What the bounds of the tables cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InsideCounts {
    /// Sockets that made room for others.
    pub evicted: u64,
    /// Connections that were joined in the middle although something inside the same socket was known: the kernel side forgot an object for others, or
    /// another process goes on with it.
    pub rejoined: u64,
}

/// How a socket ended.
#[derive(Clone, Copy, Debug)]
struct Ended {
    /// When it is forgotten.
    due: Instant,
    /// Not before the last bytes of what was inside.
    time: Timestamp,
    how: Option<CloseHow>,
}

/// The sockets of one ring.
#[derive(Debug)]
pub(super) struct Sockets {
    most: usize,
    by_cookie: HashMap<u64, Socket>,
    /// Their cookies by their turns: the oldest first.
    by_turn: BTreeMap<u64, u64>,
    turn: u64,
    /// Cookies of those that ended, by when they are due and their turns.
    ending: BTreeMap<(Instant, u64), u64>,
    counts: InsideCounts,
}

impl Default for Sockets {
    fn default() -> Self {
        Self::with_most(MAX_SOCKETS)
    }
}

impl Sockets {
    fn with_most(most: usize) -> Self {
        let (by_cookie, by_turn) = (HashMap::default(), BTreeMap::new());
        Self { most, by_cookie, by_turn, turn: 0, ending: BTreeMap::new(), counts: InsideCounts::default() }
    }

    /// Hands on an event, and before it what it needs to be understood.
    pub(super) fn event<'a>(&mut self, event: Event<'a>, now: Instant, to: &mut impl FnMut(Event<'a>)) {
        let id = event.connection.0;
        match &event.kind {
            EventKind::Data { position, .. } | EventKind::Gap { position, .. } if tls::is_inside(id) => {
                self.introduce(event.connection, event.time, *position, now, to);
            }
            EventKind::Open(open) if !tls::is_inside(id) => self.opened(id, open, event.time, to),
            EventKind::Data { position: 0, bytes, .. } if is_cleartext_http(bytes) => {
                self.forget(id);
            }
            EventKind::Close { how } if !tls::is_inside(id) => self.closed(id, event.time, *how, now),
            _ => {}
        }
        to(event);
    }

    /// Ends what is due.
    pub(super) fn tick(&mut self, now: Instant, to: &mut impl FnMut(Event<'_>)) {
        while let Some((_, cookie)) = self.ending.first_key_value().filter(|((due, _), _)| *due <= now) {
            self.end(*cookie, to);
        }
    }

    /// Ends all whose socket is over.
    pub(super) fn finish(&mut self, to: &mut impl FnMut(Event<'_>)) {
        while let Some((_, cookie)) = self.ending.first_key_value() {
            self.end(*cookie, to);
        }
    }

    /// What was counted since the last call.
    pub(super) fn take_counts(&mut self) -> InsideCounts {
        std::mem::take(&mut self.counts)
    }

    /// A socket that is told of again carries another connection, unless nothing was known of it.
    fn opened<'a>(&mut self, cookie: u64, open: &Open, time: Timestamp, to: &mut impl FnMut(Event<'a>)) {
        match self.by_cookie.get_mut(&cookie) {
            Some(socket) if !socket.open.addresses_known() => return *socket.open = open.clone(),
            _ => {}
        }
        self.interrupt(cookie, time, to);
        self.remember(cookie, open, time, to);
    }

    fn closed(&mut self, cookie: u64, time: Timestamp, how: Option<CloseHow>, now: Instant) {
        let Some(socket) = self.by_cookie.get_mut(&cookie).filter(|socket| socket.ended.is_none()) else { return };
        let due = now + LINGER;
        socket.ended = Some(Ended { due, time, how });
        self.ending.insert((due, socket.turn), cookie);
    }

    fn remember<'a>(&mut self, cookie: u64, open: &Open, time: Timestamp, to: &mut impl FnMut(Event<'a>)) {
        if self.by_cookie.len() >= self.most
            && let Some((_, &oldest)) = self.by_turn.first_key_value()
        {
            self.interrupt(oldest, time, to);
            self.counts.evicted += 1;
        }
        self.turn += 1;
        self.by_turn.insert(self.turn, cookie);
        let socket = Socket { open: Box::new(open.clone()), inside: Vec::new(), turn: self.turn, ended: None };
        self.by_cookie.insert(cookie, socket);
    }

    fn forget(&mut self, cookie: u64) -> Option<Socket> {
        let socket = self.by_cookie.remove(&cookie)?;
        self.by_turn.remove(&socket.turn);
        if let Some(ended) = socket.ended {
            self.ending.remove(&(ended.due, socket.turn));
        }
        Some(socket)
    }

    /// Ends what is inside the TLS of a socket that is over.
    fn end<'a>(&mut self, cookie: u64, to: &mut impl FnMut(Event<'a>)) {
        if let Some(socket) = self.forget(cookie)
            && let Some(ended) = socket.ended
        {
            tell_ends(socket.inside, ended.time, ended.how, to);
        }
    }

    /// Ends what is inside the TLS of a socket, whether that is over or not: nothing more can be said of it.
    fn interrupt<'a>(&mut self, cookie: u64, time: Timestamp, to: &mut impl FnMut(Event<'a>)) {
        if let Some(socket) = self.forget(cookie) {
            let (time, how) = socket.ended.map_or((time, None), |ended| (ended.time, ended.how));
            tell_ends(socket.inside, time, how, to);
        }
    }

    /// Tells whose a connection inside TLS is, before its first bytes.
    fn introduce<'a>(
        &mut self,
        connection: ConnectionId,
        time: Timestamp,
        position: u64,
        now: Instant,
        to: &mut impl FnMut(Event<'a>),
    ) {
        // Of an unknown socket: the kernel side told of it.
        let Some(cookie) = tls::socket(connection.0) else { return };
        if !self.by_cookie.contains_key(&cookie) {
            self.remember(cookie, &Open::new(Open::NO_ADDRESS, Open::NO_ADDRESS), time, to);
        }
        let Some(socket) = self.by_cookie.get_mut(&cookie) else { return };
        if let Some(ended) = &mut socket.ended {
            self.ending.remove(&(ended.due, socket.turn));
            (ended.due, ended.time) = (now + LINGER, ended.time.max(time));
            self.ending.insert((ended.due, socket.turn), cookie);
        }
        let is_late = position >= tls::LATE;
        if let Some(known) = socket.inside.iter_mut().find(|known| known.connection == connection) {
            if known.is_late || !is_late {
                return;
            }
            // The kernel side knew neither the object nor its socket any more. Between is what nobody can tell the length of.
            self.counts.rejoined += 1;
            known.is_late = true;
            to(Event { time, connection, kind: EventKind::Close { how: None } });
        } else {
            self.counts.rejoined += u64::from(is_late && !socket.inside.is_empty());
            socket.inside.push(Inside { connection, is_late });
        }
        let mut open = Open { tls: true, ..(*socket.open).clone() };
        if is_late || tls::ordinal(connection.0) != 0 {
            // Positions are not those of the other end, so nothing may be derived from them.
            (open.isn_out, open.isn_in) = (None, None);
        }
        to(Event { time, connection, kind: EventKind::Open(Box::new(open)) });
    }
}

fn tell_ends<'a>(inside: Vec<Inside>, time: Timestamp, how: Option<CloseHow>, to: &mut impl FnMut(Event<'a>)) {
    for Inside { connection, .. } in inside {
        to(Event { time, connection, kind: EventKind::Close { how } });
    }
}

/// Whether a connection that begins so never carries TLS: with a request of HTTP/1 (RFC 9112 section 3), or the preface of HTTP/2 (RFC 9113 section 3.4), which
/// looks like one; but one for a tunnel. Others may change to TLS later (PROXY protocol, SOCKS, STARTTLS, PostgreSQL).
fn is_cleartext_http(bytes: &[u8]) -> bool {
    let method = bytes.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let target = bytes.get(method..).and_then(|rest| rest.strip_prefix(b" "));
    method > 0 && target.is_some_and(|target| [&b"/"[..], b"*", b"http://"].iter().any(|form| target.starts_with(form)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Direction;

    const COOKIE: u64 = 7;
    const ANOTHER: u64 = 8;

    fn inside(cookie: u64) -> u64 {
        cookie | tls::TLS
    }

    fn open(port: u16) -> EventKind<'static> {
        let mut open = Open::new(([127, 0, 0, 1], port).into(), ([127, 0, 0, 2], 443).into());
        (open.isn_out, open.isn_in) = (Some(1), Some(2));
        EventKind::Open(Box::new(open))
    }

    fn data(position: u64, bytes: &'static [u8]) -> EventKind<'static> {
        EventKind::Data { direction: Direction::In, position, length: bytes.len() as u32, bytes }
    }

    const CLOSE: EventKind<'static> = EventKind::Close { how: Some(CloseHow::Fin) };

    /// Events as they come out, a line each: `time connection what`.
    struct Told {
        sockets: Sockets,
        begin: Instant,
        lines: Vec<String>,
    }

    impl Told {
        fn new(most: usize) -> Self {
            Self { sockets: Sockets::with_most(most), begin: Instant::now(), lines: Vec::new() }
        }

        /// An event so many milliseconds after the begin, when others became due.
        fn event(&mut self, ms: u64, connection: u64, kind: EventKind<'static>) -> &mut Self {
            self.tick(ms);
            let event = Event { time: Timestamp(ms), connection: ConnectionId(connection), kind };
            let (now, lines) = (self.begin + Duration::from_millis(ms), &mut self.lines);
            self.sockets.event(event, now, &mut |event| lines.push(line(&event)));
            self
        }

        fn tick(&mut self, ms: u64) -> &mut Self {
            let (now, lines) = (self.begin + Duration::from_millis(ms), &mut self.lines);
            self.sockets.tick(now, &mut |event| lines.push(line(&event)));
            self
        }

        fn finish(&mut self) -> &mut Self {
            let lines = &mut self.lines;
            self.sockets.finish(&mut |event| lines.push(line(&event)));
            self
        }

        /// What was told of connections inside TLS.
        fn of_inside(&self) -> Vec<&str> {
            self.lines.iter().map(String::as_str).filter(|line| line.contains("inside")).collect()
        }

        fn is_empty(&self) -> bool {
            let Sockets { by_cookie, by_turn, ending, .. } = &self.sockets;
            by_cookie.is_empty() && by_turn.is_empty() && ending.is_empty()
        }
    }

    fn line(event: &Event<'_>) -> String {
        let id = event.connection.0;
        let whose = if tls::is_inside(id) { format!("inside {}", id & !tls::TLS) } else { format!("socket {id}") };
        let what = match &event.kind {
            EventKind::Open(open) => format!("open {} isn {:?}", open.local, open.isn_out),
            EventKind::Data { position, .. } => format!("data {position}"),
            EventKind::Gap { position, .. } => format!("gap {position}"),
            EventKind::Close { how } => format!("close {how:?}"),
        };
        format!("{} {whose} {what}", event.time.0)
    }

    #[test]
    fn what_is_read_after_the_end_of_the_socket_is_of_the_same_connection() {
        let mut told = Told::new(9);
        told.event(0, COOKIE, open(1)).event(1, COOKIE, data(0, &[0x16, 3, 1]));
        told.event(10, inside(COOKIE), data(0, b"a")).event(20, COOKIE, CLOSE);
        // Twice, each time before what came last is due.
        told.event(900, inside(COOKIE), data(1, b"b")).event(1800, inside(COOKIE), data(2, b"c"));
        told.tick(2799);
        assert_eq!(told.of_inside().len(), 4, "{:?}", told.lines);
        told.tick(2800);
        assert_eq!(
            told.of_inside(),
            [
                "10 inside 7 open 127.0.0.1:1 isn Some(1)",
                "10 inside 7 data 0",
                "900 inside 7 data 1",
                "1800 inside 7 data 2",
                "1800 inside 7 close Some(Fin)",
            ]
        );
        assert!(told.is_empty());
    }

    #[test]
    fn the_first_plaintext_may_come_after_the_end_of_the_socket() {
        let mut told = Told::new(9);
        told.event(0, COOKIE, open(1)).event(1, COOKIE, CLOSE).event(2, inside(COOKIE), data(tls::LATE, b"a")).finish();
        let late = format!("2 inside 7 data {}", tls::LATE);
        assert_eq!(told.of_inside(), ["2 inside 7 open 127.0.0.1:1 isn None", &late, "2 inside 7 close Some(Fin)"]);
        assert!(told.is_empty());
    }

    #[test]
    fn tls_may_come_after_something_else_but_not_after_http() {
        for begin in [
            &b"PROXY TCP4 "[..],
            b"CONNECT httpbin.org:443 ",
            b"EHLO a\r\n",
            b"\x05\x01\x00",
            b"\x00\x00\x00\x08",
            b"get / ",
        ] {
            let mut told = Told::new(9);
            told.event(0, COOKIE, open(1)).event(1, COOKIE, data(0, begin)).event(2, inside(COOKIE), data(0, b"a"));
            assert_eq!(told.of_inside()[0], "2 inside 7 open 127.0.0.1:1 isn Some(1)", "{begin:?}");
        }
        for begin in [&b"GET / HTTP/1.1"[..], b"POST /", b"PRI * HTTP/2.0"] {
            let mut told = Told::new(9);
            told.event(0, COOKIE, open(1)).event(1, COOKIE, data(0, begin));
            assert!(told.is_empty(), "{begin:?}");
        }
    }

    #[test]
    fn a_socket_that_is_told_of_after_what_is_inside_keeps_it() {
        let mut told = Told::new(9);
        told.event(0, inside(COOKIE), data(0, b"a")).event(1, COOKIE, open(1)).event(2, inside(COOKIE), data(1, b"b"));
        told.event(3, COOKIE, CLOSE).finish();
        assert_eq!(
            told.of_inside(),
            [
                "0 inside 7 open 0.0.0.0:0 isn None",
                "0 inside 7 data 0",
                "2 inside 7 data 1",
                "3 inside 7 close Some(Fin)"
            ]
        );
    }

    #[test]
    fn a_socket_that_is_told_of_again_ends_what_was_inside() {
        let mut told = Told::new(9);
        told.event(0, COOKIE, open(1)).event(1, inside(COOKIE), data(0, b"a")).event(2, COOKIE, open(2));
        told.event(3, inside(COOKIE), data(0, b"b"));
        assert_eq!(
            told.of_inside()[2..],
            ["2 inside 7 close None", "3 inside 7 open 127.0.0.1:2 isn Some(1)", "3 inside 7 data 0"]
        );
    }

    #[test]
    fn one_more_than_the_most_has_the_oldest_forgotten_and_ended() {
        let mut told = Told::new(1);
        told.event(0, COOKIE, open(1)).event(1, inside(COOKIE), data(0, b"a"));
        assert_eq!(told.sockets.take_counts(), InsideCounts::default());
        told.event(2, ANOTHER, open(2));
        assert_eq!(told.of_inside().last(), Some(&"2 inside 7 close None"));
        assert_eq!(told.sockets.take_counts(), InsideCounts { evicted: 1, rejoined: 0 });
        assert_eq!(told.sockets.take_counts(), InsideCounts::default());
        told.event(3, COOKIE, CLOSE).event(4, ANOTHER, CLOSE).finish();
        assert!(told.is_empty());
    }

    #[test]
    fn one_that_the_kernel_side_forgot_ends_and_is_joined_in_the_middle() {
        let mut told = Told::new(9);
        told.event(0, COOKIE, open(1)).event(1, inside(COOKIE), data(0, b"a"));
        told.event(2, inside(COOKIE), data(tls::LATE, b"b")).event(3, inside(COOKIE), data(tls::LATE + 1, b"c"));
        let [late, next] = [tls::LATE, tls::LATE + 1].map(|position| format!("inside 7 data {position}"));
        assert_eq!(
            told.of_inside()[2..],
            [
                "2 inside 7 close None",
                "2 inside 7 open 127.0.0.1:1 isn None",
                &format!("2 {late}"),
                &format!("3 {next}")
            ]
        );
        assert_eq!(told.sockets.take_counts(), InsideCounts { evicted: 0, rejoined: 1 });
    }
}
