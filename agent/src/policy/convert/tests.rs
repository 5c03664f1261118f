//! Whether a policy means the same after it was converted.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::policy::{
    api::{
        extension::{
            self, Content, ContentCapture, Direction, LogFormat, Profile, Protocol, Redaction, Sink, SinkType, Tls,
            TlsMode, TlsSettings,
        },
        gep::{self, Attribute, AttributeType, Mode},
        proposal::*,
    },
    document::{Documents, to_yaml},
    model::{self, AttributeSource, LogField, Match, MatchKind, Policy},
};

fn converted(text: &str) -> Conversion {
    convert(&[Source::new("a.yaml", text)])
}

fn yaml(conversion: &Conversion) -> String {
    conversion.objects.iter().map(to_yaml).collect::<Vec<_>>().join("---\n")
}

fn said(conversion: &Conversion) -> Vec<String> {
    let remark =
        |remark: &Remark| format!("{}{}: {}", if remark.is_error { "error " } else { "" }, remark.line, remark.finding);
    conversion.remarks.iter().map(remark).collect()
}

#[test]
fn the_example_of_the_proposal_in_the_words_of_the_gep() {
    let conversion = converted(include_str!("../document/example.yaml"));
    assert_eq!(
        said(&conversion),
        [
            "15: spec.tracing.provider.endpoint: becomes a reference to Service monitoring/otel-collector, which needs a ReferenceGrant; create one in namespace monitoring, from gateway.networking.x-k8s.io TelemetryPolicy of this namespace to Service otel-collector"
        ]
    );
    insta::assert_snapshot!(yaml(&conversion), @r#"
        apiVersion: gateway.networking.x-k8s.io/v1alpha1
        kind: TelemetryPolicy
        metadata:
          name: standard-telemetry
          namespace: prod-ns
        spec:
          accessLogs:
            fields:
            - attributeKey: start_time
              path:
              - start_time
              type: Attribute
            - attributeKey: response_code
              path:
              - response_code
              type: Attribute
            - headerName: x-token-usage
              path:
              - x-token-usage
              type: Header
            matches: request.url_path == "/api/v1/sensitive" || request.url_path.startsWith("/api/v1/sensitive/")
            mode: Enabled
          metrics:
            mode: Enabled
            overrides:
            - attributes:
              - headerName: x-model-id
                name: model_id
                type: Header
              name: request_count
              type: Counter
            provider:
              type: Prometheus
          targetRefs:
          - group: gateway.networking.k8s.io
            kind: Gateway
            name: my-gateway
          tracing:
            attributes:
            - literalValue: production
              name: env
              type: Literal
            context:
            - W3C
            - B3
            mode: Enabled
            parentBasedSampling:
              mode: Enabled
              samplingRate:
                numerator: 50
            provider:
              backendRef:
                name: otel-collector
                namespace: monitoring
                port: 4317
            samplingRate:
              numerator: 5
    "#);
    let again = converted(&yaml(&conversion));
    assert_eq!((again.objects, again.remarks), (conversion.objects, Vec::new()));
}

#[test]
fn other_objects_and_metadata_are_kept() {
    let text = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n---\napiVersion: gateway.networking.k8s.io/v1alpha2\nkind: TelemetryPolicy\nmetadata:\n  annotations:\n    note: words\n  creationTimestamp: \"2026-01-01T00:00:00Z\"\n  name: b\nspec:\n  targetRef: {group: '', kind: Namespace, name: a}\n";
    let conversion = converted(text);
    assert_eq!(conversion.objects[0]["kind"], "Namespace");
    assert_eq!(
        conversion.objects[1]["metadata"],
        json!({"annotations": {"note": "words"}, "creationTimestamp": "2026-01-01T00:00:00Z", "name": "b"})
    );
}

#[test]
fn what_cannot_be_converted_says_why_and_where() {
    let conversion = converted(
        "apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: TelemetryPolicy\nmetadata: {name: b}\nspec:\n  targetRef: {group: '', kind: Namespace, name: a}\n  metrics:\n    enabled: 5\n",
    );
    assert!(conversion.has_errors() && conversion.objects.is_empty());
    assert_eq!(said(&conversion), ["error 7: spec.metrics.enabled: is a number, must be a boolean"]);
}

#[test]
fn a_provider_that_nobody_knows_is_named() {
    let conversion = converted(
        "apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: TelemetryPolicy\nmetadata: {name: b}\nspec:\n  targetRef: {group: '', kind: Namespace, name: a}\n  tracing:\n    provider: {type: Zipkin, endpoint: 'zipkin:9411'}\n",
    );
    assert_eq!(
        said(&conversion),
        [
            "7: spec.tracing.provider: providers of type `Zipkin` are not known; as before, spans go to the agent's exporter"
        ]
    );
    assert_eq!(conversion.objects[0]["spec"]["tracing"], json!({"mode": "ImplementationDefault"}));
}

/// One policy for each shape in the history of both drafts.
#[test]
fn older_drafts_are_read() {
    let conversion = converted(include_str!("drafts.yaml"));
    assert_eq!(conversion.problems, []);
    insta::assert_snapshot!(format!("{}\n\n{}", said(&conversion).join("\n"), yaml(&conversion)));
}

/// Without paths, and with what both dialects say in different words said in one.
fn bare(mut policy: Policy) -> Policy {
    let path = FieldPath::default;
    policy.key.dialect = Dialect::Gep;
    let attributes = |list: &mut Vec<model::Attribute>| list.iter_mut().for_each(|attribute| attribute.at = path());
    policy.targets.iter_mut().for_each(|target| target.at = path());
    if let Some(metrics) = &mut policy.spec.metrics {
        metrics.at = path();
        for change in &mut metrics.overrides {
            change.at = path();
            attributes(&mut change.attributes);
        }
    }
    if let Some(tracing) = &mut policy.spec.tracing {
        tracing.at = path();
        attributes(&mut tracing.attributes);
        // An unknown type means the agent's exporter, and so does no provider.
        tracing.provider = tracing.provider.take().filter(model::Provider::is_otlp);
        if let Some(provider) = &mut tracing.provider {
            provider.at = path();
            provider.provider_type = None;
            if let Some(reference) = &provider.backend_ref {
                let port = reference.port.filter(|port| *port != 4317);
                let address = format!("{}.{}.svc", reference.name, reference.namespace.as_deref().unwrap_or_default());
                let address = port.map_or(address.clone(), |port| format!("{address}:{port}"));
                provider.endpoint = Some(model::Endpoint { address, ..model::Endpoint::default() });
                provider.backend_ref = None;
            }
            if let Some(endpoint) = &mut provider.endpoint {
                endpoint.at = path();
                if endpoint.address.contains(".svc:") {
                    endpoint.address = endpoint.address.trim_end_matches(":4317").to_owned();
                }
            }
        }
        tracing.provider = tracing.provider.take().filter(|provider| provider.endpoint.is_some());
    }
    if let Some(logs) = &mut policy.spec.access_logs {
        logs.at = path();
        attributes(&mut logs.attributes);
        let conditions: Vec<MatchCondition> = logs
            .matches
            .iter()
            .map(|found| match &found.kind {
                MatchKind::Path(path) => MatchCondition { path: Some(path.clone()), cel: None },
                MatchKind::Cel(cel) => MatchCondition { path: None, cel: Some(cel.clone()) },
            })
            .collect();
        logs.matches = matches::expression(&conditions)
            .into_iter()
            .map(|expression| Match { at: path(), kind: MatchKind::Cel(expression) })
            .collect();
        for field in &mut logs.fields {
            if let LogField::Named { name, .. } = field {
                let read = dialect::log_field(name);
                let source = match (read.source.attribute_key, read.source.header_name) {
                    (Some(key), _) => AttributeSource::Key(key),
                    (None, header) => AttributeSource::Header(header.unwrap()),
                };
                let attribute = model::Attribute { at: path(), name: name.clone(), source, default: None };
                *field = LogField::Attribute { path: vec![name.clone()], attribute };
            }
            if let LogField::Attribute { attribute, .. } = field {
                attribute.at = path();
            }
        }
        for sink in &mut logs.sinks {
            sink.at = path();
            if let model::SinkKind::Otlp(Some(endpoint)) = &mut sink.kind {
                endpoint.at = path();
            }
        }
    }
    policy.spec.content.at = path();
    for redaction in &mut policy.spec.content.redact {
        let (model::Redaction::JsonPath(at, _) | model::Redaction::Pattern(at, _)) = redaction;
        *at = path();
    }
    policy
}

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9_.:/-]{1,12}"
}

