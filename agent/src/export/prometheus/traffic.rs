//! The aggregator's snapshot as a collector.

use std::{
    fmt,
    sync::{Arc, PoisonError},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Unit,
};

use super::exposition::BucketExemplars;
use crate::telemetry::{
    metrics::{Aggregator, SnapshotSeries, Value, WorkloadInfo},
    names::{INSTRUMENTS, Instrument, OVERFLOW, key},
};

/// Shows the metrics of observed traffic, and one `target_info` per workload.
#[derive(Debug)]
pub(super) struct TrafficCollector {
    traffic: Arc<Aggregator>,
    local_attributes: Vec<(String, String)>,
    exemplars: BucketExemplars,
}

type Labels = Vec<(String, String)>;

impl TrafficCollector {
    pub(super) fn new(
        traffic: Arc<Aggregator>,
        local_attributes: Vec<(String, String)>,
        exemplars: BucketExemplars,
    ) -> Self {
        Self { traffic, local_attributes, exemplars }
    }

    fn labels(&self, series: &SnapshotSeries, instrument: &'static Instrument) -> Labels {
        let Some((service, namespace)) = series.key.workload() else {
            return vec![(label(OVERFLOW), "true".to_owned())];
        };
        let mut labels = vec![(label(key::SERVICE_NAME), service.to_owned())];
        labels.extend(namespace.map(|namespace| (label(key::K8S_NAMESPACE_NAME), namespace.to_owned())));
        for (name, value) in series.key.attributes(instrument, self.traffic.methods()) {
            let value = match value {
                Value::Text(text) => text.into_owned(),
                Value::Number(number) => number.to_string(),
            };
            labels.push((label(name), value));
        }
        labels
    }

    fn target_info(&self, workload: &WorkloadInfo) -> Labels {
        let mut labels = vec![(label(key::SERVICE_NAME), workload.service_name.clone())];
        labels.extend(workload.namespace.iter().map(|namespace| (label(key::K8S_NAMESPACE_NAME), namespace.clone())));
        labels.extend(workload.attributes.iter().map(|(name, value)| (label(name), value.clone())));
        if workload.namespace.is_none() {
            labels.extend(self.local_attributes.iter().map(|(name, value)| (label(name), value.clone())));
        }
        // The workload's own attribute wins over the environment's; two keys that translate to one label too.
        let mut seen = std::collections::HashSet::new();
        labels.retain(|(name, _)| seen.insert(name.clone()));
        labels
    }
}

impl Collector for TrafficCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let snapshot = self.traffic.snapshot();
        let mut exemplars = Vec::new();
        for instrument in INSTRUMENTS {
            let series: Vec<_> = snapshot
                .series
                .iter()
                .filter_map(|series| series.histogram(instrument).map(|histogram| (series, histogram)))
                .collect();
            if series.is_empty() {
                continue;
            }
            let name = label(instrument.name);
            let unit = unit(instrument.unit);
            let mut family =
                encoder.encode_descriptor(&name, instrument.description, unit.as_ref(), MetricType::Histogram)?;
            for (series, histogram) in series {
                let labels = self.labels(series, instrument);
                let mut buckets = Vec::with_capacity(instrument.buckets.len() + 1);
                for (bound, count, exemplar) in histogram.buckets(instrument) {
                    buckets.push((bound, count));
                    exemplars.push(exemplar.copied());
                }
                family.encode_family(&labels)?.encode_histogram::<Labels>(
                    histogram.sum(),
                    histogram.count(),
                    &buckets,
                    None,
                )?;
            }
        }
        if !snapshot.workloads.is_empty() {
            // A gauge, not an info: the text format knows no other, and the exporters of OpenTelemetry do the same.
            let mut family =
                encoder.encode_descriptor("target_info", "Attributes of the workload.", None, MetricType::Gauge)?;
            for workload in &snapshot.workloads {
                let labels = self.target_info(workload);
                ConstGauge::new(1_i64).encode(family.encode_family(&labels)?)?;
            }
        }
        *self.exemplars.lock().unwrap_or_else(PoisonError::into_inner) = exemplars;
        Ok(())
    }
}

/// The unit word that is appended to the name (`prometheus_and_openmetrics.md`, "Metric Metadata").
fn unit(unit: &str) -> Option<Unit> {
    match unit {
        "s" => Some(Unit::Seconds),
        "By" => Some(Unit::Bytes),
        _ => None,
    }
}

/// A key as a metric or label name: what is not allowed becomes `_`, repeated ones collapse (same page, "Metric Attributes").
pub(super) fn label(key: &str) -> String {
    let mut name = String::with_capacity(key.len() + 1);
    for byte in key.chars() {
        let byte = if byte.is_ascii_alphanumeric() { byte } else { '_' };
        if !(byte == '_' && name.ends_with('_')) {
            name.push(byte);
        }
    }
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        capture::Role,
        export::prometheus::{Exposition, Format},
        policy::Plan,
        telemetry::{Outlets, Recorder, Settings, test_support::Sample},
        workload::Workload,
    };

    fn exposition() -> Arc<Exposition> {
        let plan = &Arc::new(Plan::of_signals(true, false, false));
        let settings = Settings::default();
        let aggregator = Aggregator::new(Arc::clone(&settings.methods), 100);
        let health = crate::admin::Health::new();
        let mut recorder = Recorder::new(settings, Box::new(Outlets::of_metrics(aggregator.shard())), &health);
        let pod = Workload {
            service_name: "shop \"1\"\\".into(),
            namespace: Some("prod".into()),
            attributes: vec![("k8s.deployment.name", "shop".into()), ("k8s.pod.name", "shop-1".into())],
            pod: None,
        };
        let context = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        recorder.record(&Sample::new(Role::Client).status(404).exchange(), plan);
        let server = Sample::new(Role::Server).workload(pod).header("traceparent", context);
        recorder.record(&server.exchange(), plan);
        let local = vec![("deployment.environment.name".to_owned(), "test".to_owned())];
        Exposition::new(aggregator, None, local)
    }

    /// The first and last bucket of each series and what is not a bucket, so that a person can read it.
    fn show(format: Format) -> String {
        let text = exposition().render(format);
        let shown = |line: &&str| {
            !line.contains("_bucket{")
                || ["0.005", "0.0", "0.025", "+Inf"].iter().any(|le| line.contains(&format!("le=\"{le}\"")))
        };
        text.lines().filter(shown).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn text_format() {
        insta::assert_snapshot!(show(Format::Text));
    }

    #[test]
    fn openmetrics() {
        insta::assert_snapshot!(show(Format::OpenMetrics));
    }

    #[test]
    fn label_names() {
        assert_eq!(label("http.request.method"), "http_request_method");
        assert_eq!(label("a..b--c"), "a_b_c");
        assert_eq!(label("1a"), "_1a");
    }
}
