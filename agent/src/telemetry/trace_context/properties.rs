//! What holds for every header section.

use proptest::prelude::*;

use super::{Context, carries, extract};
use crate::{policy::plan::ContextFormat, protocol::Headers};

const NAMES: [&str; 8] =
    ["traceparent", "tracestate", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags", "uber-trace-id"];

fn headers(fields: &[(usize, Vec<u8>)]) -> Headers {
    let mut headers = Headers::default();
    for (name, value) in fields {
        headers.push(NAMES[*name].as_bytes(), value);
    }
    headers
}

fn check(context: &Context) {
    if let Some(parent) = context.parent {
        assert!(parent.trace_id.0 != 0 && parent.span_id.0 != 0);
    } else {
        assert!(context.sampled.is_some(), "a context says something");
    }
    assert!(context.state.len() <= 512);
}

/// Values that look like contexts, with every part now and then wrong.
fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..80),
        "[0-9a-fA-F%:-]{0,80}".prop_map(String::into_bytes),
        "0[01]-[0-9a-f]{31,33}-[0-9a-f]{15,17}-[0-9a-f]{1,3}".prop_map(String::into_bytes),
        "[0-9a-f]{15,33}-[0-9a-f]{15,17}(-[01dx](-[0-9a-f]{16})?)?".prop_map(String::into_bytes),
        "[0-9a-f]{0,33}(:|%3A)[0-9a-f]{0,17}:[0-9a-f]{0,2}:[0-9a-f]{0,3}".prop_map(String::into_bytes),
        "[01d]|true|false|a=b,c=d".prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn any_fields_are_a_context_or_none(
        fields in prop::collection::vec((0..NAMES.len(), value()), 0..6),
        formats in prop::collection::vec(prop::sample::select(&ContextFormat::ALL), 0..5),
    ) {
        let headers = headers(&fields);
        let found = extract(&formats, &headers);
        if let Some(context) = &found {
            check(context);
            prop_assert!(fields.iter().any(|(name, _)| carries(NAMES[*name].as_bytes())));
        }
        // The order is one of preference: what the first format reads is what comes out.
        let first = formats.iter().find_map(|format| extract(&[*format], &headers));
        prop_assert_eq!(found, first);
    }

    #[test]
    fn ids_survive_each_format(trace in 1..=u128::MAX, span in 1..=u64::MAX, sampled: bool) {
        let flag = u8::from(sampled);
        for (format, name, value) in [
            (ContextFormat::W3c, "traceparent", format!("00-{trace:032x}-{span:016x}-0{flag}")),
            (ContextFormat::B3, "b3", format!("{trace:032x}-{span:016x}-{flag}")),
            (ContextFormat::Jaeger, "uber-trace-id", format!("{trace:x}:{span:x}:0:{flag:x}")),
        ] {
            let mut headers = Headers::default();
            headers.push(name.as_bytes(), value.as_bytes());
            let context = extract(&[format], &headers).expect(name);
            let parent = context.parent.expect(name);
            prop_assert_eq!((parent.trace_id.0, parent.span_id.0, context.sampled), (trace, span, Some(sampled)));
        }
    }
}
