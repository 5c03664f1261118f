//! Shards and their merge.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::{Exemplar, Histogram, Key, KeyRef};
use crate::{
    admin::{Health, Sample, table},
    capture::Role,
    telemetry::{
        KnownMethods,
        names::{Instrument, Measure, instrument},
    },
    workload::Workload,
};

/// Series per instrument, the overflow series included (metrics SDK specification: default 2000).
pub const DEFAULT_CARDINALITY_LIMIT: usize = 2000;

/// A series with its three histograms, which all have the same attributes.
#[derive(Debug)]
struct Entry {
    hash: u64,
    key: Key,
    histograms: [Histogram; Measure::ALL.len()],
}

/// The series of one worker.
#[derive(Debug, Default)]
struct Table {
    entries: Vec<Entry>,
    index: HashTable<u32>,
}

impl Table {
    fn find(&self, hash: u64, key: &KeyRef<'_>) -> Option<usize> {
        let same = |&position: &u32| {
            let entry = &self.entries[position as usize];
            entry.hash == hash && entry.key.as_ref() == *key
        };
        self.index.find(hash, same).map(|&position| position as usize)
    }

    fn insert(&mut self, hash: u64, key: &KeyRef<'_>) -> usize {
        let position = self.entries.len();
        self.entries.push(Entry { hash, key: key.to_key(), histograms: Default::default() });
        let entries = &self.entries;
        self.index.insert_unique(hash, position as u32, |&position| entries[position as usize].hash);
        position
    }
}

/// The keys that exist in any shard, so that the limit holds over all of them.
#[derive(Debug, Default)]
struct Known {
    keys: HashTable<(u64, Key)>,
    per_role: [usize; 2],
}

/// What all series of one service share, for `target_info` and OTLP resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadInfo {
    /// `service.name`.
    pub service_name: String,
    /// `k8s.namespace.name`.
    pub namespace: Option<String>,
    /// What all its instances agree on, sorted by key.
    pub attributes: Vec<(&'static str, String)>,
}

/// The metrics of observed traffic.
#[derive(Debug)]
pub struct Aggregator {
    hasher: RandomState,
    methods: Arc<KnownMethods>,
    limit: usize,
    known: RwLock<Known>,
    workloads: Mutex<BTreeMap<(Option<String>, String), WorkloadInfo>>,
    shards: Mutex<Vec<Arc<Mutex<Table>>>>,
    overflowed: AtomicU64,
}

/// The series of all shards at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// Sorted by workload, role and attributes.
    pub series: Vec<SnapshotSeries>,
    /// The workloads that have series, sorted by namespace and name.
    pub workloads: Vec<WorkloadInfo>,
}

/// One series of a [`Snapshot`].
#[derive(Debug)]
pub struct SnapshotSeries {
    /// Its attributes.
    pub key: Key,
    histograms: [Histogram; Measure::ALL.len()],
}

impl SnapshotSeries {
    /// The histogram of an instrument; `None` if the series is not one of its, or nothing was measured.
    pub fn histogram(&self, instrument: &Instrument) -> Option<&Histogram> {
        let histogram = &self.histograms[instrument.measure.index()];
        (self.key.as_ref().role == instrument.role && histogram.count() > 0).then_some(histogram)
    }
}

impl Aggregator {
    /// With at most `limit` series per instrument, the overflow series included (at least 2).
    pub fn new(methods: Arc<KnownMethods>, limit: usize) -> Arc<Self> {
        Arc::new(Self {
            hasher: RandomState::default(),
            methods,
            limit: limit.max(2),
            known: RwLock::default(),
            workloads: Mutex::default(),
            shards: Mutex::default(),
            overflowed: AtomicU64::new(0),
        })
    }

    /// A shard for one worker.
    pub fn shard(self: &Arc<Self>) -> Shard {
        let table = Arc::new(Mutex::new(Table::default()));
        lock(&self.shards).push(Arc::clone(&table));
        Shard { aggregator: Arc::clone(self), table, noted: [const { None }; NOTED] }
    }

    /// Shows the number of series, and what the limit cost, among the metrics about the agent.
    pub fn report_to(self: &Arc<Self>, health: &Health) {
        let aggregator = Arc::clone(self);
        health.source(move |add| {
            let mut value = |metric, value: u64| add(Sample { metric, labels: Vec::new(), value: value as f64 });
            value(&table::SERIES, aggregator.series() as u64);
            value(&table::SERIES_OVERFLOWED, aggregator.overflowed());
        });
    }

