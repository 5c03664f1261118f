//! The start line and header section of one message, seen whole.

use std::borrow::Cow;

use crate::protocol::{Counters, Headers, HttpVersion, StartLine, secret::redact_url};

/// Longest method token that is taken for one while message boundaries are not known. The longest registered has 16 bytes.
const MAX_METHOD: usize = 64;

/// The methods of RFC 9110, RFC 5789, and the most used others.
const COMMON_METHODS: &[&str] = &[
    "CONNECT", "DELETE", "GET", "HEAD", "MKCOL", "OPTIONS", "PATCH", "POST", "PROPFIND", "PUT", "QUERY", "REPORT",
    "TRACE",
];

/// Which kind of message a direction carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol) enum Kind {
    Request,
    Response,
}

/// How the fields say that the content is framed (RFC 9112 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// No field says.
    None,
    Length(u64),
    /// `Content-Length` is no number, or several contradict each other.
    BadLength,
    Chunked,
    /// A transfer coding that is not chunked is the last.
    OtherCoding,
}

/// A head and what of it is needed to go on.
#[derive(Debug, PartialEq)]
pub(super) struct Parsed {
    pub(super) start: StartLine,
    pub(super) version: HttpVersion,
    pub(super) headers: Headers,
    pub(super) framing: Framing,
    pub(super) expects_interim: bool,
}

/// Finds the blank line that ends a section. `Err` is where to look on when there are more bytes.
pub(super) fn find_end(bytes: &[u8], from: usize) -> Result<usize, usize> {
    let mut last = None;
    for newline in memchr::memchr_iter(b'\n', &bytes[from..]) {
        let newline = from + newline;
        match bytes[newline + 1..] {
            [b'\n', ..] => return Ok(newline + 2),
            [b'\r', b'\n', ..] => return Ok(newline + 3),
            _ => last = Some(newline),
        }
    }
    // Only a newline among the last two bytes can still become a blank line.
    Err(last.filter(|newline| newline + 2 >= bytes.len()).unwrap_or(bytes.len()))
}

/// Whether the bytes can be the beginning of a start line of this kind (RFC 9112 sections 3 and 4). A whole line must be one.
pub(in crate::protocol) fn is_plausible(kind: Kind, bytes: &[u8]) -> bool {
    if let Some(newline) = memchr::memchr(b'\n', bytes) {
        let line = without_cr(&bytes[..newline]);
        return match kind {
            Kind::Request => request_line(line).is_some(),
            Kind::Response => status_line(line).is_some(),
        };
    }
    match kind {
        Kind::Request => {
            let method = bytes.iter().take_while(|byte| is_token(**byte)).count();
            match &bytes[method..] {
                [] => method <= MAX_METHOD,
                [b' '] => (1..=MAX_METHOD).contains(&method),
                [b' ', first, ..] => (1..=MAX_METHOD).contains(&method) && is_target(*first),
                _ => false,
            }
        }
        Kind::Response => {
            let pattern = b"HTTP/1.d ddd ";
            bytes.iter().zip(pattern).all(|(byte, pattern)| match pattern {
                b'd' => byte.is_ascii_digit(),
                other => byte == other,
            } || (*pattern == b' ' && *byte == b'\r'))
        }
    }
}

/// Whether the bytes, with which a segment begins, are taken for the beginning of a start line while message boundaries are
/// lost. They could be any text, or a line whose first bytes were lost: a request line must begin with a common method.
pub(in crate::protocol) fn may_resync(kind: Kind, bytes: &[u8]) -> bool {
    if !is_plausible(kind, bytes) {
        return false;
    }
    let method = memchr::memchr(b' ', bytes).map(|space| &bytes[..space]);
    kind == Kind::Response
        || COMMON_METHODS.iter().any(|common| match method {
            Some(method) => method == common.as_bytes(),
            None => common.as_bytes().starts_with(bytes),
        })
}

/// Parses a whole header section, blank line included. `None`: the start line is none.
pub(super) fn parse(kind: Kind, section: &[u8], counters: &mut Counters) -> Option<Parsed> {
    let newline = memchr::memchr(b'\n', section)?;
    let line = without_cr(&section[..newline]);
    let (start, version) = match kind {
        Kind::Request => {
            let (method, target, version) = request_line(line)?;
            let method = std::str::from_utf8(method).ok()?.into();
            (StartLine::Request { method, target: text(&redact_url(target)) }, version)
        }
        Kind::Response => {
            let (status, version) = status_line(line)?;
            (StartLine::Response { status }, version)
        }
    };
    let mut fields = FramingFields::default();
    let headers = parse_fields(&section[newline + 1..], counters, |name, value| fields.see(name, value));
    Some(Parsed { start, version, headers, framing: fields.framing(), expects_interim: fields.expects_interim })
}

