//! The metrics of observed traffic over OTLP: one resource per workload, cumulative.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value},
    metrics::v1::{
        AggregationTemporality, Exemplar, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
        ScopeMetrics, Sum, exemplar, metric, number_data_point::Value as Number,
    },
};
use tokio::{
    sync::watch,
    task::{JoinHandle, spawn_blocking},
    time::{Instant, timeout},
};

use super::{OtlpConfig, RetryPolicy, Transport, TransportError, sender::Sender, transport::Request};
use crate::{
    admin::{Health, table},
    policy::{attribute::Value, plan::Reader},
    telemetry::{
        metrics::{Data, Family, Metrics, Series, WorkloadInfo},
        names::{Conventions, OVERFLOW, followed},
        span::{boolean, number, resource, scope, text},
    },
};

/// The name of this sink in metrics.
const NAME: &str = "otlp_metrics";

/// Exports the metrics of observed traffic at an interval.
#[derive(Debug)]
pub struct MetricsExporter {
    closing: watch::Sender<Option<Instant>>,
    task: JoinHandle<()>,
}

impl MetricsExporter {
    /// Starts the task on the current tokio runtime. `interval` is `OTEL_METRIC_EXPORT_INTERVAL` (60 s by default).
    pub fn start(
        config: &OtlpConfig,
        interval: Duration,
        retry: RetryPolicy,
        traffic: Arc<Metrics>,
        local_attributes: Vec<(String, String)>,
        health: &Arc<Health>,
    ) -> Result<Self, TransportError> {
        let (closing, mut closes) = watch::channel(None);
        let transport = Transport::new(config)?;
        let mut sender = Sender::new(transport, config, NAME, interval, retry, closes.clone(), health);
        // The next interval brings newer values of the same sums: no reason to hold on to these.
        sender.keeps = false;
        let exported = health.counter(&table::EXPORTED, &[NAME]);
        let rejected = health.counter(&table::EXPORT_REJECTED, &[NAME]);
        traffic.is_exported();
        let local = Arc::new(local_attributes);
        let task = tokio::spawn(async move {
            loop {
                // Also the end of whoever could close it.
                let last = timeout(interval, closes.wait_for(Option::is_some)).await.is_ok();
                if !sender.allowed().await {
                    return;
                }
                // Many series take long to read, and other tasks share this thread.
                let (traffic, local) = (Arc::clone(&traffic), Arc::clone(&local));
                let built = spawn_blocking(move || build(&traffic, now(), &local, followed())).await;
                if let Ok(request) = built
                    && let points @ 1.. = data_points(&request)
                    && let Ok(lost) = sender.send(&Request::Metrics(request)).await
                {
                    exported.add(points.saturating_sub(lost));
                    rejected.add(lost);
                }
                if last {
                    return;
                }
            }
        });
        Ok(Self { closing, task })
    }

