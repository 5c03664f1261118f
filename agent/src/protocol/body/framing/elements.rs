//! An array that arrives element by element: each element is an item.

use memchr::memchr3;

use super::super::{
    Counters, Items,
    json::{Skip, Skipped, text_end},
};
use crate::capture::Timestamp;

#[derive(Debug, Default)]
enum State {
    /// The opening bracket.
    #[default]
    Start,
    /// Between elements.
    Between,
    /// In an object or array.
    Nested(Skipped),
    /// In a string, and whether its next byte is escaped.
    Text(bool),
    /// In anything else: it ends where a comma or the array does.
    Plain,
    /// Behind the closing bracket, or behind a bracket that closes nothing.
    Over,
}

#[derive(Debug, Default)]
pub(in crate::protocol::body) struct Elements {
    state: State,
    /// When the last byte came.
    time: Timestamp,
}

impl Elements {
    pub(super) fn push(&mut self, time: Timestamp, bytes: &[u8], counters: &mut Counters, items: &mut impl Items) {
        let mut rest = bytes;
        while let [first, after @ ..] = rest {
            rest = match &mut self.state {
                State::Start => {
                    self.state = State::Between;
                    after
                }
                State::Between => match first {
                    b' ' | b'\t' | b'\r' | b'\n' | b',' => after,
                    b']' => {
                        self.state = State::Over;
                        after
                    }
                    b'{' | b'[' => {
                        self.time = time;
                        let mut skipped = Skipped::default();
                        skipped.begin(*first == b'[');
                        self.state = State::Nested(skipped);
                        items.begin(b"");
                        items.bytes(&rest[..1]);
                        after
                    }
                    b'"' => {
                        self.time = time;
                        self.state = State::Text(false);
                        items.begin(b"");
                        items.bytes(&rest[..1]);
                        after
                    }
                    _ => {
                        self.state = State::Plain;
                        items.begin(b"");
                        rest
                    }
                },
                State::Nested(skipped) => {
                    self.time = time;
                    let (length, whole) = match skipped.push(rest) {
                        Skip::Inside => {
                            items.bytes(rest);
                            return;
                        }
                        Skip::Over(length) => (length, true),
                        Skip::Bad(length) => (length, false),
                    };
                    items.bytes(&rest[..length]);
                    self.state = if whole { State::Between } else { State::Over };
                    counters.elements += 1;
                    items.end(time, whole);
                    if !whole {
                        items.cut();
                    }
                    &rest[length..]
                }
                State::Text(escaped) => {
                    self.time = time;
                    let end = text_end(rest, escaped);
                    let length = end.map_or(rest.len(), |end| end + 1);
                    items.bytes(&rest[..length]);
                    if end.is_some() {
                        self.state = State::Between;
                        counters.elements += 1;
                        items.end(time, true);
                    }
                    &rest[length..]
                }
                State::Plain => {
                    self.time = time;
                    let length = memchr3(b',', b']', b'\n', rest).unwrap_or(rest.len());
                    if length > 0 {
                        items.bytes(&rest[..length]);
                    }
                    if length < rest.len() {
                        self.state = State::Between;
                        counters.elements += 1;
                        items.end(time, true);
                    }
                    &rest[length..]
                }
                State::Over => return,
            };
        }
    }

    pub(super) fn end(&mut self, complete: bool, counters: &mut Counters, items: &mut impl Items) {
        match self.state {
            State::Nested(_) | State::Text(_) | State::Plain => {
                counters.elements += 1;
                items.end(self.time, false);
            }
            // The array does not end, though the content does.
            State::Start | State::Between if complete => items.cut(),
            State::Start | State::Between | State::Over => {}
        }
        self.state = State::Over;
    }
}