    /// The methods that keep their name.
    pub fn methods(&self) -> &KnownMethods {
        &self.methods
    }

    /// How many exchanges went to an overflow series.
    pub fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    /// How many series there are, overflow series not counted.
    pub fn series(&self) -> usize {
        self.known.read().unwrap_or_else(PoisonError::into_inner).keys.len()
    }

    /// Merges the shards. Workers wait only while their own shard is copied.
    pub fn snapshot(&self) -> Snapshot {
        let shards: Vec<_> = lock(&self.shards).iter().map(Arc::clone).collect();
        let mut merged = Table::default();
        for shard in shards {
            let shard = lock(&shard);
            for entry in &shard.entries {
                let key = entry.key.as_ref();
                let position = merged.find(entry.hash, &key).unwrap_or_else(|| merged.insert(entry.hash, &key));
                for (ours, theirs) in merged.entries[position].histograms.iter_mut().zip(&entry.histograms) {
                    ours.merge(theirs);
                }
            }
        }
        let mut series: Vec<_> = merged
            .entries
            .into_iter()
            .map(|entry| SnapshotSeries { key: entry.key, histograms: entry.histograms })
            .collect();
        series.sort_by_cached_key(|series| {
            let key = series.key.as_ref();
            let text = (key.namespace.map(str::to_owned), key.service.to_owned(), key.server_address.to_owned());
            let numbers = (key.method, key.status, key.server_port, key.https, key.version.as_str());
            let error = key.error.map(|error| error.name().into_owned());
            (key.overflow, text, key.role == Role::Client, numbers, error)
        });
        Snapshot { series, workloads: lock(&self.workloads).values().cloned().collect() }
    }

    /// Whether a series that a shard does not have may be made: it exists in another, or there is room.
    fn admit(&self, hash: u64, key: &KeyRef<'_>) -> bool {
        let same = |(other_hash, other): &(u64, Key)| *other_hash == hash && other.as_ref() == *key;
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if known.keys.find(hash, same).is_some() {
                return true;
            }
            if known.per_role[key.role as usize] >= self.limit - 1 {
                return false;
            }
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // Another worker may have been faster.
        if known.keys.find(hash, same).is_some() {
            return true;
        }
        if known.per_role[key.role as usize] >= self.limit - 1 {
            return false;
        }
        known.per_role[key.role as usize] += 1;
        known.keys.insert_unique(hash, (hash, key.to_key()), |(hash, _)| *hash);
        true
    }

    /// Remembers what the instances of a service have in common.
    fn note(&self, workload: &Workload) {
        let mut workloads = lock(&self.workloads);
        workloads
            .entry((workload.namespace.clone(), workload.service_name.clone()))
            .and_modify(|info| info.attributes.retain(|attribute| workload.attributes.contains(attribute)))
            .or_insert_with(|| WorkloadInfo {
                service_name: workload.service_name.clone(),
                namespace: workload.namespace.clone(),
                attributes: workload.attributes.clone(),
            });
    }
}

/// One exchange's measurements.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measurements {
    /// Seconds.
    pub duration: Option<f64>,
    /// Bytes.
    pub request_body: Option<u64>,
    /// Bytes.
    pub response_body: Option<u64>,
}

/// One worker's part of an [`Aggregator`].
#[derive(Debug)]
pub struct Shard {
    aggregator: Arc<Aggregator>,
    table: Arc<Mutex<Table>>,
    /// Workloads noted lately, by address: held, so that an address cannot come to mean another one.
    noted: [Option<Arc<Workload>>; NOTED],
}

const NOTED: usize = 64;

impl Shard {
    /// The aggregator it is a part of.
    pub fn aggregator(&self) -> &Arc<Aggregator> {
        &self.aggregator
    }

