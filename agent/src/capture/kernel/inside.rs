//! Connections inside TLS: each gets the addresses of its socket, a begin and an end.
//!
//! The kernel side tells of plaintext by the socket's cookie (see [`agent_common::tls`]) and of the socket as of any other.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use agent_common::tls;
use foldhash::HashMap;

use crate::capture::{CloseHow, ConnectionId, Event, EventKind, Open, Timestamp, process};

/// Sockets that are remembered at once, at most. One more has the oldest forgotten, and what is inside its TLS ends.
const MAX_SOCKETS: usize = 65_536;
/// How long a connection inside TLS goes on after its socket, or after the last bytes since: an application may read what had come before.
const LINGER: Duration = Duration::from_secs(1);
/// How long one goes on after its last bytes if nothing will tell of its end: its socket was told of before, or never, or is not known and its begin
/// was lost.
const UNTOLD: Duration = Duration::from_mins(10);
/// Between two looks at the processes that have connections of which no socket is known.
const LOOK: Duration = Duration::from_secs(5);
/// Processes that are looked at in one go. With more the next ones have their turn a moment later.
const LOOKS: usize = 256;

/// What is remembered of a socket that may carry TLS, or of a connection inside TLS of which no socket is known.
#[derive(Debug)]
struct Socket {
    open: Box<Open>,
    /// The connections inside that were told of.
    inside: Vec<Inside>,
    /// When it was remembered, among the others.
    turn: u64,
    /// When bytes inside came last, or when it was remembered.
    last: Timestamp,
    ended: Option<Ended>,
    /// Whose it is, if only the end of that process tells of its own.
    process: Option<u32>,
}

/// A process that has connections of which no socket is known.
#[derive(Debug)]
struct Process {
    /// When it was started; `None` if it was over by then.
    started: Option<u64>,
    connections: BTreeSet<u64>,
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
    time: Timestamp,
    how: Option<CloseHow>,
    /// It was told of, and not only not told of for long.
    is_told: bool,
}

impl Ended {
    /// How long it is waited for more bytes.
    fn patience(&self) -> Duration {
        if self.is_told { LINGER } else { UNTOLD }
    }
}

/// The sockets of one ring.
#[derive(Debug)]
pub(super) struct Sockets {
    most: usize,
    /// When a process was started; `None` if there is none.
    started: fn(u32) -> Option<u64>,
    by_cookie: HashMap<u64, Socket>,
    /// Their cookies by their turns: the oldest first.
    by_turn: BTreeMap<u64, u64>,
    turn: u64,
    /// Cookies of those that ended, by when they are due and their turns.
    ending: BTreeMap<(Instant, u64), u64>,
    /// Processes that have connections of which no socket is known, by their ids.
    processes: BTreeMap<u32, Process>,
    /// When they are looked at again, and from which id on.
    next_look: Option<Instant>,
    looked: u32,
    counts: InsideCounts,
}

impl Default for Sockets {
    fn default() -> Self {
        Self::with(MAX_SOCKETS, process::started)
    }
}

impl Sockets {
    fn with(most: usize, started: fn(u32) -> Option<u64>) -> Self {
        Self {
            most,
            started,
            by_cookie: HashMap::default(),
            by_turn: BTreeMap::new(),
            turn: 0,
            ending: BTreeMap::new(),
            processes: BTreeMap::new(),
            next_look: None,
            looked: 0,
            counts: InsideCounts::default(),
        }
    }

    /// Hands on an event, and before it what it needs to be understood.
    pub(super) fn event<'a>(&mut self, event: Event<'a>, now: Instant, to: &mut impl FnMut(Event<'a>)) {
        let id = event.connection.0;
        match &event.kind {
            EventKind::Data { position, .. } | EventKind::Gap { position, .. } if tls::is_inside(id) => {
                self.introduce(event.connection, event.time, *position, now, to);
            }
            EventKind::Open(open) if !tls::is_inside(id) => self.opened(id, open, event.time, to),
            EventKind::Open(open) => self.opened_unknown(event.connection, open, event.time, to),
            EventKind::Data { position: 0, bytes, .. } if is_cleartext_http(bytes) => {
                self.forget(id);
            }
            EventKind::Close { how } if !tls::is_inside(id) => self.closed(id, event.time, *how, now),
            EventKind::Close { .. } => {
                self.forget(id);
            }
            EventKind::Data { .. } | EventKind::Gap { .. } => {}
        }
        to(event);
    }

