//! What media types promise of content: the one table of those that the agent knows.

use super::Headers;

/// The formats that media types stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// One document, or several.
    Json,
    /// A document in each line.
    Lines,
    /// Server-sent events.
    Events,
    /// An AWS event stream.
    EventStream,
    /// Any of these: the first bytes tell.
    Unknown,
    /// None of them.
    Other,
}

/// Types (or types up to `/`) by name; what ends in `+json` is JSON where no row has it, what has no row is [`Media::Unknown`].
const TYPES: [(&str, Media); 23] = [
    ("application/json", Media::Json),
    ("text/json", Media::Json),
    ("text/event-stream", Media::Events),
    ("application/x-ndjson", Media::Lines),
    ("application/ndjson", Media::Lines),
    ("application/jsonl", Media::Lines),
    ("application/x-jsonlines", Media::Lines),
    ("application/json-lines", Media::Lines),
    ("application/json-seq", Media::Lines),
    ("application/stream+json", Media::Lines),
    ("application/vnd.amazon.eventstream", Media::EventStream),
    ("multipart/", Media::Other),
    ("image/", Media::Other),
    ("audio/", Media::Other),
    ("video/", Media::Other),
    ("font/", Media::Other),
    ("text/html", Media::Other),
    ("text/css", Media::Other),
    ("text/javascript", Media::Other),
    ("application/javascript", Media::Other),
    ("application/pdf", Media::Other),
    ("application/zip", Media::Other),
    ("application/grpc", Media::Other),
];

impl Media {
    /// By the field `Content-Type`.
    pub fn of(headers: &Headers) -> Self {
        Self::named(headers.media_type())
    }

    /// By an [`essence`]; an empty one is [`Media::Unknown`].
    pub fn named(essence: &str) -> Self {
        let is = |wanted: &str| match wanted.strip_suffix('/') {
            Some(_) => essence.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted)),
            None => essence.eq_ignore_ascii_case(wanted),
        };
        if let Some((_, media)) = TYPES.iter().find(|(wanted, _)| is(wanted)) {
            return *media;
        }
        let suffix = essence.len().checked_sub("+json".len()).and_then(|at| essence.get(at..));
        if suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case("+json")) { Self::Json } else { Self::Unknown }
    }

    /// Whether it is one of several documents, each of which means something before the last one came.
    pub const fn is_stream(self) -> bool {
        matches!(self, Self::Lines | Self::Events | Self::EventStream)
    }
}

/// A media type without its parameters (RFC 9110 section 8.3.1), as it is written.
pub fn essence(value: &str) -> &str {
    value.split(';').next().unwrap_or_default().trim()
}
