//! Any bytes as server-sent events: any segmentation gives the same events, and losses no panic.
#![no_main]

mod items;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| items::check("text/event-stream", "", input));
