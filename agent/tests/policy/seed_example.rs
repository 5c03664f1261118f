//! The example of the proposal, line by line: `telltale replay R --policy seed-example.yaml` does what the proposal says each of its lines does.

use std::{collections::BTreeSet, fs, process::Command};

use telltale::policy::{
    Compiled, Defaults, Plan, Setting, Trust,
    document::{Documents, Source},
    model::Protocol,
    objects::ObjectName,
    plan::{Reader, SpanProvider},
    validation,
};

use crate::{
    documentation::root,
    replayed::{Replayed, recording, replay},
};

const EXAMPLE: &str = "deploy/examples/seed-example.yaml";
const CLUSTER: &str = "deploy/examples/try/cluster.yaml";
/// Requests to a Gateway: `/api/v1/sensitive` and others, with models, tokens and contexts.
const TRAFFIC: &str = "agent/tests/recordings/agentic.jsonl";

fn seen() -> Replayed {
    replay(TRAFFIC, &[EXAMPLE], None)
}

/// So many requests to a sensitive path and one that is not, with header fields of their own.
fn with(requests: usize, headers: impl Fn(usize) -> String) -> Replayed {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("traffic.jsonl");
    let path = |index: usize| if index.is_multiple_of(2) { "/api/v1/sensitive/x" } else { "/" };
    fs::write(&file, recording((0..requests).map(|index| (path(index), headers(index))))).unwrap();
    replay(file.to_str().unwrap(), &[EXAMPLE], None)
}

/// The plan of a pod among those of the cluster.
fn plan(pod: &str) -> Plan {
    let read = |name: &str| Source::new(name, fs::read(root().join(name)).unwrap());
    let documents = Documents::read(&[read(EXAMPLE), read(CLUSTER)]);
    let setting = Setting { defaults: Defaults::default(), trust: Trust::own() };
    let compiled = Compiled::new(validation::candidates(&documents), documents.objects, &setting, None);
    let (namespace, name) = pod.split_once('/').unwrap();
    Plan::clone(compiled.plans(std::sync::Arc::default()).of(Some(&ObjectName::new(namespace, name))))
}

/// `targetRef: {group: gateway.networking.k8s.io, kind: Gateway, name: my-gateway}`, of the policy's own namespace
#[test]
fn it_holds_for_the_gateway_and_for_nobody_else() {
    let under = |pod: &str| replay(TRAFFIC, &[EXAMPLE, CLUSTER], Some(pod));
    let gateway = under("prod-ns/my-gateway-7d4b9-x2x5p");
    assert_eq!((gateway.lines.lines().count(), gateway.spans.len()), (2, 2));
    for pod in ["prod-ns/another", "shop/orders-6b8f7-m4n2z"] {
        let other = under(pod);
        assert!(other.lines.is_empty() && other.spans.is_empty() && other.measures_nothing(), "{pod}");
    }
}

/// `tracing.provider: {type: OTLP, endpoint: "otel-collector.monitoring.svc:4317"}`
#[test]
fn spans_go_to_the_collector() {
    let plan = plan("prod-ns/my-gateway-7d4b9-x2x5p");
    let SpanProvider::Receiver(receiver) = &plan.tracing.as_ref().unwrap().provider else { panic!("{plan:?}") };
    assert_eq!(
        (receiver.protocol, receiver.url.as_str()),
        (Protocol::Grpc, "http://otel-collector.monitoring.svc:4317")
    );
}

/// `samplingRate: {percent: 5}`: "The base sampling probability for traces."
#[test]
fn one_in_twenty_of_new_traces_is_kept() {
    let seen = with(2000, |_| String::new());
    assert!((70..=130).contains(&seen.spans.len()), "{}", seen.spans.len());
}

/// `parentBasedSampling: {enabled: true, samplingRate: {percent: 50}}`: "Configures whether to respect the sampling decision of the parent span."
#[test]
fn the_parents_decision_is_respected_and_half_of_what_it_keeps_is_kept() {
    // Trace ids that are spread like random ones.
    let context = |flags: &'static str| {
        move |index: usize| {
            let id = (index as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            format!("traceparent: 00-{id:032x}-00f067aa0ba902b7-{flags}\r\n")
        }
    };
    let kept = with(1000, context("01")).spans;
    assert!((430..=570).contains(&kept.len()), "{}", kept.len());
    assert!(kept.iter().all(|span| span.text("parentSpanId") == "00f067aa0ba902b7"));
    assert!(with(200, context("00")).spans.is_empty());
}

