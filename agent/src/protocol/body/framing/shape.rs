//! What content is by its first bytes, with what its media type promises in mind.

use crate::capture::Timestamp;
use crate::protocol::media::Media;

/// What content turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// One document, or more on lines of their own.
    Document,
    /// An array whose elements are objects.
    Elements,
    Lines,
    Events,
    Messages,
    None,
}

/// How lines of server-sent events begin.
const FIELDS: [&[u8]; 5] = [b"data:", b"event:", b"id:", b"retry:", b":"];
const MARK: &[u8] = b"\xef\xbb\xbf";

/// First bytes of content, without a byte order mark, and without white space where that means nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct First {
    bytes: [u8; 8],
    length: u8,
}

impl First {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// Content of which too little has come to tell what it is.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol::body) struct Shape {
    promised: Media,
    first: First,
    /// A byte order mark has come.
    marked: bool,
    time: Timestamp,
}

impl Shape {
    pub(super) const fn new(promised: Media) -> Self {
        Self { promised, first: First { bytes: [0; 8], length: 0 }, marked: false, time: Timestamp(0) }
    }

    /// What the media type says.
    pub(super) const fn promised(&self) -> Media {
        self.promised
    }

    /// What has come: it is part of the content.
    pub(super) const fn first(&self) -> First {
        self.first
    }

    /// When it came.
    pub(super) const fn time(&self) -> Timestamp {
        self.time
    }

    /// More of it. Once it is known what it is: that, and how many of these bytes are part of [`Self::first`].
    pub(super) fn push(&mut self, time: Timestamp, bytes: &[u8]) -> Option<(Format, usize)> {
        for (index, byte) in bytes.iter().enumerate() {
            let seen = self.first.as_slice();
            let is_blank = matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
                && !matches!(self.promised, Media::Events | Media::EventStream);
            if is_blank && (seen.is_empty() || seen == b"[") {
                continue;
            }
            self.first.bytes[usize::from(self.first.length)] = *byte;
            self.first.length += 1;
            self.time = time;
            if self.first.as_slice() == MARK && !self.marked {
                self.first.length = 0;
                self.marked = true;
            } else if let Some(format) = self.decide() {
                return Some((format, index + 1));
            }
        }
        None
    }

    /// What it is if nothing more comes; `None` if nothing came.
    pub(super) fn undecided(&self) -> Option<Format> {
        (self.first.length > 0).then(|| match self.promised {
            Media::Json => Format::Document,
            Media::Lines => Format::Lines,
            Media::Events => Format::Events,
            Media::EventStream => Format::Messages,
            Media::Unknown | Media::Other if self.first.as_slice() == b"[" => Format::Document,
            Media::Unknown | Media::Other => Format::None,
        })
    }

    fn decide(&self) -> Option<Format> {
        let seen = self.first.as_slice();
        if !self.marked && MARK.starts_with(seen) {
            return None;
        }
        match (self.promised, seen) {
            (Media::EventStream, [b'{', ..]) => Some(Format::Document),
            (Media::EventStream, _) => Some(Format::Messages),
            (Media::Lines, [b'{' | b'[', ..]) => Some(Format::Lines),
            (_, [b'{', ..]) => Some(Format::Document),
            (_, b"[") => None,
            (_, [b'[', b'{', ..]) => Some(Format::Elements),
            (_, [b'[', ..]) => Some(Format::Document),
            (Media::Events, _) => Some(Format::Events),
            _ if FIELDS.iter().any(|field| seen.starts_with(field)) => Some(Format::Events),
            _ if FIELDS.iter().any(|field| field.starts_with(seen)) => None,
            _ => Some(match self.promised {
                Media::Json => Format::Document,
                Media::Lines => Format::Lines,
                Media::Events | Media::EventStream | Media::Unknown | Media::Other => Format::None,
            }),
        }
    }
}
