//! Bounds and redaction of what is said in calls. Which members are what: the table of shapes, whose cases are read with content.

use std::{fmt::Write as _, sync::Arc};

use proptest::prelude::*;

use super::*;
use crate::{
    exchange::genai::{GenAi, Providers, tests as shapes},
    policy::{Pattern, model::ContentCapture, plan::JsonPath},
};

fn keeping(max_bytes: u32, patterns: &[&str], paths: &[&str]) -> Kept {
    let plan = ContentPlan {
        capture: ContentCapture::All,
        max_bytes,
        paths: paths.iter().map(|path| JsonPath::parse(path).unwrap()).collect(),
        patterns: patterns.iter().map(|pattern| Pattern::new(pattern, 1 << 20).unwrap()).collect(),
    };
    Kept { plan: Arc::new(plan), budget: Arc::default() }
}

const ASK: &str = "POST api.openai.com/v1/chat/completions\n\n{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";

fn read(request: &str, response: &str, kept: &Kept) -> GenAi {
    let (request, response) = (shapes::message(request), shapes::message(response));
    let call = shapes::read_with(&request, Some(&response), &Providers::default(), Some(kept)).expect("a call");
    assert_eq!(kept.budget.held(), 0);
    call
}

fn content(request: &str, response: &str, kept: &Kept) -> CallContent {
    *read(request, response, kept).content.expect("content")
}

