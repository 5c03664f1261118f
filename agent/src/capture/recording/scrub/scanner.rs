//! Finds secrets in one direction of a connection, byte by byte, whatever the stream holds.
//!
//! It does not need the message to be decodable: each matcher looks for a shape of text (a header line, a URL parameter, user
//! info, a JSON member) wherever it occurs, and keeps its state from event to event. What was cut off by a gap counts as secret
//! until its line ends.

use super::keys::Name;

/// Bytes to overwrite: positions, end excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mask {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) with: u8,
}

/// The masks found so far, in no order.
#[derive(Debug, Default)]
pub(super) struct Masks(Vec<Mask>);

impl Masks {
    fn byte(&mut self, position: u64, with: u8) {
        match self.0.last_mut() {
            Some(last) if last.end == position && last.with == with => last.end += 1,
            _ => self.0.push(Mask { start: position, end: position + 1, with }),
        }
    }

    fn range(&mut self, start: u64, end: u64) {
        if start < end {
            self.0.push(Mask { start, end, with: b'x' });
        }
    }

    /// Sorted by start, for [`super::apply`].
    pub(super) fn into_sorted(mut self) -> Vec<Mask> {
        self.0.sort_unstable_by_key(|mask| mask.start);
        self.0
    }
}

/// All matchers of one direction.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    chunk: ChunkLine,
    line: Line,
    tail: Option<Tail>,
    parameter: Parameter,
    user_info: UserInfo,
    member: Member,
    masks: Masks,
    coded_bodies: u64,
}

impl Scanner {
    /// Scans the next bytes of the stream, of which the first is at `position`.
    pub(super) fn feed(&mut self, position: u64, bytes: &[u8]) {
        for (position, &byte) in (position..).zip(bytes) {
            match self.chunk.next(position, byte) {
                Chunk::Held => {}
                Chunk::Boundary => self.line.boundary(),
                Chunk::Release => {
                    self.release();
                    if byte == b'\r' {
                        self.chunk.start(position);
                    } else {
                        self.text(position, byte);
                    }
                }
            }
        }
    }

    /// Bytes are missing before the next call of [`Self::feed`], or it goes back.
    pub(super) fn discontinuity(&mut self) {
        self.release();
        if let Some(tail) = self.tail.take() {
            tail.finish(&mut self.masks);
        }
        // A value that was being masked goes on; what else the next bytes belong to is unknown.
        if !matches!(self.line, Line::Value | Line::ValueStart) {
            self.line = Line::Other;
        }
        self.user_info = UserInfo::default();
        self.tail = Some(Tail::default());
    }

    /// The end of the stream: what was found, and how many messages said that their body is coded.
    pub(super) fn finish(mut self) -> (Masks, u64) {
        self.release();
        if let Some(tail) = self.tail.take() {
            tail.finish(&mut self.masks);
        }
        (self.masks, self.coded_bodies)
    }

    fn release(&mut self) {
        let start = self.chunk.start;
        let held = std::mem::take(&mut self.chunk.held);
        for (position, &byte) in (start..).zip(&held) {
            self.text(position, byte);
        }
        self.chunk.held = held;
        self.chunk.held.clear();
    }

    fn text(&mut self, position: u64, byte: u8) {
        if let Some(mut tail) = self.tail.take() {
            if matches!(byte, b'\r' | b'\n') {
                tail.finish(&mut self.masks);
            } else {
                tail.next(position, byte);
                self.tail = Some(tail);
            }
        }
        let line_start = self.line.next(position, byte, &mut self.masks, &mut self.coded_bodies);
        self.parameter.next(position, byte, line_start, &mut self.masks);
        self.user_info.next(position, byte, &mut self.masks);
        self.member.next(position, byte, &mut self.masks);
    }
}

/// What a byte meant to [`ChunkLine`].
enum Chunk {
    /// It may belong to a chunk's frame: wait.
    Held,
    /// It completed one: the held bytes are framing, not content (RFC 9112 section 7.1).
    Boundary,
    /// It did not: the held bytes are text, and so is this one unless it begins a new frame.
    Release,
}

/// Takes the lines between chunks (`CR LF size [; extension] CR LF`) out of the text, so that a secret that two chunks share is
/// found, and the frame survives.
#[derive(Debug, Default)]
struct ChunkLine {
    held: Vec<u8>,
    start: u64,
    expects: ChunkPart,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ChunkPart {
    #[default]
    FirstLf,
    Size,
    Extension,
    LastLf,
}

impl ChunkLine {
    const MAX: usize = 128;

    fn start(&mut self, position: u64) {
        self.held.clear();
        self.held.push(b'\r');
        self.start = position;
        self.expects = ChunkPart::FirstLf;
    }

