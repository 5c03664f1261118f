//! What the header fields of a message say of its content.

use crate::protocol::{
    Headers,
    media::{Media, essence},
};

/// Whether content is as it is, in no coding (RFC 9110 section 8.4); of transfer codings (RFC 9112 section 7) the parser takes off `chunked` only.
pub(super) fn is_plain(headers: &Headers) -> bool {
    let only = |name, allowed: &[u8]| {
        values(headers, name).all(|value| {
            let mut codings = value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
            codings.all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case(allowed))
        })
    };
    only("content-encoding", b"identity") && only("transfer-encoding", b"chunked")
}

/// Whether content says of itself, once, that it is JSON (RFC 8259; RFC 6839 section 3.1 for `+json`).
pub(super) fn is_json(headers: &Headers) -> bool {
    let mut types = values(headers, "content-type");
    let (Some(value), None) = (types.next(), types.next()) else { return false };
    std::str::from_utf8(value).is_ok_and(|value| Media::named(essence(value)) == Media::Json)
}

fn values<'a>(headers: &'a Headers, wanted: &'static str) -> impl Iterator<Item = &'a [u8]> {
    let named = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted.as_bytes()));
    named.map(|(_, value)| value.unwrap_or_default())
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
    fn only_identity_is_plain() {
        let plain = |values: &[&str]| {
            is_plain(&headers(&values.iter().map(|value| ("Content-Encoding", *value)).collect::<Vec<_>>()))
        };
        assert!(plain(&[]) && plain(&["identity"]) && plain(&[" Identity , "]) && plain(&[""]));
        let transferred = |coding| is_plain(&headers(&[("Transfer-Encoding", coding)]));
        assert!(transferred("chunked") && !transferred("gzip, chunked"));
        assert!(!plain(&["gzip"]) && !plain(&["identity, br"]) && !plain(&["identity", "zstd"]) && !plain(&["x"]));
    }

    #[test]
    fn json_says_so_once() {
        let json = |values: &[&str]| {
            is_json(&headers(&values.iter().map(|value| ("content-type", *value)).collect::<Vec<_>>()))
        };
        for value in ["application/json", "Application/JSON; charset=utf-8", "text/json", "application/problem+json"] {
            assert!(json(&[value]), "{value}");
        }
        for value in ["", "text/plain", "application/jsonl", "application/json-seq", "json", "application/x; a=+json"] {
            assert!(!json(&[value]), "{value}");
        }
        assert!(!json(&[]) && !json(&["application/json", "text/plain"]));
    }
}
