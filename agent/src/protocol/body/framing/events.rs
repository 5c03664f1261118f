//! Server-sent events (WHATWG HTML, section 9.2.6). Of ids it is only told that there are any, of times of reconnection nothing.

use memchr::memchr2;

use super::super::{Counters, Items, MAX_EVENT, MAX_EVENT_NAME};
use crate::capture::Timestamp;

/// Names of fields are told apart by their first bytes: no name that matters is longer.
const MAX_FIELD: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Data,
    Event,
    Id,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A line begins.
    Line,
    /// In the name of a field.
    Name,
    /// Behind the colon, where one space is no part of the value.
    Colon(Field),
    Value(Field),
    /// In an event of which bytes are missing, and whether this is the start of a line.
    Lost(bool),
}

#[derive(Debug)]
pub(in crate::protocol::body) struct Events {
    state: State,
    /// Bytes of the field's name, and how many there were.
    name: [u8; MAX_FIELD],
    name_length: usize,
    /// The last byte was a carriage return: a line feed that follows belongs to it.
    after_return: bool,
    event: Vec<u8>,
    /// Data of the event that has not been given away.
    data: Vec<u8>,
    /// The event has data, maybe of no bytes.
    has_data: bool,
    /// It was given away that it began.
    begun: bool,
    /// When its last byte came.
    time: Timestamp,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            state: State::Line,
            name: [0; MAX_FIELD],
            name_length: 0,
            after_return: false,
            event: Vec::new(),
            data: Vec::new(),
            has_data: false,
            begun: false,
            time: Timestamp(0),
        }
    }
}

impl Events {
    pub(super) fn push(&mut self, time: Timestamp, bytes: &[u8], counters: &mut Counters, items: &mut impl Items) {
        let mut rest = bytes;
        while let [first, after @ ..] = rest {
            if std::mem::take(&mut self.after_return) && *first == b'\n' {
                rest = after;
                continue;
            }
            if !matches!(self.state, State::Lost(_)) {
                self.time = time;
            }
            rest = match self.state {
                State::Line => match first {
                    b'\n' | b'\r' => self.line_end(rest, counters, items),
                    b':' => self.go(State::Value(Field::Other), after),
                    _ => {
                        self.name_length = 0;
                        self.go(State::Name, rest)
                    }
                },
                State::Name => match first {
                    b'\n' | b'\r' => {
                        let field = self.field();
                        self.begin_value(field, items);
                        self.line_end(rest, counters, items)
                    }
                    b':' => {
                        let field = self.field();
                        self.begin_value(field, items);
                        self.go(State::Colon(field), after)
                    }
                    _ => {
                        if let Some(byte) = self.name.get_mut(self.name_length) {
                            *byte = *first;
                        }
                        self.name_length = (self.name_length + 1).min(MAX_FIELD + 1);
                        after
                    }
                },
                State::Colon(field) => self.go(State::Value(field), if *first == b' ' { after } else { rest }),
                State::Value(field) => {
                    let length = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
                    self.value(field, &rest[..length], items);
                    if length < rest.len() { self.line_end(&rest[length..], counters, items) } else { &[] }
                }
                State::Lost(is_start) => match first {
                    b'\n' | b'\r' => {
                        self.after_return = *first == b'\r';
                        self.go(if is_start { State::Line } else { State::Lost(true) }, after)
                    }
                    _ => {
                        let length = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
                        self.go(State::Lost(false), &rest[length..])
                    }
                },
            };
        }
    }

    pub(super) fn gap(&mut self, counters: &mut Counters, items: &mut impl Items) {
        self.end(false, counters, items);
        // What follows may be any part of an event, unless it is known to be none.
        self.state = State::Lost(false);
        self.after_return = false;
        items.cut();
    }

    /// An event without the empty line behind it counts, other than to a browser: servers leave it out, and clients take it.
    pub(super) fn end(&mut self, complete: bool, counters: &mut Counters, items: &mut impl Items) {
        if self.has_data {
            self.over(complete, counters, items);
        }
        self.event.clear();
    }

    pub(super) fn held(&self) -> usize {
        self.data.capacity() + self.event.capacity()
    }

    fn go<'a>(&mut self, state: State, rest: &'a [u8]) -> &'a [u8] {
        self.state = state;
        rest
    }

    fn field(&self) -> Field {
        match self.name.get(..self.name_length) {
            Some(b"data") => Field::Data,
            Some(b"event") => Field::Event,
            Some(b"id") => Field::Id,
            _ => Field::Other,
        }
    }

    fn begin_value(&mut self, field: Field, items: &mut impl Items) {
        match field {
            Field::Data if self.has_data => self.value(Field::Data, b"\n", items),
            Field::Data => self.has_data = true,
            Field::Event => self.event.clear(),
            Field::Id => items.id(),
            Field::Other => {}
        }
    }

    fn value(&mut self, field: Field, bytes: &[u8], items: &mut impl Items) {
        match field {
            Field::Data if self.begun => {
                if !bytes.is_empty() {
                    items.bytes(bytes);
                }
            }
            // The name may come behind the data: it is waited for as long as the event is of usual size.
            Field::Data => {
                let room = MAX_EVENT.saturating_sub(self.data.len());
                self.data.extend_from_slice(&bytes[..bytes.len().min(room)]);
                if bytes.len() > room {
                    self.begin(items);
                    items.bytes(&bytes[room..]);
                }
            }
            Field::Event => {
                let room = MAX_EVENT_NAME.saturating_sub(self.event.len());
                self.event.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            Field::Id | Field::Other => {}
        }
    }

    /// Behind a line: a line feed, a carriage return, or both are next.
    fn line_end<'a>(&mut self, rest: &'a [u8], counters: &mut Counters, items: &mut impl Items) -> &'a [u8] {
        self.after_return = rest[0] == b'\r';
        if self.state == State::Line {
            if self.has_data {
                self.over(true, counters, items);
            }
            self.event.clear();
        }
        self.go(State::Line, &rest[1..])
    }

    fn begin(&mut self, items: &mut impl Items) {
        self.begun = true;
        items.begin(&self.event);
        if !self.data.is_empty() {
            items.bytes(&self.data);
            self.data.clear();
        }
    }

    fn over(&mut self, whole: bool, counters: &mut Counters, items: &mut impl Items) {
        if !self.begun {
            self.begin(items);
        }
        counters.events += 1;
        items.end(self.time, whole);
        self.begun = false;
        self.has_data = false;
    }
}
