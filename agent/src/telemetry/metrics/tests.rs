//! Views, limits and merges, seen through a snapshot.

mod calls;

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;

use super::{Data, MAX_TEXT, Metrics, Series, Shard};
use crate::{
    admin::{Health, table},
    capture::Role,
    policy::{
        Defaults, Plan, Plans, Trust,
        model::{
            self, Attribute, AttributeSource, Dialect, FieldPath, MetricOverride, MetricsProvider, Mode, PolicyKey,
            Profile,
        },
        plan::{MetricsPlan, Reader},
    },
    protocol::Incomplete,
    telemetry::test_support::Sample,
    workload::Workload,
};

fn header(name: &str, header: &str) -> Attribute {
    Attribute {
        at: FieldPath::default(),
        name: name.to_owned(),
        source: AttributeSource::Header(header.to_owned()),
        default: None,
    }
}

fn literal(name: &str, text: &str) -> Attribute {
    Attribute { source: AttributeSource::Literal(text.to_owned()), ..header(name, "") }
}

fn change(name: &str) -> MetricOverride {
    MetricOverride { name: name.to_owned(), ..MetricOverride::default() }
}

fn plan(overrides: Vec<MetricOverride>) -> Plan {
    limited(overrides, None)
}

fn limited(overrides: Vec<MetricOverride>, cardinality_limit: Option<u32>) -> Plan {
    compiled(&model::Metrics { cardinality_limit, overrides, ..model::Metrics::default() })
}

fn istio(overrides: Vec<MetricOverride>) -> Plan {
    compiled(&model::Metrics { profile: Profile::Istio, overrides, ..model::Metrics::default() })
}

fn compiled(metrics: &model::Metrics) -> Plan {
    let mut findings = Vec::new();
    let compiled = MetricsPlan::compile(metrics, Defaults::EVERYTHING, &Trust::own(), &mut findings);
    assert!(findings.is_empty(), "{findings:?}");
    Plan { metrics: Some(Arc::new(compiled)), ..Plan::of_signals(true, false, false) }
}

fn of_policy(name: &str, plan: Plan) -> Plan {
    let policy = PolicyKey { namespace: "shop".to_owned(), name: name.to_owned(), dialect: Dialect::Gep };
    Plan { policy: Some(policy), ..plan }
}

fn record(shard: &mut Shard, sample: &Sample) {
    sample.facts(|facts| shard.record(facts, None));
}

/// `name{key=value,...} count` of each series, each once.
fn show(metrics: &Metrics) -> Vec<String> {
    let mut lines = Vec::new();
    for family in metrics.snapshot().families {
        for (identity, series) in family.merged(identity) {
            lines.push(format!("{}{{{identity}}} {}", family.name, series.data.count()));
        }
    }
    lines
}

fn identity(series: &Series) -> String {
    let attributes: Vec<_> = series.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if series.is_overflow() { "overflow".to_owned() } else { attributes.join(",") }
}

/// Of the duration of servers, without the name.
fn durations(metrics: &Metrics) -> Vec<String> {
    let lines = show(metrics);
    lines.iter().filter_map(|line| line.strip_prefix("http.server.request.duration")).map(str::to_owned).collect()
}

fn request() -> Sample {
    Sample::new(Role::Server)
}

#[test]
fn shards_of_equal_plans_of_one_policy_are_one_series() {
    let metrics = Metrics::new(Arc::default());
    for _ in 0..2 {
        record(&mut metrics.shard(&plan(Vec::new())).unwrap(), &request().response_size(None));
    }
    let attributes =
        "http.request.method=GET,url.scheme=http,http.response.status_code=200,network.protocol.version=1.1";
    let of = |name| format!("http.server.{name}{{{attributes}}} 2");
    assert_eq!(show(&metrics), [of("request.duration"), of("request.body.size")]);
    assert_eq!(metrics.series(), 1);
}

#[test]
fn attributes_are_added_and_removed() {
    let metrics = Metrics::new(Arc::default());
    let changed = MetricOverride {
        attributes: vec![header("model_id", "x-model-id"), literal("env", "test")],
        remove_attributes: vec!["http.request.method".into(), "network_protocol_version".into(), "url.scheme".into()],
        ..change("request_count")
    };
    let mut shard = metrics.shard(&plan(vec![changed])).unwrap();
    record(&mut shard, &request().header("x-model-id", "a"));
    record(&mut shard, &request().header("X-Model-ID", "a").target("POST", "/"));
    record(&mut shard, &request().header("x-model-id", ""));
    record(&mut shard, &request());
    assert_eq!(
        durations(&metrics),
        ["{http.response.status_code=200,env=test} 2", "{http.response.status_code=200,model_id=a,env=test} 2"]
    );
    // The other instruments are as they were.
    assert!(show(&metrics)[2].starts_with("http.server.request.body.size{http.request.method=GET,url.scheme"));
}

