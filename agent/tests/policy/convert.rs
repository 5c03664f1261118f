//! `policy convert` and `crds`, as they are run.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

fn telltale(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_telltale")).args(arguments).env_remove("RUST_LOG").output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_definitions_are_those_that_are_deployed() {
    let deployed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/crds");
    let read = |group: &str| fs::read_to_string(deployed.join(format!("{group}_telemetrypolicies.yaml"))).unwrap();
    let expected = [read("gateway.networking.k8s.io"), read("gateway.networking.x-k8s.io")].join("---\n");
    let output = telltale(&["crds"]);
    assert!(output.status.success() && text(&output.stdout) == expected);

    let list: serde_json::Value = serde_json::from_slice(&telltale(&["crds", "-o", "json"]).stdout).unwrap();
    assert_eq!(list["kind"], "List");
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
}

#[test]
fn what_can_be_converted_is_printed_and_the_rest_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let policy = |name: &str, enabled: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: TelemetryPolicy\nmetadata: {{name: {name}}}\nspec:\n  targetRef: {{group: '', kind: Namespace, name: shop}}\n  metrics: {{enabled: {enabled}}}\n"
        )
    };
    write("a.yaml", &policy("one", "true"));
    write("b.yaml", &format!("a: [\n---\n{}", policy("two", "maybe")));
    let output = telltale(&["policy", "convert", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(text(&output.stdout), @r#"
        apiVersion: gateway.networking.x-k8s.io/v1alpha1
        kind: TelemetryPolicy
        metadata:
          name: one
        spec:
          metrics:
            mode: Enabled
          targetRefs:
          - group: ""
            kind: Namespace
            name: shop
    "#);
    let errors = text(&output.stderr).replace(&format!("{}/", folder.path().display()), "");
    insta::assert_snapshot!(errors, @r#"
        b.yaml:1: error: is not YAML: unclosed bracket '['
        b.yaml:8: error: spec.metrics.enabled: is text, must be a boolean
    "#);

    let only_good = telltale(&["policy", "convert", folder.path().join("a.yaml").to_str().unwrap()]);
    assert_eq!(only_good.status.code(), Some(0));
    assert_eq!(telltale(&["policy", "convert", "no/such/file"]).status.code(), Some(1));
    assert_eq!(telltale(&["policy", "convert"]).status.code(), Some(2));
}

/// Spans, access log and metrics of a recording under a policy.
fn outputs(recording: &Path, policy: &Path, folder: &Path) -> [String; 3] {
    let files = ["spans", "logs", "metrics"].map(|name| folder.join(name));
    let [spans, logs, metrics] = files.each_ref().map(|file| file.to_str().unwrap());
    let (recording, policy) = (recording.to_str().unwrap(), policy.to_str().unwrap());
    let output = telltale(&[
        "-q",
        "replay",
        recording,
        "--policy",
        policy,
        "--spans",
        spans,
        "--logs",
        logs,
        "--metrics",
        metrics,
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    files.map(|file| fs::read_to_string(file).unwrap())
}

#[test]
fn a_policy_and_its_conversion_give_the_same_bytes() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let folder = tempfile::tempdir().unwrap();
    let (policy, converted) = (tests.join("policy/equivalent.yaml"), folder.path().join("converted.yaml"));
    let output = telltale(&["policy", "convert", policy.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    fs::write(&converted, &output.stdout).unwrap();
    for name in ["pair.jsonl", "curl_python.jsonl", "chat_stream.jsonl"] {
        let recording = tests.join("recordings").join(name);
        let [before, after] = [&policy, &converted].map(|policy| outputs(&recording, policy, folder.path()));
        assert_eq!(before, after, "{name}");
        // Two silences would be the same too.
        assert!(before.iter().all(|output| !output.is_empty()), "{name}: {before:?}");
        assert!(before[1].contains("response_code"), "{name}: {before:?}");
    }
}
