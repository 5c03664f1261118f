//! Any header fields, read in any order of the formats: no panic, no id of zero, and the first format that yields a context wins.
#![no_main]

use libfuzzer_sys::fuzz_target;
use telltale::{policy::plan::ContextFormat, protocol::Headers, telemetry::trace_context::extract};

const NAMES: [&str; 8] =
    ["traceparent", "tracestate", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags", "uber-trace-id"];

// The first byte chooses the order of the formats; each line is a field, of which the first byte chooses the name.
fuzz_target!(|data: &[u8]| {
    let Some((&order, rest)) = data.split_first() else { return };
    let mut headers = Headers::default();
    for line in rest.split(|&byte| byte == b'\n') {
        if let Some((&name, value)) = line.split_first() {
            headers.push(NAMES[usize::from(name) % NAMES.len()].as_bytes(), value);
        }
    }
    let formats = [0, 2, 4, 6].map(|shift| ContextFormat::ALL[usize::from(order >> shift) % 4]);
    let found = extract(&formats, &headers);
    assert_eq!(found, formats.iter().find_map(|format| extract(&[*format], &headers)));
    let Some(context) = found else { return };
    assert!(context.state.len() <= 512);
    match context.parent {
        Some(parent) => assert!(parent.trace_id.0 != 0 && parent.span_id.0 != 0),
        None => assert!(context.sampled.is_some()),
    }
});
