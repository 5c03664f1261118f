use super::*;
use crate::policy::{
    Defaults, Setting, Trust,
    attachment::Candidate,
    model::{
        AccessLogs, Attribute, AttributeSource, Content, ContentCapture, Dialect, Endpoint, FieldPath, LogField, Match,
        MatchKind, MetricOverride, Metrics, Mode, ParentBased, Provider, Ratio, Spec, Tls, Tracing,
    },
    objects::ObjectName,
    testing::{cluster, created, invalid, policy, target},
};

fn path(text: &str) -> FieldPath {
    FieldPath::new(text)
}

fn percent(numerator: u32) -> Ratio {
    Ratio { numerator, denominator: 100 }
}

/// What the example of the proposal asks for.
fn proposal() -> Spec {
    let attribute = |name: &str, source| Attribute { at: path("x"), name: name.to_owned(), source, default: None };
    let endpoint = Endpoint { address: "otel-collector.monitoring.svc:4317".to_owned(), ..Endpoint::default() };
    let field = |name: &str| LogField::Named { at: path("x"), name: name.to_owned() };
    Spec {
        metrics: Some(Metrics {
            mode: Mode::Enabled,
            provider: Some(crate::policy::model::MetricsProvider::Prometheus),
            overrides: vec![MetricOverride {
                name: "request_count".to_owned(),
                attributes: vec![attribute("model_id", AttributeSource::Header("x-model-id".to_owned()))],
                ..MetricOverride::default()
            }],
            ..Metrics::default()
        }),
        tracing: Some(Tracing {
            at: path("spec.tracing"),
            mode: Mode::Enabled,
            provider: Some(Provider { endpoint: Some(endpoint), ..Provider::default() }),
            sampling_rate: Some(percent(5)),
            parent_based: Some(ParentBased { mode: Mode::Enabled, sampling_rate: Some(percent(50)) }),
            context: vec!["W3C".to_owned(), "B3".to_owned()],
            attributes: vec![attribute("env", AttributeSource::Literal("production".to_owned()))],
            ..Tracing::default()
        }),
        access_logs: Some(AccessLogs {
            mode: Mode::Enabled,
            matches: vec![Match { at: path("x"), kind: MatchKind::Path("/api/v1/sensitive".to_owned()) }],
            fields: vec![field("start_time"), field("response_code"), field("x-token-usage")],
            ..AccessLogs::default()
        }),
        content: Content { capture: ContentCapture::Request, max_bytes: Some(100), ..Content::default() },
        tls: Tls::Disabled,
        ..Spec::default()
    }
}

fn candidates() -> Vec<Candidate> {
    let mut gateway = policy("shop", "gw", vec![target("Gateway", "edge")]);
    gateway.policy.spec = proposal();
    let mut twin = policy("shop", "ns", vec![target("Namespace", "shop")]);
    twin.policy.key.dialect = Dialect::Proposal;
    vec![
        policy("shop", "late", vec![target("Namespace", "shop")]),
        policy("ops", "far", vec![target("Namespace", "ops")]),
        gateway,
        twin,
        created(policy("shop", "ns", vec![target("Namespace", "shop")]), 0),
        invalid(policy("shop", "bad", vec![target("Namespace", "shop")])),
        policy("shop", "lost", vec![target("Gateway", "back")]),
    ]
}

fn explained(candidates: &[Candidate], subject: &Subject) -> Explanation {
    let setting = Setting { defaults: Defaults::default(), trust: Trust::own() };
    explain(&Compiled::new(candidates.to_vec(), cluster(), &setting, None), subject)
}

fn plain(explanation: &Explanation) -> String {
    to_text(explanation, &|_, text| text.to_owned())
}

