//! The metrics of observed traffic over OTLP: one resource per workload, cumulative.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::KeyValue,
    metrics::v1::{
        AggregationTemporality, Exemplar, Histogram, HistogramDataPoint, Metric, ResourceMetrics, ScopeMetrics,
        exemplar, metric,
    },
};
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};

use super::{OtlpConfig, RetryPolicy, Transport, TransportError, exporter::Sender, transport::Request};
use crate::{
    admin::{Health, table},
    telemetry::{
        metrics::{Aggregator, Snapshot, SnapshotSeries, Value},
        names::{INSTRUMENTS, Instrument, OVERFLOW, SCHEMA_URL},
        span::{boolean, number, resource, scope, text},
    },
};

/// The name of this sink in metrics.
const NAME: &str = "otlp_metrics";

/// Exports the aggregator's metrics at an interval.
#[derive(Debug)]
pub struct MetricsExporter {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl MetricsExporter {
    /// Starts the task on the current tokio runtime. `interval` is `OTEL_METRIC_EXPORT_INTERVAL` (60 s by default).
    pub fn start(
        config: &OtlpConfig,
        interval: Duration,
        retry: RetryPolicy,
        traffic: Arc<Aggregator>,
        local_attributes: Vec<(String, String)>,
        health: &Arc<Health>,
    ) -> Result<Self, TransportError> {
        let mut sender = Sender {
            transport: Transport::new(config)?,
            endpoint: config.endpoint.clone(),
            retry,
            // The next interval brings newer values of the same sums: no reason to hold on to these.
            limit: interval,
            sink: NAME,
            health: Arc::clone(health),
            away: false,
            failures: Vec::new(),
        };
        let exported = health.counter(&table::EXPORTED, &[NAME]);
        let rejected = health.counter(&table::EXPORT_REJECTED, &[NAME]);
        let start = now();
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            loop {
                let last = timeout(interval, &mut stopped).await.is_ok();
                let request = build(&traffic, start, now(), &local_attributes);
                let points = data_points(&request);
                if points > 0
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
        Ok(Self { stop, task })
    }

    /// Exports once more, for at most this long, and stops.
    pub async fn close(self, deadline: Duration) {
        let _ = self.stop.send(());
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
            _ => 0,
        })
        .sum()
}

/// One request with a resource per workload, and one without attributes for the overflow series.
fn build(traffic: &Aggregator, start: u64, time: u64, local: &[(String, String)]) -> ExportMetricsServiceRequest {
    let snapshot = traffic.snapshot();
    let mut resource_metrics = Vec::new();
    for workload in &snapshot.workloads {
        let identity = (&*workload.service_name, workload.namespace.as_deref());
        let metrics = metrics(&snapshot, traffic, start, time, |series| series.key.workload() == Some(identity));
        let resource = resource(identity.0, identity.1, &workload.attributes, local);
        resource_metrics.push(resource_group(Some(resource), metrics));
    }
    let overflow = metrics(&snapshot, traffic, start, time, |series| series.key.is_overflow());
    if !overflow.is_empty() {
        resource_metrics.push(resource_group(None, overflow));
    }
    ExportMetricsServiceRequest { resource_metrics }
}

fn resource_group(
    resource: Option<opentelemetry_proto::tonic::resource::v1::Resource>,
    metrics: Vec<Metric>,
) -> ResourceMetrics {
    ResourceMetrics {
        resource,
        scope_metrics: vec![ScopeMetrics { scope: Some(scope()), metrics, schema_url: SCHEMA_URL.into() }],
        schema_url: SCHEMA_URL.into(),
    }
}

fn metrics(
    snapshot: &Snapshot,
    traffic: &Aggregator,
    start: u64,
    time: u64,
    wanted: impl Fn(&SnapshotSeries) -> bool,
) -> Vec<Metric> {
    let metric = |instrument: &'static Instrument| {
        let series = snapshot.series.iter().filter(|series| wanted(series));
        let data_points: Vec<_> =
            series.filter_map(|series| data_point(series, instrument, traffic, start, time)).collect();
        (!data_points.is_empty()).then(|| Metric {
            name: instrument.name.into(),
            description: instrument.description.into(),
            unit: instrument.unit.into(),
            data: Some(metric::Data::Histogram(Histogram {
                data_points,
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
            })),
            ..Metric::default()
        })
    };
    INSTRUMENTS.iter().filter_map(metric).collect()
}

fn data_point(
    series: &SnapshotSeries,
    instrument: &'static Instrument,
    traffic: &Aggregator,
    start: u64,
    time: u64,
) -> Option<HistogramDataPoint> {
    let histogram = series.histogram(instrument)?;
    let attributes: Vec<KeyValue> = if series.key.is_overflow() {
        vec![boolean(OVERFLOW, true)]
    } else {
        let attribute = |(name, value)| match value {
            Value::Text(value) => text(name, value),
            Value::Number(value) => number(name, value),
        };
        series.key.attributes(instrument, traffic.methods()).map(attribute).collect()
    };
    let exemplars = histogram.buckets(instrument).filter_map(|(.., exemplar)| exemplar).map(|exemplar| Exemplar {
        time_unix_nano: exemplar.time,
        trace_id: exemplar.trace_id.to_be_bytes().to_vec(),
        span_id: exemplar.span_id.to_be_bytes().to_vec(),
        value: Some(exemplar::Value::AsDouble(exemplar.value)),
        ..Exemplar::default()
    });
    Some(HistogramDataPoint {
        attributes,
        start_time_unix_nano: start,
        time_unix_nano: time,
        count: histogram.count(),
        sum: Some(histogram.sum()),
        bucket_counts: histogram.buckets(instrument).map(|(_, count, _)| count).collect(),
        explicit_bounds: instrument.buckets.to_vec(),
        exemplars: exemplars.collect(),
        ..HistogramDataPoint::default()
    })
}
