//! What the parsers say: the parts of messages, whatever the HTTP version.

use std::borrow::Cow;

use crate::capture::{Direction, GapReason, Timestamp};

/// What a connection turned out to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2 by its connection preface (not parsed yet).
    Http2,
    /// TLS records, not decrypted.
    Tls,
    /// After a successful `Upgrade` (RFC 9110 section 7.8) or `CONNECT` (section 9.3.6).
    Upgraded,
    /// Anything else.
    Unknown,
}

impl Protocol {
    /// In metrics and in the live state.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::Tls => "tls",
            Self::Upgraded => "upgraded",
            Self::Unknown => "unknown",
        }
    }
}

/// The HTTP version of a message, as `network.protocol.version` spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HttpVersion {
    /// `1.0`
    Http10,
    /// `1.1`
    Http11,
    /// `2`
    Http2,
}

impl HttpVersion {
    /// The value of `network.protocol.version`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "1.0",
            Self::Http11 => "1.1",
            Self::Http2 => "2",
        }
    }
}

/// Why a message or an exchange was not seen whole (`telltale.incomplete`, POLICY.md section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Incomplete {
    /// The connection was joined after the message had begun.
    LateJoin,
    /// The message ended before its framing said so.
    Truncated,
    /// The connection closed before the answer.
    Closed,
    /// The connection was reset before the answer.
    Reset,
    /// Bytes of it were not seen.
    Gap(GapReason),
}

impl Incomplete {
    /// The value of `telltale.incomplete`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LateJoin => "late_join",
            Self::Truncated => "truncated",
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::Gap(reason) => reason.name(),
        }
    }
}

/// First line of an HTTP/1 message, or the pseudo-header fields that stand for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartLine {
    /// A request.
    Request {
        /// The method token as sent (RFC 9110 section 9.1), case kept.
        method: Box<str>,
        /// The request target as sent (RFC 9112 section 3.2), secrets redacted ([`super::secret`]); bytes that are not UTF-8 are replaced.
        target: Box<str>,
    },
    /// A response.
    Response {
        /// The status code, 100 to 599 (RFC 9110 section 15); others are kept as sent, at most 999.
        status: u16,
    },
}

/// The start line and header section of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// First line.
    pub start: StartLine,
    /// Version.
    pub version: HttpVersion,
    /// Fields, values of credentials dropped.
    pub headers: Headers,
    /// Stream position of the message's first byte.
    pub position: u64,
    /// When the first byte of the message moved.
    pub first_byte: Timestamp,
    /// When the last byte of the header section moved.
    pub complete: Timestamp,
    /// Number of the request within its connection, from 0. A response carries the number of the request that it answers: the
    /// parser, which must know the method to frame a response, is the one place that decides this.
    pub request: u64,
}

/// How a message ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct End {
    /// When its last byte moved.
    pub time: Timestamp,
    /// Bytes of content without transfer coding and before content decoding; `None` if it cannot be known.
    pub body_size: Option<u64>,
    /// Trailer fields (RFC 9110 section 6.5), values of credentials dropped.
    pub trailers: Headers,
    /// Why it is not whole.
    pub incomplete: Option<Incomplete>,
}

/// Takes the parts of messages as they are parsed. For each message: one `head`, any number of `body` and `body_gap`, one `end`;
/// messages of one direction follow each other, the two directions interleave freely. The head of a response always comes after
/// the head of the request with its number; its end may come before the request's end (RFC 9112 section 9.6).
///
/// Of each request comes one final response or one `unanswered`, at the latest when the connection closes. Interim responses
/// (RFC 9110 section 15.2) are not reported, except 101, which is final for HTTP.
///
/// A message whose head could not be seen whole (gap, late join) is not reported; the counter of the stage says so. Nor is a
/// response of which it cannot be known which request it answers.
pub trait MessageSink {
    /// A message begins. Its direction says who sent it; whether it is a request follows from `head.start`.
    fn head(&mut self, direction: Direction, head: Head);
    /// Content, without transfer coding, as far as it was copied.
    fn body(&mut self, direction: Direction, time: Timestamp, bytes: &[u8]);
    /// Content that was not seen, in its place.
    fn body_gap(&mut self, direction: Direction, length: u64, reason: GapReason);
    /// The message that began last in this direction is over.
    fn end(&mut self, direction: Direction, end: End);
    /// The response to this request will not be reported: it was lost, cannot be told from others, or never came. `time` is when
    /// this was known.
    fn unanswered(&mut self, request: u64, time: Timestamp, why: Incomplete);
    /// The connection is now known to speak this. Called at most twice (HTTP/1, then upgraded).
    fn protocol(&mut self, protocol: Protocol);
}

/// A header section: fields in order, names compared without case (RFC 9110 section 5.1).
///
/// One buffer and one index, so that a head costs two allocations whatever its number of fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    bytes: Vec<u8>,
    fields: Vec<Field>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    start: u32,
    name_length: u16,
    value_length: u32,
    secret: bool,
}

impl Headers {
    /// Room for a section of this many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), fields: Vec::with_capacity(12) }
    }

    /// Appends a field. The value of a credential ([`super::secret::is_secret_header`]) is not kept, only its name; secrets in
    /// the value of a field that is a URL or names an authority are redacted ([`super::secret::redact_field`]).
    /// Names longer than 65535 bytes are cut.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        let secret = super::secret::is_secret_header(name);
        let name = &name[..name.len().min(usize::from(u16::MAX))];
        let value = match value {
            _ if secret => Cow::Borrowed(&[][..]),
            value => super::secret::redact_field(name, value),
        };
        self.fields.push(Field {
            start: self.bytes.len() as u32,
            name_length: name.len() as u16,
            value_length: value.len() as u32,
            secret,
        });
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(&value);
    }

    /// The value of the first field of this name. `None` if there is none, or if it is a credential.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.fields
            .iter()
            .find(|field| !field.secret && self.name(field).eq_ignore_ascii_case(name.as_bytes()))
            .map(|field| self.value(field))
    }

    /// As [`Self::get`], where the value is UTF-8.
    pub fn get_str(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The media type of the content, without its parameters; empty where there is none (RFC 9110 section 8.3).
    pub fn media_type(&self) -> &str {
        super::media::essence(self.get_str("content-type").unwrap_or_default())
    }

    /// Whether there is a field of this name, credentials included.
    pub fn contains(&self, name: &str) -> bool {
        self.fields.iter().any(|field| self.name(field).eq_ignore_ascii_case(name.as_bytes()))
    }

    /// Names and values in order; the value of a credential is `None`.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.fields.iter().map(|field| (self.name(field), (!field.secret).then(|| self.value(field))))
    }

    /// How many fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    fn name(&self, field: &Field) -> &[u8] {
        let start = field.start as usize;
        &self.bytes[start..start + usize::from(field.name_length)]
    }

    fn value(&self, field: &Field) -> &[u8] {
        let start = field.start as usize + usize::from(field.name_length);
        &self.bytes[start..start + field.value_length as usize]
    }
}
