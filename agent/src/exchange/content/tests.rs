//! What is kept of content, and what comes out of it.

use std::sync::Arc;

use proptest::prelude::*;

use super::{
    Budget, Content, Keeping, MAX_CONNECTION_CONTENT, Omission, Which,
    buffer::{Buffer, Room},
    redaction::redacted,
};
use crate::{
    policy::{
        Trust,
        model::{self, ContentCapture, FieldPath, Redaction},
        plan::ContentPlan,
    },
    protocol::Headers,
};

fn plan(max_bytes: u32, paths: &[&str], patterns: &[&str]) -> ContentPlan {
    let at = FieldPath::default;
    let paths = paths.iter().map(|path| Redaction::JsonPath(at(), (*path).to_owned()));
    let patterns = patterns.iter().map(|pattern| Redaction::Pattern(at(), (*pattern).to_owned()));
    let content = model::Content {
        capture: ContentCapture::Request,
        max_bytes: Some(max_bytes),
        redact: paths.chain(patterns).collect(),
        ..model::Content::default()
    };
    ContentPlan::compile(&content, &Trust::own(), &mut Vec::new()).unwrap()
}

fn headers(content_type: &str, coding: &str) -> Headers {
    let mut headers = Headers::default();
    headers.push(b"Content-Type", content_type.as_bytes());
    headers.push(b"Content-Encoding", coding.as_bytes());
    headers
}

/// What comes out of a content that came in pieces, and whose end came behind them.
fn given_out(plan: ContentPlan, headers: &Headers, pieces: &[&[u8]], ended: bool) -> Content {
    let budget = Arc::new(Budget::new(1 << 20));
    let mut keeping = Keeping::new(&Arc::new(plan), &budget);
    for piece in pieces {
        keeping.body(Which::Request, headers, piece, 0);
        keeping.body(Which::Response, headers, piece, 0);
    }
    if ended {
        keeping.end(Which::Request);
    }
    assert_eq!(keeping.give_out(Which::Response), None, "only requests are asked for");
    let content = keeping.give_out(Which::Request);
    assert_eq!(budget.held(), 0);
    *content.expect("content was asked for and came")
}

fn text(text: &str, incomplete: Option<Omission>) -> Content {
    Content { text: Some(text.into()), incomplete }
}

fn withheld(why: Omission) -> Content {
    Content { text: None, incomplete: Some(why) }
}

#[test]
fn content_that_is_whole_comes_out_as_it_is() {
    let plain = headers("text/plain", "identity");
    assert_eq!(given_out(plan(10, &[], &[]), &plain, &[b"he", b"llo"], true), text("hello", None));
    assert_eq!(given_out(plan(5, &[], &[]), &plain, &[b"hello"], true), text("hello", None));
}

#[test]
fn a_beginning_says_that_it_is_one() {
    let plain = headers("text/plain", "");
    let of = |max: u32, pieces: &[&[u8]], ended| given_out(plan(max, &[], &[]), &plain, pieces, ended);
    assert_eq!(of(4, &[b"hello"], true), text("hell", Some(Omission::Size)));
    assert_eq!(of(4, &[b"hell", b"o"], true), text("hell", Some(Omission::Size)));
    assert_eq!(of(10, &[b"hello"], false), text("hello", Some(Omission::NotSeen)));
    // A character is not cut.
    assert_eq!(of(2, &["aä".as_bytes()], true), text("a", Some(Omission::Size)));
    assert_eq!(of(1, &["ä".as_bytes()], true), withheld(Omission::Size));
}

#[test]
fn what_is_not_text_is_withheld() {
    let of = |coding: &str, bytes: &[u8]| given_out(plan(10, &[], &[]), &headers("text/plain", coding), &[bytes], true);
    assert_eq!(of("gzip", b"hello"), withheld(Omission::Encoded));
    assert_eq!(of("", b"a\xffb"), withheld(Omission::NotText));
    assert_eq!(of("", b"a\xc3"), withheld(Omission::NotText));
    assert_eq!(of("", b"a\0b\0"), withheld(Omission::NotText));
}

