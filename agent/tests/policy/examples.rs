//! `deploy/examples`: each does what its comments say. The recordings are `agent/tests/recordings`, the pods those of `try/cluster.yaml`.

use std::{collections::BTreeSet, fs, process::Command};

use serde_json::Value;

use crate::{
    documentation::root,
    replayed::{Replayed, replay, replay_with},
};

const CLUSTER: &str = "deploy/examples/try/cluster.yaml";
const ASSISTANT: &str = "agents/assistant-5c9f8-k2x7q";
const GATEWAY: &str = "prod-ns/my-gateway-7d4b9-x2x5p";
const VLLM: &str = "models/vllm-0";
const ORDERS: &str = "shop/orders-6b8f7-m4n2z";

/// A recording as a pod, under an example.
fn under(example: &str, recording: &str, pod: &str) -> Replayed {
    replay(&format!("agent/tests/recordings/{recording}"), &[&format!("deploy/examples/{example}"), CLUSTER], Some(pod))
}

fn telltale(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_telltale"))
        .args(arguments)
        .current_dir(root())
        .env_remove("RUST_LOG")
        .output();
    let output = output.unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn nothing_is_wrong_with_an_example_and_the_cluster_accepts_it() {
    let mut seen = BTreeSet::new();
    for entry in fs::read_dir(root().join("deploy/examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let file = format!("deploy/examples/{name}");
        let (code, said) = telltale(&["-q", "policy", "validate", "--strict", &file]);
        // The example of the proposal asks for one thing that an observer cannot do.
        let expected = if name == "seed-example.yaml" {
            (Some(1), format!("{file}:24: warning: spec.tracing.context: contexts are read, never added\n"))
        } else {
            (Some(0), String::new())
        };
        assert_eq!((code, said), expected, "{name}");
        let (code, status) = telltale(&["-q", "policy", "status", &file, CLUSTER]);
        let conditions = status.matches("lastTransitionTime").count();
        assert!(code == Some(0) && conditions > 0, "{name}: {status}");
        assert_eq!(status.matches("status: \"True\"").count(), conditions, "{name}: {status}");
        seen.insert(name);
    }
    let readme = fs::read_to_string(root().join("deploy/examples/README.md")).unwrap();
    for name in &seen {
        assert!(readme.contains(&format!("]({name})")), "README.md does not name {name}");
    }
    assert_eq!(seen.len(), 7, "{seen:?}: a new example needs a test");
}

/// A configuration that names the prices of `agent/tests/prices`, in a folder of its own.
fn priced() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.yaml");
    fs::write(&config, "prices: {file: agent/tests/prices/litellm.json}\n").unwrap();
    let config = config.to_str().unwrap().to_owned();
    (folder, config)
}

#[test]
fn llm_cost_by_team() {
    let (_folder, config) = priced();
    let policies = ["deploy/examples/llm-cost-by-team.yaml", CLUSTER];
    let with_prices = |recording: &str| {
        replay_with(&format!("agent/tests/recordings/{recording}"), &policies, Some(ASSISTANT), &["--config", &config])
    };
    let seen = with_prices("agent_run.jsonl");
    let lines = seen.json();
    let column = |path: &str| lines.iter().map(|line| line.pointer(path).cloned()).collect::<Vec<_>>();
    assert!(column("/team").iter().all(|team| *team == Some("research".into())));
    assert_eq!(column("/operation"), ["chat", "embeddings", "chat", "chat"].map(|name| Some(name.into())));
    assert_eq!(column("/tokens/input"), [Some(1200.into()), Some(2.into()), None, Some(1300.into())]);
    assert_eq!(column("/tokens/cached"), [Some(1000.into()), None, None, Some(0.into())]);
    assert_eq!(column("/tokens/output"), [Some(60.into()), None, None, Some(90.into())]);
    assert_eq!(column("/error"), [None, None, Some("rate_limit_exceeded".into()), None]);
    assert_eq!(column("/first_token_s"), [Some(0.249.into()), None, None, None]);
    let micros = column("/dollars").into_iter().map(|dollars| Some((dollars?.as_f64()? * 1e6).round()));
    assert_eq!(micros.collect::<Vec<_>>(), [Some(700.0), Some(2.0), None, Some(2270.0)]);
    let sum = |name: &str| {
        seen.series(name)
            .iter()
            .map(|(labels, value)| {
                assert_eq!(
                    (labels["team"].as_str(), labels["service_name"].as_str()),
                    ("research", "assistant"),
                    "{name}"
                );
                value
            })
            .sum::<f64>()
    };
    assert!((sum("telltale_gen_ai_cost_total") - 0.002_972).abs() < 1e-9, "{}", seen.metrics);
    assert!((sum("gen_ai_client_token_usage_sum") - 2652.0).abs() < 1e-9, "{}", seen.metrics);
    assert!((sum("gen_ai_client_operation_duration_seconds_count") - 4.0).abs() < 1e-9, "{}", seen.metrics);
    assert!(seen.series("http_client_request_duration_seconds_count").is_empty() && seen.spans.is_empty());

    // The same call was recorded at both ends: only the caller's is reported. Its model has no price.
    let seen = with_prices("chat_stream.jsonl");
    let [line] = &seen.json()[..] else { panic!("{}", seen.lines) };
    assert_eq!(line["tokens"], serde_json::json!({"input": 5, "output": 3}));
    assert_eq!((line["model"]["requested"].as_str(), line.get("dollars")), (Some("small"), None));
    assert!(seen.metrics.contains("telltale_gen_ai_calls_without_price_total{} 1.0"), "{}", seen.metrics);

    // What is no call of a language model is none, whatever a gateway says of it in headers.
    assert_eq!(under("llm-cost-by-team.yaml", "agentic.jsonl", ASSISTANT).lines, "");
}

#[test]
fn first_token_objectives() {
    // The prices are not needed.
    let seen = under("first-token-objectives.yaml", "chat_stream.jsonl", VLLM);
    let [(labels, count)] = &seen.series("gen_ai_server_time_to_first_token_seconds_count")[..] else {
        panic!("{}", seen.metrics);
    };
    assert_eq!(
        (labels["service_name"].as_str(), labels["gen_ai_request_model"].as_str(), *count),
        ("vllm", "small", 1.0)
    );
    let bounds =
        seen.metrics.lines().filter(|line| line.starts_with("gen_ai_server_time_to_first_token_seconds_bucket"));
    assert_eq!(bounds.count(), 9);
    assert!(!seen.series("gen_ai_server_time_per_output_token_seconds_count").is_empty(), "{}", seen.metrics);
    // Fast enough, so that there is no line; nor a series of HTTP, or of the client's end.
    assert_eq!(seen.lines, "");
    assert!(
        !seen.metrics.contains("http_server_request") && !seen.metrics.contains("gen_ai_client"),
        "{}",
        seen.metrics
    );
    let policy = fs::read_to_string(root().join("deploy/examples/first-token-objectives.yaml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let strict = folder.path().join("strict.yaml");
    fs::write(&strict, policy.replace("time_to_first_token > 0.5", "time_to_first_token > 0.0001")).unwrap();
    let policies = [strict.to_str().unwrap(), CLUSTER];
    assert_eq!(replay("agent/tests/recordings/chat_stream.jsonl", &policies, Some(VLLM)).json().len(), 1);
}

#[test]
fn tool_audit() {
    let seen = under("tool-audit.yaml", "agentic.jsonl", GATEWAY);
    let lines = seen.json();
    let column = |key: &str| lines.iter().map(|line| line[key].clone()).collect::<Vec<_>>();
    // The two calls of the tool, not the list of tools beside it; the second was not let through.
    assert_eq!(column("request_id"), ["r-4", "r-5"]);
    assert_eq!(column("mcp.method.name"), ["tools/call", "tools/call"]);
    assert_eq!(column("gen_ai.tool.name"), ["read_file", "delete_file"]);
    assert_eq!(column("response_code"), [200, 403]);
    assert_eq!(column("error_type"), [Value::Null, "-32600".into()]);
    assert_eq!(column("event.action"), ["allow", "deny"]);
    assert_eq!(column("event.outcome"), ["success", "failure"]);
    assert_eq!(column("x-agent-id"), ["planner", "planner"]);
    assert_eq!(column("mcp.session.id"), ["s-1", "s-1"]);
    // Nothing of what the tools are called with, or answer.
    assert!(!seen.lines.contains("/tmp/x") && !seen.lines.contains("content"), "{}", seen.lines);
    assert!(seen.spans.is_empty() && seen.measures_nothing());
    // It is the Gateway's policy, not its namespace's.
    assert_eq!(under("tool-audit.yaml", "agentic.jsonl", "prod-ns/other").lines, "");
    // At any path; answers on a stream, and a tool that says that it failed inside a 200.
    let lines = under("tool-audit.yaml", "agent_run.jsonl", GATEWAY).json();
    let calls: Vec<_> =
        lines.iter().map(|line| (line["gen_ai.tool.name"].clone(), line["error_type"].clone())).collect();
    assert_eq!(calls, [("search".into(), Value::Null), ("read_file".into(), "tool_error".into())]);
}

#[test]
fn red_metrics() {
    let seen = under("red-metrics.yaml", "agentic.jsonl", ORDERS);
    let series = seen.series("http_server_request_duration_seconds_count");
    let keys: BTreeSet<_> = series.iter().flat_map(|(labels, _)| labels.keys().map(String::as_str)).collect();
    let expected =
        ["error_type", "http_request_method", "http_response_status_code", "k8s_namespace_name", "service_name"];
    assert_eq!(keys, expected.into());
    assert!(
        series.iter().all(|(labels, _)| labels["service_name"] == "orders" && labels["k8s_namespace_name"] == "shop")
    );
    let sum = |wanted: fn(&super::replayed::Labels) -> bool| {
        series.iter().filter(|(labels, _)| wanted(labels)).map(|(_, count)| count).sum::<f64>()
    };
    // Eight requests, one of which was never answered; one 503.
    assert_eq!((sum(|_| true), sum(|labels| labels.contains_key("error_type"))), (7.0, 1.0));
    let incomplete = "telltale_exchanges_incomplete_total{reason=\"reset\"} 1.0";
    assert!(seen.metrics.contains(incomplete), "{}", seen.metrics);
    // Nothing else comes out.
    let others = seen.metrics.lines().filter(|line| line.starts_with("http_"));
    assert!(others.clone().count() > 0);
    for line in others {
        assert!(line.starts_with("http_server_request_duration_seconds"), "{line}");
    }
    assert!(seen.lines.is_empty() && seen.spans.is_empty());
}

#[test]
fn errors_only() {
    let seen = under("errors-only.yaml", "agentic.jsonl", ORDERS);
    let said: Vec<_> =
        seen.json().iter().map(|line| (line["request_id"].clone(), line["error_type"].clone())).collect();
    // Of eight: the call of a tool that was answered by an error of its own protocol, the 503 and the one that was reset; no 403 or 404 by itself.
    let expected = [("r-5", "-32600"), ("r-7", "503"), ("r-8", "connection_reset")];
    assert_eq!(said, expected.map(|(id, error)| (id.into(), error.into())));
    assert!(seen.spans.is_empty() && seen.measures_nothing());
    // Real programs: their 404s are none of it, at neither end.
    let answered = under("errors-only.yaml", "node.jsonl", ORDERS);
    assert_eq!(answered.lines, "");
}

#[test]
fn tracing_to_a_collector() {
    let seen = under("tracing-to-collector.yaml", "agentic.jsonl", ORDERS);
    // Of the traces that callers began, the one that its caller keeps; W3C is read, B3 is not asked for.
    let kept: Vec<_> = seen.spans.iter().filter(|span| !span.text("parentSpanId").is_empty()).collect();
    let [span] = kept[..] else { panic!("{} spans", kept.len()) };
    assert_eq!(span.text("traceId"), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(span.text("parentSpanId"), "00f067aa0ba902b7");
    for span in &seen.spans {
        assert_eq!(span.resource["service.name"], "orders");
        let attributes = ["deployment.environment.name", "team", "slow"].map(|key| span.attributes[key].as_str());
        assert_eq!(attributes, ["staging", "storefront", "false"]);
    }
    assert!(seen.lines.is_empty() && seen.measures_nothing());

    // Without the consent of the Collector's namespace nothing is sent.
    let text = fs::read_to_string(root().join("deploy/examples/tracing-to-collector.yaml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path().join("policy.yaml");
    fs::write(&alone, text.split("\n---\n").next().unwrap()).unwrap();
    let policies = [alone.to_str().unwrap(), CLUSTER];
    let (_, status) = telltale(&["-q", "policy", "status", policies[0], CLUSTER]);
    assert!(status.contains("reason: RefNotPermitted"), "{status}");
    let seen = replay("agent/tests/recordings/agentic.jsonl", &policies, Some(ORDERS));
    assert!(seen.spans.is_empty());
}
