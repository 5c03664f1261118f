//! What an API server would say.

use serde_json::json;

use super::*;

fn findings(dialect: Dialect, spec: &Value) -> Vec<String> {
    let object = json!({"apiVersion": dialect.api_version(), "kind": "TelemetryPolicy", "metadata": {"name": "a"}, "spec": spec});
    let mut findings = Vec::new();
    check(dialect, &object, &mut findings);
    let word = |effect| if effect == Effect::Warning { "warning" } else { "error" };
    findings.iter().map(|finding| format!("{}: {finding}", word(finding.effect))).collect()
}

fn gep(mut spec: Value) -> Vec<String> {
    if spec.get("targetRefs").is_none() {
        spec["targetRefs"] = json!([{"group": "", "kind": "Namespace", "name": "a"}]);
    }
    findings(Dialect::Gep, &spec)
}

fn proposal(mut spec: Value) -> Vec<String> {
    spec["targetRef"] = json!({"group": "", "kind": "Namespace", "name": "a"});
    findings(Dialect::Proposal, &spec)
}

#[test]
fn every_rule_can_be_decided() {
    fn walk(shape: &shape::Shape, schema: &Value, seen: &mut usize) {
        for rule in &shape.rules {
            *seen += 1;
            let empty = rule::seen(shape, &if shape.items.is_some() { json!([]) } else { json!({}) });
            // An error of evaluation about a missing required field is fine here; one of syntax is not.
            if let Err(error) = rule.check(&empty) {
                assert!(error.contains("No such key"), "{error}: {}", rule.message);
            }
        }
        if let Some(items) = &shape.items {
            walk(items, &schema["items"], seen);
        }
        for (name, shape) in &shape.properties {
            walk(shape, &schema["properties"][name], seen);
        }
    }
    for dialect in Dialect::ALL {
        let mut seen = 0;
        walk(shape::Shape::of(dialect), super::super::api::schema(dialect), &mut seen);
        assert!(seen > 20, "{seen}");
    }
}

#[test]
fn what_is_right_says_nothing() {
    assert_eq!(gep(json!({})), [""; 0]);
    assert_eq!(
        proposal(
            json!({"tracing": {}, "metrics": {"enabled": false}, "accessLogs": {"enabled": true, "enable": true}})
        ),
        [""; 0]
    );
}