fn header() -> impl Strategy<Value = String> {
    "[A-Za-z0-9!#$%&'*+.^_|~-]{1,12}"
}

fn maybe<T: Clone + std::fmt::Debug>(strategy: impl Strategy<Value = T> + 'static) -> impl Strategy<Value = Option<T>> {
    prop::option::of(strategy)
}

fn attribute() -> impl Strategy<Value = Attribute> {
    let kinds = prop::sample::select(vec![
        AttributeType::Header,
        AttributeType::Literal,
        AttributeType::Attribute,
        AttributeType::Cel,
        AttributeType::PodLabel,
        AttributeType::PodAnnotation,
        AttributeType::NamespaceLabel,
        AttributeType::Environment,
    ]);
    (name(), kinds, "[a-z][a-z0-9]{0,5}", maybe("\\PC{0,8}")).prop_map(|(name, kind, value, default)| {
        let only = |kinds: &[AttributeType]| kinds.contains(&kind).then(|| value.clone());
        let source = gep::Source {
            kind,
            header_name: only(&[AttributeType::Header]),
            literal_value: only(&[AttributeType::Literal]),
            attribute_key: only(&[AttributeType::Attribute]),
            expression: only(&[AttributeType::Cel]),
            label_key: only(&[AttributeType::PodLabel, AttributeType::NamespaceLabel]),
            annotation_key: only(&[AttributeType::PodAnnotation]),
            variable: only(&[AttributeType::Environment]),
            default,
        };
        Attribute { name, source }
    })
}

