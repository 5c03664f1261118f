//! The series of observed traffic as a collector.

use std::{
    fmt,
    sync::{Arc, PoisonError},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

use super::exposition::BucketExemplars;
use crate::{
    policy::plan::Reader,
    telemetry::{
        metrics::{Data, Metrics, Series, WorkloadInfo},
        names::{
            Kind, OVERFLOW, key,
            prometheus::{label, stem, unit_word},
        },
    },
};

/// Shows the metrics of observed traffic, and one `target_info` per workload.
#[derive(Debug)]
pub(super) struct TrafficCollector {
    traffic: Arc<Metrics>,
    local_attributes: Vec<(String, String)>,
    exemplars: BucketExemplars,
}

type Labels = Vec<(String, String)>;

impl TrafficCollector {
    pub(super) fn new(
        traffic: Arc<Metrics>,
        local_attributes: Vec<(String, String)>,
        exemplars: BucketExemplars,
    ) -> Self {
        Self { traffic, local_attributes, exemplars }
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

/// Whose series it is, and its attributes.
fn labels(series: &Series) -> Labels {
    let Some((service, namespace)) = &series.workload else {
        return vec![(label(OVERFLOW), "true".to_owned())];
    };
    let mut labels = vec![(label(key::SERVICE_NAME), service.clone())];
    labels.extend(namespace.iter().map(|namespace| (label(key::K8S_NAMESPACE_NAME), namespace.clone())));
    labels.extend(series.attributes.iter().map(|(name, value)| (label(name), value.to_string())));
    labels
}

impl Collector for TrafficCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let snapshot = self.traffic.snapshot_for(Reader::Prometheus);
        let mut exemplars = Vec::new();
        for family in &snapshot.families {
            let instrument = family.instrument;
            let name = stem(&family.name, instrument.unit, instrument.kind());
            let unit = unit_word(instrument.unit).map(|word| Unit::Other(word.to_owned()));
            let kind = match instrument.kind() {
                Kind::Counter => MetricType::Counter,
                Kind::Histogram => MetricType::Histogram,
            };
            let mut encoder = encoder.encode_descriptor(&name, instrument.description, unit.as_ref(), kind)?;
            // By labels, since two keys can translate to one: each series comes once, and those beyond a limit last.
            for ((_, labels), series) in family.merged(|series| (series.is_overflow(), labels(series))) {
                let mut encoder = encoder.encode_family(&labels)?;
                match &series.data {
                    Data::Counter(count) => ConstCounter::new(*count).encode(encoder)?,
                    Data::Sum(sum) => ConstCounter::new(*sum).encode(encoder)?,
                    Data::Histogram(histogram) => {
                        let mut buckets = Vec::with_capacity(histogram.counts.len());
                        for (bound, count, exemplar) in histogram.buckets() {
                            buckets.push((bound, count));
                            exemplars.push(exemplar.copied());
                        }
                        encoder.encode_histogram::<Labels>(histogram.sum, histogram.count(), &buckets, None)?;
                    }
                }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        capture::Role,
        exchange::mcp::{Messages, SessionEvent},
        export::prometheus::{Exposition, Format},
        policy::Plan,
        telemetry::{
            Outlets, Recorder, Settings,
            test_support::{
                Sample,
                calls::{chat, failed, session, streamed, tool_call},
            },
        },
        workload::Workload,
    };

    fn exposition() -> Arc<Exposition> {
        let plan = &Arc::new(Plan::of_signals(true, false, false));
        let settings = Settings::default();
        let metrics = Metrics::new(Arc::clone(&settings.methods));
        let health = crate::admin::Health::new();
        let mut recorder =
            Recorder::new(settings, Box::new(Outlets::of_metrics(metrics.shard(plan).unwrap())), &health);
        let pod = Workload {
            service_name: "shop \"1\"\\".into(),
            namespace: Some("prod".into()),
            attributes: vec![("k8s.deployment.name".into(), "shop".into()), ("k8s.pod.name".into(), "shop-1".into())],
            ..Workload::default()
        };
        let context = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        recorder.record(&Sample::new(Role::Client).status(404).exchange(), plan);
        let server = Sample::new(Role::Server).workload(pod).header("traceparent", context);
        recorder.record(&server.exchange(), plan);
        let local = vec![("deployment.environment.name".to_owned(), "test".to_owned())];
        Exposition::new(metrics, None, local)
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

    /// A stream of a model as both ends see it, a batch of tools, and a session.
    fn calls() -> Arc<Exposition> {
        let plan = &Arc::new(Plan::of_signals(true, false, false));
        let metrics = Metrics::new(Arc::default());
        let outlets = Outlets::of_metrics(metrics.shard(plan).unwrap());
        let mut recorder = Recorder::new(Settings::default(), Box::new(outlets), &crate::admin::Health::new());
        let context = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let mut priced = streamed();
        priced.usage.cost = Some(0.000_45);
        let batch = Messages { batch: true, ..session(vec![tool_call(), failed(-32602)]) };
        let of_session = |event| Messages { session: Some(event), ..session(Vec::new()) };
        for sample in [
            Sample::genai(Role::Client, priced).header("traceparent", context),
            Sample::genai(Role::Client, chat()).status(503),
            Sample::genai(Role::Server, streamed()),
            Sample::mcp(Role::Client, batch),
            Sample::mcp(Role::Client, of_session(SessionEvent::Begins)),
            Sample::mcp(Role::Client, of_session(SessionEvent::Ends)),
        ] {
            recorder.record(&sample.exchange(), plan);
        }
        Exposition::new(metrics, None, Vec::new())
    }

    fn show_calls(format: Format, shown: impl Fn(&str) -> bool) -> String {
        let text = calls().render(format);
        let of_call = |line: &&str| !line.contains("http_") && !line.contains("target_info");
        text.lines().filter(of_call).filter(|line| shown(line)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn calls_beyond_http() {
        insta::assert_snapshot!(show_calls(Format::Text, |line| !line.contains("_bucket{")));
    }

    #[test]
    fn calls_have_exemplars() {
        let chunks = |line: &str| line.contains("time_per_output_chunk_seconds_bucket{") && line.contains(" # {");
        let lines = show_calls(Format::OpenMetrics, chunks);
        // All three in one bucket: the last.
        assert_eq!(lines.lines().count(), 1, "{lines}");
        assert!(
            lines.contains("trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\"") && lines.contains("} 0.001 "),
            "{lines}"
        );
    }
}