    /// Adds an exchange's measurements to its series.
    pub fn record(
        &mut self,
        key: &KeyRef<'_>,
        workload: &Arc<Workload>,
        measured: Measurements,
        exemplar: Option<Exemplar>,
    ) {
        let aggregator = &*self.aggregator;
        let hash = key.hash_with(&aggregator.hasher);
        let mut table = lock(&self.table);
        let position = table.find(hash, key).unwrap_or_else(|| {
            if aggregator.admit(hash, key) {
                return table.insert(hash, key);
            }
            aggregator.overflowed.fetch_add(1, Ordering::Relaxed);
            let overflow = KeyRef::overflow(key.role);
            let hash = overflow.hash_with(&aggregator.hasher);
            table.find(hash, &overflow).unwrap_or_else(|| table.insert(hash, &overflow))
        });
        let entry = &mut table.entries[position];
        // A service in the overflow series only is not noted, so the limit bounds the workloads too.
        if !entry.key.is_overflow() {
            let slot = &mut self.noted[(Arc::as_ptr(workload) as usize >> 6) % NOTED];
            if !slot.as_ref().is_some_and(|noted| Arc::ptr_eq(noted, workload)) {
                aggregator.note(workload);
                *slot = Some(Arc::clone(workload));
            }
        }
        let histograms = &mut entry.histograms;
        let mut add = |measure: Measure, value: Option<f64>| {
            if let Some(value) = value {
                let exemplar = exemplar.map(|exemplar| Exemplar { value, ..exemplar });
                histograms[measure.index()].record(instrument(key.role, measure), value, exemplar);
            }
        };
        add(Measure::Duration, measured.duration);
        add(Measure::RequestBody, measured.request_body.map(|size| size as f64));
        add(Measure::ResponseBody, measured.response_body.map(|size| size as f64));
    }
}

/// Counters stay consistent enough after a panic of another thread: none is updated in two steps that could be torn.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{protocol::HttpVersion, telemetry::names::INSTRUMENTS};

    fn workload(name: &str, attributes: &[(&'static str, &str)]) -> Arc<Workload> {
        let attributes = attributes.iter().map(|&(key, value)| (key, value.to_owned())).collect();
        Arc::new(Workload { service_name: name.to_owned(), namespace: Some("shop".to_owned()), attributes, pod: None })
    }

    fn key(workload: &Workload, status: u16) -> KeyRef<'_> {
        KeyRef {
            service: &workload.service_name,
            namespace: workload.namespace.as_deref(),
            status: Some(status),
            version: HttpVersion::Http11,
            overflow: false,
            ..KeyRef::overflow(Role::Server)
        }
    }

    fn second() -> Measurements {
        Measurements { duration: Some(1.0), ..Measurements::default() }
    }

    fn counts(aggregator: &Aggregator) -> Vec<u64> {
        let snapshot = aggregator.snapshot();
        snapshot.series.iter().map(|series| series.histogram(&INSTRUMENTS[0]).unwrap().count()).collect()
    }

    #[test]
    fn shards_merge_into_one_series() {
        let aggregator = Aggregator::new(Arc::default(), 10);
        let workload = workload("a", &[]);
        for _ in 0..2 {
            aggregator.shard().record(&key(&workload, 200), &workload, second(), None);
        }
        assert_eq!(counts(&aggregator), [2]);
        assert_eq!(aggregator.snapshot().series[0].histogram(&INSTRUMENTS[1]).map(Histogram::count), None);
    }

    #[test]
    fn the_limit_holds_over_all_shards_and_loses_no_measurement() {
        let aggregator = Aggregator::new(Arc::default(), 4);
        let workload = workload("a", &[]);
        let mut shards = [aggregator.shard(), aggregator.shard()];
        for status in 200..210 {
            shards[usize::from(status % 2)].record(&key(&workload, status), &workload, second(), None);
        }
        // What another shard already has is admitted.
        shards[1].record(&key(&workload, 200), &workload, second(), None);
        let snapshot = aggregator.snapshot();
        assert_eq!(snapshot.series.len(), 4);
        assert!(snapshot.series[3].key.is_overflow());
        assert_eq!(counts(&aggregator), [2, 1, 1, 7]);
        let health = Health::new();
        aggregator.report_to(&health);
        assert_eq!((health.value(&table::SERIES_OVERFLOWED, &[]), health.value(&table::SERIES, &[])), (7, 3));
    }

    #[test]
    fn target_info_holds_what_all_instances_agree_on() {
        let aggregator = Aggregator::new(Arc::default(), 10);
        let mut shard = aggregator.shard();
        for pod in ["a-1", "a-2"] {
            let workload = workload("a", &[("k8s.deployment.name", "a"), ("k8s.pod.name", pod)]);
            shard.record(&key(&workload, 200), &workload, second(), None);
        }
        let workloads = aggregator.snapshot().workloads;
        assert_eq!(workloads.len(), 1);
        assert_eq!(workloads[0].attributes, [("k8s.deployment.name", "a".to_owned())]);
    }
}
