//! Documents, lines and elements.

use super::{Came, check, headers, read_pieces};

#[test]
fn a_document_is_one_item_whatever_it_is_called() {
    let document = "{\"a\": [1,\n {\"b\":\"x\\n{}\"}\n ,\n{}\n]\n}\n";
    for content_type in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/Problem+JSON",
        "text/plain",
        "",
        "application/octet-stream",
    ] {
        let counters = check(&headers(content_type, ""), document, &[document]);
        assert_eq!(counters.documents, 1);
    }
    check(&headers("application/vnd.amazon.eventstream", ""), document, &[document]);
    check(&headers("application/json", ""), "\u{feff} \n{}", &["{}"]);
    check(&headers("application/json", ""), "\"text\"", &["\"text\""]);
    check(&headers("application/json", ""), "tru", &["tru"]);
    check(&headers("application/json", ""), "", &[]);
    check(&headers("application/json", ""), " \n", &[]);
}

#[test]
fn documents_on_lines_of_their_own_are_told_apart_though_they_are_called_one() {
    let documents = &["{\"a\":1}\n", "{\"a\":{}}\r\n \n", "{\"done\":true}\n"];
    for content_type in ["application/json", "text/plain", ""] {
        check(&headers(content_type, ""), documents.concat(), documents);
    }
    let (recorder, _) =
        read_pieces(&headers("", ""), ["{}", " \n", "\n{\"a\"", ":1}\n{", "}"].map(str::as_bytes), true);
    let times: Vec<_> =
        recorder.came.iter().map(|came| if let Came::Item { time, .. } = came { *time } else { 0 }).collect();
    assert_eq!(times, [1, 4, 5], "when its last bracket came");
}

#[test]
fn lines_are_items() {
    for content_type in ["application/x-ndjson", "application/jsonl", "application/stream+json; x=y"] {
        let counters = check(
            &headers(content_type, ""),
            "{\"a\":1}\n\r\n  \n\t{\"b\":\"}\\n{\"}\r\n[1]\n\"x\"\n{\"c\":1}",
            &["{\"a\":1}", "{\"b\":\"}\\n{\"}\r", "[1]", "\"x\"", "{\"c\":1}"],
        );
        assert_eq!(counters.lines, 5);
    }
    check(&headers("application/json-seq", ""), "\x1e{\"a\":1}\n\x1e{}\n", &["{\"a\":1}", "{}"]);
    let (recorder, _) =
        read_pieces(&headers("application/x-ndjson", ""), ["{\"a\"", ":1}\n{\"b"].map(str::as_bytes), false);
    let item = |bytes: &str, time, whole| Came::Item { event: String::new(), bytes: bytes.into(), time, whole };
    assert_eq!(recorder.came, [item("{\"a\":1}", 2, true), item("{\"b", 2, false), Came::Cut]);
}

#[test]
fn elements_of_an_array_of_objects_are_items() {
    for content_type in ["application/json", "", "text/event-stream"] {
        let counters = check(
            &headers(content_type, ""),
            "[{\"a\":\"],{\\\"\"}\r\n,\r\n{\"b\":[{}]}, 7,\"x,]\\\\\",[[2],3],\n{}]",
            &["(array)", "{\"a\":\"],{\\\"\"}", "{\"b\":[{}]}", "7", "\"x,]\\\\\"", "[[2],3]", "{}"],
        );
        assert_eq!(counters.elements, 6);
    }
    check(&headers("", ""), " [ \n{}]\n", &["(array)", "{}"]);
}

#[test]
fn an_element_is_told_when_it_is_complete() {
    let pieces = ["[{\"a\":", "1}", "\n,\n", "{}", "]"];
    let (recorder, _) = read_pieces(&headers("application/json", ""), pieces.map(str::as_bytes), true);
    let times: Vec<_> =
        recorder.came.iter().map(|came| if let Came::Item { time, .. } = came { *time } else { 0 }).collect();
    assert_eq!(times, [0, 2, 4]);
}

#[test]
fn an_array_of_anything_else_is_one_document() {
    for document in ["[[0.1,0.2],[1]]", "[1,{}]", "[]", "[\"a\",\"b\"]", "["] {
        check(&headers("application/json", ""), document, &[document]);
        check(&headers("", ""), document, &[document]);
    }
}

#[test]
fn an_array_that_stops_or_nests_wrongly_is_cut() {
    let headers = headers("application/json", "");
    for (content, expected) in [
        ("[{\"a\":1}", vec!["(array)", "{\"a\":1}", "(cut)"]),
        ("[{\"a\":1},{\"b", vec!["(array)", "{\"a\":1}", "{\"b.."]),
        ("[{\"a\":1},7", vec!["(array)", "{\"a\":1}", "7.."]),
        ("[{\"a\":1]},{}]", vec!["(array)", "{\"a\":1]..", "(cut)"]),
        ("[{}] trailing", vec!["(array)", "{}"]),
    ] {
        check(&headers, content, &expected);
    }
}

#[test]
fn behind_a_gap_lines_go_on_and_documents_do_not() {
    for (content_type, pieces, expected) in [
        ("application/x-ndjson", vec!["{\"a", "", ":1}\n{}\n"], vec!["{\"a..", "(cut)", "{}"]),
        ("application/x-ndjson", vec!["{}\n", "", "{}\n{}\n"], vec!["{}", "(cut)", "{}"]),
        ("application/x-ndjson", vec!["", "x\n{}\n"], vec!["(cut)", "{}"]),
        ("application/json", vec!["{\"a", "", "\":1}\n{}"], vec!["{\"a..", "(cut)"]),
        ("application/json", vec!["", "{}"], vec!["(cut)"]),
        ("application/json", vec!["[{},", "", "{}]"], vec!["(array)", "{}", "(cut)"]),
        ("", vec!["", "{}", ""], vec!["(cut)"]),
    ] {
        let (recorder, _) = read_pieces(&headers(content_type, ""), pieces.iter().map(|piece| piece.as_bytes()), true);
        assert_eq!(recorder.lines(), expected, "{content_type} {pieces:?}");
    }
}

#[test]
fn what_has_no_documents_is_left_alone() {
    for content_type in ["multipart/form-data; boundary=x", "image/png", "Audio/MPEG", "text/html"] {
        let (recorder, counters) = read_pieces(&headers(content_type, ""), [&b"{}"[..]], true);
        assert_eq!((recorder.lines().len(), counters.other_types), (0, 1), "{content_type}");
    }
    // curl says that it is a form whatever it is.
    let counters = check(&headers("application/x-www-form-urlencoded", ""), "{}", &["{}"]);
    assert_eq!(counters.other_types, 0);
    for content in ["<html>", "hello", "datum", "a=b", "\x01", "dat"] {
        let counters = check(&headers("text/plain", ""), content, &[]);
        assert_eq!(counters.other_shapes, 1, "{content}");
    }
}
