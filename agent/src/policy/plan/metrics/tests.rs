use super::{DEFAULT_CARDINALITY_LIMIT, Group, MetricsPlan, View, compile::MAX_BUCKETS};
use crate::{
    policy::{
        Capture, Defaults, Effect, Finding, Limits, Trust,
        model::{Attribute, AttributeSource, FieldPath, MetricOverride, Metrics, MetricsProvider, Mode, Profile},
    },
    telemetry::names::{Instrument, Occasion, every_instrument},
};

fn at() -> FieldPath {
    FieldPath::new("spec").field("metrics")
}

fn change(name: &str) -> MetricOverride {
    MetricOverride { at: at().field("overrides").index(0), name: name.to_owned(), ..MetricOverride::default() }
}

fn attribute(name: &str) -> Attribute {
    let source = AttributeSource::Literal("x".to_owned());
    Attribute {
        at: at().field("overrides").index(0).field("attributes").index(0),
        name: name.to_owned(),
        source,
        default: None,
    }
}

fn compile(overrides: Vec<MetricOverride>) -> (MetricsPlan, Vec<Finding>) {
    let mut findings = Vec::new();
    let metrics = Metrics { at: at(), overrides, ..Metrics::default() };
    (MetricsPlan::compile(&metrics, Defaults::EVERYTHING, &Trust::own(), &mut findings), findings)
}

/// The effect and text of the only finding.
fn finding(change: MetricOverride) -> (Effect, String) {
    let (_, findings) = compile(vec![change]);
    let [finding] = &findings[..] else { panic!("{findings:?}") };
    (finding.effect, finding.to_string())
}

fn names(plan: &MetricsPlan) -> Vec<&str> {
    plan.streams().map(|stream| &*stream.name).collect()
}

fn of_exchanges(plan: &MetricsPlan) -> impl Iterator<Item = &Group> {
    plan.groups.iter().take_while(|group| group.occasion == Occasion::Exchange)
}

#[test]
fn nothing_said_is_the_table() {
    let (plan, findings) = compile(Vec::new());
    assert!(findings.is_empty());
    assert_eq!(plan, MetricsPlan::default());
    let of_exchanges: Vec<_> = of_exchanges(&plan).map(|group| group.streams.len()).collect();
    assert_eq!((plan.limit, &of_exchanges[..]), (DEFAULT_CARDINALITY_LIMIT, &[3, 3][..]));
    assert!(plan.calls() && plan.needs() == Capture::Heads);
}

#[test]
fn instruments_whose_attributes_are_the_same_cost_one_look_up() {
    let with = |name| MetricOverride { attributes: vec![attribute("a")], ..change(name) };
    let (plan, _) = compile(vec![with("http.server.request.duration"), with("http.server.response.body.size")]);
    let sizes: Vec<_> = of_exchanges(&plan).map(|group| (group.labels.len(), group.streams.len())).collect();
    assert_eq!(sizes, [(1, 2), (0, 1), (0, 3)]);
}

#[test]
fn the_example_of_the_proposal_is_understood() {
    let request_count = MetricOverride {
        instrument_type: Some("Counter".to_owned()),
        attributes: vec![Attribute {
            source: AttributeSource::Header("x-model-id".to_owned()),
            ..attribute("model_id")
        }],
        ..change("request_count")
    };
    let (plan, findings) = compile(vec![request_count]);
    assert!(findings.is_empty(), "{findings:?}");
    let with: Vec<_> = plan.groups.iter().filter(|group| group.labels.len() == 1).flat_map(|g| &g.streams).collect();
    let names: Vec<_> = with.iter().map(|stream| &*stream.name).collect();
    assert_eq!(names, ["http.server.request.duration", "http.client.request.duration"]);
}

#[test]
fn a_type_that_does_not_fit_is_a_warning() {
    let of = |name, word: &str| MetricOverride { instrument_type: Some(word.to_owned()), ..change(name) };
    let (effect, text) = finding(of("http.server.request.duration", "Counter"));
    assert_eq!(effect, Effect::Warning);
    assert_eq!(
        text,
        "spec.metrics.overrides[0].type: `http.server.request.duration` is a Histogram, not a Counter; \
         write `Histogram`, or leave it out"
    );
    assert_eq!(finding(of("request_count", "Gauge")).0, Effect::Warning);
}