#[test]
fn values_that_paths_select_are_overwritten_in_whole_json_only() {
    let json = headers("application/json", "");
    let of = |max: u32, headers: &Headers, bytes: &str, ended| {
        given_out(plan(max, &["$..password"], &[]), headers, &[bytes.as_bytes()], ended)
    };
    let body = r#"{"a":{"password":"hunter2"},"p\u0061ssword":[1,"hunter2"],"b":1}"#;
    let expected = r#"{"a":{"password":"REDACTED"},"p\u0061ssword":"REDACTED","b":1}"#;
    assert_eq!(of(100, &json, body, true), text(expected, None));
    assert_eq!(of(100, &headers("text/plain", ""), body, true), withheld(Omission::NotJson));
    assert_eq!(of(100, &json, "password=hunter2", true), withheld(Omission::NotJson));
    assert_eq!(of(100, &json, &format!("{body} x"), true), withheld(Omission::NotJson));
    assert_eq!(of(100, &json, body, false), withheld(Omission::CutShort));
    assert_eq!(of(30, &json, body, true), withheld(Omission::CutShort));
}

#[test]
fn patterns_are_overwritten_wherever_they_are() {
    let of = |patterns: &[&str], bytes: &str| {
        let (text, cut) = redacted(&plan(100, &[], patterns), bytes.as_bytes().to_vec(), true).unwrap();
        assert!(!cut);
        text
    };
    assert_eq!(of(&["[0-9]{4}"], "a 1234 b 56789"), "a REDACTED b REDACTED9");
    assert_eq!(of(&["[0-9]{4}"], "1234123412"), "REDACTED12");
    // One that another one breaks is found all the same.
    assert_eq!(of(&["[0-9]{4}", "card=[0-9]{4}-[a-z]+"], "card=1234-abc;"), "REDACTED;");
    assert_eq!(of(&["x*"], "ab"), "ab");
}

#[test]
fn a_pattern_without_a_longest_match_needs_the_end() {
    let whole = |whole| redacted(&plan(100, &[], &["sk-[a-z0-9]+"]), b"key sk-abc".to_vec(), whole);
    assert_eq!(whole(true), Ok(("key REDACTED".to_owned(), false)));
    assert_eq!(whole(false), Err(Omission::CutShort));
    let bounded = |text: &str| redacted(&plan(100, &[], &["sk-[a-z0-9]{1,5}"]), text.as_bytes().to_vec(), false);
    assert_eq!(bounded("key sk-abc"), Ok(("ke".to_owned(), false)));
    assert_eq!(bounded("sk-abc"), Err(Omission::CutShort));
    // It begins before the end that is left out.
    assert_eq!(bounded("sk-abcde.1234"), Ok(("REDACTED".to_owned(), false)));
}

#[test]
fn redaction_does_not_make_content_longer_than_it_may_be() {
    let (text, cut) = redacted(&plan(10, &[], &["[0-9]"]), b"1a1a1a1a1a".to_vec(), true).unwrap();
    assert_eq!((&*text, cut), ("REDACTEDaR", true));
}

#[test]
fn redaction_that_would_take_too_long_is_not_begun() {
    let bytes = || "x".repeat(1 << 20).into_bytes();
    // Each search for the first alternative looks at the rest of the text.
    let slow = redacted(&plan(1 << 20, &[], &["x[^y]*y|x"]), bytes(), true);
    assert_eq!(slow, Err(Omission::RedactionCost));
    assert!(redacted(&plan(1 << 20, &[], &["x{1,16}"]), bytes(), true).is_ok());
    // Nor is more remembered than so many matches.
    assert_eq!(redacted(&plan(1 << 20, &[], &["x"]), bytes(), true), Err(Omission::RedactionCost));
}

