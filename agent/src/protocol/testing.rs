//! A connection under test: bytes in, a transcript out, with the promises of [`MessageSink`] checked on the way.

use std::fmt::Write as _;

use super::{Connection, Counters, End, Head, Incomplete, MessageSink, Protocol, StartLine};
use crate::{
    capture::{CloseHow, Direction, GapReason, Role, Timestamp},
    stream::Segment,
};

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Pending,
    Answered,
    Unanswered,
}

/// Writes down what it is told and panics where a promise is broken.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    pub(super) lines: Vec<String>,
    /// Start lines of all heads, with direction and position.
    pub(super) heads: Vec<(Direction, u64, StartLine)>,
    /// Per exchange: number of the request, method and target, status.
    pub(super) exchanges: Vec<(u64, String, u16)>,
    pub(super) bodies: [Vec<u8>; 2],
    requests: Vec<(String, Timestamp, Fate)>,
    open: [bool; 2],
    last: [u64; 2],
}

impl MessageSink for Transcript {
    fn head(&mut self, direction: Direction, head: Head) {
        assert!(!std::mem::replace(&mut self.open[direction.index()], true), "head before end");
        assert!(head.first_byte <= head.complete);
        let mut line = format!("{direction:?} #{} @{} ", head.request, head.position);
        match &head.start {
            StartLine::Request { method, target } => {
                assert_eq!(head.request, self.requests.len() as u64, "requests are numbered in order");
                self.requests.push((format!("{method} {target}"), head.first_byte, Fate::Pending));
                write!(line, "{method} {target} {}", head.version.as_str()).unwrap();
            }
            StartLine::Response { status } => {
                let (request, first_byte, fate) = &mut self.requests[head.request as usize];
                assert_eq!(std::mem::replace(fate, Fate::Answered), Fate::Pending, "one answer for {request}");
                assert!(*first_byte <= head.first_byte, "a response does not precede its request");
                self.exchanges.push((head.request, request.clone(), *status));
                write!(line, "{status} {}", head.version.as_str()).unwrap();
            }
        }
        write!(line, " t={}..{}", head.first_byte.0, head.complete.0).unwrap();
        for (name, value) in head.headers.iter() {
            let value = value.map_or_else(|| "(secret)".into(), String::from_utf8_lossy);
            write!(line, "\n    {}: {value}", String::from_utf8_lossy(name)).unwrap();
        }
        self.lines.push(line);
        self.heads.push((direction, head.position, head.start));
    }

    fn body(&mut self, direction: Direction, _: Timestamp, bytes: &[u8]) {
        assert!(self.open[direction.index()] && !bytes.is_empty());
        self.bodies[direction.index()].extend_from_slice(bytes);
        // Merged, so that the transcript does not depend on the segmentation.
        match self.lines.last_mut() {
            Some(line) if line.starts_with(&format!("{direction:?} body")) => {
                write!(line, "{}", bytes.escape_ascii()).unwrap();
            }
            _ => self.lines.push(format!("{direction:?} body {}", bytes.escape_ascii())),
        }
    }

    fn body_gap(&mut self, direction: Direction, length: u64, reason: GapReason) {
        assert!(self.open[direction.index()] && length > 0);
        self.lines.push(format!("{direction:?} gap {length} {}", reason.name()));
    }

    fn end(&mut self, direction: Direction, end: End) {
        assert!(std::mem::replace(&mut self.open[direction.index()], false), "end without head");
        self.last[direction.index()] += 1;
        let mut line = format!("{direction:?} end t={}", end.time.0);
        match end.body_size {
            Some(size) => write!(line, " body_size={size}").unwrap(),
            None => write!(line, " body_size unknown").unwrap(),
        }
        if let Some(why) = end.incomplete {
            write!(line, " incomplete={}", why.name()).unwrap();
        }
        for (name, value) in end.trailers.iter() {
            let value = value.map_or_else(|| "(secret)".into(), String::from_utf8_lossy);
            write!(line, "\n    {}: {value}", String::from_utf8_lossy(name)).unwrap();
        }
        self.lines.push(line);
    }

