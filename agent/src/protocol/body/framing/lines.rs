//! A document in each line (NDJSON, JSON Lines, and RFC 7464, which has a mark at the start of each).

use memchr::memchr;

use super::super::{Counters, Items};
use crate::capture::Timestamp;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing of a line has come that is not white space.
    #[default]
    Start,
    Inside,
    /// In the rest of a line of which bytes are missing.
    Lost,
}

#[derive(Debug, Default)]
pub(in crate::protocol::body) struct Lines {
    state: State,
    /// When the last byte of the line came.
    time: Timestamp,
}

impl Lines {
    pub(super) fn push(&mut self, time: Timestamp, bytes: &[u8], counters: &mut Counters, items: &mut impl Items) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.state == State::Start {
                let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x1e);
                let Some(start) = rest.iter().position(|byte| !is_blank(byte)) else { return };
                rest = &rest[start..];
                self.state = State::Inside;
                items.begin(b"");
            }
            let length = memchr(b'\n', rest);
            if self.state == State::Inside {
                self.time = time;
                let line = &rest[..length.unwrap_or(rest.len())];
                if !line.is_empty() {
                    items.bytes(line);
                }
                if length.is_some() {
                    self.over(true, counters, items);
                }
            }
            let Some(length) = length else { return };
            self.state = State::Start;
            rest = &rest[length + 1..];
        }
    }

    pub(super) fn gap(&mut self, counters: &mut Counters, items: &mut impl Items) {
        self.end(false, counters, items);
        self.state = State::Lost;
        items.cut();
    }

    pub(super) fn end(&mut self, complete: bool, counters: &mut Counters, items: &mut impl Items) {
        if self.state == State::Inside {
            self.over(complete, counters, items);
        }
    }

    fn over(&mut self, whole: bool, counters: &mut Counters, items: &mut impl Items) {
        self.state = State::Start;
        counters.lines += 1;
        items.end(self.time, whole);
    }
}