    /// Exports once more, for at most this long, and stops.
    pub async fn close(self, deadline: Duration) {
        self.closing.send_replace(Some(Instant::now() + deadline));
        let abort = self.task.abort_handle();
        if timeout(deadline, self.task).await.is_err() {
            abort.abort();
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64
}

fn data_points(request: &ExportMetricsServiceRequest) -> u64 {
    let metrics = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics).flat_map(|s| &s.metrics);
    metrics
        .map(|metric| match &metric.data {
            Some(metric::Data::Histogram(histogram)) => histogram.data_points.len() as u64,
            Some(metric::Data::Sum(sum)) => sum.data_points.len() as u64,
            _ => 0,
        })
        .sum()
}

/// A metric, and the schema that its names are of.
type Described = (&'static str, Metric);

/// One request with a resource per workload, and one without attributes for the overflow series.
fn build(
    traffic: &Metrics,
    time: u64,
    local: &[(String, String)],
    conventions: Conventions,
) -> ExportMetricsServiceRequest {
    let snapshot = traffic.snapshot_for(Reader::Otlp);
    // By workload; `None`, the overflow, comes last.
    let mut groups: Vec<(Option<&WorkloadInfo>, Vec<Described>)> =
        snapshot.workloads.iter().map(Some).chain([None]).map(|info| (info, Vec::new())).collect();
    for family in &snapshot.families {
        let mut points: Vec<Vec<Series>> = groups.iter().map(|_| Vec::new()).collect();
        for ((workload, _), series) in family.merged(|series| (series.workload.clone(), identity(series))) {
            let group = workload.map_or(Some(snapshot.workloads.len()), |(service_name, namespace)| {
                let key = (&namespace, &service_name);
                snapshot.workloads.binary_search_by(|info| (&info.namespace, &info.service_name).cmp(&key)).ok()
            });
            // A series whose workload came between the two looks at the tables waits for the next interval.
            if let Some(group) = group {
                points[group].push(series);
            }
        }
        for ((_, metrics), series) in groups.iter_mut().zip(points) {
            if !series.is_empty() {
                metrics.push((family.instrument.schema_url(conventions), metric(family, series, time)));
            }
        }
    }
    let resource_metrics = groups
        .into_iter()
        .filter(|(_, metrics)| !metrics.is_empty())
        .map(|(info, metrics)| ResourceMetrics {
            resource: info.map(|info| resource(&info.service_name, info.namespace.as_deref(), &info.attributes, local)),
            scope_metrics: scopes(metrics),
            schema_url: conventions.schema_url().into(),
        })
        .collect();
    ExportMetricsServiceRequest { resource_metrics }
}

/// One scope for each schema, in the order in which they come.
fn scopes(metrics: Vec<Described>) -> Vec<ScopeMetrics> {
    let mut scopes: Vec<ScopeMetrics> = Vec::new();
    for (schema_url, metric) in metrics {
        if let Some(scope) = scopes.iter_mut().find(|scope| scope.schema_url == schema_url) {
            scope.metrics.push(metric);
        } else {
            let (scope, metrics) = (Some(scope()), vec![metric]);
            scopes.push(ScopeMetrics { scope, metrics, schema_url: schema_url.into() });
        }
    }
    scopes
}

/// What tells data points of one metric apart: names, types and values.
fn identity(series: &Series) -> Vec<(String, u8, String)> {
    let kind = |value: &Value<'_>| match value {
        Value::Int(_) => 1,
        Value::Double(_) => 2,
        Value::Bool(_) => 3,
        _ => 0,
    };
    series.attributes.iter().map(|(name, value)| (name.clone(), kind(value), value.to_string())).collect()
}

/// A metric with these data points, cumulative.
fn metric(family: &Family, series: Vec<Series>, time: u64) -> Metric {
    let aggregation_temporality = AggregationTemporality::Cumulative.into();
    let (mut sums, mut histograms) = (Vec::new(), Vec::new());
    for Series { workload, attributes, start, data } in series {
        let attributes = match workload {
            None => vec![boolean(OVERFLOW, true)],
            Some(_) => attributes.into_iter().map(|(name, value)| attribute(&name, value)).collect(),
        };
        match data {
            Data::Counter(count) => sums.push(point(Number::AsInt(count as i64), attributes, start, time)),
            Data::Sum(sum) => sums.push(point(Number::AsDouble(sum), attributes, start, time)),
            Data::Histogram(histogram) => histograms.push(HistogramDataPoint {
                attributes,
                start_time_unix_nano: start,
                time_unix_nano: time,
                count: histogram.count(),
                sum: Some(histogram.sum),
                exemplars: histogram.exemplars.iter().flatten().map(exemplar).collect(),
                bucket_counts: histogram.counts,
                explicit_bounds: histogram.bounds,
                ..HistogramDataPoint::default()
            }),
        }
    }
    let data = if sums.is_empty() {
        metric::Data::Histogram(Histogram { data_points: histograms, aggregation_temporality })
    } else {
        metric::Data::Sum(Sum { data_points: sums, aggregation_temporality, is_monotonic: true })
    };
    Metric {
        name: family.name.clone(),
        description: family.instrument.description.into(),
        unit: family.instrument.unit.into(),
        data: Some(data),
        ..Metric::default()
    }
}

fn point(value: Number, attributes: Vec<KeyValue>, start: u64, time: u64) -> NumberDataPoint {
    NumberDataPoint {
        attributes,
        start_time_unix_nano: start,
        time_unix_nano: time,
        value: Some(value),
        ..NumberDataPoint::default()
    }
}

fn attribute(name: &str, value: Value<'static>) -> KeyValue {
    match value {
        Value::Int(value) => number(name, value),
        Value::Bool(value) => boolean(name, value),
        Value::Double(value) => KeyValue {
            key: name.to_owned(),
            value: Some(AnyValue { value: Some(any_value::Value::DoubleValue(value)) }),
            ..KeyValue::default()
        },
        other => text(name, other.into_text()),
    }
}

fn exemplar(exemplar: &crate::telemetry::metrics::Exemplar) -> Exemplar {
    Exemplar {
        time_unix_nano: exemplar.time,
        trace_id: exemplar.trace_id.to_be_bytes().to_vec(),
        span_id: exemplar.span_id.to_be_bytes().to_vec(),
        value: Some(exemplar::Value::AsDouble(exemplar.value)),
        ..Exemplar::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        capture::Role,
        policy::Plan,
        telemetry::test_support::{
            Sample,
            calls::{chat, session, tool_call},
        },
    };

    /// Schemas and names of metrics of each scope of the only resource, and the value of each sum.
    fn exported(conventions: Conventions) -> (Vec<(String, Vec<String>)>, Vec<Number>) {
        let traffic = Metrics::new(Arc::default());
        let mut shard = traffic.shard(&Plan::of_signals(true, false, false)).unwrap();
        let mut priced = chat();
        priced.usage.cost = Some(0.25);
        for sample in [Sample::genai(Role::Client, priced), Sample::mcp(Role::Client, session(vec![tool_call()]))] {
            sample.facts(|facts| shard.record(facts, None));
        }
        let request = build(&traffic, 2, &[], conventions);
        let [resource] = &request.resource_metrics[..] else { panic!("{request:?}") };
        let scope = |scope: &ScopeMetrics| {
            (scope.schema_url.clone(), scope.metrics.iter().map(|metric| metric.name.clone()).collect())
        };
        let metrics = resource.scope_metrics.iter().flat_map(|scope| &scope.metrics);
        let sums = metrics.filter_map(|metric| match &metric.data {
            Some(metric::Data::Sum(sum)) => sum.data_points[0].value,
            _ => None,
        });
        (resource.scope_metrics.iter().map(scope).collect(), sums.collect())
    }

    #[test]
    fn names_are_in_a_scope_of_their_schema() {
        let (scopes, sums) = exported(Conventions::V1_41);
        assert_eq!((scopes.len(), &scopes[0].0[..]), (1, "https://opentelemetry.io/schemas/1.41.0"));
        assert_eq!(sums, [Number::AsDouble(0.25)]);
        let (scopes, _) = exported(Conventions::Latest);
        let [core, genai] = &scopes[..] else { panic!("{scopes:?}") };
        assert_eq!(core.0, "https://opentelemetry.io/schemas/1.44.0");
        assert!(core.1.iter().all(|name| name.starts_with("http.")), "{core:?}");
        assert_eq!(genai.0, "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev");
        assert!(genai.1.iter().any(|name| name == "mcp.client.operation.duration"), "{genai:?}");
    }
}
