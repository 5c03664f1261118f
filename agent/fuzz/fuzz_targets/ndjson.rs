//! Any bytes as lines: any segmentation gives the same lines, and losses no panic.
#![no_main]

mod items;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| items::check("application/x-ndjson", "", input));