/// A search that finds nothing takes as long as one that does, and longer for each position that it can be at.
#[test]
fn a_pattern_is_weighed_whatever_it_finds() {
    let withheld = |pattern: &str, length: usize| redacted(&plan(1 << 20, &[], &[pattern]), vec![b'0'; length], true);
    assert_eq!(withheld("[01]*1[01]{900}", 1 << 20), Err(Omission::RedactionCost));
    assert!(withheld("[01]*1[01]{900}", 1 << 16).is_ok());
    assert!(withheld("[1-9]{13,19}", 1 << 20).is_ok());
    let many = redacted(&plan(1 << 20, &[], &["[1-9]{13,19}"; 8]), vec![b'0'; 1 << 20], true);
    assert_eq!(many, Err(Omission::RedactionCost));
}

#[test]
fn what_cannot_come_out_takes_no_room() {
    let budget = Arc::new(Budget::new(1 << 20));
    for (coding, content_type) in [("gzip", "application/json"), ("", "text/plain")] {
        let mut keeping = Keeping::new(&Arc::new(plan(100, &["$.a"], &[])), &budget);
        keeping.body(Which::Request, &headers(content_type, coding), b"{}", 0);
        assert_eq!((keeping.held(), budget.held()), (0, 0));
    }
    let rows: Vec<_> = budget.rows().filter(|(.., count)| *count > 0).collect();
    assert_eq!(rows, [("telltale.content.withheld", "encoded", 1), ("telltale.content.withheld", "not_json", 1)]);
}

#[test]
fn the_bounds_of_a_connection_and_of_a_worker_hold() {
    let plain = headers("text/plain", "");
    let budget = Arc::new(Budget::new(3000));
    let rows = |budget: &Budget| {
        budget.rows().filter(|(.., count)| *count > 0).map(|(_, why, count)| (why, count)).collect::<Vec<_>>()
    };
    let mut keepings: Vec<_> = (0..2).map(|_| Keeping::new(&Arc::new(plan(1 << 20, &[], &[])), &budget)).collect();
    for keeping in &mut keepings {
        keeping.body(Which::Request, &plain, &[b'x'; 2000], 0);
        keeping.end(Which::Request);
    }
    assert_eq!(budget.held(), 2048);
    assert_eq!(rows(&budget), [("worker_limit", 2000)]);
    let second = keepings.pop().unwrap().give_out(Which::Request).unwrap();
    assert_eq!(*second, withheld(Omission::AgentLimit));
    drop(keepings);
    assert_eq!(budget.held(), 0, "what is dropped is given back");
    let mut keeping = Keeping::new(&Arc::new(plan(1 << 20, &[], &[])), &budget);
    keeping.body(Which::Request, &plain, &[b'x'; 2000], MAX_CONNECTION_CONTENT - 1024);
    assert_eq!(rows(&budget), [("connection_limit", 976), ("worker_limit", 2000)]);
    keeping.gap(Which::Request, &plain);
    keeping.body(Which::Request, &plain, b"more", 0);
    let content = keeping.give_out(Which::Request).unwrap();
    assert_eq!((content.text.map(|text| text.len()), content.incomplete), (Some(1024), Some(Omission::AgentLimit)));
}

/// An operator can allow more than the bound of a connection: one exchange has room even then.
#[test]
fn one_exchange_always_has_room_on_its_connection() {
    let large = 2 * MAX_CONNECTION_CONTENT;
    let (fields, budget) = (headers("text/plain", ""), Arc::new(Budget::default()));
    let plan = ContentPlan { capture: ContentCapture::All, max_bytes: large as u32, ..plan(1, &[], &[]) };
    let mut keeping = Keeping::new(&Arc::new(plan), &budget);
    for which in [Which::Request, Which::Response] {
        keeping.body(which, &fields, &vec![b'x'; large], keeping.held());
        keeping.end(which);
    }
    assert_eq!(keeping.held(), 2 * large);
    keeping.give_out(Which::Request);
    assert!(budget.rows().all(|(.., count)| count == 0));
}

