//! Jaeger's own format: `uber-trace-id: {trace-id}:{span-id}:{parent-span-id}:{flags}` (jaegertracing.io, "Client Libraries",
//! "Propagation Format").

use super::{Context, SpanId, TraceId, hex, once};
use crate::protocol::Headers;

pub(super) const TRACE_ID: &str = "uber-trace-id";

/// Bit of the flags: the trace is sampled. Debug, the next one, is only sent with it.
const SAMPLED: u128 = 1;

/// The context of the field.
pub(super) fn read(headers: &Headers) -> Option<Context> {
    let value = once(headers, TRACE_ID)?;
    // Some clients write the colons percent-encoded, as if it were a URL.
    let decoded = if memchr::memchr(b'%', value).is_some() { Some(colons(value)) } else { None };
    parse(decoded.as_deref().unwrap_or(value))
}

fn colons(value: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [first, tail @ ..] = rest {
        rest = if let [b'%', b'3', b'A' | b'a', after @ ..] = rest {
            decoded.push(b':');
            after
        } else {
            decoded.push(*first);
            tail
        };
    }
    decoded
}

/// Leading zeros may be left out of every part. The parent is deprecated and only has to be a number.
fn parse(value: &[u8]) -> Option<Context> {
    let mut parts = value.split(|&byte| byte == b':');
    let [trace, span, parent, flags] = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    if parts.next().is_some() || span.len() > 16 || parent.len() > 16 || flags.len() > 2 {
        return None;
    }
    let (trace, span, flags) = (hex::any(trace)?, hex::any(span)?, hex::any(flags)?);
    hex::any(parent)?;
    let ids = trace != 0 && span != 0;
    ids.then(|| Context::of(TraceId(trace), SpanId(span as u64), Some(flags & SAMPLED != 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str) -> Option<Context> {
        let mut headers = Headers::default();
        headers.push(b"Uber-Trace-Id", value.as_bytes());
        read(&headers)
    }

    #[test]
    fn fields() {
        let context = |trace, span, sampled| Some(Context::of(TraceId(trace), SpanId(span), Some(sampled)));
        assert_eq!(parse("80f198ee56343ba8:e457b5a2:0:1"), context(0x80f1_98ee_5634_3ba8, 0xe457_b5a2, true));
        assert_eq!(parse("7:8:9:0"), context(7, 8, false));
        assert_eq!(parse("A%3aB%3A0%3A03"), context(10, 11, true));
        let long = format!("{}:{}:0:1", "f".repeat(32), "f".repeat(16));
        assert_eq!(parse(&long), context(u128::MAX, u64::MAX, true));
        for bad in [
            "",
            ":::",
            "7:8:0",
            "7:8:0:1:2",
            "0:8:0:1",
            "7:0:0:1",
            "7:8::1",
            "7:8:0:",
            "7:8:0:100",
            "7:8:0:x",
            "7%3A8%3B0:1",
            &format!("{}:8:0:1", "f".repeat(33)),
            &format!("7:{}:0:1", "f".repeat(17)),
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