#[test]
fn types_words_and_bounds_are_checked() {
    let mistakes = [
        gep(json!({"metrics": {"mode": true}})),
        gep(json!({"metrics": {"mode": "enabled"}})),
        gep(json!({"metrics": null})),
        gep(json!({"metrics": {"cardinalityLimit": 0}})),
        gep(json!({"metrics": {"cardinalityLimit": 1.5}})),
        gep(json!({"metrics": {"cardinalityLimit": 5_000_000_000_i64}})),
        gep(json!({"metrics": {"overrides": [{"mode": "Disabled"}]}})),
        gep(json!({"tracing": {"spanName": ""}})),
        gep(json!({"tracing": {"serviceName": "x".repeat(254)}})),
        gep(json!({"tracing": {"attributes": [{"name": "a b", "type": "Literal", "literalValue": "x"}]}})),
        gep(json!({"accessLogs": {"sinks": vec![json!({"type": "Stdout"}); 9]}})),
        gep(json!({"accessLogs": {"fields": [{"path": [], "type": "Literal", "literalValue": ""}]}})),
        proposal(json!({"tracing": {"samplingRate": {"percent": 101}}})),
        proposal(json!({"tracing": {"parentBasedSampling": {}}})),
        proposal(json!({"accessLogs": {"enabled": true, "fields": ["a b"]}})),
    ];
    insta::assert_snapshot!(mistakes.map(|lines| lines.join("\n")).join("\n"), @r#"
        error: spec.metrics.mode: is a boolean, must be text; put it in quotes
        error: spec.metrics.mode: `enabled` is no value of it; did you mean `Enabled`? It is one of `Enabled`, `Disabled`, `ImplementationDefault`
        error: spec.metrics: is null, must be an object; give it fields, or leave it out; `{}` is an empty object
        error: spec.metrics.cardinalityLimit: is 0; it must be at least 1
        error: spec.metrics.cardinalityLimit: is a number, must be a whole number
        error: spec.metrics.cardinalityLimit: is 5000000000; it may be at most 2147483647
        error: spec.metrics.overrides[0].name: is missing; it must be text
        error: spec.tracing.spanName: is empty; it must have at least 1 character
        error: spec.tracing.serviceName: has 254 characters; it may have at most 253 characters
        error: spec.tracing.attributes[0].name: `a b` has characters that it must not have; it must match ^[a-zA-Z0-9_.:/-]+$
        error: spec.accessLogs.sinks: has 9 elements; it may have at most 8 elements
        error: spec.accessLogs.fields[0].path: is empty; it must have at least 1 element
        error: spec.tracing.samplingRate.percent: is 101; it may be at most 100
        error: spec.tracing.parentBasedSampling.enabled: is missing; it must be a boolean
        error: spec.accessLogs.fields[0]: `a b` has characters that it must not have; it must match ^(:authority|:method|:path|:scheme|:status|[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+)$
    "#);
}

#[test]
fn what_is_unknown_is_a_warning_with_the_nearest_name() {
    let mistakes = [
        gep(json!({"metric": {}})),
        gep(json!({"metrics": {"enabled": true}})),
        gep(json!({"tracing": {"foo": 1}})),
        gep(json!({"quux": 1})),
        proposal(json!({"accessLogs": {"enable": true, "field": []}})),
        proposal(json!({"metrics": {"enabled": true, "mode": "Enabled"}})),
    ];
    insta::assert_snapshot!(mistakes.map(|lines| lines.join("\n")).join("\n"), @r#"
        warning: spec.metric: is no field here and is left out; did you mean `metrics`?
        warning: spec.metrics.enabled: is no field here and is left out; it is `mode: Enabled` in this dialect
        warning: spec.tracing.foo: is no field here and is left out; the fields here are `attributes`, `context`, `mode`, `parentBasedSampling`, `provider`, `samplingRate`, `serviceName`, `spanName`
        warning: spec.quux: is no field here and is left out; the fields here are `accessLogs`, `content`, `direction`, `metrics`, `targetRefs`, `tls`, `tracing`
        warning: spec.accessLogs.field: is no field here and is left out; did you mean `fields`?
        warning: spec.metrics.mode: is no field here and is left out; it is `enabled: true` in this dialect
    "#);
}

#[test]
fn rules_of_the_gep_hold() {
    let reference = json!({"name": "c", "port": 4317});
    let literal = |name: &str| json!({"name": name, "type": "Literal", "literalValue": "x"});
    let mistakes = [
        gep(json!({"tracing": {"mode": "Enabled"}})),
        gep(json!({"tracing": {"mode": "Disabled", "provider": {"backendRef": reference}}})),
        gep(json!({"tracing": {"provider": {}}})),
        gep(json!({"tracing": {"provider": {"backendRef": reference, "endpoint": "a:1"}}})),
        gep(json!({"tracing": {"provider": {"backendRef": reference, "protocol": "grpc"}}})),
        gep(json!({"tracing": {"provider": {"backendRef": {"name": "c"}}}})),
        gep(json!({"tracing": {"samplingRate": {"numerator": 101}}})),
        gep(json!({"tracing": {"samplingRate": {"numerator": 2, "denominator": 1}}})),
        gep(json!({"tracing": {"attributes": [literal("a"), literal("b"), literal("a")]}})),
        gep(json!({"tracing": {"attributes": [{"name": "a", "type": "Header", "literalValue": "x"}]}})),
        gep(
            json!({"tracing": {"attributes": [{"name": "a", "type": "PodLabel"}, {"name": "b", "type": "CEL", "expression": "1", "variable": "X"}]}}),
        ),
        gep(json!({"targetRefs": []})),
        gep(json!({"targetRefs": vec![json!({"group": "", "kind": "Namespace", "name": "a"}); 17]})),
        gep(
            json!({"targetRefs": [{"group": "", "kind": "Namespace", "name": "a"}, {"group": "", "kind": "Namespace", "name": "a", "namespace": "b"}, {"group": "", "kind": "Namespace", "name": "a"}]}),
        ),
        gep(json!({"accessLogs": {"text": "x"}})),
        gep(
            json!({"accessLogs": {"sinks": [{"type": "File"}, {"type": "Stdout", "endpoint": "a:1"}, {"type": "OTLP", "protocol": "http"}]}}),
        ),
        gep(json!({"content": {"redact": [{}, {"jsonPath": "$.a", "pattern": "a"}]}})),
        proposal(json!({"accessLogs": {}})),
        proposal(json!({"accessLogs": {"enabled": true, "enable": false}})),
        proposal(json!({"accessLogs": {"enabled": true, "matches": [{}, {"path": "/", "cel": "true"}]}})),
    ];
    insta::assert_snapshot!(mistakes.map(|lines| lines.join("\n")).join("\n"), @r#"
        error: spec.tracing: provider must be specified when mode is Enabled
        error: spec.tracing: provider must be empty when mode is Disabled
        error: spec.tracing.provider: exactly one of backendRef and endpoint must be set
        error: spec.tracing.provider: exactly one of backendRef and endpoint must be set
        error: spec.tracing.provider: protocol and tls need an endpoint
        error: spec.tracing.provider.backendRef: Must have port for Service reference
        error: spec.tracing.samplingRate: numerator must be less than or equal to denominator
        error: spec.tracing.samplingRate: numerator must be less than or equal to denominator
        error: spec.tracing.attributes[2]: has the same name as element 0; every element needs its own name
        error: spec.tracing.attributes[0]: headerName is required when type is Header, and must be empty otherwise
        error: spec.tracing.attributes[0]: literalValue is required when type is Literal, and must be empty otherwise
        error: spec.tracing.attributes[0]: labelKey is required when type is PodLabel or NamespaceLabel, and must be empty otherwise
        error: spec.tracing.attributes[1]: variable is required when type is Environment, and must be empty otherwise
        error: spec.targetRefs: is empty; it must have at least 1 element
        error: spec.targetRefs: has 17 elements; it may have at most 16 elements
        error: spec.targetRefs: targetRefs must be distinct
        error: spec.accessLogs: text must be empty unless format is Text
        error: spec.accessLogs.sinks[0]: path is required when type is File, and must be empty otherwise
        error: spec.accessLogs.sinks[1]: endpoint must be empty unless type is OTLP
        error: spec.accessLogs.sinks[2]: protocol and tls need an endpoint
        error: spec.content.redact[0]: exactly one of jsonPath and pattern must be set
        error: spec.content.redact[1]: exactly one of jsonPath and pattern must be set
        error: spec.accessLogs: enabled is required
        error: spec.accessLogs: enabled and enable must not differ
        error: spec.accessLogs.matches[0]: exactly one of path and cel must be set
        error: spec.accessLogs.matches[1]: exactly one of path and cel must be set
    "#);
}

#[test]
fn the_same_target_in_two_namespaces_is_two() {
    let target = |namespace: &str| json!({"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "a", "namespace": namespace});
    assert_eq!(gep(json!({"targetRefs": [target("a"), target("b")]})), [""; 0]);
}

#[test]
fn defaults_are_those_of_the_schema() {
    let object = json!({"metadata": {"name": "a"}, "spec": {
        "targetRefs": [{"group": "", "kind": "Namespace", "name": "a"}],
        "unknown": 1,
        "metrics": {"mode": null, "cardinalityLimit": 5.0},
        "tracing": {"provider": {"backendRef": {"name": "c", "port": 1}}, "samplingRate": {"numerator": 1}, "parentBasedSampling": {}},
        "tls": {},
    }});
    let mut findings = Vec::new();
    let kept = check(Dialect::Gep, &object, &mut findings);
    assert_eq!(
        kept["spec"],
        json!({
            "targetRefs": [{"group": "", "kind": "Namespace", "name": "a"}],
            "metrics": {"mode": "ImplementationDefault", "cardinalityLimit": 5},
            "tracing": {
                "mode": "ImplementationDefault",
                "provider": {"backendRef": {"group": "", "kind": "Service", "name": "c", "port": 1}},
                "samplingRate": {"numerator": 1, "denominator": 100},
                "parentBasedSampling": {"mode": "ImplementationDefault", "samplingRate": {"numerator": 100, "denominator": 100}},
            },
            "tls": {"mode": "Enabled"},
        })
    );
    assert_eq!(findings.len(), 1);
}

#[test]
fn metadata_is_checked() {
    let said = |metadata: Value| {
        let object =
            json!({"metadata": metadata, "spec": {"targetRefs": [{"group": "", "kind": "Namespace", "name": "a"}]}});
        let mut findings = Vec::new();
        check(Dialect::Gep, &object, &mut findings);
        findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(said(json!({"name": "a.b", "namespace": "c", "creationTimestamp": null, "labels": {"a": "b"}})), "");
    let mistakes = [
        said(json!({})),
        said(json!(null)),
        said(json!({"name": "A"})),
        said(json!({"name": 5})),
        said(json!({"name": "a", "namespace": "a.b"})),
        said(json!({"name": "a", "namespace": "x".repeat(64)})),
        said(json!({"name": "a", "labels": {"a": 1}, "annotations": []})),
        said(json!({"name": "a", "creationTimestamp": "yesterday"})),
        said(json!({"name": "a", "label": {}})),
    ];
    insta::assert_snapshot!(mistakes.join("\n"), @r#"
        metadata.name: is missing; every object has a name of its own
        metadata: is no object; it needs at least a `name`
        metadata.name: is no name of an object; it has at most 253 of a-z, 0-9, `-` and `.`, and begins and ends with a letter or a digit
        metadata.name: is no name of an object; it has at most 253 of a-z, 0-9, `-` and `.`, and begins and ends with a letter or a digit
        metadata.namespace: `a.b` is no name of a namespace; it has no dots
        metadata.namespace: is no name of an object; it has at most 63 of a-z, 0-9, `-` and `.`, and begins and ends with a letter or a digit
        metadata.labels.a: is no text; put it in quotes
        metadata.annotations: is no object; it maps names to text
        metadata.creationTimestamp: is no point in time; it looks like 2026-01-31T12:00:00Z
        metadata.label: is no field here and is left out; did you mean `labels`?
    "#);
}

#[test]
fn findings_are_bounded() {
    let unknown: serde_json::Map<String, Value> =
        (0..100_000).map(|index| (format!("f{index}"), Value::Null)).collect();
    let said = gep(json!({"tracing": unknown}));
    assert_eq!(said.len(), 201);
    assert!(said[200].contains("more than 200"), "{}", said[200]);
}
