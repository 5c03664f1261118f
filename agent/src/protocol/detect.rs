//! What the first bytes of a direction say about the protocol.

use super::{
    http1::{Kind, is_plausible, may_resync},
    tls,
};

/// Connection preface of HTTP/2 (RFC 9113 section 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// They begin with a whole start line of this kind.
    Http1(Kind),
    Http2,
    Tls,
    /// More bytes will tell.
    Undecided,
    /// None of these.
    Other,
}

/// Judges the first bytes of a direction, or, after a late join (`late`), of any segment.
pub(super) fn detect(bytes: &[u8], late: bool) -> Verdict {
    let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
    let line = &bytes[start..];
    if bytes.starts_with(HTTP2_PREFACE) {
        return Verdict::Http2;
    }
    if HTTP2_PREFACE.starts_with(bytes) {
        return Verdict::Undecided;
    }
    match tls::begins(bytes) {
        Some(true) => return Verdict::Tls,
        Some(false) => {}
        None => return Verdict::Undecided,
    }
    let whole = memchr::memchr(b'\n', line).is_some();
    for kind in [Kind::Response, Kind::Request] {
        if is_plausible(kind, line) && (!late || may_resync(kind, line)) {
            return if whole { Verdict::Http1(kind) } else { Verdict::Undecided };
        }
    }
    Verdict::Other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_decide() {
        let table: &[(&[u8], Verdict)] = &[
            (b"", Verdict::Undecided),
            (b"GET / HTTP/1.1\r\n", Verdict::Http1(Kind::Request)),
            (b"\r\nGET / HTTP/1.1\r\n", Verdict::Http1(Kind::Request)),
            (b"M-SEARCH * HTTP/1.0\n", Verdict::Http1(Kind::Request)),
            (b"brew coffee://pot HTTP/1.1\r\nHost", Verdict::Http1(Kind::Request)),
            (b"GET / HTTP/1.1", Verdict::Undecided),
            (b"HTTP/1.1 200 OK\r\n", Verdict::Http1(Kind::Response)),
            (b"HTTP/1.1 200\r\n", Verdict::Http1(Kind::Response)),
            (b"HTTP/1.", Verdict::Undecided),
            (HTTP2_PREFACE, Verdict::Http2),
            (b"PRI * HTTP/2.0\r\n", Verdict::Undecided),
            (b"PRI * HTTP/2.0\r\nx", Verdict::Other),
            (b"\x16\x03\x01\x02\x00\x01\x00", Verdict::Tls),
            (b"\x16\x03\x01\x02\x00", Verdict::Undecided),
            (b"\x16\x03\x01\x02\x00\x05", Verdict::Other),
            (b"\x17\x03\x03\x00\x20", Verdict::Tls),
            (b"\x17\x03\x03\xff\xff", Verdict::Other),
            (b"SSH-2.0-OpenSSH_9.6\r\n", Verdict::Other),
            (b"220 mail ESMTP\r\n", Verdict::Other),
            (b"*1\r\n$4\r\nPING\r\n", Verdict::Other),
            (b"GET / RTSP/1.0\r\n", Verdict::Other),
            (b"GET /\r\n", Verdict::Other),
            (b"\x00\x00\x00\x08\x04\xd2\x16\x2f", Verdict::Other),
        ];
        assert_eq!(detect(b"the rest of a text", false), Verdict::Undecided);
        assert_eq!(detect(b"the rest of a text", true), Verdict::Other);
        assert_eq!(detect(b"GET /the rest of it", true), Verdict::Undecided);
        for (bytes, verdict) in table {
            assert_eq!(detect(bytes, false), *verdict, "{}", bytes.escape_ascii());
        }
    }
}
