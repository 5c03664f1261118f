//! B3 propagation (github.com/openzipkin/b3-propagation): one `b3` field, or several that begin with `X-B3-`.

use super::{Context, SpanId, TraceId, hex, once};
use crate::protocol::Headers;

pub(super) const SINGLE: &str = "b3";
pub(super) const TRACE_ID: &str = "x-b3-traceid";
pub(super) const SPAN_ID: &str = "x-b3-spanid";
pub(super) const SAMPLED: &str = "x-b3-sampled";
pub(super) const FLAGS: &str = "x-b3-flags";

/// The context of the single field, else of the several (OpenTelemetry specification, "B3 Extract": both are tried, the single one first).
pub(super) fn read(headers: &Headers) -> Option<Context> {
    once(headers, SINGLE).and_then(parse_single).or_else(|| read_multi(headers))
}

/// The context of the several fields.
pub(super) fn read_multi(headers: &Headers) -> Option<Context> {
    let sampled = if once(headers, FLAGS) == Some(b"1") {
        // Debug implies accept, whatever the other field says.
        Some(true)
    } else {
        once(headers, SAMPLED).and_then(sampled)
    };
    let ids = once(headers, TRACE_ID).zip(once(headers, SPAN_ID));
    match ids {
        Some((trace, span)) => Some(Context::of(trace_id(trace)?, span_id(span)?, sampled)),
        None => sampled.map(|sampled| Context { sampled: Some(sampled), ..Context::default() }),
    }
}

/// `{TraceId}-{SpanId}-{SamplingState}-{ParentSpanId}` of which the last two may be absent, or the sampling state alone.
fn parse_single(value: &[u8]) -> Option<Context> {
    let mut parts = value.split(|&byte| byte == b'-');
    let first = parts.next()?;
    let Some(span) = parts.next() else {
        return state(first).map(|sampled| Context { sampled: Some(sampled), ..Context::default() });
    };
    let sampled = match parts.next() {
        Some(decision) => Some(state(decision)?),
        None => None,
    };
    if let Some(parent) = parts.next() {
        span_id(parent)?;
    }
    if parts.next().is_some() {
        return None;
    }
    Some(Context::of(trace_id(first)?, span_id(span)?, sampled))
}

/// The sampling state of the single field; `d` is debug, which implies accept.
fn state(value: &[u8]) -> Option<bool> {
    match value {
        b"0" => Some(false),
        b"1" | b"d" => Some(true),
        _ => None,
    }
}

/// `X-B3-Sampled`; `true` and `false` are what old tracers sent ("Sampling State").
fn sampled(value: &[u8]) -> Option<bool> {
    match value {
        b"0" => Some(false),
        b"1" => Some(true),
        _ if value.eq_ignore_ascii_case(b"false") => Some(false),
        _ if value.eq_ignore_ascii_case(b"true") => Some(true),
        _ => None,
    }
}

/// 32 or 16 digits; the shorter is padded on the left.
fn trace_id(digits: &[u8]) -> Option<TraceId> {
    let id = matches!(digits.len(), 16 | 32).then(|| hex::lower(digits)).flatten()?;
    (id != 0).then_some(TraceId(id))
}

fn span_id(digits: &[u8]) -> Option<SpanId> {
    let id = (digits.len() == 16).then(|| hex::lower(digits)).flatten()?;
    (id != 0).then_some(SpanId(id as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "80f198ee56343ba864fe8b2a57d3eff7";
    const SPAN: &str = "e457b5a2e4d86bd1";

    fn of(fields: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in fields {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        headers
    }

    fn context(sampled: Option<bool>) -> Context {
        let trace = TraceId(0x80f1_98ee_5634_3ba8_64fe_8b2a_57d3_eff7);
        Context::of(trace, SpanId(0xe457_b5a2_e4d8_6bd1), sampled)
    }

    fn alone(sampled: bool) -> Context {
        Context { sampled: Some(sampled), ..Context::default() }
    }

    #[test]
    fn single() {
        let parse = |value: &str| read(&of(&[("B3", value)]));
        assert_eq!(parse(&format!("{TRACE}-{SPAN}-1-05e3ac9a4f6e3b90")), Some(context(Some(true))));
        assert_eq!(parse(&format!("{TRACE}-{SPAN}-d")), Some(context(Some(true))));
        assert_eq!(parse(&format!("{TRACE}-{SPAN}-0")), Some(context(Some(false))));
        assert_eq!(parse(&format!("{TRACE}-{SPAN}")), Some(context(None)));
        assert_eq!((parse("0"), parse("1"), parse("d")), (Some(alone(false)), Some(alone(true)), Some(alone(true))));
        let short = parse(&format!("{}-{SPAN}-1", &TRACE[16..])).unwrap().parent.unwrap();
        assert_eq!(short.trace_id.to_string(), format!("{}{}", "0".repeat(16), &TRACE[16..]));
        for bad in [
            "",
            "-",
            "2",
            TRACE,
            &format!("{TRACE}-{SPAN}-"),
            &format!("{TRACE}-{SPAN}-x"),
            &format!("{TRACE}-{SPAN}-1-"),
            &format!("{TRACE}-{SPAN}-1-05e3ac9a4f6e3b90-"),
            &format!("{TRACE}-{}-1", &SPAN[1..]),
            &format!("{}-{SPAN}-1", &TRACE[1..]),
            &format!("{}-{SPAN}-1", TRACE.to_uppercase()),
            &format!("{}-{SPAN}-1", "0".repeat(32)),
            &format!("{TRACE}-{}-1", "0".repeat(16)),
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn multi() {
        let ids = [("X-B3-TraceId", TRACE), ("X-B3-SpanId", SPAN)];
        let with = |more: &[(&'static str, &'static str)]| {
            let mut fields = ids.to_vec();
            fields.extend_from_slice(more);
            read_multi(&of(&fields))
        };
        assert_eq!(with(&[]), Some(context(None)));
        assert_eq!(
            with(&[("X-B3-Sampled", "1"), ("X-B3-ParentSpanId", "05e3ac9a4f6e3b90")]),
            Some(context(Some(true)))
        );
        assert_eq!(with(&[("X-B3-Sampled", "False")]), Some(context(Some(false))));
        assert_eq!(with(&[("X-B3-Sampled", "0"), ("X-B3-Flags", "1")]), Some(context(Some(true))));
        assert_eq!(with(&[("X-B3-Sampled", "maybe"), ("X-B3-Flags", "0")]), Some(context(None)));
        assert_eq!(read_multi(&of(&[("x-b3-sampled", "0")])), Some(alone(false)));
        assert_eq!(read_multi(&of(&[("x-b3-flags", "1")])), Some(alone(true)));
        assert_eq!(read_multi(&of(&ids[..1])), None);
        assert_eq!(read_multi(&of(&[ids[0], ("X-B3-SpanId", "1")])), None);
        assert_eq!(read_multi(&of(&[])), None);
    }

    #[test]
    fn the_single_field_is_tried_first() {
        let multi = [("X-B3-TraceId", TRACE), ("X-B3-SpanId", SPAN)];
        let single = format!("{}-{SPAN}-0", "1".repeat(32));
        let both = of(&[multi[0], multi[1], ("b3", &single)]);
        assert_eq!(read(&both).unwrap().sampled, Some(false));
        assert_eq!(read_multi(&both), Some(context(None)));
        assert_eq!(read(&of(&[multi[0], multi[1], ("b3", "nonsense")])), Some(context(None)));
    }
}
