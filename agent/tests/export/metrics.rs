//! What a receiver of OTLP metrics gets under a policy: sums and histograms as its overrides make them.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, routing::post};
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{KeyValue, any_value},
    metrics::v1::{AggregationTemporality, metric, number_data_point},
};
use prost::Message as _;
use telltale::{
    admin::Health,
    capture::Role,
    export::otlp::{MetricsExporter, OtlpConfig, Protocol, RetryPolicy},
    policy::{Checked, Defaults, Plan, Setting, Trust, document::Source, objects::ObjectName},
    telemetry::{Outlets, Recorder, Settings, metrics::Metrics},
};
use tokio::net::TcpListener;

use super::{otlp::DEADLINE, sample::exchange};

const POLICY: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: TelemetryPolicy
metadata: {name: p, namespace: shop}
spec:
  targetRefs: [{group: '', kind: Namespace, name: shop}]
  metrics:
    cardinalityLimit: 3
    overrides:
    - name: request_count
      rename: my.duration
      buckets: [0.001, 0.01]
      removeAttributes: [url.scheme, network.protocol.version]
      attributes:
      - {name: team.name, type: Literal, literalValue: red}
      - {name: path, type: Attribute, attributeKey: url.path}
      - {name: code, type: Attribute, attributeKey: http.response.status_code}
      - {name: quick, type: CEL, expression: 'request.duration < duration(\"1s\")'}
    - {name: http.server.request.body.size, mode: Disabled}
    - {name: http.server.response.body.size, buckets: [100]}
    - {name: telltale.authorization.decisions, mode: Enabled}
";

/// The plan of a pod of `shop`.
fn plan() -> Arc<Plan> {
    let setting = Setting { defaults: Defaults::default(), trust: Trust::own() };
    let checked = Checked::new(&[Source::new("policy.yaml", POLICY)], &setting);
    assert_eq!(checked.remarks(), []);
    Arc::clone(checked.compiled.plans(Arc::default()).of(Some(&ObjectName::new("shop", "cart-1"))))
}

type Requests = Arc<Mutex<Vec<ExportMetricsServiceRequest>>>;

async fn take(State(requests): State<Requests>, body: Bytes) {
    requests.lock().unwrap().push(ExportMetricsServiceRequest::decode(body).unwrap());
}

/// What is exported of these exchanges: the first under the policy, all of one service.
async fn exported(numbers: &[u64]) -> ExportMetricsServiceRequest {
    let requests = Requests::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/v1/metrics", post(take)).with_state(Arc::clone(&requests));
    tokio::spawn(async move { axum::serve(listener, router).await });

    let (health, settings, plan) = (Health::new(), Settings::default(), plan());
    let metrics = Metrics::new(Arc::clone(&settings.methods));
    let mut config = OtlpConfig::new(Protocol::HttpProtobuf, format!("http://{address}/v1/metrics"));
    config.compression = telltale::export::otlp::Compression::None;
    let retry = RetryPolicy { initial: Duration::from_millis(10), max: Duration::from_millis(50) };
    let exporter = MetricsExporter::start(&config, DEADLINE, retry, Arc::clone(&metrics), Vec::new(), &health).unwrap();
    let mut recorder = Recorder::new(settings, Box::new(Outlets::of_metrics(metrics.shard(&plan).unwrap())), &health);
    for number in numbers {
        recorder.record(&exchange("cart", Role::Server, *number), &plan);
    }
    recorder.record(&exchange("cart", Role::Client, numbers[0]), &plan);
    exporter.close(DEADLINE).await;
    let mut requests = requests.lock().unwrap();
    assert_eq!(requests.len(), 1);
    requests.remove(0)
}

fn attributes(attributes: &[KeyValue]) -> String {
    let shown = attributes.iter().map(|attribute| {
        let value = match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(any_value::Value::StringValue(text)) => format!("{text:?}"),
            Some(any_value::Value::IntValue(number)) => number.to_string(),
            Some(any_value::Value::BoolValue(value)) => value.to_string(),
            other => format!("{other:?}"),
        };
        format!("{}={value}", attribute.key)
    });
    format!("{{{}}}", shown.collect::<Vec<_>>().join(" "))
}

