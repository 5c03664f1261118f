//! The series of all plans.

use std::{
    borrow::Cow,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use super::{
    Series, Shard, Snapshot,
    aggregator::{Aggregator, Shared},
    lock,
    snapshot::Collector,
};
use crate::{
    admin::{Health, Sample, table},
    policy::{
        Plan, Plans,
        attribute::Value,
        model::PolicyKey,
        plan::{MetricsPlan, Reader},
    },
    telemetry::KnownMethods,
};

/// Series that all plans together may have.
///
/// One of the default histograms takes a key of about 0.3 KB, which the workers share, and in each worker that sees it about 0.4 KB and
/// 48 bytes for each bucket with an exemplar (at most 39, mostly less than ten): 100 000 seen by one worker are about 70 MB without
/// exemplars and 120 MB with ten of them each, and by four about 190 MB and 380 MB. Vectors that grow may take twice their part for a while.
pub const MAX_SERIES: usize = 100_000;

/// The metrics of observed traffic: one aggregator per policy and plan. Plans that are equal go on with the series that are there, so that an
/// edit of a policy resets nothing that it does not change.
#[derive(Debug)]
pub struct Metrics {
    shared: Arc<Shared>,
    entries: Mutex<Entries>,
    /// Whether there is an OTLP exporter.
    exported: AtomicBool,
}

/// Whose series they are: limits are per policy.
type Entry = (Option<PolicyKey>, Arc<MetricsPlan>);

#[derive(Debug, Default)]
struct Entries {
    aggregators: Vec<(Option<PolicyKey>, Arc<Aggregator>)>,
    /// What may have series, once it was said.
    wanted: Option<Vec<Entry>>,
}

impl Entries {
    fn wants(&self, policy: Option<&PolicyKey>, plan: &MetricsPlan) -> bool {
        self.wanted
            .as_ref()
            .is_none_or(|wanted| wanted.iter().any(|(other, wanted)| other.as_ref() == policy && **wanted == *plan))
    }
}

impl Metrics {
    /// No series yet.
    pub fn new(methods: Arc<KnownMethods>) -> Arc<Self> {
        Self::with_limit(methods, MAX_SERIES)
    }

    /// With at most this many series of all plans together, overflow series not counted.
    pub fn with_limit(methods: Arc<KnownMethods>, limit: usize) -> Arc<Self> {
        let shared = Shared {
            methods,
            limit,
            series: AtomicUsize::new(0),
            overflowed: AtomicU64::new(0),
            cut: AtomicU64::new(0),
            sessions_forgotten: AtomicU64::new(0),
        };
        Arc::new(Self { shared: Arc::new(shared), entries: Mutex::default(), exported: AtomicBool::new(false) })
    }

    /// A shard for one worker; `None` if the plan has no metrics.
    ///
    /// The shard of a plan that does not hold any more counts what nobody sees: an exchange can end after its policy was removed.
    pub fn shard(&self, plan: &Plan) -> Option<Shard> {
        let metrics = plan.metrics.as_ref()?;
        let mut entries = lock(&self.entries);
        let same = |(policy, aggregator): &&(Option<PolicyKey>, Arc<Aggregator>)| {
            *policy == plan.policy && *aggregator.plan == **metrics
        };
        if let Some((_, aggregator)) = entries.aggregators.iter().find(same) {
            return Some(aggregator.shard());
        }
        let aggregator = Aggregator::new(Arc::clone(metrics), Arc::clone(&self.shared));
        if entries.wants(plan.policy.as_ref(), metrics) {
            entries.aggregators.push((plan.policy.clone(), Arc::clone(&aggregator)));
        }
        Some(aggregator.shard())
    }

    /// Drops the series of plans that are not among these, at once.
    pub fn retain(&self, plans: &Plans) {
        let wanted = plans.distinct().into_iter().filter_map(|plan| Some((plan.policy.clone(), plan.metrics.clone()?)));
        let mut entries = lock(&self.entries);
        entries.wanted = Some(wanted.collect());
        let mut aggregators = std::mem::take(&mut entries.aggregators);
        aggregators.retain(|(policy, aggregator)| entries.wants(policy.as_ref(), &aggregator.plan));
        entries.aggregators = aggregators;
    }

    /// From now on an OTLP exporter takes the series that are only for one. Until then they are shown to Prometheus: nothing is kept for nobody.
    pub fn is_exported(&self) {
        self.exported.store(true, Ordering::Relaxed);
    }

    /// All series now.
    pub fn snapshot(&self) -> Snapshot {
        Self::collect(lock(&self.entries).aggregators.clone())
    }

    /// The series now that this reader takes.
    pub fn snapshot_for(&self, reader: Reader) -> Snapshot {
        let mut aggregators = lock(&self.entries).aggregators.clone();
        let exported = self.exported.load(Ordering::Relaxed);
        aggregators.retain(|(_, aggregator)| match aggregator.plan.reader {
            None => true,
            Some(Reader::Otlp) if !exported => true,
            Some(only) => only == reader,
        });
        Self::collect(aggregators)
    }

    fn collect(mut aggregators: Vec<(Option<PolicyKey>, Arc<Aggregator>)>) -> Snapshot {
        // The order decides who keeps a name that two policies gave.
        aggregators.sort_by(|(left, _), (right, _)| left.cmp(right));
        let mut collector = Collector::default();
        for (_, aggregator) in aggregators {
            let methods = aggregator.methods();
            aggregator.read(|group, key, data| {
                let workload = key.workload().map(|(name, namespace)| (name.to_owned(), namespace.map(str::to_owned)));
                let attributes: Vec<(String, Value<'static>)> = key
                    .attributes(group, methods)
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value.into_owned()))
                    .collect();
                for (stream, data) in group.streams.iter().zip(data) {
                    let Some(data) = data else { continue };
                    let name = match &stream.name {
                        Cow::Borrowed(own) => (*own).to_owned(),
                        Cow::Owned(given) => collector.name(given, stream.instrument),
                    };
                    let (workload, attributes) = (workload.clone(), attributes.clone());
                    let series = Series { workload, attributes, start: aggregator.start, data };
                    collector.series(&name, stream.instrument, series);
                }
            });
            for info in aggregator.workloads() {
                collector.workload(info);
            }
        }
        collector.finish()
    }

    /// How many series there are, overflow series not counted.
    pub fn series(&self) -> usize {
        self.shared.series.load(Ordering::Relaxed)
    }

    /// How many measurements went to an overflow series.
    pub fn overflowed(&self) -> u64 {
        self.shared.overflowed.load(Ordering::Relaxed)
    }

    /// Shows the number of series, and what limits cost, among the metrics about the agent.
    pub fn report_to(self: &Arc<Self>, health: &Health) {
        let metrics = Arc::clone(self);
        health.source(move |add| {
            let mut value = |metric, value: u64| add(Sample { metric, labels: Vec::new(), value: value as f64 });
            value(&table::SERIES, metrics.series() as u64);
            value(&table::SERIES_OVERFLOWED, metrics.overflowed());
            value(&table::LABELS_CUT, metrics.shared.cut.load(Ordering::Relaxed));
            value(&table::SESSIONS_UNMEASURED, metrics.shared.sessions_forgotten.load(Ordering::Relaxed));
        });
    }
}