    fn next(&mut self, position: u64, byte: u8) -> Chunk {
        if self.held.is_empty() {
            if byte == b'\r' {
                self.start(position);
                return Chunk::Held;
            }
            return Chunk::Release;
        }
        let digits = self.held.len() - 2.min(self.held.len());
        let next = match (self.expects, byte) {
            (ChunkPart::FirstLf, b'\n') => ChunkPart::Size,
            (ChunkPart::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < 16 => ChunkPart::Size,
            (ChunkPart::Size | ChunkPart::Extension, b'\r') if digits > 0 => ChunkPart::LastLf,
            (ChunkPart::Size, b';' | b' ' | b'\t') if digits > 0 => ChunkPart::Extension,
            (ChunkPart::Extension, b'\t' | 0x20..=0x7e) if self.held.len() < Self::MAX => ChunkPart::Extension,
            (ChunkPart::LastLf, b'\n') => {
                self.held.clear();
                return Chunk::Boundary;
            }
            _ => return Chunk::Release,
        };
        self.held.push(byte);
        self.expects = next;
        Chunk::Held
    }
}

/// Header lines whose value is a credential, with their continuation lines (RFC 9112 section 5.2).
#[derive(Debug)]
enum Line {
    Name(Name),
    Other,
    ValueStart,
    Value,
    /// After the line end of a value: white space continues it.
    Folded,
}

impl Default for Line {
    fn default() -> Self {
        Self::Name(Name::default())
    }
}

impl Line {
    fn boundary(&mut self) {
        *self = Self::default();
    }

    /// Returns whether this byte begins a line.
    fn next(&mut self, position: u64, byte: u8, masks: &mut Masks, coded_bodies: &mut u64) -> bool {
        if matches!(self, Self::Folded) {
            *self = if matches!(byte, b' ' | b'\t') { Self::ValueStart } else { Self::default() };
        }
        match self {
            Self::Name(name) => {
                let first = name.get().is_empty();
                match byte {
                    b':' => {
                        let name = std::mem::take(name);
                        if name.get().eq_ignore_ascii_case(b"content-encoding") {
                            *coded_bodies += 1;
                        }
                        *self = if name.is_secret_field() { Self::ValueStart } else { Self::Other };
                    }
                    b'\n' => name.clear(),
                    _ => name.push(byte),
                }
                return first;
            }
            Self::Other => {
                if byte == b'\n' {
                    *self = Self::default();
                }
            }
            Self::ValueStart | Self::Value => match byte {
                b'\n' => *self = Self::Folded,
                b'\r' => {}
                b' ' | b'\t' if matches!(self, Self::ValueStart) => {}
                _ => {
                    *self = Self::Value;
                    masks.byte(position, b'x');
                }
            },
            Self::Folded => {}
        }
        false
    }
}

/// The rest of the line in which a stream was joined again. It may be the rest of anything, so it counts as secret, unless it is
/// framing that a parser needs: a start line, or the size of a chunk.
#[derive(Debug)]
struct Tail {
    start: Option<u64>,
    end: u64,
    hexadecimal: bool,
    spaces: u32,
    spaces_before_version: Option<u32>,
    version: usize,
    begins_with_version: bool,
    last_at: Option<u64>,
}

impl Default for Tail {
    fn default() -> Self {
        Self {
            start: None,
            end: 0,
            hexadecimal: true,
            spaces: 0,
            spaces_before_version: None,
            version: 0,
            begins_with_version: false,
            last_at: None,
        }
    }
}

impl Tail {
    const VERSION: &'static [u8] = b"HTTP/1.";

    fn next(&mut self, position: u64, byte: u8) {
        let start = *self.start.get_or_insert(position);
        self.end = position + 1;
        self.hexadecimal &= byte.is_ascii_hexdigit();
        self.version = match Self::VERSION.get(self.version) {
            Some(&expected) if expected == byte => self.version + 1,
            _ => usize::from(byte == Self::VERSION[0]),
        };
        if self.version == Self::VERSION.len() && self.spaces_before_version.is_none() {
            self.spaces_before_version = Some(self.spaces);
            self.begins_with_version = position + 1 == start + Self::VERSION.len() as u64;
        }
        match byte {
            b' ' => self.spaces += 1,
            b'@' => self.last_at = Some(position),
            _ => {}
        }
    }