/// A request for people; times are checked, not shown.
fn readable(request: &ExportMetricsServiceRequest) -> String {
    let mut text = String::new();
    let temporality = |value: i32| AggregationTemporality::try_from(value).unwrap().as_str_name();
    for group in &request.resource_metrics {
        let resource =
            group.resource.as_ref().map_or_else(|| "none".to_owned(), |resource| attributes(&resource.attributes));
        let _ = writeln!(text, "resource {resource}");
        for metric in group.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            let _ = write!(text, "  {} ({}) ", metric.name, metric.unit);
            match metric.data.as_ref().unwrap() {
                metric::Data::Histogram(histogram) => {
                    let _ = writeln!(text, "histogram {}", temporality(histogram.aggregation_temporality));
                    for point in &histogram.data_points {
                        assert!(0 < point.start_time_unix_nano && point.start_time_unix_nano <= point.time_unix_nano);
                        let _ = writeln!(
                            text,
                            "    {} count {} sum {} in {:?} by {:?}",
                            attributes(&point.attributes),
                            point.count,
                            point.sum.unwrap(),
                            point.bucket_counts,
                            point.explicit_bounds
                        );
                    }
                }
                metric::Data::Sum(sum) => {
                    let kind = if sum.is_monotonic { "monotonic " } else { "" };
                    let _ = writeln!(text, "{kind}sum {}", temporality(sum.aggregation_temporality));
                    for point in &sum.data_points {
                        assert!(0 < point.start_time_unix_nano && point.start_time_unix_nano <= point.time_unix_nano);
                        let Some(number_data_point::Value::AsInt(value)) = point.value else { panic!("{point:?}") };
                        let _ = writeln!(text, "    {} {value}", attributes(&point.attributes));
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }
    text
}

#[tokio::test]
async fn sums_and_histograms_follow_the_overrides_of_a_policy() {
    insta::assert_snapshot!(readable(&exported(&[1, 1, 2]).await), @r#"
    resource {service.name="cart" k8s.namespace.name="shop" k8s.deployment.name="cart"}
      my.duration (s) histogram AGGREGATION_TEMPORALITY_CUMULATIVE
        {http.request.method="GET" http.response.status_code=200 team.name="red" path="/item/1" code=200 quick=true} count 2 sum 0.004 in [0, 2, 0] by [0.001, 0.01]
        {http.request.method="GET" http.response.status_code=200 team.name="red" path="/item/2" code=200 quick=true} count 1 sum 0.002 in [0, 1, 0] by [0.001, 0.01]
        {http.request.method="GET" server.address="shop.example" server.port=80 http.response.status_code=200 team.name="red" path="/item/1" code=200 quick=true} count 1 sum 0.002 in [0, 1, 0] by [0.001, 0.01]
      http.server.response.body.size (By) histogram AGGREGATION_TEMPORALITY_CUMULATIVE
        {http.request.method="GET" url.scheme="http" http.response.status_code=200 network.protocol.version="1.1"} count 3 sum 900 in [0, 3] by [100.0]
      http.client.request.body.size (By) histogram AGGREGATION_TEMPORALITY_CUMULATIVE
        {http.request.method="GET" server.address="shop.example" server.port=80 http.response.status_code=200 network.protocol.version="1.1"} count 1 sum 0 in [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] by [0.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 16777216.0, 67108864.0]
      http.client.response.body.size (By) histogram AGGREGATION_TEMPORALITY_CUMULATIVE
        {http.request.method="GET" server.address="shop.example" server.port=80 http.response.status_code=200 network.protocol.version="1.1"} count 1 sum 300 in [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0] by [0.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 16777216.0, 67108864.0]
      telltale.authorization.decisions ({decision}) monotonic sum AGGREGATION_TEMPORALITY_CUMULATIVE
        {event.action="allow" telltale.reporter="client" source.workload="cart" source.namespace="shop" server.address="shop.example"} 1
        {event.action="allow" telltale.reporter="server" destination.workload="cart" destination.namespace="shop" server.address="shop.example"} 3
    "#);
}

/// Beyond the policy's limit everything is in one point that says so, and nothing is lost from the sum.
#[tokio::test]
async fn the_overflow_of_a_policy_is_one_point() {
    let request = exported(&[1, 2, 3, 4, 5, 5]).await;
    let text = readable(&request);
    let overflow: Vec<&str> = text.lines().filter(|line| line.contains("otel.metric.overflow=true")).collect();
    assert_eq!(overflow.len(), 1, "{text}");
    insta::assert_snapshot!(overflow[0].trim_start(), @"{otel.metric.overflow=true} count 4 sum 0.008 in [0, 4, 0] by [0.001, 0.01]");
}
