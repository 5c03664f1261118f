//! Any segments, gaps and times, in any order of the directions: no panic, and the promises of `MessageSink` hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use telltale::{
    capture::{CloseHow, Direction, GapReason, Role, Timestamp},
    protocol::{Connection, Counters, End, Head, Incomplete, MessageSink, Protocol, StartLine},
    stream::Segment,
};

/// Panics where a promise is broken.
#[derive(Default)]
struct Checker {
    /// Per request: whether it has its response or was told to have none.
    settled: Vec<bool>,
    open: [bool; 2],
    protocols: u8,
}

impl MessageSink for Checker {
    fn head(&mut self, direction: Direction, head: Head) {
        assert!(!std::mem::replace(&mut self.open[direction.index()], true));
        match head.start {
            StartLine::Request { .. } => {
                assert_eq!(head.request, self.settled.len() as u64);
                self.settled.push(false);
            }
            StartLine::Response { status } => {
                assert!((100..=999).contains(&status));
                assert!(!std::mem::replace(&mut self.settled[head.request as usize], true));
            }
        }
        assert!(head.headers.get("authorization").is_none());
    }

    fn body(&mut self, direction: Direction, _: Timestamp, bytes: &[u8]) {
        assert!(self.open[direction.index()] && !bytes.is_empty());
    }

    fn body_gap(&mut self, direction: Direction, length: u64, _: GapReason) {
        assert!(self.open[direction.index()] && length > 0);
    }

    fn end(&mut self, direction: Direction, _: End) {
        assert!(std::mem::replace(&mut self.open[direction.index()], false));
    }

    fn unanswered(&mut self, request: u64, _: Timestamp, _: Incomplete) {
        assert!(!std::mem::replace(&mut self.settled[request as usize], true));
    }

    fn protocol(&mut self, _: Protocol) {
        self.protocols += 1;
        assert!(self.protocols <= 2);
    }
}

// Input: one byte of set-up, then events: a byte of flags, a byte of time, a byte of length, and the bytes.
fuzz_target!(|input: &[u8]| {
    let Some((&setup, mut rest)) = input.split_first() else { return };
    let role = [None, Some(Role::Client), Some(Role::Server), None][usize::from(setup & 3)];
    let mut connection = Connection::new(role);
    let (mut counters, mut sink) = (Counters::default(), Checker::default());
    let mut position = [u64::from(setup & 8), u64::from(setup & 16)];
    if setup & 32 != 0 {
        position[1] = u64::MAX - 3000;
    }
    let mut time = 0;
    while let [flags, later, length, after @ ..] = rest {
        let direction = if flags & 1 == 0 { Direction::Out } else { Direction::In };
        let (bytes, after) = after.split_at(usize::from(*length).min(after.len()));
        rest = after;
        // Mostly milliseconds, now and then long enough to end a wait.
        time += u64::from(*later) * if flags & 2 == 0 { 1_000_000 } else { 20_000_000 };
        let at = position[direction.index()];
        let is_gap = flags & 12 == 12;
        let taken = if is_gap { u64::from(*length) + 1 } else { bytes.len() as u64 };
        let Some(next) = at.checked_add(taken) else { break };
        if taken == 0 {
            continue;
        }
        position[direction.index()] = next;
        let time = Timestamp(time);
        let segment = if is_gap {
            let reason = GapReason::ALL[usize::from(flags >> 4) % GapReason::ALL.len()];
            Segment::Gap { position: at, length: taken, reason, time }
        } else {
            Segment::Data { position: at, time, bytes }
        };
        connection.segment(direction, segment, &mut counters, &mut sink);
        for direction in [Direction::Out, Direction::In] {
            connection.skip_until(direction, setup & 4 != 0);
        }
    }
    let how = [None, Some(CloseHow::Fin), Some(CloseHow::Reset), None][usize::from(setup >> 6)];
    connection.close(how, Timestamp(time), &mut counters, &mut sink);
    assert!(sink.settled.iter().all(|settled| *settled));
    assert_eq!(sink.open, [false; 2]);
});