#[test]
fn an_added_attribute_replaces_one_of_its_name() {
    let metrics = Metrics::new(Arc::default());
    let changed = MetricOverride {
        attributes: vec![literal("http_request_method", "x")],
        remove_attributes: vec!["url.scheme".into(), "network.protocol.version".into()],
        ..change("http_server_request_duration_seconds")
    };
    record(&mut metrics.shard(&plan(vec![changed])).unwrap(), &request());
    assert_eq!(durations(&metrics), ["{http.response.status_code=200,http_request_method=x} 1"]);
}

#[test]
fn instruments_are_dropped_renamed_and_given_other_buckets() {
    let metrics = Metrics::new(Arc::default());
    let off = |name| MetricOverride { mode: Mode::Disabled, ..change(name) };
    let changed = MetricOverride {
        rename: Some("my.duration".into()),
        buckets: Some(vec![0.01, 0.02]),
        ..change("http.server.request.duration")
    };
    let mut shard = metrics.shard(&plan(vec![off("request_size"), off("response_size"), changed])).unwrap();
    record(&mut shard, &request());
    let snapshot = metrics.snapshot();
    assert_eq!(snapshot.families.iter().map(|family| &*family.name).collect::<Vec<_>>(), ["my.duration"]);
    let Data::Histogram(histogram) = &snapshot.families[0].series[0].data else { panic!("no histogram") };
    assert_eq!((&histogram.bounds[..], &histogram.counts[..]), (&[0.01, 0.02][..], &[0, 1, 0][..]));
}

#[test]
fn the_limit_holds_over_all_shards_and_loses_no_measurement() {
    let metrics = Metrics::new(Arc::default());
    let plan = limited(Vec::new(), Some(4));
    let mut shards = [metrics.shard(&plan).unwrap(), metrics.shard(&plan).unwrap()];
    for status in 200..210 {
        record(&mut shards[usize::from(status % 2)], &request().status(status));
    }
    // What another shard already has is admitted.
    record(&mut shards[1], &request().status(200));
    let counts: Vec<_> = durations(&metrics).iter().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect();
    assert_eq!(counts, ["2", "1", "1", "7"]);
    assert!(durations(&metrics)[3].starts_with("{overflow}"));
    let health = Health::new();
    metrics.report_to(&health);
    assert_eq!((health.value(&table::SERIES_OVERFLOWED, &[]), health.value(&table::SERIES, &[])), (7, 3));
}

#[test]
fn one_policy_cannot_use_up_the_limit_of_another() {
    let metrics = Metrics::new(Arc::default());
    let [first, second] = ["a", "b"].map(|name| of_policy(name, limited(Vec::new(), Some(3))));
    let mut shard = metrics.shard(&first).unwrap();
    for status in 200..210 {
        record(&mut shard, &request().status(status));
    }
    record(&mut metrics.shard(&second).unwrap(), &request().status(500));
    assert!(durations(&metrics).iter().any(|line| line.contains("=500")), "{:?}", durations(&metrics));
}

#[test]
fn all_policies_together_have_a_limit() {
    let metrics = Metrics::with_limit(Arc::default(), 3);
    let plans = ["a", "b"].map(|name| of_policy(name, plan(Vec::new())));
    for plan in &plans {
        let mut shard = metrics.shard(plan).unwrap();
        for status in 200..202 {
            record(&mut shard, &request().status(status));
        }
    }
    assert_eq!((metrics.series(), metrics.overflowed()), (3, 1));
    // Room comes back with the policy that had it.
    metrics.retain(&Plans::everywhere(plans[1].clone()));
    assert_eq!(metrics.series(), 1);
}

#[test]
fn a_removed_policy_takes_its_series_with_it() {
    let metrics = Metrics::new(Arc::default());
    let [removed, kept] = ["a", "b"].map(|name| of_policy(name, plan(Vec::new())));
    let mut shards = [&removed, &kept].map(|plan| metrics.shard(plan).unwrap());
    record(&mut shards[0], &request().status(201));
    record(&mut shards[1], &request().status(202));
    metrics.retain(&Plans::everywhere(kept.clone()));
    assert_eq!(durations(&metrics).len(), 1);
    // What ends later under it is seen by nobody, neither in a shard that was open nor in a new one.
    record(&mut shards[0], &request().status(201));
    record(&mut metrics.shard(&removed).unwrap(), &request().status(201));
    // The same plan once more, as after a reload: its series go on.
    record(&mut metrics.shard(&kept).unwrap(), &request().status(202));
    drop(shards);
    let left = durations(&metrics);
    assert!(left.len() == 1 && left[0].contains("=202") && left[0].ends_with(" 2"), "{left:?}");
}

