//! What the messages of one session have in common over several connections.

use std::borrow::Cow;

use super::{
    MAX_NAME,
    header::{self, SESSION},
    text::cut_to,
};
use crate::{
    percent,
    protocol::{Head, StartLine, secret},
};

/// Longest key that is kept, in bytes.
const MAX_KEY: usize = 512;

/// Parameters that hold the id of a session of 2024-11-05, which leaves that to servers; compared without case and underscores.
const PARAMETER: &[u8] = b"sessionid";

/// What the session of this request is known by: the id that its head names, else, for the transport of 2024-11-05, what the URI holds that the
/// server named for it. `None` if that was redacted, or is longer than is kept.
pub(super) fn key(request: &Head) -> Option<Box<str>> {
    if request.headers.contains(SESSION) {
        return header::text(&request.headers, SESSION);
    }
    let StartLine::Request { target, .. } = &request.start else { return None };
    key_of(target)
}

/// Key and id of the session whose stream begins with an `endpoint` event of this data: an absolute URI or a reference (RFC 3986 section 4.1).
/// `None` if it is none.
pub(super) fn of_endpoint(data: &[u8]) -> Option<(Box<str>, Option<Box<str>>)> {
    let data = data.trim_ascii();
    // What is secret in a request target is not kept; only what is as secret here is the same.
    let redacted = secret::redact_url(data);
    let uri = std::str::from_utf8(&redacted).ok()?;
    let is_reference = uri.bytes().all(|byte| byte.is_ascii_graphic() && !b"{}[]<>\"".contains(&byte));
    if uri.is_empty() || !is_reference {
        return None;
    }
    Some((key_of(uri)?, id_of(uri)))
}

/// The id that the target of a request of 2024-11-05 holds, where it is called so.
pub(super) fn id_of_target(request: &Head) -> Option<Box<str>> {
    match &request.start {
        StartLine::Request { target, .. } => id_of(target),
        StartLine::Response { .. } => None,
    }
}

/// The query if there is one, which holds an id that nobody can guess, else the path: proxies change the beginning of paths.
fn key_of(uri: &str) -> Option<Box<str>> {
    let uri = uri.split('#').next().unwrap_or_default();
    let key = match uri.split_once('?') {
        Some((_, query)) if !query.is_empty() => query,
        _ => {
            let path = uri.split_once("://").map_or(uri, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
            path.split('?').next().unwrap_or_default()
        }
    };
    (!key.is_empty() && key.len() <= MAX_KEY && !key.contains("REDACTED")).then(|| key.into())
}

fn id_of(uri: &str) -> Option<Box<str>> {
    let (_, query) = uri.split('#').next()?.split_once('?')?;
    let value = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(name, _)| {
        let letters = name.bytes().filter(|byte| !matches!(byte, b'_' | b'-'));
        letters.map(|byte| byte.to_ascii_lowercase()).eq(PARAMETER.iter().copied())
    });
    let decoded: Vec<u8> = percent::decode(value?.1.as_bytes()).collect();
    let text = String::from_utf8_lossy(&decoded);
    let known = !text.is_empty() && text != Cow::Borrowed("REDACTED");
    known.then(|| cut_to(&text, MAX_NAME).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(data: &str) -> Option<(String, Option<String>)> {
        of_endpoint(data.as_bytes()).map(|(key, id)| (key.into(), id.map(Into::into)))
    }

    #[test]
    fn an_endpoint_is_a_reference() {
        let some = |key: &str, id: Option<&str>| Some((key.to_owned(), id.map(ToOwned::to_owned)));
        assert_eq!(endpoint("/messages/?session_id=1beded"), some("session_id=1beded", Some("1beded")));
        assert_eq!(endpoint("http://h:1/messages?sessionId=a%2Db\n"), some("sessionId=a%2Db", Some("a-b")));
        assert_eq!(endpoint("/messages/4f2a"), some("/messages/4f2a", None));
        assert_eq!(endpoint("https://h/messages/4f2a"), some("/messages/4f2a", None));
        assert_eq!(endpoint("https://h"), some("/", None));
        assert_eq!(endpoint("/messages?token=secret"), None);
        for none in ["", " ", r#"{"jsonrpc":"2.0"}"#, "two words", "/\u{e9}"] {
            assert_eq!(endpoint(none), None, "{none}");
        }
        assert_eq!(endpoint(&format!("/m?session_id={}", "x".repeat(600))), None);
    }

    #[test]
    fn a_request_has_the_key_of_its_endpoint() {
        for (endpoint, target) in [
            ("/messages/?session_id=1beded", "/prefix/messages/?session_id=1beded"),
            ("http://h:1/messages?sessionId=a", "/messages?sessionId=a"),
            ("/messages/4f2a", "/messages/4f2a"),
        ] {
            assert_eq!(of_endpoint(endpoint.as_bytes()).unwrap().0, key_of(target).unwrap(), "{endpoint}");
        }
        assert_ne!(key_of("/messages?sessionId=a"), key_of("/messages?sessionId=b"));
    }
}