/// Lists whose elements have different names.
fn distinct<T: std::fmt::Debug>(
    strategy: impl Strategy<Value = T>,
    key: fn(&T) -> &str,
) -> impl Strategy<Value = Vec<T>> {
    prop::collection::vec(strategy, 0..4).prop_map(move |list| {
        let mut seen = std::collections::HashSet::new();
        list.into_iter().filter(|item| seen.insert(key(item).to_owned())).collect()
    })
}

fn percentage() -> impl Strategy<Value = Percentage> {
    maybe(0..=100).prop_map(|percent| Percentage { percent })
}

fn endpoint() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z][a-z0-9]{0,4}\\.[a-z][a-z0-9]{0,4}\\.svc(:[1-9][0-9]{0,3})?",
        "(http|https)://[a-z]{1,6}(:[1-9][0-9]{0,3})?",
        "[a-z]{1,6}:[1-9][0-9]{0,3}",
        Just("c.m.svc:4317".to_owned()),
        Just(String::new()),
    ]
}

fn tls_settings() -> impl Strategy<Value = TlsSettings> {
    (maybe("[a-z/]{1,5}"), maybe("[a-z.]{1,5}")).prop_map(|(ca_file, server_name)| TlsSettings {
        ca_file,
        server_name,
        ..TlsSettings::default()
    })
}

fn transport() -> impl Strategy<Value = extension::Transport> {
    let protocol = prop::sample::select(vec![Protocol::Grpc, Protocol::Http]);
    (maybe(protocol), maybe(tls_settings())).prop_map(|(protocol, tls)| extension::Transport { protocol, tls })
}

fn tracing() -> impl Strategy<Value = TracingConfig> {
    let kind = prop::sample::select(vec!["OTLP", "otlp", "Zipkin"]);
    let provider = (kind, maybe((endpoint(), transport()))).prop_map(|(kind, address)| {
        let (endpoint, transport) = address.unzip();
        TracingProvider { kind: kind.to_owned(), endpoint, transport: transport.unwrap_or_default() }
    });
    let parent = (any::<bool>(), maybe(percentage()))
        .prop_map(|(enabled, sampling_rate)| ParentBasedSampling { enabled, sampling_rate });
    let custom = (name(), "\\PC{0,8}")
        .prop_map(|(attribute_name, literal_value)| CustomAttribute { attribute_name, literal_value });
    let context = prop::collection::vec(prop::sample::select(vec!["W3C", "B3", "B3Multi", "Jaeger", "other"]), 0..4);
    (
        maybe(provider),
        maybe(percentage()),
        maybe(parent),
        context,
        distinct(custom, |attribute| &attribute.attribute_name),
        distinct(attribute(), |attribute| &attribute.name),
    )
        .prop_map(
            |(provider, sampling_rate, parent_based_sampling, context, custom_attributes, mut attributes)| {
                attributes.retain(|added| custom_attributes.iter().all(|custom| custom.attribute_name != added.name));
                let context = context.into_iter().map(str::to_owned).collect();
                TracingConfig { provider, sampling_rate, parent_based_sampling, context, custom_attributes, attributes }
            },
        )
}