#[test]
fn an_unknown_name_is_named_and_does_nothing() {
    let (effect, text) = finding(MetricOverride { mode: Mode::Disabled, ..change("queue_depth") });
    assert_eq!(effect, Effect::Message);
    assert!(text.starts_with("spec.metrics.overrides[0].name: `queue_depth` is no metric"), "{text}");
    assert_eq!(compile(vec![change("queue_depth")]).0, MetricsPlan::default());
}

#[test]
fn labels_that_say_whose_series_it_is_are_not_a_policys() {
    for name in ["service.name", "k8s_namespace_name", "job", "instance", "le", "quantile", "otel.x", "__name__", "é"]
    {
        let (effect, text) = finding(MetricOverride { attributes: vec![attribute(name)], ..change("request_count") });
        assert_eq!(effect, Effect::Invalid, "{text}");
        assert!(text.starts_with("spec.metrics.overrides[0].attributes[0]: "), "{text}");
    }
    let removed = MetricOverride { remove_attributes: vec!["service.name".to_owned()], ..change("request_count") };
    assert_eq!(finding(removed).0, Effect::Invalid);
}

#[test]
fn who_called_whom_is_not_a_policys_to_say() {
    let of = |profile, name, attributes: &[&str]| {
        let attributes = attributes.iter().map(|name| attribute(name)).collect();
        let overrides = vec![MetricOverride { attributes, ..change(name) }];
        let mut findings = Vec::new();
        MetricsPlan::compile(
            &Metrics { profile, overrides, ..Metrics::default() },
            Defaults::EVERYTHING,
            &Trust::own(),
            &mut findings,
        );
        findings.iter().map(|finding| finding.effect).collect::<Vec<_>>()
    };
    let names = ["source_workload", "destination.service", "reporter", "source_x", "response_code"];
    assert_eq!(of(Profile::Istio, "istio_requests_total", &names), [Effect::Invalid; 3]);
    assert_eq!(of(Profile::OpenTelemetry, "request_count", &names), []);
    let names = ["source.workload", "telltale_reporter", "team"];
    assert_eq!(of(Profile::Istio, "telltale.authorization.decisions", &names), [Effect::Invalid; 2]);
}

#[test]
fn two_attributes_that_are_one_label_are_invalid() {
    let attributes = vec![attribute("a.b"), attribute("a_b")];
    let (effect, text) = finding(MetricOverride { attributes, ..change("request_count") });
    assert_eq!(effect, Effect::Invalid);
    assert!(text.contains("`a.b` and `a_b` are one label, `a_b`"), "{text}");
}

#[test]
fn more_attributes_than_the_agent_allows_are_left_out() {
    let limits = Limits { attributes: 2, ..Limits::default() };
    let trust = Trust { limits, ..Trust::own() };
    let attributes = ["a", "b", "c", "d"].map(attribute).into();
    let metrics = Metrics {
        overrides: vec![MetricOverride { attributes, ..change("http.server.request.duration") }],
        ..Metrics::default()
    };
    let mut findings = Vec::new();
    let plan = MetricsPlan::compile(&metrics, Defaults::EVERYTHING, &trust, &mut findings);
    assert_eq!(plan.groups[0].labels.len(), 2);
    assert_eq!(findings.iter().map(|finding| finding.effect).collect::<Vec<_>>(), [Effect::Message]);
}

