//! A recording of an agent that asks a model, calls tools by MCP and asks again (`agent/tests/recordings/agent_run.jsonl`, made by hand): what comes of it in each signal.

use std::{fs, process::Command};

use crate::{
    documentation::root,
    replayed::{Span, replay},
};

const RECORDING: &str = "agent/tests/recordings/agent_run.jsonl";

/// What is said on stderr, with these flags besides.
fn said(flags: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_telltale"))
        .args(["replay", RECORDING, "--logs"])
        .arg(folder.path().join("logs"))
        .args(flags)
        .current_dir(root())
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn the_summary_has_models_and_tools() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.yaml");
    fs::write(&config, "prices: {file: agent/tests/prices/genai_prices.json}\n").unwrap();
    insta::assert_snapshot!(said(&["--config", config.to_str().unwrap()]));
}

#[test]
fn the_tree_shows_what_followed_from_what() {
    insta::assert_snapshot!(said(&["-q", "--tree"]));
}

#[test]
fn prices_that_cannot_be_read_are_said_and_nothing_starts() {
    let folder = tempfile::tempdir().unwrap();
    let (config, prices) = (folder.path().join("config.yaml"), folder.path().join("prices.json"));
    fs::write(&config, format!("prices: {{file: {}}}\n", prices.display())).unwrap();
    let fails = || {
        let output = Command::new(env!("CARGO_BIN_EXE_telltale"))
            .args(["replay", RECORDING, "--config"])
            .arg(&config)
            .current_dir(root())
            .env_remove("RUST_LOG")
            .output()
            .unwrap();
        assert!(output.stdout.is_empty() && output.status.code() == Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(fails().contains("cannot read it"), "{}", fails());
    fs::write(&prices, r#"{"gpt-4o": {"mode": "chat"}}"#).unwrap();
    assert!(fails().contains("it has no prices"), "{}", fails());
}

fn policy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let policy = "\
apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: TelemetryPolicy
metadata: {name: all, namespace: agents}
spec:
  targetRefs: [{group: '', kind: Namespace, name: agents}]
  tracing: {mode: ImplementationDefault}
  metrics: {mode: Enabled}
  accessLogs: {mode: Enabled}
";
    fs::write(folder.path().join("policy.yaml"), policy).unwrap();
    folder
}

/// Kind, name, and why it failed.
fn head(span: &Span) -> String {
    let kind = if span.fields["kind"] == 3 { "client" } else { "server" };
    let error = span.attributes.get("error.type").map(|error| format!(" ! {error}")).unwrap_or_default();
    format!("{kind} {}{error}", span.text("name"))
}

#[test]
fn spans_and_lines_of_calls() {
    let folder = policy();
    let seen = replay(RECORDING, &[folder.path().join("policy.yaml").to_str().unwrap()], None);
    let mut spans: Vec<&Span> = seen.spans.iter().collect();
    spans.sort_by_key(|span| span.text("startTimeUnixNano").to_owned());
    let heads: Vec<_> = spans.iter().map(|span| head(span)).collect();
    insta::assert_snapshot!(heads.join("\n"));
    // Both ends of the call of a tool that carries a context continue that one.
    let search: Vec<_> = spans.iter().filter(|span| span.text("name") == "tools/call search").collect();
    assert_eq!(search.len(), 2);
    assert!(search.iter().all(|span| span.text("traceId") == "4bf92f3577b34da6a3ce929d0e0e4736"));
    assert!(search.iter().all(|span| span.text("parentSpanId") == "00f067aa0ba902b7"));
    // One that carries none is in the trace that both ends derive.
    let read: Vec<_> = spans.iter().filter(|span| span.text("name") == "tools/call read_file").collect();
    assert_eq!(
        (read[0].text("traceId"), read[0].text("spanId")),
        (read[1].text("traceId"), read[1].text("parentSpanId"))
    );
    // The attributes of HTTP are beside those of the call.
    let chat = spans[0];
    for (key, value) in [
        ("http.request.method", "POST"),
        ("url.full", "http://api.openai.com/v1/chat/completions"),
        ("server.address", "api.openai.com"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", "gpt-4o-mini"),
        ("gen_ai.response.model", "gpt-4o-mini-2024-07-18"),
        ("gen_ai.request.temperature", "0.2"),
        ("gen_ai.usage.input_tokens", "1200"),
        ("gen_ai.usage.cache_read.input_tokens", "1000"),
        ("telltale.gen_ai.response.time_to_first_token", "0.249"),
    ] {
        assert_eq!(chat.attributes.get(key).map(String::as_str), Some(value), "{key}");
    }
    let lines = seen.json();
    let tools: Vec<_> = lines.iter().filter_map(|line| line["gen_ai.tool.name"].as_str()).collect();
    assert_eq!(tools.iter().filter(|tool| **tool == "search").count(), 2);
    // Nothing that people, models or tools wrote is anywhere.
    let everything =
        format!("{}{}{:?}", seen.lines, seen.metrics, seen.spans.iter().map(|span| &span.fields).collect::<Vec<_>>());
    for written in ["sails", "shadow", "not allowed", "catch the wind"] {
        assert!(!everything.contains(written), "{written}");
    }
}