#[test]
fn behind_a_gap_nothing_is_kept() {
    let plain = headers("text/plain", "");
    let budget = Arc::new(Budget::default());
    let mut keeping = Keeping::new(&Arc::new(plan(100, &[], &["password"])), &budget);
    keeping.body(Which::Request, &plain, b"before the gap, pass", 0);
    keeping.gap(Which::Request, &plain);
    keeping.body(Which::Request, &plain, b"word", 0);
    keeping.end(Which::Request);
    let content = keeping.give_out(Which::Request).unwrap();
    assert_eq!(*content, text("before the g", Some(Omission::NotSeen)));
    assert!(
        !format!("{:?}", {
            let mut buffer = Buffer::default();
            buffer.push(b"secret", Room { limit: 9, connection: 9, budget: &budget });
            buffer
        })
        .contains("secret")
    );
}

proptest! {
    /// However content is cut into pieces, the same of it is kept, whichever bound is met.
    #[test]
    fn pieces_do_not_matter(
        length in 0_usize..9000,
        cuts in proptest::collection::vec(1_usize..3000, 1..10),
        limit in 1_usize..9000,
        connection in 0_usize..9000,
        worker in 0_usize..9000,
    ) {
        let all: Vec<u8> = (0..length).map(|index| index as u8).collect();
        let kept = |pieces: &[&[u8]]| {
            let budget = Budget::new(worker);
            let mut buffer = Buffer::default();
            for piece in pieces {
                let connection = connection.saturating_sub(buffer.held());
                buffer.push(piece, Room { limit, connection, budget: &budget });
                assert!(buffer.held() <= limit && budget.held() == buffer.held());
            }
            let rows: Vec<_> = budget.rows().collect();
            (buffer.cut(), buffer.into_bytes(), rows)
        };
        let (mut pieces, mut rest, mut cuts) = (Vec::new(), &all[..], cuts.iter().cycle());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        let (cut, bytes, rows) = kept(&pieces);
        prop_assert!(all.starts_with(&bytes) && (cut.is_some() == (bytes.len() < length)));
        let whole: &[&[u8]] = &[&all];
        prop_assert_eq!((cut, bytes, rows), kept(if length == 0 { &[] } else { whole }));
    }

    /// Of a secret that a pattern finds in the whole content nothing comes out, wherever the content ends for us.
    #[test]
    fn no_cut_shows_a_part_of_a_secret(before in "[a-c ]{0,12}", after in "[a-c ]{0,12}", max in 1_u32..40, json in any::<bool>()) {
        let secret = "0123456789";
        let body = if json { format!("{{\"k\":\"{before}{secret}{after}\"}}") } else { format!("{before}{secret}{after}") };
        let plan = if json { plan(max, &["$.k"], &[]) } else { plan(max, &[], &["[0-9]{10}"]) };
        let headers = headers("application/json", "");
        let content = given_out(plan, &headers, &[body.as_bytes()], true);
        if let Some(text) = content.text {
            prop_assert!(!text.contains(|letter: char| letter.is_ascii_digit()), "{}", text);
            prop_assert!(content.incomplete.is_some() || text.contains("REDACTED"));
        } else {
            prop_assert!(content.incomplete.is_some());
        }
    }

    /// Any bytes at all: no panic, and never more than was asked for.
    #[test]
    fn any_content(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,80}", max in 1_u32..100, ended in any::<bool>()) {
        for bytes in [&bytes, text.as_bytes()] {
            for redact in [plan(max, &["$..a"], &["a.{0,3}b"]), plan(max, &[], &["[0-9]+"]), plan(max, &[], &[])] {
                if let Content { text: Some(text), .. } = given_out(redact, &headers("a/b+json", ""), &[bytes], ended) {
                    prop_assert!(text.len() <= max as usize);
                }
            }
        }
    }
}
