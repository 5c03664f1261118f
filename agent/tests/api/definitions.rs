//! The definitions in `deploy/crds`, as an API server applies them.

use std::{fs, path::Path};

use crate::{api_server::ApiServer, kubectl::Kubectl};

/// Both dialects: the file of the definition, the name of the resource, its short name.
pub(crate) const DIALECTS: [(&str, &str, &str); 2] = [
    ("gateway.networking.k8s.io_telemetrypolicies.yaml", "telemetrypolicies.gateway.networking.k8s.io", "tpol"),
    ("gateway.networking.x-k8s.io_telemetrypolicies.yaml", "telemetrypolicies.gateway.networking.x-k8s.io", "xtpol"),
];

/// A file of `deploy`.
pub(crate) fn deployed(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Waits until the API server has taken up this definition. `kubectl wait` would end at once where it has no conditions yet.
pub(crate) fn until_established(kubectl: &Kubectl, resource: &str) {
    let condition = "--output=jsonpath={.status.conditions[?(@.type==\"Established\")].status}";
    kubectl.until(&["get", &format!("crd/{resource}"), condition], |said| said.trim() == "True");
}

/// Defines a dialect and waits until it is served.
pub(crate) fn define(kubectl: &Kubectl, file: &str, resource: &str) {
    kubectl.apply(&deployed(&format!("crds/{file}")));
    until_established(kubectl, resource);
    // Established comes a moment before the API server serves it.
    kubectl.until(&["get", resource, "--all-namespaces"], |said| !said.contains("the server doesn't have"));
}

const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: definitions}\n";

/// One of each dialect, which differ in every stanza.
const GOOD: &str = r#"
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TelemetryPolicy
metadata: {namespace: definitions, name: of-the-proposal}
spec:
  targetRef: {group: "", kind: Namespace, name: definitions}
  accessLogs: {enabled: true}
---
apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: TelemetryPolicy
metadata: {namespace: definitions, name: of-the-gep}
spec:
  targetRefs: [{group: "", kind: Namespace, name: definitions}]
  accessLogs: {mode: Enabled, matches: 'response.code >= 500'}
"#;

#[test]
fn both_dialects_are_served_with_their_names_and_columns() {
    let Some(server) = ApiServer::shared() else { return };
    let kubectl = server.kubectl();
    for (file, resource, _) in DIALECTS {
        define(kubectl, file, resource);
    }
    kubectl.apply(NAMESPACE);
    kubectl.apply(GOOD);
    for ((_, resource, short), name) in DIALECTS.iter().zip(["of-the-proposal", "of-the-gep"]) {
        let table = kubectl.run(&["get", short, "--namespace", "definitions"]);
        let lines: Vec<_> = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
        assert!(table.starts_with("NAME"), "{table}");
        for column in ["TARGET KIND", "TARGET NAME", "ACCEPTED", "PROGRAMMED", "AGE"] {
            assert!(table.lines().next().unwrap().contains(column), "{column} in {table}");
        }
        assert_eq!(lines[1][..3], [name, "Namespace", "definitions"], "{table}");
        // What `explain` reads is served a moment after the resource is.
        let explain = ["explain", &format!("{resource}.spec.accessLogs")];
        kubectl.until(&explain, |said| said.contains("FIELD: accessLogs <Object>") && said.contains("matches"));
    }
    // Two groups share one plural, so this is the way to see both.
    let all = kubectl.run(&["get", "telemetry", "--all-namespaces"]);
    assert!(all.contains("of-the-proposal") && all.contains("of-the-gep"), "{all}");
}

#[test]
fn status_is_a_resource_of_its_own_and_fills_the_columns() {
    let Some(server) = ApiServer::shared() else { return };
    let kubectl = server.kubectl();
    let (file, resource, short) = DIALECTS[1];
    define(kubectl, file, resource);
    kubectl.apply(&NAMESPACE.replace("definitions", "with-status"));
    let policy = GOOD.split("---").nth(1).unwrap().replace("definitions", "with-status");
    kubectl.apply(&policy);
    let condition = |kind: &str, status: &str| {
        format!(
            r#"{{"type":"{kind}","status":"{status}","reason":"Test","message":"","observedGeneration":1,"lastTransitionTime":"2026-01-01T00:00:00Z"}}"#
        )
    };
    let status = format!(
        r#"{{"status":{{"ancestors":[{{"ancestorRef":{{"group":"","kind":"Namespace","name":"with-status"}},"controllerName":"telltale.dev/agent","conditions":[{},{}]}}]}}}}"#,
        condition("Accepted", "True"),
        condition("Programmed", "False")
    );
    let name = ["--namespace", "with-status", resource, "of-the-gep"];
    let patch = |subresource: &[&str]| {
        kubectl.run(&[&["patch"], &name[..], &["--type", "merge", "--patch", &status], subresource].concat())
    };
    patch(&[]);
    let ignored = kubectl.json(&[&["get"], &name[..]].concat());
    assert!(ignored["status"].is_null(), "a write of the policy does not write its status: {ignored}");
    patch(&["--subresource", "status"]);
    let table = kubectl.run(&["get", short, "--namespace", "with-status"]);
    let row: Vec<_> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[..5], ["of-the-gep", "Namespace", "with-status", "True", "False"], "{table}");
    let described = kubectl.run(&[&["describe"], &name[..]].concat());
    assert!(described.contains("telltale.dev/agent"), "{described}");
}

#[test]
fn what_the_schema_forbids_is_refused_with_its_reason() {
    let Some(server) = ApiServer::shared() else { return };
    let kubectl = server.kubectl();
    for (file, resource, _) in DIALECTS {
        define(kubectl, file, resource);
    }
    kubectl.apply(&NAMESPACE.replace("definitions", "refused"));
    let documents: Vec<_> = GOOD.split("---").map(|policy| policy.replace("definitions", "refused")).collect();
    for (index, part, replacement, reason) in [
        (0, "enabled: true", "enabled: true, enable: false", "enabled and enable must not differ"),
        (0, "enabled: true", "format: JSON", "enabled is required"),
        (0, "targetRef:", "target:", "spec.targetRef"),
        (1, "mode: Enabled", "mode: 'On'", "Unsupported value: \"On\""),
        (1, "[{group: \"\", kind: Namespace, name: refused}]", "[]", "should have at least 1 items"),
    ] {
        let policy = documents[index].replace(part, replacement);
        assert_ne!(policy, documents[index], "{part} is in the policy");
        let refused = kubectl.attempt(&["apply", "--validate=false", "--filename", "-"], &policy);
        let said = refused.expect_err(&policy);
        assert!(said.contains(reason), "{reason} in {said}");
    }
}
