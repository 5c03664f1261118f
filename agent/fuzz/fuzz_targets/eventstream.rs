//! Any bytes as an AWS event stream: any segmentation gives the same messages, and losses no panic.
#![no_main]

mod items;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| items::check("application/vnd.amazon.eventstream", "", input));
