//! Content codings, and what is sent to exhaust who takes them off.

use std::io::Write as _;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::{Came, Recorder, check, headers, read_pieces};
use crate::{
    capture::Timestamp,
    protocol::body::{Body, Counters, FREE_DECODED, MAX_RATIO, MAX_WINDOW},
};

fn document() -> String {
    format!("{{\"model\":\"m\",\"text\":\"{}\",\"usage\":{{\"n\":12}}}}", "hello wörld ".repeat(40))
}

pub(super) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zlib(content: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn raw(content: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zstd(content: &[u8]) -> Vec<u8> {
    compress_to_vec(content, CompressionLevel::Fastest)
}

/// What the encoders themselves gave: node's `zlib.brotliCompress` and `zstd --check`.
const BROTLI: &str =
    "Gy8CEJyFsfMideWMol1YWnoxQqWDnCxVe2jEzCYYmyKoPtti0Sm2Ycc4YB7s2l5uJL4FHCA05MFImJ5AavDg12ZUjdzLRcCw66c7NQA=";
const ZSTD: &str =
    "KLUv/WQwAfUBAFQDeyJtb2RlbCI6Im0iLCJ0ZXh0IjoiaGVsbG8gd8O2cmxkICIsInVzYWdlIjp7Im4iOjEyfX0BAMIHdT4BNrCmHg==";
/// Three events with a flush behind each, and where these were.
const BROTLI_EVENTS: &str = "CweAZGF0YTogeyJhIjoxfQoKcAAAQFJBpq9EASaENWgAAEDAQ9ZfM5V1UwToEoCmxgcDAw==";
const BROTLI_FLUSHES: [usize; 3] = [18, 31, 51];
/// A window of 16 MiB.
const BROTLI_WINDOW: &str = "DwOAeyJhIjoxLCgACCJiIjoyfQM=";
/// 64 MiB of spaces.
pub(in crate::protocol::body) const BROTLI_BOMB: &str = "y///P/glQOKxQCD3/o///3/wSwDEYRGA7v0f////4JcAiMMCAN37P/7//8EvARCHBQC693/8//+DXwIgDgsAdO//+P//B78EQBwWAOje//H//w9+CYA4LADQvf/L//8//BIAcVgAoHv/Bw==";
/// The start of a frame of zstd with a window of 32 MiB.
const ZSTD_WINDOW: &str = "KLUv/QR4ZAAAEAAAAgDp/zdz4AEsAgAQAAIAEAACABAAAgAQAAIAEAACABAAAgAQAAIAEAACABAAAgAQ";

pub(in crate::protocol::body) fn bytes(base64: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(base64).unwrap()
}

#[test]
fn every_coding_is_taken_off() {
    let document = document();
    let plain = document.as_bytes();
    for (coding, content) in [
        ("gzip", gzip(plain)),
        ("X-GZip", gzip(plain)),
        ("deflate", zlib(plain)),
        ("deflate", raw(plain)),
        ("br", bytes(BROTLI)),
        ("zstd", bytes(ZSTD)),
        ("zstd", zstd(plain)),
        ("identity", plain.to_vec()),
        ("", plain.to_vec()),
    ] {
        let counters = check(&headers("application/json", coding), content, &[&document]);
        assert_eq!(counters.bad_codings, 0, "{coding}");
    }
}

#[test]
fn codings_on_top_of_each_other_come_off_in_turn() {
    let document = document();
    let plain = document.as_bytes();
    check(&headers("", "gzip, zstd"), zstd(&gzip(plain)), &[&document]);
    check(&headers("", "deflate ,identity,, br, GZIP"), gzip(&bytes(BROTLI)), &[]);
    check(&headers("", "br,gzip"), gzip(&bytes(BROTLI)), &[&document]);
    check(&headers("", "gzip,gzip,gzip"), gzip(&gzip(&gzip(plain))), &[&document]);
    let mut two_fields = headers("", "gzip");
    two_fields.push(b"content-encoding", b"deflate");
    check(&two_fields, zlib(&gzip(plain)), &[&document]);
}

#[test]
fn what_is_not_known_or_too_much_is_left_alone() {
    for coding in ["compress", "aws-chunked", "gzip, x", "gzip,gzip,gzip,gzip"] {
        let (recorder, counters) = read_pieces(&headers("application/json", coding), [&b"{}"[..]], true);
        assert_eq!((recorder.lines().len(), counters.other_codings), (0, 1), "{coding}");
    }
}

#[test]
fn members_and_frames_behind_each_other_are_one_content() {
    let document = document();
    let (first, second) = document.split_at(100);
    let [first, second] = [first.as_bytes(), second.as_bytes()];
    check(&headers("", "gzip"), [gzip(first), gzip(second)].concat(), &[&document]);
    check(&headers("", "gzip"), [gzip(first), gzip(second), vec![0; 9]].concat(), &[&document]);
    let skipped = b"\x5a\x2a\x4d\x18\x03\0\0\0xyz";
    let empty = b"\x50\x2a\x4d\x18\0\0\0\0";
    check(&headers("", "zstd"), [&skipped[..], &zstd(first), empty, &zstd(second), skipped].concat(), &[&document]);
}

#[test]
fn optional_parts_of_a_gzip_header_are_passed() {
    let plain = b"{\"a\":1}";
    let member = gzip(plain);
    for flags in 0..32_u8 {
        let mut content = member[..10].to_vec();
        content[3] = flags;
        let parts: [(u8, &[u8]); 4] = [(4, b"\x03\0xyz"), (8, b"name\0"), (16, b"\0"), (2, b"xy")];
        for (flag, part) in parts {
            if flags & flag != 0 {
                content.extend_from_slice(part);
            }
        }
        content.extend_from_slice(&member[10..]);
        check(&headers("", "gzip"), content, &["{\"a\":1}"]);
    }
}

#[test]
fn what_a_stream_flushes_is_told_at_once() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let mut content = Vec::new();
    let mut flushes = Vec::new();
    for event in ["data: {\"a\":1}\n\n", "data: {\"a\":2}\n\n", "data: [DONE]\n\n"] {
        encoder.write_all(event.as_bytes()).unwrap();
        encoder.flush().unwrap();
        content = encoder.get_ref().clone();
        flushes.push(content.len());
    }
    let of_gzip = (content, flushes, "gzip");
    let of_brotli = (bytes(BROTLI_EVENTS), BROTLI_FLUSHES.to_vec(), "br");
    for (content, flushes, coding) in [of_gzip, of_brotli] {
        let (mut recorder, mut counters) = (Recorder::default(), Counters::default());
        let mut body = Body::new(&headers("text/event-stream", coding), &mut counters).unwrap();
        assert!(!body.is_late());
        let mut from = 0;
        for (index, flush) in flushes.into_iter().enumerate() {
            body.push(Timestamp(index as u64), &content[from..flush], &mut counters, &mut recorder);
            from = flush;
            assert_eq!(recorder.came.len(), index + 1, "{coding}");
            assert!(matches!(&recorder.came[index], Came::Item { time, whole: true, .. } if *time == index as u64));
        }
        assert_eq!(recorder.lines(), ["{\"a\":1}", "{\"a\":2}", "[DONE]"]);
    }
    let mut counters = Counters::default();
    assert!(Body::new(&headers("text/event-stream", "zstd"), &mut counters).unwrap().is_late());
}

#[test]
fn a_coding_that_stops_leaves_its_content_cut() {
    let plain = b"{\"a\":1}\n{\"b\":2}\n";
    for (coding, content) in
        [("gzip", gzip(plain)), ("deflate", zlib(plain)), ("deflate", raw(plain)), ("zstd", zstd(plain))]
    {
        let (whole, _) = read_pieces(&headers("", coding), [&content[..]], true);
        assert_eq!(whole.lines(), ["{\"a\":1}\n", "{\"b\":2}\n"]);
        for cut in 1..content.len() {
            let (recorder, counters) = read_pieces(&headers("", coding), [&content[..cut]], true);
            let lines = recorder.lines();
            assert_eq!(lines.last().map(String::as_str), Some("(cut)"), "{coding} cut at {cut}: {lines:?}");
            assert_eq!(counters.bad_codings, 0);
        }
    }
}

#[test]
fn no_content_is_whole_whatever_its_coding() {
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let (recorder, _) = read_pieces(&headers("application/json", coding), [], true);
        assert_eq!(recorder.came, []);
    }
}

