//! Content of messages: kept where a policy says so, redacted, given out by key, and nowhere else (POLICY.md section 1, `content`).

use std::{fmt::Write as _, fs, process::Command};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// One message as it was sent.
fn message(start: &str, fields: &str, body: &str) -> Vec<u8> {
    format!("{start}\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn chunked(start: &str, fields: &str, chunks: &[&str]) -> Vec<u8> {
    let mut message = format!("{start}\r\n{fields}Transfer-Encoding: chunked\r\n\r\n");
    for chunk in chunks {
        let _ = write!(message, "{:x}\r\n{chunk}\r\n", chunk.len());
    }
    (message + "0\r\n\r\n").into_bytes()
}

/// A recording of one connection of a server, its messages in turn from the client, each cut into pieces of this length.
fn recording(messages: &[Vec<u8>], piece: usize) -> String {
    let mut lines = vec![r#"{"t":1700000000000000000,"ev":"open","conn":1,"role":"server","local":"10.0.0.2:80","peer":"10.0.0.1:4000","pid":1,"comm":"shop"}"#.to_owned()];
    let (mut positions, mut time) = ([0, 0], 1_700_000_000_001_000_000_u64);
    for (index, message) in messages.iter().enumerate() {
        for bytes in message.chunks(piece) {
            let (direction, position) = (["in", "out"][index % 2], &mut positions[index % 2]);
            let (length, text) = (bytes.len(), STANDARD.encode(bytes));
            lines.push(format!(r#"{{"t":{time},"ev":"data","conn":1,"dir":"{direction}","pos":{position},"len":{length},"b64":"{text}"}}"#));
            *position += length;
        }
        time += 1_000_000;
    }
    lines.push(format!(r#"{{"t":{time},"ev":"close","conn":1,"how":"fin"}}"#));
    lines.join("\n") + "\n"
}

const ASKS: &str = "
    - {path: [request], type: Attribute, attributeKey: telltale.http.request.body}
    - {path: [request_lacks], type: Attribute, attributeKey: telltale.http.request.body_incomplete}
    - {path: [response], type: Attribute, attributeKey: telltale.http.response.body}
    - {path: [response_lacks], type: Attribute, attributeKey: telltale.http.response.body_incomplete}
    - {path: [cel], type: CEL, expression: 'telltale.http.request.body.contains(\"paid\")'}
    - {path: [path], type: Attribute, attributeKey: url.path}
";

/// A policy in the dialect of the GEP with this `content` and these fields.
fn gep(content: &str, fields: &str) -> String {
    format!(
        "apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: TelemetryPolicy
metadata: {{name: p, namespace: shop}}
spec:
  targetRefs: [{{group: '', kind: Namespace, name: shop}}]
  tracing: {{}}
  metrics: {{mode: Enabled}}
  accessLogs:
    fields:{fields}
  content: {content}
"
    )
}

/// The same in the proposal's, of which `fields` are names.
fn proposal(content: &str, names: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TelemetryPolicy
metadata: {{name: p, namespace: shop}}
spec:
  targetRef: {{group: '', kind: Namespace, name: shop}}
  tracing: {{}}
  metrics: {{enabled: true}}
  accessLogs:
    enabled: true
    fields: [{names}]
  content: {content}
"
    )
}

/// The log, spans and metrics of a replay under this policy, and what it said.
fn outputs(policy: &str, recording: &str) -> [String; 4] {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("policy.yaml"), policy).unwrap();
    fs::write(folder.path().join("recording.jsonl"), recording).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_telltale"))
        .args(["replay", "recording.jsonl", "--policy", "policy.yaml"])
        .args(["--logs", "logs", "--spans", "spans", "--metrics", "metrics"])
        .current_dir(folder.path())
        .env("RUST_LOG", "telltale=trace")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    [read("logs"), read("spans"), read("metrics"), said]
}

fn lines(log: &str) -> Vec<Value> {
    log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Attributes of all spans whose key is of content, in order.
fn of_spans(spans: &str) -> Vec<(String, String)> {
    let all: Vec<Value> = lines(spans);
    let spans =
        all.iter().flat_map(|request| request["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap());
    let attributes = spans.flat_map(|span| span["attributes"].as_array().unwrap());
    let pairs = attributes.map(|attribute| {
        (
            attribute["key"].as_str().unwrap().to_owned(),
            attribute["value"]["stringValue"].as_str().unwrap_or_default().to_owned(),
        )
    });
    pairs.filter(|(key, _)| key.contains("body")).collect()
}

const JSON: &str = "Content-Type: application/json\r\n";
const TEXT: &str = "Content-Type: text/plain\r\n";

/// An order of which one value is secret, and its answer.
fn order() -> Vec<Vec<u8>> {
    vec![
        message(
            "POST /orders HTTP/1.1",
            &format!("Host: shop\r\n{JSON}"),
            r#"{"card":{"number":"4111222233334444"},"state":"paid"}"#,
        ),
        chunked("HTTP/1.1 200 OK", TEXT, &["order 7 of card 41112222", "33334444 is ", "in"]),
    ]
}

#[test]
fn content_comes_out_redacted_by_key_and_on_spans() {
    let content = "{capture: All, redact: [{jsonPath: $..number}]}";
    let [log, spans, metrics, _] = outputs(&gep(content, ASKS), &recording(&order(), 1000));
    let request = r#"{"card":{"number":"REDACTED"},"state":"paid"}"#;
    // A path says nothing about what is not JSON: it could be anywhere in it.
    let expected = json!({"request": request, "response_lacks": "not_json", "cel": true, "path": "/orders"});
    assert_eq!(lines(&log), [expected]);
    let pairs = [("request.body", request), ("response.body_incomplete", "not_json")];
    let expected: Vec<_> = pairs.map(|(key, value)| (format!("telltale.http.{key}"), value.to_owned())).into();
    assert_eq!(of_spans(&spans), expected);
    assert!(!metrics.contains("paid") && !metrics.contains("order 7"));

    let content = "{capture: All, redact: [{pattern: '[0-9]{16}'}]}";
    let [log, ..] = outputs(&gep(content, ASKS), &recording(&order(), 1000));
    assert_eq!(lines(&log)[0]["request"], r#"{"card":{"number":"REDACTED"},"state":"paid"}"#);
    assert_eq!(lines(&log)[0]["response"], "order 7 of card REDACTED is in");
}

#[test]
fn both_dialects_give_the_same_bytes() {
    let names = [
        "telltale.http.request.body",
        "telltale.http.response.body",
        "telltale.http.response.body_incomplete",
        "method",
    ];
    let fields: Vec<_> = names
        .iter()
        .map(|name| {
            let key = if *name == "method" { "http.request.method" } else { name };
            format!("\n    - {{path: ['{name}'], type: Attribute, attributeKey: {key}}}")
        })
        .collect();
    for content in [
        "{capture: All}",
        "{capture: Response, maxBytes: 5}",
        "{capture: Request, redact: [{jsonPath: $.card}]}",
        "{capture: None}",
    ] {
        let recording = recording(&order(), 64);
        let ours = outputs(&proposal(content, &names.join(", ")), &recording);
        let theirs = outputs(&gep(content, &fields.concat()), &recording);
        assert_eq!(ours[..3], theirs[..3], "{content}");
        assert!(ours[0].contains("POST") && ours[1].contains("resourceSpans"), "{content}");
        assert_eq!(ours[1].contains("body"), content != "{capture: None}", "{content}");
    }
}

#[test]
fn any_segmentation_gives_the_same() {
    let mut messages = order();
    messages.extend(order());
    let content = "{capture: All, maxBytes: 50, redact: [{pattern: '[0-9]{16}'}]}";
    let policy = gep(content, ASKS);
    let seen = |piece| {
        let [log, spans, ..] = outputs(&policy, &recording(&messages, piece));
        (log, spans)
    };
    let whole = seen(10_000);
    assert!(whole.0.contains("order 7 of card REDACTED is in"), "{}", whole.0);
    for piece in [1, 2, 3, 7, 16, 64, 100] {
        assert!(seen(piece) == whole, "{piece}");
    }
}

/// Neither a bound in the middle of a secret, nor an end that was not seen, nor another spelling shows a part of it.
#[test]
fn redaction_cannot_be_evaded() {
    let secret = "4111222233334444";
    let shows = |shown: &str| (4..=secret.len()).any(|length| shown.contains(&secret[..length]));
    let body = |before: usize| {
        let fill = "x".repeat(before);
        format!(r#"{{"a":"{fill}","number":"{secret}","n\u0075mber":"{secret}","number":"{secret}"}}"#)
    };
    let redactions = ["{jsonPath: $.number}", "{pattern: '[0-9]{16}'}", "{pattern: '[0-9]+'}"];
    for redact in redactions {
        let content = format!("{{capture: Request, maxBytes: 60, redact: [{redact}]}}");
        // The bound is at each place of the content once.
        let exchanges =
            (0..60).map(|before| [message("POST / HTTP/1.1", JSON, &body(before)), message("HTTP/1.1 200 OK", "", "")]);
        let outputs = outputs(&gep(&content, ASKS), &recording(&exchanges.flatten().collect::<Vec<_>>(), 11));
        for output in &outputs {
            assert!(!shows(output), "{redact}: {output}");
        }
        let lines = lines(&outputs[0]);
        assert_eq!(lines.len(), 60);
        assert!(lines.iter().all(|line| line["request_lacks"].is_string()), "{redact}: {lines:?}");
        assert_eq!(
            lines.iter().any(|line| line["request"].is_string()),
            redact.contains("{16}"),
            "{redact}: {lines:?}"
        );
    }
    // The connection ends in the middle of it.
    let mut cut = message("POST / HTTP/1.1", JSON, &body(9));
    cut.truncate(cut.len() - 10);
    for redact in redactions {
        let content = format!("{{capture: All, redact: [{redact}]}}");
        for output in outputs(&gep(&content, ASKS), &recording(&[cut.clone()], 1000)) {
            assert!(!shows(&output), "{redact}: {output}");
        }
    }
}

#[test]
fn what_cannot_be_given_out_says_why() {
    let lacks = |fields: &str, body: &str, content: &str| {
        let messages = [message("POST / HTTP/1.1", fields, body), message("HTTP/1.1 200 OK", "", "")];
        let [log, spans, ..] = outputs(&gep(content, ASKS), &recording(&messages, 1000));
        let line = lines(&log).remove(0);
        assert!(of_spans(&spans).iter().any(|(_, value)| *value == line["request_lacks"]), "{spans}");
        (line["request"].as_str().map(str::to_owned), line["request_lacks"].as_str().unwrap().to_owned())
    };
    let gzip = "Content-Encoding: gzip\r\n";
    assert_eq!(lacks(gzip, "hello", "{capture: All}"), (None, "encoded".to_owned()));
    assert_eq!(lacks("", "a\0b", "{capture: All}"), (None, "not_text".to_owned()));
    assert_eq!(lacks(JSON, "{\"a\":", "{capture: All, redact: [{jsonPath: $.b}]}"), (None, "not_json".to_owned()));
    assert_eq!(lacks(TEXT, "hello", "{capture: All, maxBytes: 2}"), (Some("he".to_owned()), "size".to_owned()));
    let long = "{capture: All, maxBytes: 2, redact: [{pattern: 'x+'}]}";
    assert_eq!(lacks(TEXT, "hello", long), (None, "cut_short".to_owned()));
}

/// Promise 4: without `content` nothing of a body is in any output, whatever asks for it.
#[test]
fn no_output_has_content_that_the_policy_does_not_keep() {
    let asks = [
        ASKS,
        "
    - {path: [all], type: CEL, expression: 'has(telltale.http.request.body) ? telltale.http.request.body : telltale.http.response.body'}
    - {path: [path], type: Attribute, attributeKey: url.path}
",
    ];
    for content in ["{}", "{capture: None}"] {
        for fields in asks {
            let policy = gep(content, fields).replace(
                "tracing: {}",
                "tracing: {attributes: [{name: a, type: Attribute, attributeKey: telltale.http.response.body}]}",
            );
            let outputs = outputs(&policy, &recording(&order(), 1000));
            for output in &outputs {
                for word in ["4111", "3333", "paid", "order 7"] {
                    assert!(!output.contains(word), "{output}");
                }
            }
            assert_eq!(lines(&outputs[0]), [json!({"path": "/orders"})]);
            assert_eq!(of_spans(&outputs[1]), []);
        }
    }
    // One side is not the other.
    let [log, spans, ..] = outputs(&gep("{capture: Response}", ASKS), &recording(&order(), 1000));
    assert!(!log.contains("paid") && !spans.contains("paid"));
    assert!(log.contains("order 7") && spans.contains("order 7"));
    // Nor is the end of a connection that the policy does not report.
    let client = gep("{capture: All}", ASKS) + "  direction: Client\n";
    let [log, spans, ..] = outputs(&client, &recording(&order(), 1000));
    assert_eq!((&*log, &*spans), ("", ""));
}

/// Content decides which lines there are, and is in none of them that does not ask for it.
#[test]
fn a_filter_reads_content_and_metrics_never_have_it() {
    let policy = "apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: TelemetryPolicy
metadata: {name: p, namespace: shop}
spec:
  targetRefs: [{group: '', kind: Namespace, name: shop}]
  metrics:
    overrides:
    - name: http.server.request.duration
      attributes:
      - {name: body, type: Attribute, attributeKey: telltale.http.request.body}
      - {name: part, type: CEL, expression: 'telltale.http.request.body.substring(0, 20)'}
      - {name: paid, type: CEL, expression: 'telltale.http.request.body.contains(\"paid\")'}
  accessLogs:
    matches: 'telltale.http.request.body.contains(\"paid\")'
  content: {capture: Request}
";
    let mut messages = order();
    messages.extend([message("POST /else HTTP/1.1", TEXT, "something else"), message("HTTP/1.1 200 OK", "", "")]);
    let [log, _, metrics, _] = outputs(policy, &recording(&messages, 1000));
    assert_eq!(lines(&log).len(), 1);
    assert!(log.contains("/orders") && !log.contains("4111"), "{log}");
    assert!(metrics.contains("paid=\"true\"") && metrics.contains("paid=\"false\""), "{metrics}");
    assert!(!metrics.contains("4111") && !metrics.contains("something") && !metrics.contains("part="), "{metrics}");
}

/// A call of a language model whose request is compressed and whose answer is a stream.
fn chat() -> Vec<Vec<u8>> {
    let asked = json!({"model": "m", "stream": true, "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "my card is 4111222233334444"},
    ], "tools": [{"type": "function", "function": {"name": "pay", "parameters": {"type": "object"}}}]});
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, asked.to_string().as_bytes()).unwrap();
    let body = encoder.finish().unwrap();
    let fields = "Host: llm.shop\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n";
    let mut request =
        format!("POST /v1/chat/completions HTTP/1.1\r\n{fields}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    request.extend_from_slice(&body);
    let deltas = [
        json!({"role": "assistant", "content": "card 41112222"}),
        json!({"content": "33334444 is "}),
        json!({"content": "fine"}),
        json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "pay", "arguments": "{\"card\":\"4111222"}}]}),
        json!({"tool_calls": [{"index": 0, "function": {"arguments": "233334444\"}"}}]}),
    ];
    let event = |delta: &Value, reason: Value| {
        let choices = json!([{"index": 0, "delta": delta, "finish_reason": reason}]);
        format!("data: {}\n\n", json!({"object": "chat.completion.chunk", "model": "m", "choices": choices}))
    };
    let mut events: Vec<String> = deltas.iter().map(|delta| event(delta, Value::Null)).collect();
    events.push(event(&json!({}), json!("tool_calls")));
    events.push("data: [DONE]\n\n".to_owned());
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    vec![request, chunked("HTTP/1.1 200 OK", "Content-Type: text/event-stream\r\n", &events)]
}

/// Attributes of spans that only calls of language models have as content.
fn said(spans: &str) -> Vec<(String, Value)> {
    let all: Vec<Value> = lines(spans);
    let spans =
        all.iter().flat_map(|request| request["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap());
    let attributes = spans.flat_map(|span| span["attributes"].as_array().unwrap());
    let names =
        ["gen_ai.system_instructions", "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.tool.definitions"];
    let pairs = attributes.filter_map(|attribute| {
        let name = attribute["key"].as_str().unwrap();
        let text = || attribute["value"]["stringValue"].as_str().unwrap();
        if names.contains(&name) {
            return Some((name.to_owned(), serde_json::from_str(text()).expect("it is JSON")));
        }
        name.ends_with("put_incomplete").then(|| (name.to_owned(), json!(text())))
    });
    pairs.collect()
}

#[test]
fn what_is_said_in_a_call_comes_out_redacted() {
    let fields = "
    - {path: [asked], type: Attribute, attributeKey: gen_ai.input.messages}
    - {path: [lacks], type: Attribute, attributeKey: telltale.gen_ai.output_incomplete}
    - {path: [fine], type: CEL, expression: 'gen_ai.output.messages.contains(\"fine\")'}
";
    let redacting = |content: &str| gep(&format!("{{{content}, redact: [{{pattern: '[0-9]{{16}}'}}]}}"), fields);
    for piece in [1, 13, 1000] {
        let outputs = outputs(&redacting("capture: All"), &recording(&chat(), piece));
        for output in &outputs {
            assert!(!output.contains("41112222") && !output.contains("33334444"), "{output}");
        }
        let [log, spans, metrics, _] = outputs;
        let expected = [
            (
                "gen_ai.input.messages",
                json!([
                    {"role": "system", "parts": [{"type": "text", "content": "be brief"}]},
                    {"role": "user", "parts": [{"type": "text", "content": "my card is REDACTED"}]},
                ]),
            ),
            ("gen_ai.tool.definitions", json!([{"type": "function", "name": "pay", "parameters": {"type": "object"}}])),
            (
                "gen_ai.output.messages",
                json!([{"role": "assistant", "finish_reason": "tool_calls", "parts": [
                    {"type": "text", "content": "card REDACTED is fine"},
                    {"type": "tool_call", "id": "c", "name": "pay", "arguments": {"card": "REDACTED"}},
                ]}]),
            ),
        ];
        assert_eq!(said(&spans), expected.map(|(name, value)| (name.to_owned(), value)), "{spans}");
        let line = lines(&log).remove(0);
        let asked: Value = serde_json::from_str(line["asked"].as_str().unwrap()).unwrap();
        assert_eq!(asked[1]["parts"][0]["content"], "my card is REDACTED");
        assert_eq!((&line["fine"], &line["lacks"]), (&json!(true), &Value::Null));
        assert!(!metrics.contains("be brief"), "{metrics}");
    }
    // One side is not the other, and a bound is marked.
    let [_, spans, ..] = outputs(&redacting("capture: Response, maxBytes: 150"), &recording(&chat(), 1000));
    let said = said(&spans);
    let names: Vec<_> = said.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["gen_ai.output.messages", "telltale.gen_ai.output_incomplete"]);
    assert_eq!(said[1].1, json!("size"));
}

/// Promise 4, of calls: without `content` nothing that is said in one is in any output.
#[test]
fn no_output_has_what_is_said_unless_the_policy_keeps_it() {
    let fields = "
    - {path: [asked], type: Attribute, attributeKey: gen_ai.input.messages}
    - {path: [answered], type: CEL, expression: 'gen_ai.output.messages + gen_ai.system_instructions'}
    - {path: [path], type: Attribute, attributeKey: url.path}
";
    for content in ["{}", "{capture: None}"] {
        for output in outputs(&gep(content, fields), &recording(&chat(), 1000)) {
            for word in ["4111", "4444", "be brief", "fine"] {
                assert!(!output.contains(word), "{output}");
            }
        }
    }
}