fn metrics() -> impl Strategy<Value = MetricsConfig> {
    let dimension =
        ("[a-z][a-z_.]{0,8}", maybe(header())).prop_map(|(key, from_header)| Dimension { key, from_header });
    let change = (
        (
            "[a-z_./]{1,10}",
            maybe("[A-Z][a-z]{1,8}"),
            prop::sample::select(vec![Mode::ImplementationDefault, Mode::Disabled]),
        ),
        distinct(dimension, |dimension| &dimension.key),
        distinct(attribute(), |attribute| &attribute.name),
        maybe("[a-z][a-z.]{0,5}"),
        maybe(prop::collection::vec(0.0..100.0_f64, 0..4)),
        prop::collection::vec("[a-z.]{1,8}", 0..3),
    )
        .prop_map(|((name, kind, mode), dimensions, mut attributes, rename, buckets, remove_attributes)| {
            attributes.retain(|added| dimensions.iter().all(|dimension| dimension.key != added.name));
            let extension = extension::MetricOverride { mode, rename, buckets, remove_attributes };
            MetricOverride { name, kind, dimensions, attributes, extension }
        });
    let provider = prop::sample::select(vec!["Prometheus", "OTLP", "Other"]);
    let profile = prop::sample::select(vec![Profile::OpenTelemetry, Profile::Istio]);
    (any::<bool>(), maybe(provider), prop::collection::vec(change, 0..3), maybe(profile), maybe(1..5000)).prop_map(
        |(enabled, provider, overrides, profile, cardinality_limit)| MetricsConfig {
            enabled,
            provider: provider.map(|kind| MetricsProvider { kind: kind.to_owned() }),
            overrides,
            extension: extension::Metrics { profile, cardinality_limit },
        },
    )
}

fn access_logs() -> impl Strategy<Value = AccessLogsConfig> {
    let condition = prop_oneof![
        "/[a-z/\"\\\\]{0,8}".prop_map(|path| MatchCondition { path: Some(path), cel: None }),
        "[ -~]{1,12}".prop_map(|cel| MatchCondition { path: None, cel: Some(cel) }),
    ];
    let known = prop::sample::select(vec!["start_time", "response_code", "method", ":authority", "x-token-usage"]);
    let field = prop_oneof![known.prop_map(str::to_owned), header()];
    let sink = prop_oneof![
        Just(SinkType::Stdout).prop_map(|kind| (kind, None, None)),
        "[a-z/.]{1,8}".prop_map(|path| (SinkType::File, Some(path), None)),
        maybe((
            endpoint().prop_filter("the GEP's schema wants an address", |address| !address.is_empty()),
            transport()
        ))
        .prop_map(|endpoint| (SinkType::Otlp, None, endpoint)),
        Just((SinkType::Audit, None, None)),
    ]
    .prop_map(|(kind, path, address)| {
        let (endpoint, transport) = address.unzip();
        Sink { kind, path, endpoint, transport: transport.unwrap_or_default() }
    });
    (
        (any::<bool>(), 0..3),
        maybe("[ -~]{1,20}"),
        prop::collection::vec(condition, 0..4),
        prop::collection::vec(field, 0..4),
        distinct(attribute(), |attribute| &attribute.name),
        prop::collection::vec(sink, 0..3),
    )
        .prop_map(|((on, spelling), text, matches, fields, attributes, sinks)| AccessLogsConfig {
            enabled: (spelling != 1).then_some(on),
            enable: (spelling != 0).then_some(on),
            format: if text.is_some() { LogFormat::Text } else { LogFormat::Json },
            matches,
            fields,
            extension: extension::AccessLogs { text, attributes, sinks },
        })
}