#[test]
fn what_is_not_of_its_coding_is_cut_and_counted() {
    let plain = document();
    let mut damaged = gzip(plain.as_bytes());
    let at = damaged.len() - 6;
    damaged[at] ^= 1;
    let mut checked = zlib(plain.as_bytes());
    *checked.last_mut().unwrap() ^= 1;
    for (coding, content) in [
        ("gzip", plain.clone().into_bytes()),
        ("gzip", damaged),
        ("deflate", checked),
        ("deflate", b"\xff\xff\xff".to_vec()),
        ("br", b"\xff\xff\xff\xff\xff\xff\xff\xff".to_vec()),
        ("zstd", plain.clone().into_bytes()),
        ("zstd", [&bytes(ZSTD)[..7], b"\xff\xff\xff"].concat()),
    ] {
        for size in [1, content.len()] {
            let (recorder, counters) = read_pieces(&headers("application/json", coding), content.chunks(size), true);
            assert_eq!(counters.bad_codings, 1, "{coding}");
            let lines = recorder.lines();
            assert_eq!(lines.last().map(String::as_str), Some("(cut)"), "{coding}");
            assert!(lines[..lines.len() - 1].iter().all(|line| line.ends_with("..")), "{coding}");
        }
    }
}

#[test]
fn behind_a_gap_nothing_is_decoded() {
    let content = gzip(b"data: 1\n\ndata: 2\n\n");
    let (before, after) = content.split_at(14);
    let (recorder, counters) = read_pieces(&headers("text/event-stream", "gzip"), [before, b"", after], true);
    assert_eq!(recorder.lines().last().map(String::as_str), Some("(cut)"));
    assert_eq!((counters.gaps, counters.bad_codings), (1, 0));
}

