//! Trace identity: the context that a request carries in one of several formats, or ids hashed from what both ends of a connection can see
//! (DESIGN section 5).

mod b3;
mod hex;
mod identity;
mod jaeger;
#[cfg(test)]
mod properties;
mod w3c;

use std::fmt;

pub use identity::{Identity, identify, identify_part};
pub use w3c::of_texts;

use crate::{policy::plan::ContextFormat, protocol::Headers};

/// A trace id; never zero (W3C Trace Context section 3.2.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceId(pub u128);

/// A span id; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpanId(pub u64);

impl fmt::Display for TraceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

/// The sender's span, as a context names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The trace.
    pub trace_id: TraceId,
    /// The sender's span.
    pub span_id: SpanId,
}

/// What a request says about its trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The sender's span; `None` where it only decided about sampling (`b3: 0`).
    pub parent: Option<Parent>,
    /// What the sender decided; `None` where it left that to the receiver, as B3 can.
    pub sampled: Option<bool>,
    /// W3C `tracestate`, empty if absent or not valid.
    pub state: String,
}

impl Context {
    fn of(trace_id: TraceId, span_id: SpanId, sampled: Option<bool>) -> Self {
        Self { parent: Some(Parent { trace_id, span_id }), sampled, state: String::new() }
    }
}

/// Reads the context of a request: the first of these formats that yields one wins. What is malformed is no context.
pub fn extract(formats: &[ContextFormat], headers: &Headers) -> Option<Context> {
    formats.iter().find_map(|format| reader(*format)(headers))
}

/// Whether a header field of this name is one that a context of any format begins with.
pub fn carries(name: &[u8]) -> bool {
    let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
    // The length decides first, so that most fields cost one comparison.
    match name.len() {
        2 => is(b3::SINGLE),
        10 => is(b3::FLAGS),
        11 => is(w3c::TRACEPARENT) || is(b3::SPAN_ID),
        12 => is(b3::TRACE_ID) || is(b3::SAMPLED),
        13 => is(jaeger::TRACE_ID),
        _ => false,
    }
}

/// Reads a context from a request's header fields.
type Reader = fn(&Headers) -> Option<Context>;

/// Who reads a format.
const fn reader(format: ContextFormat) -> Reader {
    match format {
        ContextFormat::W3c => w3c::read,
        ContextFormat::B3 => b3::read,
        ContextFormat::B3Multi => b3::read_multi,
        ContextFormat::Jaeger => jaeger::read,
    }
}

/// A field that is sent once: its value, or `None` if it is absent or there are several, of which nobody can say which one holds.
fn once<'a>(headers: &'a Headers, name: &str) -> Option<&'a [u8]> {
    // The length decides first, so that most fields cost one comparison.
    let is = |(field, _): &(&[u8], _)| field.len() == name.len() && field.eq_ignore_ascii_case(name.as_bytes());
    let mut found = headers.iter().filter(is);
    let (_, value) = found.next()?;
    if found.next().is_some() { None } else { value }
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
    fn the_first_format_that_yields_a_context_wins() {
        let traceparent = ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        let b3 = ("b3", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-0");
        let jaeger = ("uber-trace-id", "7:8:0:1");
        let trace = |formats: &[ContextFormat], fields: &[(&str, &str)]| {
            extract(formats, &headers(fields)).and_then(|context| context.parent).map(|parent| parent.trace_id.0)
        };
        let all = ContextFormat::ALL;
        assert_eq!(trace(&all, &[jaeger, b3, traceparent]), Some(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736));
        assert_eq!(trace(&all, &[jaeger, b3]), Some(0x80f1_98ee_5634_3ba8_64fe_8b2a_57d3_eff7));
        assert_eq!(trace(&[ContextFormat::Jaeger, ContextFormat::W3c], &[jaeger, traceparent]), Some(7));
        assert_eq!(trace(&[ContextFormat::W3c], &[jaeger, b3]), None);
        assert_eq!(trace(&[], &[traceparent]), None);
        // A malformed one is as good as absent.
        assert_eq!(trace(&all, &[("traceparent", "00-0-0-01"), jaeger]), Some(7));
    }

    #[test]
    fn what_is_sent_twice_is_no_context() {
        for (name, value) in [
            ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            ("b3", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1"),
            ("uber-trace-id", "7:8:0:1"),
        ] {
            assert!(extract(&ContextFormat::ALL, &headers(&[(name, value)])).is_some(), "{name}");
            assert_eq!(extract(&ContextFormat::ALL, &headers(&[(name, value), (name, value)])), None, "{name}");
        }
    }
}
