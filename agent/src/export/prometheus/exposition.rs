//! One registry, two formats.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{encoding::text::encode, registry::Registry};

use super::{health::HealthCollector, text, traffic::TrafficCollector};
use crate::{
    admin::Health,
    telemetry::metrics::{Exemplar, Metrics},
};

/// What a scraper asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text format 0.0.4, without exemplars.
    Text,
    /// OpenMetrics 1.0.0, with exemplars.
    OpenMetrics,
}

impl Format {
    /// Chooses by the `Accept` field: OpenMetrics where version 1.0.0 of it (or no version) is named with a weight that is not lower than the one of
    /// `text/plain`; else the text format, also for a scraper that accepts neither: every Prometheus reads it.
    pub fn negotiate(accept: Option<&str>) -> Self {
        let (mut openmetrics, mut plain) = (0.0_f32, 0.0_f32);
        for range in accept.unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let (mut weight, mut version) = (1.0_f32, None);
            for (key, value) in parts.filter_map(|part| part.split_once('=')) {
                match key.trim() {
                    "q" => weight = value.trim().parse().unwrap_or(0.0),
                    "version" => version = Some(value.trim().trim_matches('"')),
                    _ => {}
                }
            }
            match (name.as_str(), version) {
                ("application/openmetrics-text", None | Some("1.0.0")) => openmetrics = openmetrics.max(weight),
                ("text/plain", None | Some("0.0.4")) => plain = plain.max(weight),
                _ => {}
            }
        }
        if openmetrics > 0.0 && openmetrics >= plain { Self::OpenMetrics } else { Self::Text }
    }

    /// The `Content-Type` of an answer.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Exemplars of the `_bucket` lines of one encoding, in their order. `prometheus-client` encodes histograms of others but offers no way to make an
/// exemplar for one, so they are put in afterwards.
pub(super) type BucketExemplars = Arc<Mutex<Vec<Option<Exemplar>>>>;

/// Everything that `/metrics` shows.
pub struct Exposition {
    registry: Registry,
    exemplars: BucketExemplars,
    /// One encoding at a time: the exemplars belong to it.
    turn: Mutex<()>,
}

impl fmt::Debug for Exposition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Exposition").finish_non_exhaustive()
    }
}

impl Exposition {
    /// Shows this traffic and this health. `local_attributes` are added to `target_info` of workloads that are of no pod.
    pub fn new(
        traffic: Arc<Metrics>,
        health: Option<Arc<Health>>,
        local_attributes: Vec<(String, String)>,
    ) -> Arc<Self> {
        let exemplars = BucketExemplars::default();
        let mut registry = Registry::default();
        registry.register_collector(Box::new(TrafficCollector::new(traffic, local_attributes, Arc::clone(&exemplars))));
        if let Some(health) = health {
            registry.register_collector(Box::new(HealthCollector(health)));
        }
        Arc::new(Self { registry, exemplars, turn: Mutex::default() })
    }

    /// The metrics now.
    pub fn render(&self, format: Format) -> String {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut openmetrics = String::new();
        // Writing to a String cannot fail, and the collectors return no error of their own.
        let _ = encode(&mut openmetrics, &self.registry);
        let exemplars = std::mem::take(&mut *self.exemplars.lock().unwrap_or_else(PoisonError::into_inner));
        drop(turn);
        match format {
            Format::Text => text::from_openmetrics(&openmetrics),
            Format::OpenMetrics => text::with_exemplars(&openmetrics, &exemplars),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negotiation() {
        let negotiate = |accept| Format::negotiate(Some(accept));
        // What Prometheus 2.x and 3.x send.
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
                          text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        assert_eq!(negotiate(prometheus), Format::OpenMetrics);
        let escaping = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                        text/plain;version=1.0.0;q=0.7,*/*;q=0.1";
        assert_eq!(negotiate(escaping), Format::OpenMetrics);
        assert_eq!(negotiate("text/plain;version=0.0.4;q=0.9,application/openmetrics-text;q=0.1"), Format::Text);
        assert_eq!(negotiate("application/openmetrics-text;version=2.0.0"), Format::Text);
        assert_eq!(negotiate("application/openmetrics-text; version=\"1.0.0\""), Format::OpenMetrics);
        assert_eq!(negotiate("application/openmetrics-text;q=0"), Format::Text);
        assert_eq!(negotiate("*/*"), Format::Text);
        assert_eq!(Format::negotiate(None), Format::Text);
    }
}