#[test]
fn a_pod_of_a_gateway_in_sentences() {
    let pod = Subject::Pod(ObjectName::new("shop", "edge-1"));
    insta::assert_snapshot!(plain(&explained(&candidates(), &pod)), @r#"
    Pod shop/edge-1 follows the policy shop/gw (gateway.networking.x-k8s.io/v1alpha1).

    POLICIES
      shop/gw applies: the pod belongs to Gateway shop/edge, and this is the policy of that Gateway
      shop/ns of gateway.networking.x-k8s.io/v1alpha1 does not apply: the pod belongs to Gateway shop/edge, which has its own policy shop/gw
      shop/bad does not apply: it is not valid: spec: is wrong
      shop/late does not apply: Namespace shop has the policy shop/ns, which is older (1970-01-01T00:00:00Z, this one has no creationTimestamp)
      shop/ns of gateway.networking.k8s.io/v1alpha2 does not apply: Namespace shop has the policy shop/ns of gateway.networking.x-k8s.io/v1alpha1, which is older (1970-01-01T00:00:00Z, this one has no creationTimestamp)
      ops/far does not apply: it is for Namespace ops
      shop/lost does not apply: it is for Gateway shop/back

    WHAT COMES OUT
      capture: heads and content of messages
      calls: those of language models and of MCP are read out of content
      direction: both, as client and as server
      content of requests is kept, 100 bytes of each
      it comes out as telltale.http.request.body: on every span, and in access logs where a field asks for it
      what is said in calls of language models comes out too, as gen_ai.system_instructions, gen_ai.input.messages and gen_ai.tool.definitions
      what is inside TLS is not read
      metrics: on
        the instruments of the OpenTelemetry conventions
        served at the agent's /metrics for Prometheus
        request_count: with model_id from the header x-model-id
      tracing: on
        sent to otel-collector.monitoring.svc:4317
        5 % of the traces that begin here are kept
        of traces that a parent keeps, 50 %; of those that it does not keep, none
        a trace is continued from the headers of a request (W3C, then B3); without them its ids follow from the connection
        with env from the text "production"
        not done: spec.tracing.context: contexts are read, never added
      access logs: on
        one JSON object a line, with start_time, response_code, x-token-usage and nothing else
        written to the agent's standard output
        a line only where the path is /api/v1/sensitive or below it
    "#);
}

#[test]
fn a_namespace_in_sentences() {
    insta::assert_snapshot!(plain(&explained(&candidates(), &Subject::Namespace("shop".to_owned()))), @r"
    Ordinary pods of Namespace shop follow the policy shop/ns (gateway.networking.x-k8s.io/v1alpha1).

    POLICIES
      shop/ns of gateway.networking.x-k8s.io/v1alpha1 applies: it is the policy of Namespace shop
      shop/bad does not apply: it is not valid: spec: is wrong
      shop/late does not apply: Namespace shop has the policy shop/ns, which is older (1970-01-01T00:00:00Z, this one has no creationTimestamp)
      shop/ns of gateway.networking.k8s.io/v1alpha2 does not apply: Namespace shop has the policy shop/ns of gateway.networking.x-k8s.io/v1alpha1, which is older (1970-01-01T00:00:00Z, this one has no creationTimestamp)
      ops/far does not apply: it is for Namespace ops
      shop/gw does not apply: it is for Gateway shop/edge only; pods of that Gateway follow it instead of the namespace's
      shop/lost does not apply: it is for Gateway shop/back

    WHAT COMES OUT
      capture: none, nothing is read
      direction: both, as client and as server
      metrics: off
      tracing: off
      access logs: off
    ");
}

#[test]
fn nothing_applies_where_nobody_asked() {
    insta::assert_snapshot!(plain(&explained(&[], &Subject::Pod(ObjectName::new("ops", "x")))), @r"
    Pod ops/x follows no policy: nothing is captured.

    POLICIES
      there is none

    WHAT COMES OUT
      capture: none, nothing is read
      metrics: off
      tracing: off
      access logs: off
    ");
}

#[test]
fn many_policies_for_others_are_counted() {
    let many: Vec<Candidate> =
        (0..100).map(|index| policy("ops", &format!("p{index:02}"), vec![target("Namespace", "ops")])).collect();
    let text = plain(&explained(&many, &Subject::Namespace("shop".to_owned())));
    assert!(
        text.contains("ops/p09") && !text.contains("ops/p10") && text.contains("and 90 more for other targets"),
        "{text}"
    );
}

#[test]
fn the_json_has_the_documented_shape() {
    let explanation = explained(&candidates()[..3], &Subject::Pod(ObjectName::new("shop", "cart-1")));
    insta::assert_snapshot!(serde_json::to_string_pretty(&explanation).unwrap(), @r#"
    {
      "target": {
        "kind": "Pod",
        "namespace": "shop",
        "name": "cart-1"
      },
      "policies": [
        {
          "apiVersion": "gateway.networking.x-k8s.io/v1alpha1",
          "namespace": "shop",
          "name": "late",
          "applies": true,
          "why": "it is the policy of Namespace shop"
        },
        {
          "apiVersion": "gateway.networking.x-k8s.io/v1alpha1",
          "namespace": "ops",
          "name": "far",
          "applies": false,
          "why": "it is for Namespace ops"
        },
        {
          "apiVersion": "gateway.networking.x-k8s.io/v1alpha1",
          "namespace": "shop",
          "name": "gw",
          "applies": false,
          "why": "it is for Gateway shop/edge"
        }
      ],
      "plan": {
        "direction": "Both",
        "capture": "none",
        "calls": false,
        "metrics": null,
        "tracing": null,
        "accessLogs": null
      }
    }
    "#);
}

#[test]
fn colour_marks_what_applies() {
    let explanation = explained(&candidates(), &Subject::Namespace("shop".to_owned()));
    let text = to_text(&explanation, &|tone, text| format!("<{tone:?}>{text}</>"));
    assert!(text.contains("<Good>applies</>") && text.contains("<Quiet>does not apply</>"), "{text}");
}
