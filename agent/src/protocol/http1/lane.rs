//! Where one direction is in its messages.

use super::chunked::Chunked;
use crate::capture::Timestamp;

/// What the next byte of a direction is.
#[derive(Debug, Default)]
pub(super) enum State {
    /// The first of a message, or an empty line before it (RFC 9112 section 2.2).
    #[default]
    Start,
    /// In a head, of which the carry holds what was seen. While boundaries were lost: what may be a head.
    Head { resync: bool },
    /// In a body of which so many bytes are left.
    Length(u64),
    /// In a chunked body.
    Chunked(Chunked),
    /// In the trailer section, of which the carry holds what was seen.
    Trailers,
    /// In a body that the end of the connection ends.
    UntilClose,
    /// Anywhere: passed over until a segment begins with what may be a start line.
    Lost,
}

/// Where the first thing that was seen of a direction was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joined {
    AtStart,
    Late,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) state: State,
    /// Where it was joined; `None` before the first bytes.
    pub(super) joined: Option<Joined>,
    /// Position of the next byte.
    pub(super) position: u64,
    /// When the last byte moved.
    pub(super) last_byte: Timestamp,
    /// Position of the segment that is being read.
    pub(super) segment: u64,
    /// Position of the segment in which the last message ended.
    pub(super) ended_in: Option<u64>,
    pub(super) head: HeadStart,
    /// When the byte before the first of the interim responses moved that were just read: they belong to what comes next.
    pub(super) quiet_before_interim: Option<Timestamp>,
    /// An incomplete head or trailer section, at most [`crate::protocol::MAX_HEAD`] bytes.
    pub(super) carry: Vec<u8>,
    /// Where in the carry to look for the end of the section.
    pub(super) scanned: usize,
    /// The start line in the carry was found to be one.
    pub(super) line_checked: bool,
    /// The message is not reported, since its request is not known.
    pub(super) silent: bool,
    /// Bytes of content so far.
    pub(super) body_size: u64,
}

/// Where and when a head began.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HeadStart {
    pub(super) position: u64,
    pub(super) first_byte: Timestamp,
    /// When the byte before it, and before the interim responses before it, moved.
    pub(super) quiet_since: Timestamp,
    /// It began in the segment in which the message before it ended.
    pub(super) follows_at_once: bool,
}

impl Lane {
    /// Position before which no byte is needed for framing.
    pub(super) fn skip_until(&self) -> u64 {
        match self.state {
            State::Length(left) | State::Chunked(Chunked::Data(left)) => self.position.saturating_add(left),
            State::UntilClose => u64::MAX,
            _ => 0,
        }
    }

    /// Notes that a head begins at the next byte.
    pub(super) fn begin_head(&mut self, time: Timestamp) {
        self.head = HeadStart {
            position: self.position,
            first_byte: time,
            quiet_since: self.quiet_before_interim.unwrap_or(self.last_byte),
            follows_at_once: self.ended_in == Some(self.segment),
        };
    }

    pub(super) fn drop_carry(&mut self) {
        self.carry = Vec::new();
        self.scanned = 0;
        self.line_checked = false;
    }
}
