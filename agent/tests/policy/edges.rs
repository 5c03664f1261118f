//! Who called whom, and whether it was let through: what a policy can ask where pods are known.

use std::{fs, process::Command};

use base64::{Engine as _, engine::general_purpose::STANDARD};

const POLICY: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: cart-1, namespace: shop, labels: {app: cart}}
spec: {serviceAccountName: cart-robot}
status: {podIP: 10.0.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: pay-1, namespace: bank, labels: {app: pay, secret-label: s3cret}}
spec: {serviceAccountName: pay-robot}
status: {podIPs: [{ip: 10.0.0.2}]}
---
apiVersion: v1
kind: Pod
metadata: {name: proxy-1, namespace: bank}
spec: {hostNetwork: true}
status: {podIP: 10.0.0.3}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: TelemetryPolicy
metadata: {name: p, namespace: shop}
spec:
  targetRefs: [{group: '', kind: Namespace, name: shop}]
  accessLogs:
    mode: Enabled
    fields:
    - {path: [from], type: CEL, expression: 'source.namespace + \"/\" + source.service_account'}
    - {path: [to], type: CEL, expression: 'destination.namespace + \"/\" + destination.service_account'}
    - {path: [app], type: CEL, expression: 'destination.app'}
    - {path: [theirs], type: CEL, expression: 'destination.labels[\"secret-label\"]'}
    - {path: [action], type: Attribute, attributeKey: event.action}
    - {path: [outcome], type: Attribute, attributeKey: event.outcome}
";

/// A call of the pod shop/cart-1 to this address, and the answer, if there is one.
fn line(peer: &str, answer: Option<&str>) -> serde_json::Value {
    let data = |time: u64, direction: &str, text: &str| {
        let (length, text) = (text.len(), STANDARD.encode(text));
        format!(
            "{{\"t\":{time},\"ev\":\"data\",\"conn\":1,\"dir\":\"{direction}\",\"pos\":0,\"len\":{length},\"b64\":\"{text}\"}}\n"
        )
    };
    let mut recording = format!(
        "{{\"t\":1,\"ev\":\"open\",\"conn\":1,\"role\":\"client\",\"local\":\"10.0.0.1:4000\",\"peer\":\"{peer}:80\",\"pid\":1,\"comm\":\"cart\",\"pod\":\"shop/cart-1\"}}\n"
    );
    recording += &data(2, "out", "GET /pay HTTP/1.1\r\nHost: pay\r\n\r\n");
    if let Some(answer) = answer {
        recording += &data(3, "in", &format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n"));
    }
    recording += "{\"t\":4,\"ev\":\"close\",\"conn\":1,\"how\":\"fin\"}\n";
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("policy.yaml"), POLICY).unwrap();
    fs::write(folder.path().join("recording.jsonl"), recording).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_telltale"))
        .args(["-q", "replay", "recording.jsonl", "--policy", "policy.yaml", "--logs", "-"])
        .current_dir(folder.path())
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn both_ends_of_a_call_have_a_name_and_an_outcome() {
    let names = serde_json::json!({"from": "shop/cart-robot", "to": "bank/pay-robot", "app": "pay"});
    let with = |action: Option<&str>, outcome: Option<&str>| {
        let mut expected = names.clone();
        for (key, value) in [("action", action), ("outcome", outcome)] {
            if let Some(value) = value {
                expected[key] = value.into();
            }
        }
        expected
    };
    // Labels of a pod in another namespace are not for this policy's author.
    assert_eq!(line("10.0.0.2", Some("200 OK")), with(Some("allow"), Some("success")));
    assert_eq!(line("10.0.0.2", Some("403 Forbidden")), with(Some("deny"), Some("failure")));
    let challenge = "400 Bad Request\r\nWWW-Authenticate: Bearer";
    assert_eq!(line("10.0.0.2", Some(challenge)), with(Some("deny"), Some("failure")));
    assert_eq!(line("10.0.0.2", Some("302 Found")), with(None, Some("unknown")));
    assert_eq!(line("10.0.0.2", None), with(None, None));
}

#[test]
fn an_address_that_is_not_of_one_pod_names_nobody() {
    for peer in ["10.0.0.3", "10.0.0.4"] {
        let line = line(peer, Some("200 OK"));
        assert_eq!((line.get("to"), line.get("app")), (None, None), "{peer}");
        assert_eq!(line["from"], "shop/cart-robot");
    }
}
