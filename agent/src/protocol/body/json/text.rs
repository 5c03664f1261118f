//! Strings (RFC 8259 section 7): where they end, and what they say.

use std::borrow::Cow;

use memchr::memchr;

/// Where the string ends whose bytes these are. `escaped` is whether the first of them is escaped, and then whether the one behind the last is.
pub(in crate::protocol::body) fn end(bytes: &[u8], escaped: &mut bool) -> Option<usize> {
    let mut from = 0;
    while let Some(length) = memchr(b'"', &bytes[from..]) {
        let quote = from + length;
        if !is_escaped(bytes, quote, *escaped) {
            *escaped = false;
            return Some(quote);
        }
        from = quote + 1;
    }
    *escaped = is_escaped(bytes, bytes.len(), *escaped);
    None
}

/// Whether an odd number of backslashes stands before a byte. No backslash is looked at twice: a run of them ends at the quote before it.
fn is_escaped(bytes: &[u8], at: usize, first: bool) -> bool {
    let run = bytes[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
    let before = usize::from(first && run == at);
    (run + before) % 2 == 1
}

/// The text that bytes are, at most `most` bytes of them, and whether it is cut.
pub(super) fn read(bytes: &[u8], most: usize) -> (Cow<'_, str>, bool) {
    let mut cut = bytes.len() > most;
    let bytes = &bytes[..bytes.len().min(most)];
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return (Cow::Borrowed(text), cut),
        Err(error) => error,
    };
    if cut && error.error_len().is_none() {
        // Only its last character is torn.
        return (String::from_utf8_lossy(&bytes[..error.valid_up_to()]), cut);
    }
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        cut = true;
    }
    (Cow::Owned(text), cut)
}

/// What of an escape has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    Backslash,
    /// Digits of `\u`, and their value.
    Unicode(u8, u16),
}

/// A string that comes in pieces or has escapes: its bytes without them, as many as are wanted and one more.
#[derive(Debug, Default)]
pub(super) struct Text {
    bytes: Vec<u8>,
    most: usize,
    escape: Escape,
    /// The first half of a surrogate pair, while the second may come.
    high: Option<u16>,
}

impl Text {
    /// Begins a string of which at most so many bytes are wanted.
    pub(super) fn begin(&mut self, most: usize) {
        self.bytes.clear();
        self.most = most;
        self.escape = Escape::None;
        self.high = None;
    }

    /// Bytes between the quotes. False if an escape is none.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> bool {
        while self.bytes.len() <= self.most
            && let [first, after @ ..] = bytes
        {
            bytes = match self.escape {
                Escape::None => {
                    let length = memchr(b'\\', bytes).unwrap_or(bytes.len());
                    if length > 0 {
                        self.lone();
                        self.keep(&bytes[..length]);
                    }
                    if length < bytes.len() {
                        self.escape = Escape::Backslash;
                    }
                    bytes.get(length + 1..).unwrap_or_default()
                }
                Escape::Backslash if *first == b'u' => {
                    self.escape = Escape::Unicode(0, 0);
                    after
                }
                Escape::Backslash => {
                    self.escape = Escape::None;
                    self.lone();
                    self.keep(match first {
                        b'"' => b"\"",
                        b'\\' => b"\\",
                        b'/' => b"/",
                        b'b' => b"\x08",
                        b'f' => b"\x0c",
                        b'n' => b"\n",
                        b'r' => b"\r",
                        b't' => b"\t",
                        _ => return false,
                    });
                    after
                }
                Escape::Unicode(digits, value) => {
                    let Some(digit) = char::from(*first).to_digit(16) else { return false };
                    let value = value << 4 | digit as u16;
                    self.escape = Escape::Unicode(digits + 1, value);
                    if digits == 3 {
                        self.escape = Escape::None;
                        self.unit(value);
                    }
                    after
                }
            };
        }
        true
    }

    /// The string is over: its bytes, one more than are wanted if it is longer.
    pub(super) fn finish(&mut self) -> &[u8] {
        self.lone();
        &self.bytes
    }

    /// Bytes that have no escapes.
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        let room = (self.most + 1).saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// How much memory it holds, in bytes.
    pub(super) fn held(&self) -> usize {
        self.bytes.capacity()
    }

    /// A unit of UTF-16.
    fn unit(&mut self, unit: u16) {
        match (self.high.take(), unit) {
            (Some(high), 0xdc00..=0xdfff) => {
                let low = u32::from(unit) - 0xdc00;
                self.character(0x1_0000 + ((u32::from(high) - 0xd800) << 10 | low));
            }
            (high, 0xd800..=0xdbff) => {
                if high.is_some() {
                    self.character(0xfffd);
                }
                self.high = Some(unit);
            }
            (high, _) => {
                if high.is_some() {
                    self.character(0xfffd);
                }
                self.character(u32::from(unit));
            }
        }
    }

    /// Half a pair that stays alone.
    fn lone(&mut self) {
        if self.high.take().is_some() {
            self.character(0xfffd);
        }
    }

    fn character(&mut self, code: u32) {
        let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        self.keep(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
}
