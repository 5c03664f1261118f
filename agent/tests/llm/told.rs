//! What a run told of calls, as one line each, to be compared with what is expected.

use serde_json::Value;

use crate::common::{
    agent::Run,
    seen::{Seen, text},
};

/// The word that a line has for an attribute; without one, its value alone.
const GENAI: &[(&str, &str)] = &[
    ("", "gen_ai.operation.name"),
    ("", "gen_ai.provider.name"),
    ("", "gen_ai.request.model"),
    ("answered", "gen_ai.response.model"),
    ("stream", "gen_ai.request.stream"),
    ("in", "gen_ai.usage.input_tokens"),
    ("out", "gen_ai.usage.output_tokens"),
    ("read", "gen_ai.usage.cache_read.input_tokens"),
    ("written", "gen_ai.usage.cache_creation.input_tokens"),
    ("reasoning", "gen_ai.usage.reasoning.output_tokens"),
    ("dimensions", "gen_ai.embeddings.dimension.count"),
    ("finish", "gen_ai.response.finish_reasons"),
    ("tools", "telltale.gen_ai.response.tool_calls"),
    ("", "http.response.status_code"),
    ("error", "error.type"),
];

const MCP: &[(&str, &str)] = &[
    ("", "mcp.method.name"),
    ("", "gen_ai.tool.name"),
    ("", "gen_ai.prompt.name"),
    ("", "mcp.resource.uri"),
    ("", "mcp.protocol.version"),
    ("code", "rpc.response.status_code"),
    ("error", "error.type"),
];

/// Kinds of spans (OTLP).
pub(crate) const SERVER: u64 = 2;
pub(crate) const CLIENT: u64 = 3;

/// The calls of language models that one end told of.
pub(crate) fn genai(seen: &Seen, kind: u64) -> Vec<String> {
    lines(seen, kind, GENAI, "gen_ai.operation.name")
}

/// The messages of MCP that one end told of, in the order of their spans.
pub(crate) fn mcp(seen: &Seen, kind: u64) -> Vec<String> {
    lines(seen, kind, MCP, "mcp.method.name")
}

fn lines(seen: &Seen, kind: u64, keys: &[(&str, &str)], needed: &str) -> Vec<String> {
    let spans = seen.spans.iter().filter(|span| span["kind"] == kind && attribute(span, needed).is_some());
    let mut lines: Vec<String> = spans.map(|span| line(span, keys)).collect();
    lines.sort();
    lines
}

fn line(span: &Value, keys: &[(&str, &str)]) -> String {
    let words = keys.iter().filter_map(|(word, key)| {
        let value = attribute(span, key)?;
        Some(if word.is_empty() { value } else { format!("{word}={value}") })
    });
    words.collect::<Vec<_>>().join(" ")
}

/// An attribute of a span as text; members of an array with commas between them.
pub(crate) fn attribute(span: &Value, key: &str) -> Option<String> {
    let attributes = span["attributes"].as_array()?;
    let value = &attributes.iter().find(|attribute| attribute["key"] == key)?["value"];
    Some(plain(value))
}

fn plain(value: &Value) -> String {
    let Some((kind, value)) = value.as_object().and_then(|members| members.iter().next()) else { return String::new() };
    if kind == "arrayValue" {
        let members = value["values"].as_array().map(Vec::as_slice).unwrap_or_default();
        return members.iter().map(plain).collect::<Vec<_>>().join(",");
    }
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Ends the run once both ends told of these calls, and checks that there was nothing else and that the ends belong together.
pub(crate) fn expect_calls(run: Run, expected: &[&str]) -> Seen {
    expect_calls_but(run, expected, |_| false)
}

/// The same for clients that do not read every answer to its end: of calls for which `unread` is true, the client may not know the provider's error.
pub(crate) fn expect_calls_but(run: Run, expected: &[&str], unread: fn(&str) -> bool) -> Seen {
    let seen = run.stop_after(2 * expected.len());
    for (kind, end) in [(CLIENT, "client"), (SERVER, "server")] {
        let known = |line: &str| {
            let (known, _) =
                line.split_once(" error=").filter(|_| kind == CLIENT && unread(line)).unwrap_or((line, ""));
            known.to_owned()
        };
        let mut expected: Vec<String> = expected.iter().map(|line| known(line)).collect();
        expected.sort_unstable();
        let mut told: Vec<String> = genai(&seen, kind).iter().map(|line| known(line)).collect();
        told.sort_unstable();
        assert_same(&told, &expected, end, &seen);
        assert_eq!(seen.of(end).len(), expected.len(), "lines of the {end}: {:#?}", seen.logs);
    }
    seen.assert_joined();
    assert_lines_are_spans(&seen);
    seen
}

/// Each line has its span, and what both say of a call is the same.
pub(crate) fn assert_lines_are_spans(seen: &Seen) {
    for line in &seen.logs {
        let same = |span: &&Value| {
            ["span_id", "trace_id"].map(|key| text(line, key)) == ["spanId", "traceId"].map(|key| text(span, key))
        };
        let span = seen.spans.iter().find(same).unwrap_or_else(|| panic!("{line} has no span"));
        let members = line.as_object().into_iter().flatten();
        for (key, value) in
            members.filter(|(key, _)| ["gen_ai.", "mcp.", "telltale."].iter().any(|prefix| key.starts_with(prefix)))
        {
            let of_line = match value {
                Value::Array(members) => members.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert_eq!(Some(of_line), attribute(span, key), "{key} of {line} (left) and of its span {span}");
        }
        let model = attribute(span, "gen_ai.request.model").is_some();
        assert_eq!(line.get("gen_ai.request.model").is_some(), model, "{line}");
    }
}

fn assert_same(seen: &[String], expected: &[String], end: &str, run: &Seen) {
    if seen == expected {
        return;
    }
    let missing: Vec<&String> = expected.iter().filter(|line| !seen.contains(line)).collect();
    let beyond: Vec<&String> = seen.iter().filter(|line| !expected.contains(line)).collect();
    panic!(
        "the {end} told of {} calls, {} are expected\nmissing: {missing:#?}\nnot expected: {beyond:#?}\n{}",
        seen.len(),
        expected.len(),
        run.stderr
    );
}

/// The same for messages of MCP; in no order.
pub(crate) fn assert_messages(seen: &Seen, expected: &[String]) {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    for (kind, end) in [(CLIENT, "client"), (SERVER, "server")] {
        assert_same(&mcp(seen, kind), &expected, end, seen);
    }
}
