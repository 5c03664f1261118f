//! AWS event streams (`application/vnd.amazon.eventstream`): total length, length of headers, CRC of these; headers; payload; CRC of all of it.

use flate2::Crc;

use super::super::{Counters, Items, MAX_EVENT_NAME};
use crate::capture::Timestamp;

const PRELUDE: usize = 12;
/// What a message has besides headers and payload.
const OVERHEAD: u32 = 16;
/// Longest message; the services allow payloads of 24 MiB.
const MAX_MESSAGE: u32 = 32 * 1024 * 1024;
/// Most headers that are read; those of a message that has more are passed over.
const MAX_HEADERS: usize = 8 * 1024;
/// Longest payload that is held until the checksum has come, so that nothing is told of one that is not as it was sent. A longer one is told as it
/// comes, and marked if it was not.
const MAX_CHECKED: u32 = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Prelude,
    /// So many bytes of headers are to come.
    Headers(u32),
    Payload(u32),
    Checksum,
}

#[derive(Debug)]
pub(in crate::protocol::body) struct Messages {
    state: State,
    /// Bytes of the prelude or checksum that have come.
    held: Vec<u8>,
    headers: Vec<u8>,
    /// Length of the payload.
    payload: u32,
    /// What of a payload of at most [`MAX_CHECKED`] has come.
    unchecked: Vec<u8>,
    checksum: Crc,
    /// The last prelude was one: if the next is not, that is told.
    in_step: bool,
    time: Timestamp,
}

impl Default for Messages {
    fn default() -> Self {
        Self {
            state: State::Prelude,
            held: Vec::new(),
            headers: Vec::new(),
            payload: 0,
            unchecked: Vec::new(),
            checksum: Crc::new(),
            in_step: true,
            time: Timestamp(0),
        }
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

impl Messages {
    pub(super) fn push(&mut self, time: Timestamp, bytes: &[u8], counters: &mut Counters, items: &mut impl Items) {
        let mut rest = bytes;
        while !rest.is_empty() {
            self.time = time;
            rest = match self.state {
                State::Prelude => self.prelude(rest, counters, items),
                State::Headers(left) => {
                    let (now, after) = rest.split_at(rest.len().min(left as usize));
                    self.checksum.update(now);
                    let room = MAX_HEADERS.saturating_sub(self.headers.len());
                    self.headers.extend_from_slice(&now[..now.len().min(room)]);
                    self.headers_left(left - now.len() as u32, items);
                    after
                }
                State::Payload(left) => {
                    let (now, after) = rest.split_at(rest.len().min(left as usize));
                    self.checksum.update(now);
                    if self.is_held() {
                        self.unchecked.extend_from_slice(now);
                    } else {
                        items.bytes(now);
                    }
                    self.payload_left(left - now.len() as u32);
                    after
                }
                State::Checksum => {
                    let (now, after) = rest.split_at(rest.len().min(4 - self.held.len()));
                    self.held.extend_from_slice(now);
                    if self.held.len() == 4 {
                        let whole = number(&self.held) == self.checksum.sum();
                        counters.bad_checksums += u64::from(!whole);
                        if whole || !self.is_held() {
                            self.over(whole, counters, items);
                        } else {
                            self.pass_over(counters, items);
                        }
                    }
                    after
                }
            };
        }
    }

    pub(super) fn gap(&mut self, counters: &mut Counters, items: &mut impl Items) {
        self.end(false, counters, items);
        self.in_step = false;
        items.cut();
    }

    /// A message that is not complete here has not come whole.
    pub(super) fn end(&mut self, complete: bool, counters: &mut Counters, items: &mut impl Items) {
        match self.state {
            State::Payload(_) | State::Checksum => self.over(false, counters, items),
            State::Headers(_) if complete => items.cut(),
            State::Prelude if complete && !self.held.is_empty() => items.cut(),
            State::Headers(_) | State::Prelude => {}
        }
        self.state = State::Prelude;
        self.held.clear();
    }

    pub(super) fn held(&self) -> usize {
        self.headers.capacity() + self.held.capacity() + self.unchecked.capacity()
    }

    /// Where a prelude is not one, the next is looked for byte by byte: its checksum makes sure.
    fn prelude<'a>(&mut self, rest: &'a [u8], counters: &mut Counters, items: &mut impl Items) -> &'a [u8] {
        let (now, after) = rest.split_at(rest.len().min(PRELUDE - self.held.len()));
        self.held.extend_from_slice(now);
        if self.held.len() < PRELUDE {
            return after;
        }
        let (total, headers) = (number(&self.held[..4]), number(&self.held[4..8]));
        let fits = total <= MAX_MESSAGE && headers.checked_add(OVERHEAD).is_some_and(|least| least <= total);
        self.checksum.reset();
        if fits {
            self.checksum.update(&self.held[..8]);
        }
        if !fits || self.checksum.sum() != number(&self.held[8..]) {
            if std::mem::take(&mut self.in_step) {
                counters.bad_preludes += 1;
                items.cut();
            }
            self.held.remove(0);
            return after;
        }
        self.in_step = true;
        self.checksum.update(&self.held[8..]);
        self.held.clear();
        self.headers.clear();
        self.payload = total - headers - OVERHEAD;
        self.headers_left(headers, items);
        after
    }

    fn headers_left(&mut self, left: u32, items: &mut impl Items) {
        self.state = State::Headers(left);
        if left == 0 {
            self.unchecked.clear();
            if !self.is_held() {
                self.begin(items);
            }
            self.payload_left(self.payload);
        }
    }

    /// Whether the payload waits for its checksum.
    fn is_held(&self) -> bool {
        self.payload <= MAX_CHECKED
    }

    fn begin(&self, items: &mut impl Items) {
        let name = event(&self.headers).unwrap_or_default();
        items.begin(&name[..name.len().min(MAX_EVENT_NAME)]);
    }

    fn payload_left(&mut self, left: u32) {
        self.state = if left == 0 { State::Checksum } else { State::Payload(left) };
    }

    fn over(&mut self, whole: bool, counters: &mut Counters, items: &mut impl Items) {
        self.state = State::Prelude;
        self.held.clear();
        counters.messages += 1;
        if self.is_held() {
            self.begin(items);
            if !self.unchecked.is_empty() {
                items.bytes(&self.unchecked);
            }
        }
        items.end(self.time, whole);
    }

    /// A message that is not as it was sent: nothing of it is told.
    fn pass_over(&mut self, counters: &mut Counters, items: &mut impl Items) {
        self.state = State::Prelude;
        self.held.clear();
        counters.messages += 1;
        items.cut();
    }
}

/// What the message is called: `:event-type`, or of a failure `:exception-type` or `:error-code`.
fn event(mut headers: &[u8]) -> Option<&[u8]> {
    let mut take = |length: usize| {
        let (now, after) = headers.split_at_checked(length)?;
        headers = after;
        Some(now)
    };
    loop {
        let length = take(1)?[0];
        let name = take(usize::from(length))?;
        let length = match take(1)?[0] {
            0 | 1 => 0,
            2 => 1,
            3 => 2,
            4 => 4,
            5 | 8 => 8,
            6 | 7 => number(take(2)?) as usize,
            9 => 16,
            _ => return None,
        };
        let value = take(length)?;
        if matches!(name, b":event-type" | b":exception-type" | b":error-code") {
            return Some(value);
        }
    }
}