#[test]
fn renames() {
    let rename = |from: &str, to: &str| MetricOverride { rename: Some(to.to_owned()), ..change(from) };
    let (plan, findings) = compile(vec![rename("http.server.request.duration", "my.duration")]);
    assert!(findings.is_empty());
    assert_eq!(names(&plan)[0], "my.duration");
    for (from, to) in [
        ("http.server.request.duration", "http.client.request.duration"),
        ("http.server.request.duration", "http_client_request_duration_seconds"),
        ("http.server.request.duration", "http_requests_total"),
        ("http.server.request.duration", "1"),
    ] {
        let (effect, text) = finding(rename(from, to));
        assert_eq!(effect, Effect::Invalid, "{text}");
        assert!(text.starts_with("spec.metrics.overrides[0].rename: "), "{text}");
    }
    // Both ends of one measurement can share a name, request and response cannot.
    let (plan, findings) = compile(vec![rename("request_count", "my.duration")]);
    assert!(findings.is_empty());
    assert_eq!(names(&plan).iter().filter(|name| **name == "my.duration").count(), 2);
    let both = ["http.server.request.body.size", "http.server.response.body.size"].map(|from| rename(from, "a"));
    let (plan, findings) = compile(both.into());
    assert_eq!(findings.iter().map(|finding| finding.effect).collect::<Vec<_>>(), [Effect::Invalid]);
    assert!(names(&plan).contains(&"http.server.response.body.size"));
    // The units differ, and so do the names in Prometheus.
    let two = [rename("http.server.request.duration", "a"), rename("http.server.request.body.size", "a")];
    assert!(compile(two.into()).1.is_empty());
}

#[test]
fn buckets() {
    let of = |buckets: &[f64]| MetricOverride { buckets: Some(buckets.to_vec()), ..change("request_count") };
    assert!(compile(vec![of(&[])]).1.is_empty());
    assert!(compile(vec![of(&[-1.0, 0.0, 0.5])]).1.is_empty());
    for (bad, index) in [(&[1.0, 1.0][..], 1), (&[2.0, 1.0], 1), (&[f64::NAN], 0), (&[1.0, f64::INFINITY], 1)] {
        let (effect, text) = finding(of(bad));
        assert_eq!(effect, Effect::Invalid);
        assert!(text.starts_with(&format!("spec.metrics.overrides[0].buckets[{index}]: ")), "{text}");
    }
    let many: Vec<f64> = (0..200).map(f64::from).collect();
    assert_eq!(finding(of(&many)).0, Effect::Message);
    let (plan, _) = compile(vec![of(&many)]);
    assert_eq!(plan.groups[0].streams[0].buckets.len(), MAX_BUCKETS);
}

#[test]
fn limits_are_clamped() {
    for (wanted, used) in [(0, 2), (1, 2), (2, 2), (20_000, 20_000), (20_001, 20_000), (u32::MAX, 20_000)] {
        let metrics = Metrics { at: at(), cardinality_limit: Some(wanted), ..Metrics::default() };
        let mut findings = Vec::new();
        assert_eq!(
            MetricsPlan::compile(&metrics, Defaults::EVERYTHING, &Trust::own(), &mut findings).limit,
            used as usize
        );
        let said: Vec<_> = findings.iter().map(|finding| (finding.effect, finding.field.as_str())).collect();
        let expected = [(Effect::Message, "spec.metrics.cardinalityLimit")];
        assert_eq!(said, &expected[..usize::from(wanted != used)]);
    }
}

#[test]
fn another_provider_is_named() {
    let metrics =
        Metrics { at: at(), provider: Some(MetricsProvider::Other("Datadog".to_owned())), ..Metrics::default() };
    let mut findings = Vec::new();
    MetricsPlan::compile(&metrics, Defaults::EVERYTHING, &Trust::own(), &mut findings);
    assert_eq!(findings[0].effect, Effect::Message);
    assert!(findings[0].to_string().starts_with("spec.metrics.provider.type: `Datadog` is not known here"));
}

#[test]
fn overrides_of_one_instrument_apply_in_order() {
    let bounds = |name, bounds: &[f64]| MetricOverride { buckets: Some(bounds.to_vec()), ..change(name) };
    let removed = MetricOverride {
        remove_attributes: vec!["a".to_owned(), "url.scheme".to_owned()],
        ..change("http.server.request.duration")
    };
    let added = MetricOverride { attributes: vec![attribute("a")], ..change("request_count") };
    let (plan, findings) =
        compile(vec![bounds("request_count", &[1.0]), bounds("http.server.request.duration", &[2.0]), added, removed]);
    let said: Vec<_> = findings.iter().map(|finding| (finding.effect, finding.problem.as_str())).collect();
    let again = "an earlier override says `buckets` of `http.server.request.duration` too, and this one replaces it";
    assert_eq!(said, [(Effect::Warning, again)]);
    let server = &plan.groups[0];
    assert_eq!((&*server.streams[0].buckets, server.labels.len()), (&[2.0][..], 0));
    assert!(!server.kept.contains(&"url.scheme"));
    let client = plan.groups.iter().find(|group| group.streams[0].name == "http.client.request.duration").unwrap();
    assert_eq!((&*client.streams[0].buckets, client.labels.len()), (&[1.0][..], 1));
}