fn spec() -> impl Strategy<Value = TelemetryPolicySpec> {
    let capture = prop::sample::select(vec![
        ContentCapture::None,
        ContentCapture::Request,
        ContentCapture::Response,
        ContentCapture::All,
    ]);
    let redaction = prop_oneof![
        "\\$[a-z.]{0,5}".prop_map(|path| Redaction { json_path: Some(path), pattern: None }),
        "[a-z]{1,5}".prop_map(|pattern| Redaction { json_path: None, pattern: Some(pattern) }),
    ];
    let content = (capture, maybe(1..100_000), prop::collection::vec(redaction, 0..3))
        .prop_map(|(capture, max_bytes, redact)| Content { capture, max_bytes, redact });
    let direction = prop::sample::select(vec![Direction::Client, Direction::Server, Direction::Both]);
    let tls = prop::sample::select(vec![TlsMode::Enabled, TlsMode::Disabled]).prop_map(|mode| Tls { mode });
    (maybe(tracing()), maybe(metrics()), maybe(access_logs()), maybe(content), maybe(direction), maybe(tls)).prop_map(
        |(tracing, metrics, access_logs, content, direction, tls)| TelemetryPolicySpec {
            target_ref: TargetRef { group: String::new(), kind: "Namespace".to_owned(), name: "a".to_owned() },
            tracing,
            metrics,
            access_logs,
            extension: extension::Spec { content, direction, tls },
        },
    )
}

fn policy_of(text: &str) -> Policy {
    let mut documents = Documents::read(&[Source::new("a.yaml", text)]);
    let document = documents.policies.pop().unwrap();
    assert!(!document.is_invalid(), "{:#?}\n{text}", document.findings);
    assert_eq!(document.findings, [], "{text}");
    document.policy.clone().unwrap()
}

/// Policies of every shape, as text to spoil.
const CORPUS: [&str; 2] = [include_str!("../document/example.yaml"), include_str!("drafts.yaml")];

/// A line with something of it replaced, or gone.
fn spoiled() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "null",
        "[]",
        "{}",
        "true",
        "5",
        "-1",
        "x",
        "[1, {a: b}]",
        "{a: [b]}",
        "*a",
        "&a b",
        "|",
        "- x",
        "\"",
        "\t",
        "---",
        "\u{0}",
        "spec:",
        "On",
    ]);
    let change = (0..70_usize, 0..3_usize, word);
    (prop::sample::select(CORPUS.to_vec()), prop::collection::vec(change, 1..4)).prop_map(|(text, changes)| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for (index, what, word) in changes {
            let index = index % lines.len();
            let line = &mut lines[index];
            match (what, line.split_once(": ")) {
                (0, Some((key, _))) => *line = format!("{key}: {word}"),
                (1, _) => *line = format!("{}{word}", " ".repeat(line.len() - line.trim_start().len())),
                _ => line.clear(),
            }
        }
        lines.join("\n")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_file_holds_is_read_and_what_was_converted_stays(text in spoiled()) {
        let documents = Documents::read(&[Source::new("a.yaml", text.as_str())]);
        let lines = text.lines().count() as u32;
        for document in &documents.policies {
            prop_assert!(document.findings.iter().all(|finding| (1..=lines).contains(&document.line_of(&finding.field))));
            prop_assert!(document.policy.is_some() || document.is_invalid());
        }
        let conversion = converted(&text);
        prop_assert!(conversion.remarks.iter().all(|remark| (1..=lines).contains(&remark.line)));
        let again = converted(&yaml(&conversion));
        prop_assert_eq!(again.objects, conversion.objects);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_policy_means_the_same_after_it_was_converted(spec in spec()) {
        let object = json!({
            "apiVersion": Dialect::Proposal.api_version(), "kind": "TelemetryPolicy",
            "metadata": {"name": "a", "namespace": "b", "generation": 3}, "spec": spec,
        });
        let text = to_yaml(&object);
        let conversion = converted(&text);
        prop_assert!(!conversion.has_errors(), "{:#?}\n{}", conversion, text);
        let after = yaml(&conversion);
        prop_assert_eq!(bare(policy_of(&text)), bare(policy_of(&after)), "{}\n{}", text, after);
        let again = converted(&after);
        prop_assert_eq!(again.objects, conversion.objects);
        prop_assert_eq!(again.remarks, vec![]);
    }
}
