//! A JSON document that is the whole content, or several on lines of their own, whatever the media type says.
//!
//! Between `}` and `{` a document has a comma, or is over: so two documents are told apart by a line end between these two alone, and of one that has
//! no line ends no byte is looked at.

use memchr::memchr;

use super::super::{Counters, Items};
use crate::capture::Timestamp;

/// What came last that is not white space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Last {
    #[default]
    Other,
    /// `}`
    Brace,
    /// `}`, and a line end behind it.
    BraceAndLine,
}

#[derive(Debug, Default)]
pub(in crate::protocol::body) struct Document {
    begun: bool,
    last: Last,
    /// When it came.
    time: Timestamp,
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// The first byte that is not white space.
fn visible(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| !is_blank(*byte))
}

impl Document {
    pub(super) fn push(&mut self, time: Timestamp, bytes: &[u8], counters: &mut Counters, items: &mut impl Items) {
        let mut rest = bytes;
        while let Some(end) = self.boundary(time, rest) {
            let (before, after) = rest.split_at(end);
            self.give(before, items);
            self.over(true, counters, items);
            rest = after;
            self.last = Last::Other;
        }
        self.give(rest, items);
        self.note(time, rest);
    }

    pub(super) fn end(&mut self, complete: bool, counters: &mut Counters, items: &mut impl Items) {
        if self.begun {
            self.over(complete, counters, items);
        }
    }

    fn give(&mut self, bytes: &[u8], items: &mut impl Items) {
        if bytes.is_empty() {
            return;
        }
        if !self.begun {
            self.begun = true;
            items.begin(b"");
        }
        items.bytes(bytes);
    }

    fn over(&mut self, whole: bool, counters: &mut Counters, items: &mut impl Items) {
        self.begun = false;
        counters.documents += 1;
        items.end(self.time, whole);
    }

    /// Where the next document begins.
    fn boundary(&mut self, time: Timestamp, bytes: &[u8]) -> Option<usize> {
        let first = visible(bytes)?;
        if self.last == Last::BraceAndLine && bytes[first] == b'{' {
            return Some(first);
        }
        let mut at = 0;
        while let Some(length) = memchr(b'\n', &bytes[at..]) {
            let line = at + length;
            let next = line + 1 + visible(&bytes[line + 1..])?;
            // White space before this line end was not passed yet, so it is looked at once.
            let before = bytes[at..line].iter().rev().find(|byte| !is_blank(**byte));
            let is_brace = match before {
                Some(byte) => *byte == b'}',
                None => at == 0 && self.last != Last::Other,
            };
            if is_brace && bytes[next] == b'{' {
                if before.is_some() {
                    self.time = time;
                }
                return Some(next);
            }
            at = next;
        }
        None
    }

    /// Remembers how the bytes end.
    fn note(&mut self, time: Timestamp, bytes: &[u8]) {
        let Some(last) = bytes.iter().rposition(|byte| !is_blank(*byte)) else {
            if self.last == Last::Brace && bytes.contains(&b'\n') {
                self.last = Last::BraceAndLine;
            }
            return;
        };
        self.time = time;
        self.last = match bytes[last] {
            b'}' if bytes[last..].contains(&b'\n') => Last::BraceAndLine,
            b'}' => Last::Brace,
            _ => Last::Other,
        };
    }
}
