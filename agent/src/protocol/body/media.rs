//! What a media type promises of content.

use super::super::Headers;

/// The formats that media types stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
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
    pub(super) fn of(headers: &Headers) -> Self {
        let Some(value) = headers.get_str("content-type") else { return Self::Unknown };
        let name = value.split(';').next().unwrap_or_default().trim();
        let is = |wanted: &str| match wanted.strip_suffix('/') {
            Some(_) => name.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted)),
            None => name.eq_ignore_ascii_case(wanted),
        };
        if let Some((_, media)) = TYPES.iter().find(|(wanted, _)| is(wanted)) {
            return *media;
        }
        let suffix = name.len().checked_sub("+json".len()).and_then(|at| name.get(at..));
        if suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case("+json")) { Self::Json } else { Self::Unknown }
    }
}