    fn unanswered(&mut self, request: u64, _: Timestamp, why: Incomplete) {
        let (name, _, fate) = &mut self.requests[request as usize];
        assert_eq!(std::mem::replace(fate, Fate::Unanswered), Fate::Pending, "one fate for {name}");
        self.lines.push(format!("#{request} unanswered {}", why.name()));
    }

    fn protocol(&mut self, protocol: Protocol) {
        self.lines.push(format!("protocol {protocol:?}"));
    }
}

/// A connection, fed by position and time.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) connection: Connection,
    pub(super) counters: Counters,
    pub(super) sink: Transcript,
    pub(super) position: [u64; 2],
    pub(super) time: u64,
}

impl Bench {
    pub(super) fn new(role: Option<Role>) -> Self {
        Self {
            connection: Connection::new(role),
            counters: Counters::default(),
            sink: Transcript::default(),
            position: [0; 2],
            time: 0,
        }
    }

    /// Both directions were joined at these positions.
    pub(super) fn joined_at(mut self, out: u64, incoming: u64) -> Self {
        self.position = [out, incoming];
        self
    }

    pub(super) fn data(&mut self, direction: Direction, time: u64, bytes: &[u8]) -> &mut Self {
        let position = self.position[direction.index()];
        self.position[direction.index()] += bytes.len() as u64;
        self.time = self.time.max(time);
        if !bytes.is_empty() {
            let segment = Segment::Data { position, time: Timestamp(time), bytes };
            self.connection.segment(direction, segment, &mut self.counters, &mut self.sink);
        }
        self
    }

    pub(super) fn gap(&mut self, direction: Direction, time: u64, length: u64) -> &mut Self {
        let position = self.position[direction.index()];
        self.position[direction.index()] += length;
        self.time = self.time.max(time);
        let segment = Segment::Gap { position, length, reason: GapReason::RingFull, time: Timestamp(time) };
        self.connection.segment(direction, segment, &mut self.counters, &mut self.sink);
        self
    }

    /// The process sends, one tick after whatever came before.
    pub(super) fn out(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.data(Direction::Out, self.time + 1, bytes.as_ref())
    }

    /// The process receives.
    pub(super) fn inc(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.data(Direction::In, self.time + 1, bytes.as_ref())
    }

    pub(super) fn out_gap(&mut self, length: u64) -> &mut Self {
        self.gap(Direction::Out, self.time + 1, length)
    }

    pub(super) fn in_gap(&mut self, length: u64) -> &mut Self {
        self.gap(Direction::In, self.time + 1, length)
    }

    pub(super) fn tick(&mut self, nanoseconds: u64) -> &mut Self {
        self.time += nanoseconds;
        self.connection.tick(Timestamp(self.time), &mut self.counters, &mut self.sink);
        self
    }

    pub(super) fn close(&mut self, how: Option<CloseHow>) -> &mut Self {
        self.time += 1;
        self.connection.close(how, Timestamp(self.time), &mut self.counters, &mut self.sink);
        assert!(self.sink.requests.iter().all(|(_, _, fate)| *fate != Fate::Pending), "every request has a fate");
        assert_eq!(self.sink.open, [false; 2], "every message ended");
        self
    }

    pub(super) fn fin(&mut self) -> &mut Self {
        self.close(Some(CloseHow::Fin))
    }

    pub(super) fn transcript(&self) -> String {
        self.sink.lines.join("\n")
    }

    /// Targets and statuses of the exchanges, in order.
    pub(super) fn pairs(&self) -> Vec<(&str, u16)> {
        self.sink.exchanges.iter().map(|(_, request, status)| (request.as_str(), *status)).collect()
    }
}