#[test]
fn what_is_not_there_cannot_be_removed() {
    let (effect, text) = finding(MetricOverride { remove_attributes: vec!["x".to_owned()], ..change("request_count") });
    assert_eq!(effect, Effect::Warning);
    assert_eq!(text, "spec.metrics.overrides[0].removeAttributes[0]: `request_count` has no attribute `x`");
}

#[test]
fn an_exporter_that_is_not_there_is_named() {
    let metrics = Metrics { at: at(), provider: Some(MetricsProvider::Otlp), ..Metrics::default() };
    let said = |defaults| {
        let mut findings = Vec::new();
        MetricsPlan::compile(&metrics, defaults, &Trust::own(), &mut findings);
        findings.iter().map(|finding| format!("{:?} {}", finding.effect, finding.field)).collect::<Vec<_>>()
    };
    assert_eq!(said(Defaults::EVERYTHING), Vec::<String>::new());
    assert_eq!(said(Defaults::default()), ["Message spec.metrics.provider.type"]);
}

#[test]
fn attributes_of_several_overrides_are_bounded_together() {
    let trust = Trust { limits: Limits { attributes: 3, ..Limits::default() }, ..Trust::own() };
    let of = |names: [&str; 2]| MetricOverride {
        attributes: names.map(attribute).to_vec(),
        ..change("http.server.request.duration")
    };
    let overrides = vec![of(["a", "b"]), of(["b", "c"]), of(["d", "e"])];
    let metrics = Metrics { at: at(), overrides, ..Metrics::default() };
    let mut findings = Vec::new();
    let plan = MetricsPlan::compile(&metrics, Defaults::EVERYTHING, &trust, &mut findings);
    let labels: Vec<_> = plan.groups[0].labels.iter().map(|label| &*label.name).collect();
    assert_eq!(labels, ["a", "b", "c"]);
    let said: Vec<_> = findings.iter().map(|finding| (finding.effect, finding.problem.as_str())).collect();
    let problem = "only the first 3 attributes of an instrument are added, the agent's maximum";
    assert_eq!(said, [(Effect::Message, problem)]);
}

#[test]
fn calls_are_measured_in_every_profile_and_can_be_switched_off() {
    let of_calls = |plan: &MetricsPlan| {
        let groups = plan.groups.iter().filter(|group| group.occasion != Occasion::Exchange);
        groups.flat_map(|group| &group.streams).map(|stream| stream.name.to_string()).collect::<Vec<_>>()
    };
    let (plan, _) = compile(Vec::new());
    let istio = Metrics { profile: Profile::Istio, ..Metrics::default() };
    let istio = MetricsPlan::compile(&istio, Defaults::EVERYTHING, &Trust::own(), &mut Vec::new());
    assert_eq!(of_calls(&istio), of_calls(&plan));
    let off = |name: String| MetricOverride { mode: Mode::Disabled, ..change(&name) };
    let (none, findings) = compile(of_calls(&plan).into_iter().map(off).collect());
    assert!(findings.is_empty(), "{findings:?}");
    assert!(!none.calls() && of_exchanges(&none).count() == none.groups.len());
    // Series with no attributes left are still of different things.
    let bare = |name| {
        let remove_attributes = View::of(select(name)).labels.iter().map(|label| label.name.to_string()).collect();
        MetricOverride { remove_attributes, ..change(name) }
    };
    let (bare, findings) = compile(vec![bare("mcp.client.session.duration"), bare("gen_ai.client.token.usage")]);
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(bare.groups.iter().filter(|group| group.labels.is_empty()).count(), 4);
}

fn select(name: &str) -> &'static Instrument {
    every_instrument().find(|row| row.name == name).unwrap()
}
