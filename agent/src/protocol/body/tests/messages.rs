//! AWS event streams.

use flate2::Crc;

use super::{check, headers, read_pieces};

fn sum(bytes: &[u8]) -> [u8; 4] {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum().to_be_bytes()
}

/// One message with these headers, as text.
pub(super) fn message(fields: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut headers = Vec::new();
    for (name, value) in fields {
        headers.push(name.len() as u8);
        headers.extend_from_slice(name.as_bytes());
        headers.push(7);
        headers.extend_from_slice(&(value.len() as u16).to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    framed(&headers, payload)
}

fn framed(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let total = (16 + headers.len() + payload.len()) as u32;
    let mut bytes = total.to_be_bytes().to_vec();
    bytes.extend_from_slice(&(headers.len() as u32).to_be_bytes());
    bytes.extend_from_slice(&sum(&bytes));
    bytes.extend_from_slice(headers);
    bytes.extend_from_slice(payload);
    bytes.extend_from_slice(&sum(&bytes));
    bytes
}

fn event(name: &str, payload: &str) -> Vec<u8> {
    let fields = [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")];
    message(&fields, payload.as_bytes())
}

const TYPE: &str = "application/vnd.amazon.eventstream";

#[test]
fn payloads_are_items_by_the_name_of_their_event() {
    let exception =
        message(&[(":message-type", "exception"), (":exception-type", "throttlingException")], b"{\"message\":\"m\"}");
    let content =
        [event("messageStart", "{\"role\":\"assistant\"}"), event("metadata", "{}"), event("empty", ""), exception]
            .concat();
    let expected = [
        "messageStart: {\"role\":\"assistant\"}",
        "metadata: {}",
        "empty: ",
        "throttlingException: {\"message\":\"m\"}",
    ];
    let counters = check(&headers(TYPE, ""), content, &expected);
    assert_eq!(counters.messages, 4);
}

/// A message of the specification's own test vectors (smithy, `payload_one_str_header`), byte for byte.
#[test]
fn a_message_of_the_specification() {
    let bytes =
        b"\0\0\0\x3d\0\0\0\x20\x07\xfd\x83\x96\x0ccontent-type\x07\0\x10application/json{'foo':'bar'}\x8d\x9c\x08\xb1";
    let counters = check(&headers(TYPE, ""), bytes, &["{'foo':'bar'}"]);
    assert_eq!((counters.messages, counters.bad_checksums, counters.bad_preludes), (1, 0, 0));
}

#[test]
fn headers_of_every_type_are_passed() {
    let mut fields = Vec::new();
    for (kind, value) in [
        (0_u8, &b""[..]),
        (1, b""),
        (2, b"\x01"),
        (3, b"\x01\x02"),
        (4, b"\x01\x02\x03\x04"),
        (5, b"\x01\x02\x03\x04\x05\x06\x07\x08"),
        (6, b"\0\x02xy"),
        (8, b"\x01\x02\x03\x04\x05\x06\x07\x08"),
        (9, b"0123456789abcdef"),
        (7, b"\0\x01v"),
    ] {
        fields.extend_from_slice(b"\x01n");
        fields.push(kind);
        fields.extend_from_slice(value);
    }
    fields.extend_from_slice(b"\x0b:event-type\x07\0\x01e");
    check(&headers(TYPE, ""), framed(&fields, b"{}"), &["e: {}"]);
    // An unknown type has an unknown length: what comes behind it cannot be read.
    check(&headers(TYPE, ""), framed(b"\x01n\x0a\x0b:event-type\x07\0\x01e", b"{}"), &["{}"]);
    check(&headers(TYPE, ""), framed(b"\x0b:event-type\x07\xff\xffe", b"{}"), &["{}"]);
    // Beyond the bound headers are not kept, and the message is read all the same.
    check(&headers(TYPE, ""), framed(&[0xff; 9000], b"{}"), &["{}"]);
}

#[test]
fn of_a_payload_that_its_checksum_does_not_fit_nothing_is_told_and_the_next_message_is() {
    let mut content = event("a", "{\"x\":1}");
    let at = content.len() - 6;
    content[at] ^= 1;
    content.extend(event("b", "{}"));
    let counters = check(&headers(TYPE, ""), content, &["(cut)", "b: {}"]);
    assert_eq!((counters.bad_checksums, counters.bad_preludes), (1, 0));
    // One that is too long to wait for its checksum was told of already, and is marked.
    let long = format!("\"{}\"", "x".repeat(64 * 1024));
    let mut content = event("a", &long);
    let at = content.len() - 6;
    content[at] ^= 1;
    content.extend(event("b", "{}"));
    let told = format!("a: {}", long.replace("x\"", "y\""));
    let counters = check(&headers(TYPE, ""), content, &[&format!("{told}.."), "b: {}"]);
    assert_eq!((counters.bad_checksums, counters.bad_preludes), (1, 0));
}

#[test]
fn where_framing_is_lost_the_next_prelude_is_found_by_its_checksum() {
    let content = [event("a", "{}"), b"\0\0\0\x10garbage\0".to_vec(), event("b", "{}"), event("c", "{}")].concat();
    let counters = check(&headers(TYPE, ""), content, &["a: {}", "(cut)", "b: {}", "c: {}"]);
    assert_eq!(counters.bad_preludes, 1, "counted once");
    let whole = event("b", "{}");
    for cut in 0..whole.len() {
        let rest = [&whole[cut..], &event("c", "{\"c\":1}")].concat();
        let start = event("a", "{}");
        let (recorder, _) = read_pieces(&headers(TYPE, ""), [&start, &b""[..], &rest], true);
        let lines = recorder.lines();
        assert_eq!(lines.first().map(String::as_str), Some("a: {}"));
        assert_eq!(lines.last().map(String::as_str), Some("c: {\"c\":1}"), "cut at {cut}: {lines:?}");
    }
}

#[test]
fn a_stream_that_stops_inside_a_message_is_cut() {
    let content = event("a", "{\"x\":1}");
    let headers_begin = 12;
    let payload_begins = content.len() - 4 - 7;
    for cut in 1..content.len() {
        let (recorder, _) = read_pieces(&headers(TYPE, ""), [&content[..cut]], true);
        let lines = recorder.lines();
        if cut < payload_begins {
            assert_eq!(lines, ["(cut)"], "cut at {cut}, headers begin at {headers_begin}");
        } else {
            assert!(
                lines.len() == 1 && lines[0].starts_with("a: ") && lines[0].ends_with(".."),
                "cut at {cut}: {lines:?}"
            );
        }
    }
}