#[test]
fn a_name_that_another_policy_gave_to_another_instrument_is_not_taken() {
    let metrics = Metrics::new(Arc::default());
    let renamed = |name| MetricOverride { rename: Some("size".into()), ..change(name) };
    let plans = [
        of_policy("a", plan(vec![renamed("http.server.request.body.size")])),
        of_policy("b", plan(vec![renamed("http.server.response.body.size")])),
    ];
    for plan in &plans {
        record(&mut metrics.shard(plan).unwrap(), &request());
    }
    let names: Vec<_> = metrics.snapshot().families.iter().map(|family| family.name.clone()).collect();
    assert_eq!(
        names,
        ["http.server.request.duration", "http.server.request.body.size", "size", "http.server.response.body.size"]
    );
}

#[test]
fn both_ends_can_share_a_name() {
    let metrics = Metrics::new(Arc::default());
    let changed = MetricOverride {
        rename: Some("calls".into()),
        remove_attributes: vec!["url.scheme".into(), "server.address".into(), "server.port".into()],
        ..change("request_duration")
    };
    let mut shard = metrics.shard(&plan(vec![changed])).unwrap();
    record(&mut shard, &request());
    record(&mut shard, &Sample::new(Role::Client));
    let calls: Vec<_> = show(&metrics).into_iter().filter(|line| line.starts_with("calls")).collect();
    let expected = "calls{http.request.method=GET,http.response.status_code=200,network.protocol.version=1.1} 2";
    assert_eq!(calls, [expected]);
}

/// The labels of policy.md section 5.1 and nothing else.
#[test]
fn istio_has_its_own_names_labels_and_buckets() {
    let metrics = Metrics::new(Arc::default());
    let mut shard = metrics.shard(&istio(Vec::new())).unwrap();
    record(&mut shard, &request().header("host", "cart.shop.svc.cluster.local:80").status(503));
    record(&mut shard, &Sample::new(Role::Client).unanswered(Incomplete::Reset));
    let lines = show(&metrics);
    insta::assert_snapshot!(lines[0].replace(',', "\n"));
    assert!(lines[1].starts_with("istio_requests_total{reporter=source,"), "{}", lines[1]);
    assert!(lines[1].contains(",response_code=0,"), "{}", lines[1]);
    // Counted, not measured.
    assert_eq!(lines.iter().filter(|line| line.contains("reporter=source")).count(), 1);
    let snapshot = metrics.snapshot();
    let names: Vec<_> = snapshot.families.iter().map(|family| &*family.name).collect();
    assert_eq!(
        names,
        ["istio_requests_total", "istio_request_duration_milliseconds", "istio_request_bytes", "istio_response_bytes"]
    );
    let Data::Histogram(duration) = &snapshot.families[1].series[0].data else { panic!("no histogram") };
    assert!((duration.sum - 12.345_678).abs() < 1e-9 && duration.bounds.len() == 19);
}

#[test]
fn an_attribute_without_value_is_unknown_to_istio() {
    let metrics = Metrics::new(Arc::default());
    let changed = MetricOverride {
        attributes: vec![header("model_id", "x-model-id")],
        remove_attributes: vec!["response_flags".into()],
        ..change("request_count")
    };
    record(&mut metrics.shard(&istio(vec![changed])).unwrap(), &request());
    let line = show(&metrics).remove(0);
    assert!(line.contains(",model_id=unknown") && !line.contains("response_flags"), "{line}");
}

#[test]
fn decisions_are_counted_where_a_policy_asks_and_the_answer_tells() {
    let on = MetricOverride { mode: Mode::Enabled, ..change("telltale.authorization.decisions") };
    let metrics = Metrics::new(Arc::default());
    let mut shard = metrics.shard(&plan(vec![on])).unwrap();
    for status in [200, 403, 401, 500] {
        record(&mut shard, &request().status(status));
    }
    let lines = show(&metrics);
    let decisions: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix("telltale.authorization")).collect();
    assert_eq!(decisions.len(), 2, "{decisions:?}");
    assert!(decisions[0].starts_with(".decisions{event.action=allow,telltale.reporter=server,"), "{decisions:?}");
    assert!(decisions[0].ends_with(" 1") && decisions[1].ends_with(" 2"), "{decisions:?}");
    let off = Metrics::new(Arc::default());
    record(&mut off.shard(&plan(Vec::new())).unwrap(), &request());
    assert!(!show(&off).iter().any(|line| line.contains("authorization")));
}

