//! Server-sent events. Most cases are those of Web Platform Tests (eventsource/format-*.any.js).

use super::{Came, check, headers, read_pieces};
use crate::protocol::body::{Counters, MAX_EVENT, MAX_EVENT_NAME};

#[track_caller]
fn events(content: impl AsRef<[u8]>, expected: &[&str]) -> Counters {
    check(&headers("text/event-stream; charset=utf-8", ""), content, expected)
}

#[test]
fn the_cases_of_web_platform_tests() {
    let long = "x".repeat(60);
    for (content, expected) in [
        // format-bom, format-bom-2
        ("\u{feff}data:1\n\n\u{feff}data:2\n\ndata:3\n\n".to_owned(), vec!["1", "3"]),
        ("\u{feff}\u{feff}data:1\n\ndata:2\n\ndata:3\n\n".to_owned(), vec!["2", "3"]),
        // format-comments
        (
            format!("data:1\r:\0\n:\r\ndata:2\n:{long}\rdata:3\n:data:fail\r:{long}\ndata:4\n\n"),
            vec!["1\n2\n3\n4"],
        ),
        // format-field-data, format-field-data-space
        ("data:\n\ndata\ndata\n\ndata:test\n\n".to_owned(), vec!["", "\n", "test"]),
        // format-field-event, format-field-event-empty
        ("event:test\ndata:x\n\ndata:x\n\n".to_owned(), vec!["test: x", "x"]),
        ("event: \ndata:data\n\n".to_owned(), vec!["data"]),
        // format-field-parsing
        (
            "data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n data:32\ndata:4\n\n"
                .to_owned(),
            vec!["\0\n 2\n1\n3\n\n4"],
        ),
        // format-field-retry, format-field-id, format-field-unknown
        ("retry:3000\ndata:x\n\nid:1\ndata:y\n\n".to_owned(), vec!["x", "y"]),
        ("data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\ndata:test\n\n".to_owned(), vec!["test\n\ntest"]),
        // format-leading-space
        ("data:\ttest\rdata: \ndata:test\n\n".to_owned(), vec!["\ttest\n\ntest"]),
        // format-newlines
        ("data:test\r\ndata\ndata:test\r\n\r\n".to_owned(), vec!["test\n\ntest"]),
        // format-null-character
        ("data:\0\n\n\n\n".to_owned(), vec!["\0"]),
        // format-utf-8
        ("data:ok…\n\n".to_owned(), vec!["ok…"]),
    ] {
        events(content, &expected);
    }
}

#[test]
fn every_line_end_counts_once() {
    for end in ["\n", "\r", "\r\n"] {
        let content = ["event: a", "data: 1", "data: 2", "", "", "data: 3", "", ""].join(end);
        events(content, &["a: 1\n2", "3"]);
    }
    events("data:1\r\rdata:2\r\n\r\n", &["1", "2"]);
    events("data:1\n\rdata:2\r\n\n", &["1", "2"]);
}

#[test]
fn the_name_may_come_behind_the_data_and_holds_for_one_event() {
    events("data: {}\nevent: delta\n\ndata: 2\n\n", &["delta: {}", "2"]);
    events("event: a\ndata: 1\nevent: b\n\n", &["b: 1"]);
    events("event: a\n\ndata: 1\n\n", &["1"]);
}

#[test]
fn what_has_no_data_is_no_event_and_done_is_one() {
    let counters = events(
        ": keep-alive\n\nevent: ping\n\nid: 7\nretry: 1\n\ndata: {\"a\":1}\n\ndata: [DONE]\n\n",
        &["{\"a\":1}", "[DONE]"],
    );
    assert_eq!(counters.events, 2);
}

#[test]
fn an_event_whose_empty_line_is_missing_is_told_at_the_end() {
    let headers = headers("text/event-stream", "");
    events("data: 1\n\ndata: 2", &["1", "2"]);
    events("data: 1\n\ndata: 2\nid: 7\n", &["1", "2"]);
    events("data: 1\n\nevent: a\n", &["1"]);
    let (recorder, _) = read_pieces(&headers, [&b"data: 1\n\ndata: {\"a"[..]], false);
    assert_eq!(recorder.lines(), ["1", "{\"a..", "(cut)"]);
}

#[test]
fn an_event_is_told_at_its_empty_line_with_the_time_of_that() {
    let headers = headers("text/event-stream", "");
    let pieces = ["data: 1\r\n", "\r", "\n", "event: a\rdata: 2", "3\r", "\r", "data: 4\n\ndata: 5\n", "\n"];
    let (recorder, _) = read_pieces(&headers, pieces.map(str::as_bytes), true);
    let times: Vec<_> = recorder
        .came
        .iter()
        .map(|came| match came {
            Came::Item { time, whole: true, .. } => *time,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(times, [2, 6, 7, 8]);
}

#[test]
fn large_events_and_names_are_not_kept() {
    let data = "x".repeat(2 * MAX_EVENT);
    let headers = headers("text/event-stream", "");
    let content = format!("event: early\ndata: {data}\nevent: late\ndata: y\n\ndata: z\n\n");
    for size in [1, 1000, usize::MAX] {
        let (recorder, _) = read_pieces(&headers, content.as_bytes().chunks(size.min(content.len())), true);
        assert_eq!(
            recorder.lines(),
            [format!("early: {data}\ny"), "z".to_owned()],
            "the name as known when it went on"
        );
    }
    let name = "n".repeat(MAX_EVENT_NAME + 1);
    events(format!("event:{name}\ndata:1\n\n"), &[&format!("{}: 1", &name[1..])]);
}

#[test]
fn behind_a_gap_events_go_on_at_the_next_empty_line() {
    let headers = headers("text/event-stream", "");
    for (pieces, expected) in [
        (vec!["data: 1\n\nda", "", "a: 2\ndata: 3\n\ndata: 4\n\n"], vec!["1", "(cut)", "4"]),
        (vec!["data: 1\ndata: 2", "", "\r\n\r\ndata: 4\n\n"], vec!["1\n2..", "(cut)", "4"]),
        (vec!["", "x\n", "\r", "data: 4\n\n"], vec!["(cut)", "4"]),
        (vec!["data: 1\n\n", "", "data: 2\r\n", "\r", "\ndata: 3\n\n"], vec!["1", "(cut)", "3"]),
    ] {
        let (recorder, counters) = read_pieces(&headers, pieces.iter().map(|piece| piece.as_bytes()), true);
        assert_eq!(recorder.lines(), expected);
        assert_eq!(counters.gaps, 1);
    }
}

#[test]
fn json_that_is_called_an_event_stream_is_json_and_the_other_way_round() {
    events("{\"error\":{}}\n", &["{\"error\":{}}\n"]);
    for content_type in ["application/json", "text/plain", "", "application/x-ndjson"] {
        for first in ["data: 1", "event: a\ndata: 1", ": c\n\ndata: 1", "id:\ndata: 1", "retry: 1\ndata: 1"] {
            let expected = if first.starts_with("event") { "a: 1" } else { "1" };
            check(&headers(content_type, ""), format!("\r\n{first}\n\n"), &[expected]);
        }
    }
}
