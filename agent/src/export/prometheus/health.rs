//! The agent's own health as a collector.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

use crate::admin::{Health, table::Kind};

/// Shows every metric of the table that has a value.
#[derive(Debug)]
pub(super) struct HealthCollector(pub(super) Arc<Health>);

impl Collector for HealthCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let samples = self.0.samples();
        for group in samples.chunk_by(|left, right| left.metric == right.metric) {
            let metric = group[0].metric;
            let unit = metric.unit.map(|unit| Unit::Other(unit.to_owned()));
            let kind = match metric.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
            };
            let mut family = encoder.encode_descriptor(metric.name, metric.help, unit.as_ref(), kind)?;
            for sample in group {
                let labels: Vec<_> = metric
                    .labels
                    .iter()
                    .zip(&sample.labels)
                    .map(|(&name, value)| (name.to_owned(), value.clone()))
                    .collect();
                let encoder = family.encode_family(&labels)?;
                match metric.kind {
                    Kind::Counter => ConstCounter::new(sample.value).encode(encoder)?,
                    Kind::Gauge => ConstGauge::new(sample.value).encode(encoder)?,
                }
            }
        }
        Ok(())
    }
}