#[test]
fn each_reader_takes_what_is_for_it() {
    let metrics = Metrics::new(Arc::default());
    for (status, provider) in
        [(200, None), (201, Some(MetricsProvider::Prometheus)), (202, Some(MetricsProvider::Otlp))]
    {
        let plan = compiled(&model::Metrics { provider, ..model::Metrics::default() });
        record(&mut metrics.shard(&plan).unwrap(), &request().status(status));
    }
    let series = |reader| metrics.snapshot_for(reader).families[0].series.len();
    // Without an exporter nothing is kept for nobody.
    assert_eq!(series(Reader::Prometheus), 3);
    metrics.is_exported();
    assert_eq!((series(Reader::Prometheus), series(Reader::Otlp)), (2, 2));
    assert_eq!(durations(&metrics).len(), 3);
}

#[test]
fn long_values_are_cut_at_a_character_and_counted() {
    let metrics = Metrics::new(Arc::default());
    let changed = MetricOverride { attributes: vec![header("a", "x-a")], ..change("http.server.request.duration") };
    let long = format!("{}é", "x".repeat(MAX_TEXT - 1));
    record(&mut metrics.shard(&plan(vec![changed])).unwrap(), &request().header("x-a", &long));
    assert!(durations(&metrics)[0].ends_with(&format!(",a={}}} 1", "x".repeat(MAX_TEXT - 1))));
    let health = Health::new();
    metrics.report_to(&health);
    assert_eq!(health.value(&table::LABELS_CUT, &[]), 1);
}

#[test]
fn what_was_not_seen_whole_makes_no_series() {
    let metrics = Metrics::new(Arc::default());
    record(&mut metrics.shard(&plan(Vec::new())).unwrap(), &request().unanswered(Incomplete::Reset));
    assert_eq!(metrics.series(), 0);
}

#[test]
fn target_info_holds_what_all_instances_agree_on() {
    let metrics = Metrics::new(Arc::default());
    for (policy, pod) in [("a", "shop-1"), ("a", "shop-2"), ("b", "shop-3")] {
        let attributes =
            vec![("k8s.deployment.name".into(), "shop".to_owned()), ("k8s.pod.name".into(), pod.to_owned())];
        let workload = Workload {
            service_name: "shop".to_owned(),
            namespace: Some("prod".to_owned()),
            attributes,
            ..Workload::default()
        };
        let mut shard = metrics.shard(&of_policy(policy, plan(Vec::new()))).unwrap();
        record(&mut shard, &request().workload(workload));
    }
    let workloads = metrics.snapshot().workloads;
    assert_eq!(workloads.len(), 1);
    assert_eq!(workloads[0].attributes, [("k8s.deployment.name".into(), "shop".to_owned())]);
}

proptest! {
    /// Whatever is added and removed: a series comes once, and all exchanges are in the series.
    #[test]
    fn no_series_comes_twice_and_nothing_is_lost(
        removed in proptest::sample::subsequence(
            vec!["http.request.method", "url.scheme", "error.type", "http_response_status_code", "network.protocol.version"],
            0..=5,
        ),
        added in proptest::sample::subsequence(vec!["a", "b.c", "b_c2", "http.request.method", "url_scheme"], 0..=5),
        exchanges in proptest::collection::vec((0..3_usize, 200..205_u16, "[ab]{0,2}", 0..2_usize), 1..40),
    ) {
        let metrics = Metrics::new(Arc::default());
        let changed = MetricOverride {
            attributes: added.iter().map(|name| header(name, "x-a")).collect(),
            remove_attributes: removed.iter().map(|&name| name.to_owned()).collect(),
            ..change("http.server.request.duration")
        };
        let plans = [of_policy("a", plan(vec![changed])), of_policy("b", plan(Vec::new()))];
        for (method, status, value, plan) in &exchanges {
            let sample = request().target(["GET", "PUT", "BREW"][*method], "/").status(*status).header("x-a", value);
            record(&mut metrics.shard(&plans[*plan]).unwrap(), &sample);
        }
        let snapshot = metrics.snapshot();
        let family = &snapshot.families[0];
        // Each plan has each of its series once.
        let mut seen = BTreeMap::new();
        for series in &family.series {
            *seen.entry(identity(series)).or_insert(0_usize) += 1;
        }
        prop_assert!(seen.values().all(|&times| times <= 2));
        let merged = family.merged(identity);
        prop_assert_eq!(merged.len(), seen.len());
        prop_assert_eq!(merged.values().map(|series| series.data.count()).sum::<u64>(), exchanges.len() as u64);
    }
}