    fn finish(self, masks: &mut Masks) {
        let Some(start) = self.start else { return };
        match self.spaces_before_version {
            _ if self.hexadecimal => {}
            // `HTTP/1.1 200 OK`
            Some(_) if self.begins_with_version => {}
            // With ` HTTP/1.1` behind it this is the rest of a request target: no parser can use it.
            None | Some(0 | 1) => masks.range(start, self.end),
            // `METHOD target HTTP/1.1`, perhaps with the end of a body before it.
            Some(_) => masks.range(start, self.last_at.unwrap_or(start)),
        }
    }
}

/// Parameters of URLs and forms: `?name=value&name=value`, also at the start of a line, where a form begins.
#[derive(Debug, Default)]
enum Parameter {
    #[default]
    Idle,
    Name(Name),
    Value,
}

impl Parameter {
    fn next(&mut self, position: u64, byte: u8, line_start: bool, masks: &mut Masks) {
        match self {
            Self::Value => {
                if matches!(
                    byte,
                    b'&' | b';' | b'?' | b'#' | b' ' | b'"' | b'\'' | b'<' | b'>' | b'\r' | b'\n' | b'\\' | b'`'
                ) {
                    *self = Self::Idle;
                } else {
                    masks.byte(position, b'x');
                    return;
                }
            }
            Self::Name(name) => match byte {
                b'=' => {
                    let secret = name.is_secret_parameter();
                    *self = if secret { Self::Value } else { Self::Idle };
                    return;
                }
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'%' if !line_start => name.push(byte),
                _ => *self = Self::Idle,
            },
            Self::Idle => {}
        }
        if matches!(byte, b'?' | b'&' | b';' | b'#') {
            *self = Self::Name(Name::default());
        } else if line_start {
            let mut name = Name::default();
            name.push(byte);
            *self = Self::Name(name);
        }
    }
}

/// User info of URLs (RFC 3986 section 3.2.1): `scheme://user:password@`, `//user:password@`, `CONNECT user:password@`.
#[derive(Debug, Default)]
struct UserInfo {
    /// The bytes before, the latest lowest.
    before: u64,
    start: Option<u64>,
}

impl UserInfo {
    fn next(&mut self, position: u64, byte: u8, masks: &mut Masks) {
        if let Some(start) = self.start {
            match byte {
                b'@' => masks.range(start, position),
                b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b' ' | b'\r' | b'\n' | b'\\' => self.start = None,
                _ => {}
            }
        }
        self.before = self.before << 8 | u64::from(byte);
        let [.., prior, first, second] = self.before.to_be_bytes();
        let slashes = [first, second] == *b"//" && matches!(prior, b':' | b' ' | b'"' | b'\'' | b'=' | b'\n');
        if slashes || self.before == u64::from_be_bytes(*b"CONNECT ") {
            self.start = Some(position + 1);
        }
    }
}

/// Members of JSON objects, also inside strings that hold JSON (`"{\"token\":\"..\"}"`). What lies between any two quotes may be a
/// name, so that text before the object cannot put it out of step.
#[derive(Debug, Default)]
struct Member {
    name: Name,
    state: MemberState,
    /// Backslashes just before, not yet masked: their positions.
    backslashes: Vec<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
enum MemberState {
    #[default]
    Text,
    /// After a secret name and its quote.
    AfterName,
    /// After the colon, with this many backslashes.
    AfterColon(usize),
    /// In a string whose quotes have this many backslashes.
    Value(usize),
    /// In a number.
    Number,
}

impl Member {
    fn next(&mut self, position: u64, byte: u8, masks: &mut Masks) {
        match self.state {
            MemberState::Value(level) => return self.value(level, position, byte, masks),
            MemberState::AfterName => match byte {
                b' ' | b'\t' | b'\r' | b'\n' => return,
                b':' => {
                    self.state = MemberState::AfterColon(0);
                    return;
                }
                _ => self.state = MemberState::Text,
            },
            MemberState::AfterColon(level) => match byte {
                b' ' | b'\t' | b'\r' | b'\n' => return,
                b'\\' => {
                    self.state = MemberState::AfterColon(level + 1);
                    return;
                }
                b'"' => {
                    self.state = MemberState::Value(level);
                    self.backslashes.clear();
                    return;
                }
                b'-' | b'0'..=b'9' => self.state = MemberState::Number,
                _ => self.state = MemberState::Text,
            },
            MemberState::Text | MemberState::Number => {}
        }
        if matches!(self.state, MemberState::Number) {
            match byte {
                b'0'..=b'9' => return masks.byte(position, b'1'),
                b'-' | b'+' | b'.' | b'e' | b'E' => return,
                _ => self.state = MemberState::Text,
            }
        }
        match byte {
            b'"' => {
                if self.name.is_secret_member() {
                    self.state = MemberState::AfterName;
                }
                self.name.clear();
            }
            b'\\' => {}
            _ => self.name.push(byte),
        }
    }

    fn value(&mut self, level: usize, position: u64, byte: u8, masks: &mut Masks) {
        let run = self.backslashes.len();
        match byte {
            b'\\' => return self.backslashes.push(position),
            // A quote of the level itself: of the backslashes before it, `level` belong to it, and the rest are pairs.
            b'"' if run % (2 * (level + 1)) == level => {
                self.mask_backslashes(run - level, masks);
                self.state = MemberState::Text;
                self.name.clear();
            }
            // No JSON string holds a line end: this is not one, or it is cut.
            b'\n' => {
                self.mask_backslashes(run, masks);
                self.state = MemberState::Text;
            }
            b'\r' => {}
            _ => {
                self.mask_backslashes(run, masks);
                masks.byte(position, b'x');
            }
        }
        self.backslashes.clear();
    }

    fn mask_backslashes(&self, count: usize, masks: &mut Masks) {
        for &position in self.backslashes.iter().take(count) {
            masks.byte(position, b'x');
        }
    }
}
