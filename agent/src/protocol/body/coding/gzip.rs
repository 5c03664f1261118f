//! The coding `gzip` (RFC 1952): one member, or several behind each other.

use flate2::{Crc, Decompress};

use super::{
    Sink, Stop,
    deflate::{HELD, inflate},
};

const HEADER: usize = 10;
const TRAILER: usize = 8;
/// Flags of a header: what follows its fixed part.
const HAS_CHECKSUM: u8 = 2;
const HAS_EXTRA: u8 = 4;
const HAS_NAME: u8 = 8;
const HAS_COMMENT: u8 = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many bytes of a header have come; of what follows its fixed part none.
    Header(usize),
    /// Length of the extra field.
    ExtraLength(usize),
    Extra(usize),
    Name,
    Comment,
    HeaderChecksum(usize),
    Data,
    Trailer(usize),
    /// Bytes behind the last member that are none.
    Rest,
}

#[derive(Debug)]
pub(super) struct Gzip {
    state: State,
    flags: u8,
    bytes: [u8; HEADER],
    inflater: Decompress,
    checksum: Crc,
    /// A member has ended.
    finished: bool,
}

impl Default for Gzip {
    fn default() -> Self {
        Self {
            state: State::Header(0),
            flags: 0,
            bytes: [0; HEADER],
            inflater: Decompress::new(false),
            checksum: Crc::new(),
            finished: false,
        }
    }
}

impl Gzip {
    pub(super) fn push(&mut self, bytes: &[u8], sink: Sink<'_>) -> Result<(), Stop> {
        let mut rest = bytes;
        while let [first, after @ ..] = rest {
            rest = match self.state {
                State::Data => {
                    let checksum = &mut self.checksum;
                    let (taken, ended) = inflate(&mut self.inflater, rest, &mut |decoded| {
                        checksum.update(decoded);
                        sink(decoded)
                    })?;
                    if ended {
                        self.state = State::Trailer(0);
                    }
                    &rest[taken..]
                }
                State::Rest => return Ok(()),
                _ => {
                    self.byte(*first)?;
                    after
                }
            };
        }
        Ok(())
    }

    /// Whether it may end here.
    pub(super) fn is_finished(&self) -> bool {
        self.finished && matches!(self.state, State::Header(0) | State::Rest)
    }

    pub(super) const fn held() -> usize {
        size_of::<Self>() + HELD
    }

    /// A byte of header or trailer.
    fn byte(&mut self, byte: u8) -> Result<(), Stop> {
        self.state = match self.state {
            State::Header(length) => {
                self.bytes[length] = byte;
                let known = [0x1f, 0x8b, 8];
                match known.get(length) {
                    Some(known) if byte == *known => State::Header(length + 1),
                    // Padding, as browsers take it.
                    Some(_) if self.finished => State::Rest,
                    Some(_) => return Err(Stop::Bad),
                    None if length + 1 < HEADER => State::Header(length + 1),
                    None => {
                        self.flags = self.bytes[3];
                        self.inflater.reset(false);
                        self.checksum.reset();
                        self.next(HAS_EXTRA)
                    }
                }
            }
            State::ExtraLength(0) => {
                self.bytes[0] = byte;
                State::ExtraLength(1)
            }
            State::ExtraLength(_) => match usize::from(u16::from_le_bytes([self.bytes[0], byte])) {
                0 => self.next(HAS_NAME),
                length => State::Extra(length),
            },
            State::Extra(1) => self.next(HAS_NAME),
            State::Extra(left) => State::Extra(left - 1),
            State::Name if byte == 0 => self.next(HAS_COMMENT),
            State::Comment if byte == 0 => self.next(HAS_CHECKSUM),
            State::HeaderChecksum(1) => State::Data,
            State::HeaderChecksum(left) => State::HeaderChecksum(left - 1),
            State::Trailer(length) => {
                self.bytes[length] = byte;
                if length + 1 < TRAILER {
                    State::Trailer(length + 1)
                } else {
                    let number = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| self.bytes[at + byte]));
                    if number(0) != self.checksum.sum() || number(4) != self.checksum.amount() {
                        return Err(Stop::Bad);
                    }
                    self.finished = true;
                    State::Header(0)
                }
            }
            state @ (State::Name | State::Comment | State::Data | State::Rest) => state,
        };
        Ok(())
    }

    /// The first part of the header from this one on that is there.
    fn next(&self, from: u8) -> State {
        let has = |flag: u8, earlier: &[u8]| self.flags & flag != 0 && (from == flag || earlier.contains(&from));
        if has(HAS_EXTRA, &[]) {
            State::ExtraLength(0)
        } else if has(HAS_NAME, &[HAS_EXTRA]) {
            State::Name
        } else if has(HAS_COMMENT, &[HAS_EXTRA, HAS_NAME]) {
            State::Comment
        } else if has(HAS_CHECKSUM, &[HAS_EXTRA, HAS_NAME, HAS_COMMENT]) {
            State::HeaderChecksum(2)
        } else {
            State::Data
        }
    }
}