/// Takes everything and keeps nothing.
#[derive(Default)]
struct Nothing {
    bytes: u64,
}

impl crate::protocol::body::Items for Nothing {
    fn begin(&mut self, _: &[u8]) {}
    fn bytes(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
    }
    fn end(&mut self, _: Timestamp, _: bool) {}
    fn cut(&mut self) {}
}

/// How many bytes come of content, with the bound on memory checked all the way.
fn exhaust(coding: &str, pieces: &mut dyn Iterator<Item = Vec<u8>>) -> (u64, Counters) {
    let (mut items, mut counters) = (Nothing::default(), Counters::default());
    let mut body = Body::new(&headers("application/x-ndjson", coding), &mut counters).unwrap();
    for piece in pieces {
        body.push(Timestamp(0), &piece, &mut counters, &mut items);
        assert!(body.held() < MAX_WINDOW + 4 * 1024 * 1024, "{coding}: {}", body.held());
    }
    (items.bytes, counters)
}

#[test]
fn bombs_stop_at_the_ratio() {
    let spaces = vec![b'x'; 8 << 20];
    let flat = gzip(&spaces);
    for (coding, content) in [
        ("gzip", flat.clone()),
        ("deflate", zlib(&spaces)),
        ("br", bytes(BROTLI_BOMB)),
        ("zstd", zstd(&spaces)),
        ("gzip, gzip", gzip(&flat)),
        ("gzip, zstd", zstd(&flat)),
    ] {
        let received = content.len() as u64;
        let (decoded, counters) = exhaust(coding, &mut content.chunks(1000).map(<[u8]>::to_vec));
        assert_eq!((counters.over_ratio, counters.over_size), (1, 0), "{coding}");
        // One block of zstd may be beyond before it is asked.
        assert!(decoded <= FREE_DECODED.max(received * MAX_RATIO) + 256 * 1024, "{coding}: {decoded}");
    }
}

#[test]
fn windows_beyond_the_bound_are_refused_before_they_are_there() {
    let (decoded, counters) = exhaust("zstd", &mut bytes(ZSTD_WINDOW).chunks(1).map(<[u8]>::to_vec));
    assert_eq!((decoded, counters.over_window, counters.bad_codings), (0, 1, 0));
    // The decoder of brotli takes as much of its window as is used.
    check(&headers("", "br"), bytes(BROTLI_WINDOW), &["{\"a\":1,\"b\":2}"]);
}

/// The decoder of zstd gives away only what is beyond its window: until then all that it made of a few bytes is there, and has to be counted.
#[test]
fn the_window_of_zstd_is_held() {
    // A window of 8 MiB, and blocks of one byte that repeats 128 Ki times.
    let frame = [&b"\x28\xb5\x2f\xfd\x00\x68"[..], &[2, 0, 0x10, b'x'].repeat(60)].concat();
    let (mut items, mut counters) = (Nothing::default(), Counters::default());
    let mut body = Body::new(&headers("", "zstd"), &mut counters).unwrap();
    body.push(Timestamp(0), &frame, &mut counters, &mut items);
    assert_eq!((items.bytes, counters.bad_codings), (0, 0));
    assert!(body.held() >= 60 * 128 * 1024, "{}", body.held());
    // One that says how little it is.
    let small = zstd(b"{\"a\":1}");
    let mut body = Body::new(&headers("", "zstd"), &mut counters).unwrap();
    body.push(Timestamp(0), &small[..small.len() - 1], &mut counters, &mut items);
    assert!(body.held() < 1 << 20, "{}", body.held());
}

#[test]
fn headers_of_gzip_that_never_end_take_no_memory() {
    let start = b"\x1f\x8b\x08\x08\0\0\0\0\0\0".to_vec();
    let (decoded, _) =
        exhaust("gzip", &mut std::iter::once(start).chain(std::iter::repeat_n(vec![b'n'; 1 << 16], 100)));
    assert_eq!(decoded, 0);
}