/// Parses field lines up to the blank line (RFC 9112 section 5), with line folding (section 5.2) undone.
pub(super) fn parse_fields(section: &[u8], counters: &mut Counters, mut see: impl FnMut(&[u8], &[u8])) -> Headers {
    let mut headers = Headers::with_capacity(section.len());
    let mut rest = section;
    while let Some((line, after)) = split_line(rest) {
        if line.is_empty() {
            break;
        }
        rest = after;
        let Some((name, first)) = split_field(line) else {
            counters.bad_field_lines += 1;
            continue;
        };
        let mut value = Cow::Borrowed(trim(first));
        while let Some((folded, after)) = split_line(rest)
            && folded.first().is_some_and(|byte| is_space(*byte))
        {
            rest = after;
            let value = value.to_mut();
            value.push(b' ');
            value.extend_from_slice(trim(folded));
        }
        see(name, &value);
        headers.push(name, &value);
    }
    headers
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let newline = memchr::memchr(b'\n', bytes)?;
    Some((without_cr(&bytes[..newline]), &bytes[newline + 1..]))
}

fn split_field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    // Space before the colon is not allowed, but some send it (section 5.1); a leading space is a fold of nothing.
    let end = line[..colon].iter().rposition(|byte| !is_space(*byte))? + 1;
    line[..end].iter().all(|byte| is_token(*byte)).then_some((&line[..end], &line[colon + 1..]))
}

/// What the fields say about framing, as they come.
#[derive(Default)]
struct FramingFields {
    length: Option<Result<u64, ()>>,
    coding: Option<bool>,
    expects_interim: bool,
}

impl FramingFields {
    fn see(&mut self, name: &[u8], value: &[u8]) {
        match name.len() {
            6 if name.eq_ignore_ascii_case(b"expect") => {
                self.expects_interim |= value.eq_ignore_ascii_case(b"100-continue");
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                for item in value.split(|byte| *byte == b',') {
                    let length = parse_length(trim(item)).ok_or(());
                    let agrees = self.length.is_none_or(|before| before == length);
                    self.length = Some(if agrees { length } else { Err(()) });
                }
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                for item in value.split(|byte| *byte == b',').map(trim).filter(|item| !item.is_empty()) {
                    if !item.eq_ignore_ascii_case(b"identity") {
                        self.coding = Some(item.eq_ignore_ascii_case(b"chunked"));
                    }
                }
            }
            _ => {}
        }
    }

    /// Transfer-Encoding overrides Content-Length (section 6.3).
    fn framing(&self) -> Framing {
        match (self.coding, self.length) {
            (Some(true), _) => Framing::Chunked,
            (Some(false), _) => Framing::OtherCoding,
            (None, Some(Ok(length))) => Framing::Length(length),
            (None, Some(Err(()))) => Framing::BadLength,
            (None, None) => Framing::None,
        }
    }
}

fn parse_length(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |length, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        length.checked_mul(10)?.checked_add(digit)
    })
}

fn request_line(line: &[u8]) -> Option<(&[u8], &[u8], HttpVersion)> {
    let space = memchr::memchr(b' ', line)?;
    let (method, rest) = (&line[..space], &line[space + 1..]);
    let space = memchr::memrchr(b' ', rest)?;
    let (target, version) = (&rest[..space], version(&rest[space + 1..])?);
    let plausible = (1..=MAX_METHOD).contains(&method.len())
        && method.iter().all(|byte| is_token(*byte))
        && !target.is_empty()
        && target.iter().all(|byte| is_target(*byte));
    plausible.then_some((method, target, version))
}

fn status_line(line: &[u8]) -> Option<(u16, HttpVersion)> {
    let version = version(line.get(..8)?)?;
    let (&[space, a, b, c], reason) = line[8..].split_first_chunk::<4>()?;
    let digits = [a, b, c];
    let plausible = space == b' '
        && digits.iter().all(u8::is_ascii_digit)
        && a != b'0'
        && reason.first().is_none_or(|byte| *byte == b' ');
    plausible.then(|| (digits.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0')), version))
}

/// HTTP/1.0, or any later minor version, which is to be read as 1.1 (RFC 9110 section 2.5).
fn version(bytes: &[u8]) -> Option<HttpVersion> {
    match bytes.strip_prefix(b"HTTP/1.")? {
        b"0" => Some(HttpVersion::Http10),
        [b'1'..=b'9'] => Some(HttpVersion::Http11),
        _ => None,
    }
}

fn text(bytes: &[u8]) -> Box<str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => String::from_utf8_lossy(bytes).into(),
    }
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn is_space(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn trim(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| !is_space(*byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !is_space(*byte)).map_or(start, |last| last + 1);
    &bytes[start..end]
}

/// `tchar` of RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    const TOKEN: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            table[byte] = (byte as u8).is_ascii_alphanumeric();
            byte += 1;
        }
        let marks = b"!#$%&'*+-.^_`|~";
        let mut index = 0;
        while index < marks.len() {
            table[marks[index] as usize] = true;
            index += 1;
        }
        table
    };
    TOKEN[usize::from(byte)]
}

/// What a request target may hold: no space and no control; bytes above ASCII are sent by some clients.
fn is_target(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f
}
