//! W3C Trace Context: `traceparent` and `tracestate`.

use super::{Context, SpanId, TraceId, hex, once};
use crate::protocol::Headers;

pub(super) const TRACEPARENT: &str = "traceparent";

/// The context of these fields. A second `traceparent` makes both invalid (section 3.2: it is sent once).
pub(super) fn read(headers: &Headers) -> Option<Context> {
    let (trace_id, span_id, sampled) = parse_traceparent(once(headers, TRACEPARENT)?)?;
    let states =
        headers.iter().filter_map(|(name, value)| name.eq_ignore_ascii_case(b"tracestate").then_some(value).flatten());
    Some(Context { state: join_tracestate(states), ..Context::of(trace_id, span_id, Some(sampled)) })
}

/// The context of these values, where they stand elsewhere than in header fields (`_meta` of MCP).
pub fn of_texts(traceparent: &str, tracestate: Option<&str>) -> Option<Context> {
    let (trace_id, span_id, sampled) = parse_traceparent(traceparent.as_bytes())?;
    let state = join_tracestate(tracestate.map(str::as_bytes).into_iter());
    Some(Context { state, ..Context::of(trace_id, span_id, Some(sampled)) })
}

/// Parses a `traceparent` value as strictly as W3C Trace Context (level 2, section 3.2) demands: lower-case hexadecimal, no zero ids, version
/// `00` has exactly 55 bytes, a later one at least these, version `ff` is invalid.
pub(super) fn parse_traceparent(value: &[u8]) -> Option<(TraceId, SpanId, bool)> {
    let fixed = value.get(..55)?;
    let version = hex::lower(&fixed[..2])?;
    let dashes = fixed[2] == b'-' && fixed[35] == b'-' && fixed[52] == b'-';
    let length = match version {
        0xff => false,
        0 => value.len() == 55,
        _ => value.len() == 55 || value[55] == b'-',
    };
    if !dashes || !length {
        return None;
    }
    let trace = hex::lower(&fixed[3..35])?;
    let span = hex::lower(&fixed[36..52])? as u64;
    let flags = hex::lower(&fixed[53..55])?;
    (trace != 0 && span != 0).then_some((TraceId(trace), SpanId(span), flags & 1 == 1))
}

/// Longest `tracestate` that is kept: W3C asks for at least 512.
const MAX_STATE: usize = 512;

/// Joins the `tracestate` fields of a request. Empty if a member is malformed, if there are more than 32, or if it is longer than 512 bytes: the
/// whole is then discarded (section 3.3).
pub(super) fn join_tracestate<'a>(fields: impl Iterator<Item = &'a [u8]>) -> String {
    let mut state = String::new();
    let mut members = 0;
    for field in fields {
        let Ok(field) = std::str::from_utf8(field) else { return String::new() };
        for member in
            field.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty())
        {
            members += 1;
            if members > 32 || !valid_member(member) || state.len() + member.len() + 1 > MAX_STATE {
                return String::new();
            }
            if !state.is_empty() {
                state.push(',');
            }
            state.push_str(member);
        }
    }
    state
}

/// `key=value` of section 3.3.1.3.
fn valid_member(member: &str) -> bool {
    let Some((key, value)) = member.split_once('=') else { return false };
    let key_byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte);
    let starts = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    key.len() <= 256
        && key.as_bytes().first().is_some_and(starts)
        && key.bytes().all(key_byte)
        && !value.is_empty()
        && value.len() <= 256
        && value.bytes().all(|byte| (0x20..=0x7e).contains(&byte) && byte != b',' && byte != b'=')
        && !value.ends_with(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn traceparent_is_strict() {
        let later = format!("01{}-more", &VALID[2..]);
        assert!(parse_traceparent(later.as_bytes()).is_some());
        let unsampled = VALID.replace("-01", "-02");
        assert!(!parse_traceparent(unsampled.as_bytes()).unwrap().2);
        for bad in [
            String::new(),
            VALID[..54].to_owned(),
            format!("{VALID}-x"),
            format!("{VALID}0"),
            format!("ff{}", &VALID[2..]),
            format!("01{}x", &VALID[2..]),
            VALID.to_uppercase(),
            VALID.replace('-', "_"),
            VALID.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            VALID.replace("00f067aa0ba902b7", &"0".repeat(16)),
        ] {
            assert_eq!(parse_traceparent(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn tracestate_is_joined_or_discarded_whole() {
        let join = |fields: &[&str]| join_tracestate(fields.iter().map(|field| field.as_bytes()));
        assert_eq!(join(&["a=1, b@c=x y", "d=2"]), "a=1,b@c=x y,d=2");
        assert_eq!(join(&["a=1", "B=1"]), "");
        assert_eq!(join(&["a"]), "");
        assert_eq!(join(&[&"a=1,".repeat(33)]), "");
        assert_eq!(join(&[&format!("a={}", "x".repeat(257))]), "");
    }
}
