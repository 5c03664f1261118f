//! What header fields say of MCP, before and without its messages.

use std::borrow::Cow;

use base64::Engine as _;

use super::{MAX_NAME, text::cut_to};
use crate::protocol::{
    Head, Headers, StartLine,
    media::{Media, essence},
};

/// Revision that both ends speak; requests from 2025-06-18 on, every request from 2026-07-28 on.
pub(super) const VERSION: &str = "mcp-protocol-version";
/// Session; 2025-03-26 to 2025-11-25.
pub(super) const SESSION: &str = "mcp-session-id";
/// Method; from 2026-07-28 on.
pub(super) const METHOD: &str = "mcp-method";
/// Name of the tool or prompt, or URI of the resource; from 2026-07-28 on.
pub(super) const NAME: &str = "mcp-name";

/// The revision in which sessions ended. Revisions are dates, so that they compare as text.
const STATELESS: &str = "2026-07-28";

/// Whether a head tells that its exchange is one of MCP.
pub(super) fn tells_mcp(headers: &Headers) -> bool {
    [VERSION, SESSION, METHOD].into_iter().any(|name| headers.contains(name))
}

/// Whether the client takes an answer in both forms in which servers of MCP answer a POST (2025-03-26 and later demand it).
pub(super) fn takes_both(headers: &Headers) -> bool {
    takes(headers, Media::Json) && takes(headers, Media::Events)
}

/// Whether `Accept` lists a media type of this format by its full name.
pub(super) fn takes(headers: &Headers, media: Media) -> bool {
    let accepts = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"accept"));
    let mut values = accepts.filter_map(|(_, value)| std::str::from_utf8(value?).ok());
    values.any(|value| value.split(',').any(|one| Media::named(essence(one)) == media))
}

/// Whether the content of a request could be JSON: it says so, says nothing, or says that it is text. What it is decides.
pub(super) fn could_be_json(headers: &Headers) -> bool {
    let media_type = headers.media_type().to_ascii_lowercase();
    media_type.is_empty() || media_type == "text/plain" || media_type.contains("json")
}

/// Whether a message says that it is a stream of events.
pub(super) fn is_event_stream(headers: &Headers) -> bool {
    Media::of(headers) == Media::Events
}

/// A field that is a name, id or version, cut to [`MAX_NAME`].
pub(super) fn text(headers: &Headers, name: &str) -> Option<Box<str>> {
    headers.get_str(name).map(str::trim).filter(|value| !value.is_empty()).map(|value| cut_to(value, MAX_NAME).into())
}

/// `Mcp-Name` as it was before its encoding; `None` if there is none, or it is not text.
pub(super) fn name(headers: &Headers) -> Option<Box<str>> {
    let value = headers.get(NAME)?.trim_ascii();
    let decoded = decode(value)?;
    let text = std::str::from_utf8(&decoded).ok().filter(|text| !text.is_empty())?;
    Some(cut_to(text, MAX_NAME).into())
}

/// Takes off `=?base64?...?=` (2026-07-28, Value Encoding): the markers are compared with case. `None` if what is between them is not Base64.
fn decode(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let inner = value.strip_prefix(b"=?base64?").and_then(|rest| rest.strip_suffix(b"?="));
    let Some(inner) = inner else { return Some(Cow::Borrowed(value)) };
    // What is longer than is kept need not be decoded: four characters are three bytes.
    let kept = inner.len().min(MAX_NAME.div_ceil(3) * 4 + 4);
    let mut decoded = base64::engine::general_purpose::STANDARD.decode(&inner[..kept]).ok()?;
    if kept < inner.len()
        && let Err(error) = std::str::from_utf8(&decoded)
        && error.error_len().is_none()
    {
        decoded.truncate(error.valid_up_to());
    }
    Some(Cow::Owned(decoded))
}

/// Whether this revision has no sessions.
pub(super) fn is_stateless(version: &str) -> bool {
    let is_date = version.len() == STATELESS.len() && version.starts_with(|first: char| first.is_ascii_digit());
    is_date && version >= STATELESS
}

/// The method of a request; empty for a response.
pub(super) fn verb(head: &Head) -> &str {
    match &head.start {
        StartLine::Request { method, .. } => method,
        StartLine::Response { .. } => "",
    }
}

/// The status of a response; 0 for a request.
pub(super) const fn status(head: &Head) -> u16 {
    match head.start {
        StartLine::Response { status } => status,
        StartLine::Request { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in fields {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        headers
    }

    #[test]
    fn names_lose_their_encoding() {
        // Those of the specification, and what is not as it says.
        let cases = [
            ("us-west1", Some("us-west1")),
            ("=?base64?SGVsbG8sIOS4lueVjA==?=", Some("Hello, 世界")),
            ("=?base64?IHBhZGRlZCA=?=", Some(" padded ")),
            ("=?base64?bGluZTEKbGluZTI=?=", Some("line1\nline2")),
            ("=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=", Some("=?base64?literal?=")),
            ("=?BASE64?SGVsbG8=?=", Some("=?BASE64?SGVsbG8=?=")),
            ("=?base64?SGVsbG8=", Some("=?base64?SGVsbG8=")),
            ("=?base64?not base64?=", None),
            ("=?base64?/w==?=", None),
            ("=?base64?5LiW5w==?=", None),
            ("=?base64??=", None),
            ("", None),
        ];
        for (value, expected) in cases {
            assert_eq!(name(&headers(&[("Mcp-Name", value)])).as_deref(), expected, "{value}");
        }
        assert_eq!(name(&headers(&[])), None);
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        for length in 240..300 {
            let long = "世".repeat(length);
            let encoded = base64::engine::general_purpose::STANDARD.encode(&long);
            let decoded = name(&headers(&[("mcp-name", &format!("=?base64?{encoded}?="))])).unwrap();
            assert_eq!(&*decoded, "世".repeat(MAX_NAME / 3));
        }
    }

    #[test]
    fn the_client_says_that_it_takes_both() {
        for (accept, both) in [
            (&["application/json, text/event-stream"][..], true),
            (&["text/event-stream;q=0.9,Application/JSON;q=1"], true),
            (&["application/json", "text/event-stream"], true),
            (&["application/json"], false),
            (&["text/event-stream"], false),
            (&["*/*"], false),
            (&[], false),
        ] {
            let fields: Vec<_> = accept.iter().map(|value| ("Accept", *value)).collect();
            assert_eq!(takes_both(&headers(&fields)), both, "{accept:?}");
        }
    }

    #[test]
    fn what_says_that_it_is_something_else_is_not_read() {
        for (value, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/json-rpc", true),
            ("application/vnd.api+json", true),
            ("text/plain", true),
            ("", true),
            ("multipart/form-data; boundary=json", false),
            ("application/x-www-form-urlencoded", false),
            ("application/grpc", false),
        ] {
            assert_eq!(could_be_json(&headers(&[("Content-Type", value)])), expected, "{value}");
        }
        assert!(could_be_json(&headers(&[])));
    }

    #[test]
    fn revisions_are_compared_as_dates() {
        assert!(is_stateless("2026-07-28") && is_stateless("2027-01-01"));
        assert!(!is_stateless("2025-11-25") && !is_stateless("DRAFT-2026") && !is_stateless(""));
    }
}