/// A stream of chat whose deltas are these.
fn streamed(deltas: &[&str]) -> String {
    let mut stream = "200\nContent-Type: text/event-stream\n\n".to_owned();
    for delta in deltas {
        let delta = serde_json::json!({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": delta}}]});
        let _ = write!(stream, "data: {delta}\n\n");
    }
    stream + "data: [DONE]\n\n"
}

fn answered(text: &str) -> String {
    let answer = serde_json::json!({"object": "chat.completion", "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]});
    format!("200\n\n{answer}")
}

/// The text of the only part of the only message.
fn text(messages: Option<&str>) -> String {
    let messages: serde_json::Value = serde_json::from_str(messages.expect("messages")).unwrap();
    messages[0]["parts"][0]["content"].as_str().expect("a text").to_owned()
}

#[test]
fn what_a_policy_does_not_keep_is_not_read() {
    for (capture, has) in [
        (ContentCapture::Request, (true, false)),
        (ContentCapture::Response, (false, true)),
        (ContentCapture::All, (true, true)),
    ] {
        let kept = keeping(4096, &[], &[]);
        let plan = ContentPlan { capture, ..(*kept.plan).clone() };
        let content = content(ASK, &answered("hello"), &Kept { plan: Arc::new(plan), ..kept });
        assert_eq!((content.input_messages.is_some(), content.output_messages.is_some()), has);
    }
    let (request, response) = (shapes::message(ASK), shapes::message(&answered("hello")));
    let call = shapes::read_with(&request, Some(&response), &Providers::default(), None).unwrap();
    assert_eq!(call.content, None);
}

#[test]
fn a_secret_in_pieces_is_found() {
    let secret = "4111222233334444";
    for pattern in ["[0-9]{16}", "[0-9]{4,16}"] {
        let kept = keeping(4096, &[pattern], &[]);
        for at in 1..secret.len() {
            let (one, other) = secret.split_at(at);
            let content = content(ASK, &streamed(&["it is ", one, other, ", yes"]), &kept);
            assert_eq!(text(content.output_messages.as_deref()), "it is REDACTED, yes");
            assert_eq!(content.output_incomplete, None);
        }
    }
}

#[test]
fn escapes_hide_nothing() {
    let kept = keeping(4096, &["secret [0-9]+", "ü+"], &[]);
    let ask = r#"POST api.openai.com/v1/chat/completions

{"model":"m","messages":[{"role":"user","content":"a s\u0065cret\u0020\u0031\u0032 \u00fc\u00fc z"}]}"#;
    let content = content(ask, &answered("x"), &kept);
    assert_eq!(text(content.input_messages.as_deref()), "a REDACTED REDACTED z");
}

/// Names, ids, arguments, definitions and references go the same way as texts.
#[test]
fn every_text_is_redacted() {
    let kept = keeping(4096, &["s3cret"], &[]);
    let ask = r#"POST api.anthropic.com/v1/messages

{"model":"m","max_tokens":1,"system":"s3cret","tools":[{"name":"s3cret","description":"s3cret","input_schema":{"s3cret":1}}],"messages":[{"role":"s3cret","content":[{"type":"text","text":"s3cret"},{"type":"image","source":{"type":"url","url":"https://x/s3cret"}},{"type":"image","source":{"type":"file","file_id":"s3cret"}},{"type":"tool_use","id":"s3cret","name":"s3cret","input":{"a":"s3cret","n":"s3cret"}},{"type":"tool_result","tool_use_id":"s3cret","content":"s3cret"},{"type":"tool_result","content":[{"type":"text","text":"s3cret"},{"type":"text","text":"s3cret"}]}]}]}"#;
    let answer = r#"200

{"type":"message","role":"s3cret","content":[{"type":"thinking","thinking":"s3cret"},{"type":"tool_use","id":"s3cret","name":"s3cret","input":{"a":"s3cret"}}],"stop_reason":"s3cret","usage":{"output_tokens":5}}"#;
    let content = content(ask, answer, &kept);
    let shown = format!("{content:?}");
    assert!(!shown.contains("s3cret"), "{shown}");
    assert_eq!(shown.matches("REDACTED").count(), 22, "{shown}");
}

#[test]
fn paths_are_those_of_a_document() {
    let kept = keeping(4096, &["hello"], &["$.messages[*].content", "$.choices[*].message.content"]);
    let whole = content(ASK, &answered("x"), &kept);
    assert_eq!(text(whole.input_messages.as_deref()), "REDACTED");
    assert_eq!(text(whole.output_messages.as_deref()), "REDACTED");
    let whole = content(ASK, &answered("x").replace("content\":", "content\":\"hello\",\"content\":"), &kept);
    assert_eq!(text(whole.output_messages.as_deref()), "REDACTEDREDACTED");
    // Of a stream nobody can know what a path of a document was meant for.
    let stream = content(ASK, &streamed(&["a", "b"]), &kept);
    assert_eq!((stream.output_messages, stream.output_incomplete), (None, Some(Omission::NotJson)));
    let one = content(ASK, &streamed(&["a"]), &kept);
    assert_eq!((one.output_messages, one.output_incomplete), (None, Some(Omission::NotJson)));
    let array = "200\n\n[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"finishReason\":\"STOP\"}],\"usageMetadata\":{}}]";
    let ask = "POST generativelanguage.googleapis.com/v1/models/m:streamGenerateContent\n\n{\"contents\":[{\"parts\":[{\"text\":\"x\"}]}]}";
    assert_eq!(content(ask, array, &kept).output_incomplete, Some(Omission::NotJson));
    // Of one that was cut what is missing may have had it.
    let cut = content(ASK, &answered("x").replacen("200", "200!", 1).replace("\"stop\"}", ""), &kept);
    assert_eq!((cut.output_messages, cut.output_incomplete), (None, Some(Omission::CutShort)));
    let long = content(ASK, &answered(&"x".repeat(5000)), &kept);
    assert_eq!((long.output_messages, long.output_incomplete), (None, Some(Omission::CutShort)));
}

#[test]
fn what_is_too_long_is_cut_and_marked() {
    let kept = keeping(300, &[], &[]);
    let long = "ä\n".repeat(1000);
    for answer in [answered(&long), streamed(&[&long[..600], &long[600..]])] {
        let content = content(ASK, &answer, &kept);
        let messages = content.output_messages.as_deref().unwrap();
        assert!(messages.len() <= 300 && messages.len() > 150, "{messages}");
        assert!(long.starts_with(&text(Some(messages))));
        assert_eq!(content.output_incomplete, Some(Omission::Size));
        assert_eq!(content.input_incomplete, None);
    }
}

/// What an event takes beside its text is given back where it goes on with another.
#[test]
fn a_stream_of_many_events_is_kept_as_its_text_is() {
    let deltas = vec!["ab"; 300];
    let content = content(ASK, &streamed(&deltas), &keeping(800, &[], &[]));
    assert_eq!((text(content.output_messages.as_deref()), content.output_incomplete), (deltas.concat(), None));
}

/// The end of a text that was cut may be the beginning of what is redacted.
#[test]
fn a_cut_shows_no_part_of_a_secret() {
    let secret = "4111222233334444";
    let long = format!("{}{secret}{}", "x".repeat(40), "y".repeat(400));
    for limit in 60..200 {
        for pattern in ["[0-9]{16}", "[0-9]+"] {
            let kept = keeping(limit, &[pattern], &[]);
            for answer in [answered(&long), streamed(&[&long[..50], &long[50..]])] {
                let content = content(ASK, &answer, &kept);
                let shown = format!("{content:?}");
                assert!(!(3..16).any(|length| shown.contains(&secret[..length])), "{limit} {pattern} {shown}");
                assert!(content.output_incomplete.is_some(), "{limit} {pattern} {shown}");
            }
        }
    }
}

#[test]
fn a_stream_that_breaks_off_is_marked_and_shows_no_part_of_a_secret() {
    let kept = keeping(4096, &["[0-9]{16}"], &[]);
    let broken = streamed(&["it is what it is: 4111", "2222", "33334444"]).replacen("200", "200!", 1);
    let begin = broken.find("data").unwrap();
    for length in begin + 1..broken.find("[DONE]").unwrap() {
        let content = content(ASK, &broken[..length], &kept);
        let shown = content.output_messages.unwrap_or_default();
        assert!(!shown.contains("41"), "{shown}");
        // Of less than an event nothing is told, and the call says that it was cut.
        assert!(content.output_incomplete == Some(Omission::NotSeen) || shown.is_empty(), "{length} {shown}");
    }
}

/// Clients close a connection when the stream says that it ends, with the end of the message unread.
#[test]
fn a_stream_that_said_its_end_is_whole() {
    let kept = keeping(4096, &["[0-9]{16}"], &[]);
    let content = content(ASK, &(streamed(&["all of it"]).replacen("200", "200!", 1) + ": bye"), &kept);
    assert_eq!((text(content.output_messages.as_deref()), content.output_incomplete), ("all of it".to_owned(), None));
}

/// Bytes of a picture are neither kept nor held while they pass.
#[test]
fn ten_megabytes_in_base64_are_not_kept() {
    let picture = "A".repeat(10 << 20);
    for part in [
        format!(r#"{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{picture}"}}}}"#),
        format!(r#"{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{picture}"}}}}"#),
        format!(r#"{{"type":"input_audio","input_audio":{{"data":"{picture}","format":"wav"}}}}"#),
    ] {
        let ask = format!(
            "POST api.openai.com/v1/chat/completions\n\n{{\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":[{part},{{\"type\":\"text\",\"text\":\"what is it?\"}}]}}]}}"
        );
        let kept = Kept { budget: Arc::new(Budget::new(16 << 10)), ..keeping(1000, &[], &[]) };
        let content = content(&ask, &answered("a picture"), &kept);
        let messages = content.input_messages.unwrap();
        assert!(messages.contains("\"type\":\"blob\"") && messages.contains("what is it?"), "{messages}");
        assert!(messages.len() < 300 && content.input_incomplete.is_none(), "{messages}");
    }
}

#[test]
fn the_bound_of_the_worker_holds() {
    let kept = Kept { budget: Arc::new(Budget::new(8 << 10)), ..keeping(1 << 20, &[], &[]) };
    let content = content(ASK, &answered(&"x".repeat(100_000)), &kept);
    assert_eq!((content.output_messages, content.output_incomplete), (None, Some(Omission::AgentLimit)));
    assert!(content.input_messages.is_some());
}

#[test]
fn more_messages_than_are_kept_are_marked() {
    let messages = vec![r#"{"role":"user","content":[{"type":"text","text":"x"}]}"#; 100_000].join(",");
    let ask = format!("POST api.openai.com/v1/chat/completions\n\n{{\"model\":\"m\",\"messages\":[{messages}]}}");
    let kept = keeping(65_536, &[], &[]);
    let content = content(&ask, &answered("x"), &kept);
    assert!(content.input_messages.unwrap().len() <= 65_536);
    assert_eq!(content.input_incomplete, Some(Omission::Size));
}

proptest! {
    /// What is written is JSON within its bound, and what a pattern finds is not in it.
    #[test]
    fn whatever_is_said_is_bounded_and_redacted(
        texts in proptest::collection::vec("[ab\"\\\\\n\u{1}é1-9]{0,40}", 1..6),
        limit in 0_u32..400,
    ) {
        let kept = keeping(limit, &["[1-9]{2,3}"], &[]);
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let call = read(ASK, &streamed(&texts), &kept);
        let content = call.content.map(|content| *content).unwrap_or_default();
        if let Some(messages) = content.output_messages {
            prop_assert!(messages.len() <= limit as usize, "{}", messages);
            let shown = text(Some(&messages)).replace("REDACTED", "");
            let digits = shown.as_bytes().windows(2).any(|pair| pair.iter().all(|byte| (b'1'..=b'9').contains(byte)));
            prop_assert!(!digits, "{}", shown);
        }
    }
}
