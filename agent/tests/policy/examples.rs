//! `deploy/examples`: each does what its comments say. The recordings are `agent/tests/recordings`, the pods those of `try/cluster.yaml`.

use std::{collections::BTreeSet, fs, process::Command};

use serde_json::Value;

use crate::{
    documentation::root,
    replayed::{Replayed, replay},
};

const CLUSTER: &str = "deploy/examples/try/cluster.yaml";
const ASSISTANT: &str = "agents/assistant-5c9f8-k2x7q";
const GATEWAY: &str = "prod-ns/my-gateway-7d4b9-x2x5p";
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
    assert_eq!(seen.len(), 6, "{seen:?}: a new example needs a test");
}

#[test]
fn llm_cost_by_team() {
    let seen = under("llm-cost-by-team.yaml", "chat_stream.jsonl", ASSISTANT);
    // The same call was recorded at both ends: only the caller's is reported.
    let expected = r#"{"time":"2026-11-22T08:01:59.898385Z","team":"research","pod":"assistant-5c9f8-k2x7q","provider":"127.0.0.1","operation":"/v1/chat/completions","status":200,"duration_ms":11}"#;
    assert_eq!(seen.lines, format!("{expected}\n"));
    let [(labels, count)] = &seen.series("http_client_request_duration_seconds_count")[..] else {
        panic!("{}", seen.metrics);
    };
    assert_eq!((labels["team"].as_str(), labels["service_name"].as_str(), *count), ("research", "assistant", 1.0));
    assert!(seen.series("http_server_request_duration_seconds_count").is_empty() && seen.spans.is_empty());
    let bounds = seen.metrics.lines().filter(|line| line.starts_with("http_client_request_duration_seconds_bucket"));
    assert_eq!(bounds.count(), 9);

    // What a gateway in front of the models says in headers is there, in lines and labels.
    let seen = under("llm-cost-by-team.yaml", "agentic.jsonl", ASSISTANT);
    assert_eq!(seen.lines, "", "the gateway's end is none of a client");
    let policy = fs::read_to_string(root().join("deploy/examples/llm-cost-by-team.yaml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let served = folder.path().join("served.yaml");
    let changed = policy
        .replace("direction: Client", "direction: Server")
        .replace("http.client.request", "http.server.request")
        .replace("\"/v1/\"", "\"/api/\"");
    fs::write(&served, changed).unwrap();
    let policies = [served.to_str().unwrap(), CLUSTER];
    let seen = replay("agent/tests/recordings/agentic.jsonl", &policies, Some(ASSISTANT));
    let of_gateway: Vec<_> = (seen.json().iter())
        .map(|line| {
            (
                line["model"]["gateway"].as_str().unwrap().to_owned(),
                line["tokens"]["gateway"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    let expected = [("small-1", "128"), ("large-2", "2048"), ("small-1", "3")];
    assert_eq!(of_gateway, expected.map(|(model, tokens)| (model.to_owned(), tokens.to_owned())));
    let models: BTreeSet<_> = (seen.series("http_server_request_duration_seconds_count").into_iter())
        .filter_map(|(labels, _)| labels.get("model").cloned())
        .collect();
    assert_eq!(models, ["large-2".to_owned(), "small-1".to_owned()].into());
}

#[test]
fn tool_audit() {
    let seen = under("tool-audit.yaml", "agentic.jsonl", GATEWAY);
    let lines = seen.json();
    let column = |key: &str| lines.iter().map(|line| line[key].clone()).collect::<Vec<_>>();
    // The two calls of the tool, not the list of tools beside it; the second was not let through.
    assert_eq!(column("request_id"), ["r-4", "r-5"]);
    assert_eq!(column("response_code"), [200, 403]);
    assert_eq!(column("event.action"), ["allow", "deny"]);
    assert_eq!(column("event.outcome"), ["success", "failure"]);
    assert_eq!(column("x-agent-id"), ["planner", "planner"]);
    assert_eq!(column("mcp-session-id"), ["s-1", "s-1"]);
    // The messages that name the tools, without what the tools are called with.
    let messages: Vec<Value> = (lines.iter())
        .map(|line| serde_json::from_str(line["telltale.http.request.body"].as_str().unwrap()).unwrap())
        .collect();
    let tools = messages.iter().map(|message| message["params"]["name"].clone()).collect::<Vec<_>>();
    assert_eq!(tools, ["read_file", "delete_file"]);
    assert!(messages.iter().all(|message| message["params"]["arguments"] == "REDACTED"));
    assert!(!seen.lines.contains("/tmp/x"), "{}", seen.lines);
    // Keys of MCP have no value yet.
    assert!(lines.iter().all(|line| line.get("gen_ai.tool.name").is_none() && line.get("mcp.method.name").is_none()));
    assert!(seen.spans.is_empty() && seen.measures_nothing());
    // It is the Gateway's policy, not its namespace's.
    assert_eq!(under("tool-audit.yaml", "agentic.jsonl", "prod-ns/other").lines, "");
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
    // Of eight: the 503 and the one that was reset; neither 403 nor 404.
    assert_eq!(said, [("r-7".into(), "503".into()), ("r-8".into(), "connection_reset".into())]);
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