/// `context: [W3C, B3]`: "Specifies the context propagation formats to use"
#[test]
fn contexts_of_both_formats_are_continued_the_first_before_the_second() {
    let parents: BTreeSet<_> = seen()
        .spans
        .iter()
        .map(|span| (span.text("traceId").to_owned(), span.text("parentSpanId").to_owned()))
        .collect();
    let w3c = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let b3 = ("80f198ee56343ba864fe8b2a57d3eff7", "e457b5a2e4d86bd1");
    assert_eq!(parents, [w3c, b3].map(|(trace, span)| (trace.to_owned(), span.to_owned())).into());
    let (both, neither) = (
        format!("b3: {}-{}-1\r\ntraceparent: 00-{}-{}-01\r\n", b3.0, b3.1, w3c.0, w3c.1),
        format!("uber-trace-id: {}:{}:0:1\r\n", w3c.0, w3c.1),
    );
    let spans = with(1, |_| both.clone()).spans;
    assert_eq!(spans[0].text("traceId"), w3c.0);
    assert!(with(1, |_| neither.clone()).spans.iter().all(|span| span.text("traceId") != w3c.0));
}

/// `customAttributes: [{attributeName: "env", literalValue: "production"}]`: "Allows appending custom tags/attributes to spans."
#[test]
fn spans_have_the_custom_attribute() {
    let spans = seen().spans;
    assert_eq!(spans.len(), 2);
    assert!(spans.iter().all(|span| span.attributes["env"] == "production"));
}

/// `metrics: {enabled: true, provider: {type: Prometheus}}`
#[test]
fn metrics_are_for_who_scrapes() {
    let plan = plan("prod-ns/my-gateway-7d4b9-x2x5p");
    assert_eq!(plan.metrics.as_ref().unwrap().reader, Some(Reader::Prometheus));
    assert!(!seen().measures_nothing());
}

/// `overrides: [{name: "request_count", type: Counter, dimensions: [{key: "model_id", fromHeader: "x-model-id"}]}]`
#[test]
fn requests_are_counted_by_model() {
    let seen = seen();
    let mut by_model = std::collections::BTreeMap::new();
    for (labels, count) in seen.series("http_server_request_duration_seconds_count") {
        *by_model.entry(labels.get("model_id").cloned()).or_insert(0.0) += count;
    }
    // Three with a model; four of the others were answered.
    let model = |name: &str| Some(name.to_owned());
    assert_eq!(by_model, [(None, 4.0), (model("large-2"), 1.0), (model("small-1"), 2.0)].into());
    // Nobody asked for it elsewhere.
    let sizes = seen.series("http_server_request_body_size_bytes_count");
    assert!(!sizes.is_empty() && sizes.iter().all(|(labels, _)| !labels.contains_key("model_id")));
}

/// `accessLogs: {enable: true, format: JSON, matches: [{path: "/api/v1/sensitive"}], fields: ["start_time", "response_code", "x-token-usage"]}`
#[test]
fn lines_are_of_the_sensitive_path_and_have_the_fields() {
    // Two of eight: /api/v1/sensitive/customers and /api/v1/sensitive?customer=7, but not /api/v1/sensitively.
    let expected = [
        r#"{"start_time":"2026-11-22T08:03:20.003000Z","response_code":200,"x-token-usage":"128"}"#,
        r#"{"start_time":"2026-11-22T08:03:20.013000Z","response_code":200,"x-token-usage":"2048"}"#,
    ];
    assert_eq!(seen().lines.lines().collect::<Vec<_>>(), expected);
}

/// "operators can enforce 100% access logging for specific routes"
#[test]
fn lines_are_not_sampled_with_the_traces() {
    let seen = with(200, |_| String::new());
    assert!(seen.spans.len() < 50);
    assert_eq!(seen.lines.lines().count(), 100);
}

/// Its conversion says the same, once the namespace of the Collector consents, which the example's address does not ask for.
#[test]
fn its_conversion_gives_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let converted = folder.path().join("converted.yaml");
    let output = Command::new(env!("CARGO_BIN_EXE_telltale"))
        .args(["policy", "convert", EXAMPLE])
        .current_dir(root())
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && told.contains("needs a ReferenceGrant"), "{told}");
    let grant = "---\napiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\n\
                 metadata: {name: spans, namespace: monitoring}\nspec:\n  \
                 from: [{group: gateway.networking.x-k8s.io, kind: TelemetryPolicy, namespace: prod-ns}]\n  \
                 to: [{group: '', kind: Service}]\n";
    fs::write(&converted, String::from_utf8(output.stdout).unwrap() + grant).unwrap();
    let outputs = |policy: &str| {
        let seen = replay(TRAFFIC, &[policy, CLUSTER], Some("prod-ns/my-gateway-7d4b9-x2x5p"));
        let spans: Vec<_> = seen.spans.iter().map(|span| span.fields.to_string()).collect();
        (seen.lines, spans, seen.metrics)
    };
    let seen = outputs(converted.to_str().unwrap());
    assert!(!seen.0.is_empty() && !seen.1.is_empty());
    assert_eq!(seen, outputs(EXAMPLE));
}