    /// Ends what is due.
    pub(super) fn tick(&mut self, now: Instant, to: &mut impl FnMut(Event<'_>)) {
        while let Some((_, cookie)) = self.ending.first_key_value().filter(|((due, _), _)| *due <= now) {
            self.end(*cookie, to);
        }
        if self.next_look.is_none_or(|next| next <= now) && !self.look(LOOKS, to) {
            self.next_look = Some(now + LOOK);
        }
    }

    /// Ends all whose socket or process is over.
    pub(super) fn finish(&mut self, to: &mut impl FnMut(Event<'_>)) {
        self.looked = 0;
        self.look(usize::MAX, to);
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
            Some(socket) if !socket.open.addresses_known() => {
                *socket.open = open.clone();
                if let Some(ended) = socket.ended.take_if(|ended| !ended.is_told) {
                    self.ending.remove(&(ended.due, socket.turn));
                }
                return;
            }
            _ => {}
        }
        self.interrupt(cookie, time, to);
        self.remember(cookie, open, time, to);
    }

    /// A connection of which no socket is known: its object's end is told of, but not where the process ends before.
    fn opened_unknown<'a>(
        &mut self,
        connection: ConnectionId,
        open: &Open,
        time: Timestamp,
        to: &mut impl FnMut(Event<'a>),
    ) {
        self.interrupt(connection.0, time, to);
        let socket = self.remember(connection.0, open, time, to);
        socket.inside.push(Inside { connection, is_late: true });
        socket.process = Some(open.pid);
        let started = self.started;
        let of_pid = self.processes.entry(open.pid);
        let process = of_pid.or_insert_with_key(|&pid| Process { started: started(pid), connections: BTreeSet::new() });
        process.connections.insert(connection.0);
    }

    fn closed(&mut self, cookie: u64, time: Timestamp, how: Option<CloseHow>, now: Instant) {
        self.ends(cookie, Ended { due: now + LINGER, time, how, is_told: true });
    }

    /// A socket ends unless more comes. What was told of it holds.
    fn ends(&mut self, cookie: u64, ended: Ended) {
        let Some(socket) = self.by_cookie.get_mut(&cookie) else { return };
        if let Some(before) = &socket.ended {
            if before.is_told {
                return;
            }
            self.ending.remove(&(before.due, socket.turn));
        }
        self.ending.insert((ended.due, socket.turn), cookie);
        socket.ended = Some(ended);
    }

    /// Looks at so many processes at most, and ends what those had that are over. Says whether there are more.
    fn look(&mut self, most: usize, to: &mut impl FnMut(Event<'_>)) -> bool {
        let pids: Vec<u32> = self.processes.range(self.looked..).take(most).map(|(&pid, _)| pid).collect();
        self.looked = pids.last().filter(|_| pids.len() == most).map_or(0, |last| last.saturating_add(1));
        for pid in pids {
            let started = (self.started)(pid);
            let Some(process) = self.processes.get(&pid) else { continue };
            if started.is_some() && started == process.started {
                continue;
            }
            for connection in process.connections.clone() {
                let last = self.by_cookie.get(&connection).map_or(Timestamp(0), |socket| socket.last);
                self.interrupt(connection, last, to);
            }
        }
        self.looked != 0
    }

    fn remember<'a>(
        &mut self,
        cookie: u64,
        open: &Open,
        time: Timestamp,
        to: &mut impl FnMut(Event<'a>),
    ) -> &mut Socket {
        if self.by_cookie.len() >= self.most
            && let Some((_, &oldest)) = self.by_turn.first_key_value()
        {
            self.interrupt(oldest, time, to);
            self.counts.evicted += 1;
        }
        self.turn += 1;
        self.by_turn.insert(self.turn, cookie);
        let open = Box::new(open.clone());
        let socket = Socket { open, inside: Vec::new(), turn: self.turn, last: time, ended: None, process: None };
        self.by_cookie.entry(cookie).insert_entry(socket).into_mut()
    }

    fn forget(&mut self, cookie: u64) -> Option<Socket> {
        let socket = self.by_cookie.remove(&cookie)?;
        self.by_turn.remove(&socket.turn);
        if let Some(ended) = socket.ended {
            self.ending.remove(&(ended.due, socket.turn));
        }
        if let Some(pid) = socket.process
            && let Some(process) = self.processes.get_mut(&pid)
        {
            process.connections.remove(&cookie);
            if process.connections.is_empty() {
                self.processes.remove(&pid);
            }
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
        let cookie = tls::socket(connection.0);
        let key = cookie.unwrap_or(connection.0);
        if !self.by_cookie.contains_key(&key) {
            self.remember(key, &Open::new(Open::NO_ADDRESS, Open::NO_ADDRESS), time, to);
            self.ends(key, Ended { due: now + UNTOLD, time, how: None, is_told: false });
        }
        let Some(socket) = self.by_cookie.get_mut(&key) else { return };
        socket.last = socket.last.max(time);
        if let Some(ended) = &mut socket.ended {
            self.ending.remove(&(ended.due, socket.turn));
            (ended.due, ended.time) = (now + ended.patience(), ended.time.max(time));
            self.ending.insert((ended.due, socket.turn), key);
        }
        let is_late = position >= tls::LATE;
        if let Some(known) = socket.inside.iter_mut().find(|known| known.connection == connection) {
            if known.is_late || !is_late || cookie.is_none() {
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
        if cookie.is_none() {
            // The kernel side told whose it is, or could not.
            return;
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
    use std::cell::Cell;

    use super::*;
    use crate::capture::Direction;

    const COOKIE: u64 = 7;
    const ANOTHER: u64 = 8;
    /// One of no known socket.
    const UNKNOWN: u64 = 9 | tls::TLS | tls::UNKNOWN;

    thread_local! {
        /// When processes were started.
        static STARTED: Cell<fn(u32) -> Option<u64>> = const { Cell::new(|_| Some(1)) };
    }

    fn inside(cookie: u64) -> u64 {
        cookie | tls::TLS
    }

    fn open(port: u16) -> EventKind<'static> {
        let mut open = Open::new(([127, 0, 0, 1], port).into(), ([127, 0, 0, 2], 443).into());
        (open.isn_out, open.isn_in) = (Some(1), Some(2));
        EventKind::Open(Box::new(open))
    }

    fn of_process(pid: u32) -> EventKind<'static> {
        EventKind::Open(Box::new(Open { pid, tls: true, ..Open::new(Open::NO_ADDRESS, Open::NO_ADDRESS) }))
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
            STARTED.set(|_| Some(1));
            Self { sockets: Sockets::with(most, |pid| STARTED.get()(pid)), begin: Instant::now(), lines: Vec::new() }
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
            let Sockets { by_cookie, by_turn, ending, processes, .. } = &self.sockets;
            by_cookie.is_empty() && by_turn.is_empty() && ending.is_empty() && processes.is_empty()
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

    const LOOK_MS: u64 = LOOK.as_millis() as u64;
    const UNTOLD_MS: u64 = UNTOLD.as_millis() as u64;

    #[test]
    fn a_connection_of_no_known_socket_ends_with_its_process() {
        let mut told = Told::new(9);
        for pid in 0..3_u32 {
            told.event(0, UNKNOWN + u64::from(pid), of_process(pid));
            told.event(u64::from(pid), UNKNOWN + u64::from(pid), data(tls::LATE, b"a"));
        }
        told.tick(LOOK_MS);
        let begun = told.of_inside().len();
        assert_eq!(begun, 6, "{:?}", told.lines);
        // One is over, of another one the id is used again.
        STARTED.set(|pid| [Some(1), None, Some(2)][pid as usize]);
        told.tick(LOOK_MS + 1).tick(3 * LOOK_MS);
        let closes = [1, 2].map(|pid| format!("{pid} inside {} close None", (UNKNOWN + pid) & !tls::TLS));
        assert_eq!(told.of_inside()[begun..], closes);
        told.event(4 * LOOK_MS, UNKNOWN, EventKind::Close { how: None });
        assert_eq!(told.of_inside().len(), begun + 3, "its object's end is told of once");
        assert!(told.is_empty());
    }

    #[test]
    fn however_many_processes_there_are_each_is_looked_at() {
        let mut told = Told::new(2 * LOOKS);
        for pid in 0..2 * LOOKS as u32 {
            told.event(0, UNKNOWN + u64::from(pid), of_process(pid));
        }
        STARTED.set(|_| None);
        told.tick(LOOK_MS);
        assert_eq!(told.of_inside().len(), 3 * LOOKS, "as many as in one go");
        told.tick(LOOK_MS);
        assert!(told.is_empty());
    }

    #[test]
    fn a_process_that_is_over_at_the_end_ends_its_connections() {
        let mut told = Told::new(9);
        told.event(0, UNKNOWN, of_process(1)).tick(0);
        STARTED.set(|_| None);
        told.finish();
        assert!(told.is_empty());
    }

    #[test]
    fn what_nothing_tells_the_end_of_ends_after_a_while() {
        let mut told = Told::new(9);
        told.event(0, COOKIE, open(1)).event(1, COOKIE, CLOSE).tick(2000);
        assert!(told.is_empty());
        told.event(3000, inside(COOKIE), data(tls::LATE, b"a"));
        // Its begin was lost.
        told.event(3000, UNKNOWN, data(tls::LATE, b"a")).tick(2999 + UNTOLD_MS);
        assert_eq!(told.of_inside().len(), 3, "{:?}", told.lines);
        told.tick(3000 + UNTOLD_MS);
        assert_eq!(told.of_inside().len(), 5, "{:?}", told.lines);
        assert!(told.is_empty());
    }

    #[test]
    fn a_socket_that_is_told_of_later_ends_when_that_is_told() {
        let mut told = Told::new(9);
        told.event(0, inside(COOKIE), data(0, b"a")).event(1, COOKIE, open(1)).tick(2 * UNTOLD_MS);
        assert_eq!(told.of_inside().len(), 2, "{:?}", told.lines);
        // And one that is told of at its end only.
        told.event(2 * UNTOLD_MS, inside(ANOTHER), data(0, b"a")).event(2 * UNTOLD_MS, ANOTHER, CLOSE);
        told.event(2 * UNTOLD_MS, COOKIE, CLOSE).tick(2 * UNTOLD_MS + 1000);
        assert!(told.is_empty());
    }
}
