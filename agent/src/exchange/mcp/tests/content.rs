//! Arguments and results of tools, where a policy keeps content.

use std::{io::Write as _, sync::Arc};

use super::harness::{Pieces, Wire, read_keeping, wire};
use crate::{
    exchange::{Budget, Call, genai::Kept},
    policy::{
        Pattern,
        model::ContentCapture,
        plan::{ContentPlan, JsonPath},
    },
};

const CALL: &str = r#"POST /mcp
content-type: application/json
mcp-protocol-version: 2025-06-18

{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"pay","arguments":{"card": "4111222233334444","n":[1]}}}"#;

const ANSWER: &str = r#"200
content-type: application/json

{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"paid with 4111222233334444"}]}}"#;

const EVENTS: &str = r#"200
content-type: text/event-stream

data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1}}
data: {"jsonrpc":"2.0","id":7,"method":"roots/list"}
data: {"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"paid with 4111222233334444"}]}}"#;

fn keeping(capture: ContentCapture, max_bytes: u32, patterns: &[&str], paths: &[&str]) -> Kept {
    let plan = ContentPlan {
        capture,
        max_bytes,
        paths: paths.iter().map(|path| JsonPath::parse(path).unwrap()).collect(),
        patterns: patterns.iter().map(|pattern| Pattern::new(pattern, 1 << 20).unwrap()).collect(),
    };
    Kept { plan: Arc::new(plan), budget: Arc::new(Budget::default()) }
}

/// Arguments and result of the first message, in pieces of this length.
fn said(request: &Wire, response: &Wire, piece: usize, kept: Option<&Kept>) -> [Option<String>; 2] {
    let cut = |body: &'static [u8], time| Pieces {
        pieces: body.chunks(piece).map(|bytes| (time, bytes)).collect(),
        complete: true,
    };
    let (asked, answered) = (request.body.clone().leak(), response.body.clone().leak());
    let (asked, answered) = (cut(asked, 11), cut(answered, 21));
    let call = read_keeping((request, &asked), Some((response, &answered)), None, kept);
    if let Some(kept) = kept {
        assert_eq!(kept.budget.held(), 0);
    }
    let Some(Call::Mcp(messages)) = call else { panic!("{call:?}") };
    let message = messages.messages.into_iter().find(|message| message.tool.is_some()).expect("a tool");
    [message.arguments, message.result].map(|text| text.map(Into::into))
}

fn compressed(wire: &Wire) -> Wire {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&wire.body).unwrap();
    let mut wire = wire.clone();
    wire.head.headers.push(b"content-encoding", b"gzip");
    Wire { body: encoder.finish().unwrap(), ..wire }
}

#[test]
fn arguments_and_results_are_kept_redacted_however_they_come() {
    let kept = keeping(ContentCapture::All, 4096, &["[0-9]{16}"], &[]);
    let expected = [
        Some(r#"{"card": "REDACTED","n":[1]}"#.to_owned()),
        Some(r#"{"content":[{"type":"text","text":"paid with REDACTED"}]}"#.to_owned()),
    ];
    for answer in [ANSWER, EVENTS] {
        let (request, response) = (wire(CALL), wire(answer));
        for piece in [1, 7, 1000] {
            assert_eq!(said(&request, &response, piece, Some(&kept)), expected);
            assert_eq!(said(&compressed(&request), &compressed(&response), piece, Some(&kept)), expected);
        }
        assert_eq!(said(&request, &response, 1000, None), [None, None]);
        let asked = keeping(ContentCapture::Request, 4096, &[], &[]);
        let [arguments, result] = said(&request, &response, 1000, Some(&asked));
        assert!(arguments.is_some() && result.is_none());
    }
}

#[test]
fn each_call_of_a_batch_has_its_own() {
    let batch = r#"POST /mcp
content-type: application/json
mcp-protocol-version: 2025-03-26

[{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"x","arguments":{"q":1}}},{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"y","arguments":{"q":2}}}]"#;
    let answers = "200\ncontent-type: application/json\n\n[{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"r\":2}},{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"result\":{\"r\":1}}]";
    let (request, response) = (wire(batch), wire(answers));
    let kept = keeping(ContentCapture::All, 4096, &[], &[]);
    let pieces = (Pieces::whole(&request.body, 11), Pieces::whole(&response.body, 21));
    let call = read_keeping((&request, &pieces.0), Some((&response, &pieces.1)), None, Some(&kept));
    let Some(Call::Mcp(messages)) = call else { panic!("{call:?}") };
    let said: Vec<_> =
        messages.messages.iter().map(|message| (message.arguments.as_deref(), message.result.as_deref())).collect();
    assert_eq!(said, [(Some(r#"{"q":1}"#), Some(r#"{"r":1}"#)), (Some(r#"{"q":2}"#), Some(r#"{"r":2}"#))]);
}

/// What is not there whole is not there.
#[test]
fn nothing_is_kept_in_part() {
    let (request, response) = (wire(CALL), wire(ANSWER));
    let narrow = keeping(ContentCapture::All, 30, &[], &[]);
    assert_eq!(said(&request, &response, 1000, Some(&narrow)), [None, None]);
    let paths = keeping(ContentCapture::All, 4096, &[], &["$.params.arguments.card", "$.result.content[*].text"]);
    let expected =
        [Some(r#"{"card": "REDACTED","n":[1]}"#), Some(r#"{"content":[{"type":"text","text":"REDACTED"}]}"#)];
    assert_eq!(said(&request, &response, 1000, Some(&paths)), expected.map(|text| text.map(str::to_owned)));
    assert_eq!(said(&request, &wire(EVENTS), 1000, Some(&paths))[1], None);
}
