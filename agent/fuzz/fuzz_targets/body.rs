//! Any bytes as content of any type and coding: any segmentation gives the same items, memory is bounded, and losses give no panic.
#![no_main]

mod items;

use libfuzzer_sys::fuzz_target;

const TYPES: [&str; 6] = [
    "application/json",
    "text/event-stream",
    "application/x-ndjson",
    "application/vnd.amazon.eventstream",
    "text/plain",
    "multipart/form-data",
];
const CODINGS: [&str; 8] = ["", "gzip", "deflate", "br", "zstd", "deflate, gzip", "br, zstd", "compress"];

// Input: one byte of type and coding, one of the size of pieces, and the content.
fuzz_target!(|input: &[u8]| {
    let Some((&choice, input)) = input.split_first() else { return };
    let content_type = TYPES[usize::from(choice >> 3) % TYPES.len()];
    items::check(content_type, CODINGS[usize::from(choice & 7)], input);
});
