//! The series of one plan: shards and their merge.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::{
    Exemplar, Key, KeyRef, Measurements,
    calls::OfPart,
    cells::{Data, Measured as _, Rows, Table},
    connections::{DIRECTIONS, OfConnection},
    labels, lock,
    recording::Recording,
    series::Kept,
    sessions::Sessions,
};
use crate::{
    capture::Role,
    exchange::Report,
    policy::{
        attribute::{Key as AttributeKey, Subject as _},
        plan::{Group, MetricsPlan, Part},
    },
    telemetry::{
        ConnectionSubject, ExchangeSubject, Facts, KnownMethods,
        names::{Measure, Occasion},
    },
    workload::{ResourceAttribute, Workload},
};

/// The keys of a group that exist in any shard, so that the limit holds over all of them. Overflow series are not among them.
#[derive(Debug, Default)]
struct Known(HashTable<(u64, Arc<Key>)>);

/// What all series of one service share, for `target_info` and OTLP resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadInfo {
    /// `service.name`.
    pub service_name: String,
    /// `k8s.namespace.name`.
    pub namespace: Option<String>,
    /// What all its instances agree on, sorted by key.
    pub attributes: Vec<ResourceAttribute>,
}

/// What all aggregators share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) methods: Arc<KnownMethods>,
    /// Series that all aggregators together may have.
    pub(super) limit: usize,
    /// Series that they have.
    pub(super) series: AtomicUsize,
    /// Measurements that went to an overflow series.
    pub(super) overflowed: AtomicU64,
    /// Texts that were too long for a label.
    pub(super) cut: AtomicU64,
    /// Sessions of MCP that were forgotten before they were over.
    pub(super) sessions_forgotten: AtomicU64,
}

/// The tables of one worker, one per group.
pub(super) type Tables = Vec<Table>;

#[derive(Debug, Default)]
struct Shards {
    live: Vec<Arc<Mutex<Tables>>>,
    /// What shards that are gone had counted.
    retired: Option<Tables>,
}

/// The metrics of the traffic that follows one plan.
#[derive(Debug)]
pub(super) struct Aggregator {
    pub(super) plan: Arc<MetricsPlan>,
    /// Nanoseconds since the epoch: from when on it counts.
    pub(super) start: u64,
    pub(super) shared: Arc<Shared>,
    hasher: RandomState,
    kept: Vec<Kept>,
    /// How many groups are of exchanges; those of calls beyond HTTP follow.
    pub(super) of_exchanges: usize,
    /// Whether a stream counts decisions.
    decisions: bool,
    pub(super) sessions: Mutex<Sessions>,
    known: Vec<RwLock<Known>>,
    workloads: Mutex<BTreeMap<(Option<String>, String), WorkloadInfo>>,
    shards: Mutex<Shards>,
}

impl Aggregator {
    pub(super) fn new(plan: Arc<MetricsPlan>, shared: Arc<Shared>) -> Arc<Self> {
        let decisions = plan.streams().any(|stream| stream.instrument.measure == Measure::Decisions);
        Arc::new(Self {
            start: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64,
            hasher: RandomState::default(),
            kept: plan.groups.iter().map(Kept::of).collect(),
            of_exchanges: plan.groups.partition_point(|group| group.occasion == Occasion::Exchange),
            decisions,
            sessions: Mutex::default(),
            known: plan.groups.iter().map(|_| RwLock::default()).collect(),
            workloads: Mutex::default(),
            shards: Mutex::default(),
            plan,
            shared,
        })
    }

    /// A shard for one worker.
    pub(super) fn shard(self: &Arc<Self>) -> Shard {
        let tables = Arc::new(Mutex::new(self.tables()));
        lock(&self.shards).live.push(Arc::clone(&tables));
        Shard { aggregator: Arc::clone(self), tables, noted: [const { None }; NOTED], labels: Vec::new() }
    }

    fn tables(&self) -> Tables {
        self.plan.groups.iter().map(Table::new).collect()
    }

    /// Every series of every stream, by group. A worker waits only while its own numbers are copied, not while they are merged.
    pub(super) fn read(&self, mut series: impl FnMut(&Group, &Key, Vec<Option<Data>>)) {
        let mut merged = self.tables();
        {
            // Held, so that no shard retires between being read here and there.
            let shards = lock(&self.shards);
            for shard in &shards.live {
                let copy: Vec<Rows> = lock(shard).iter().map(|table| table.rows().clone()).collect();
                merge(&mut merged, &copy, &self.plan);
            }
            if let Some(retired) = &shards.retired {
                merge(&mut merged, retired.iter().map(Table::rows), &self.plan);
            }
        }
        for (table, group) in merged.iter().zip(&self.plan.groups) {
            for (key, data) in table.read(group) {
                series(group, key, data);
            }
        }
    }

    /// The workloads that have series.
    pub(super) fn workloads(&self) -> Vec<WorkloadInfo> {
        lock(&self.workloads).values().cloned().collect()
    }

    /// The methods that keep their name.
    pub(super) fn methods(&self) -> &KnownMethods {
        &self.shared.methods
    }

    /// The key of a series that a shard does not have, if it may be made: it exists in another, or there is room.
    fn admit(&self, group: usize, hash: u64, key: &KeyRef<'_>) -> Option<Arc<Key>> {
        let same = |(other_hash, other): &(u64, Arc<Key>)| *other_hash == hash && (**other).as_ref() == *key;
        let full = |known: &Known| known.0.len() >= self.plan.limit.saturating_sub(1);
        {
            let known = self.known[group].read().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, key)) = known.0.find(hash, same) {
                return Some(Arc::clone(key));
            }
            if full(&known) {
                return None;
            }
        }
        let mut known = self.known[group].write().unwrap_or_else(PoisonError::into_inner);
        // Another worker may have been faster.
        if let Some((_, key)) = known.0.find(hash, same) {
            return Some(Arc::clone(key));
        }
        if full(&known) || !self.shared.take() {
            return None;
        }
        let key = Arc::new(key.to_key());
        known.0.insert_unique(hash, (hash, Arc::clone(&key)), |(hash, _)| *hash);
        Some(key)
    }

    /// The place of a series in a worker's table: its own, or that of the overflow. And whether it is its own.
    pub(super) fn place(&self, table: &mut Table, group: usize, key: &KeyRef<'_>) -> (usize, bool) {
        let hash = key.hash_with(&self.hasher);
        if let Some(position) = table.find(hash, key) {
            return (position, true);
        }
        if let Some(key) = self.admit(group, hash, key) {
            return (table.insert(hash, key), true);
        }
        self.shared.overflowed.fetch_add(1, Ordering::Relaxed);
        let overflow = KeyRef::overflow(key.role);
        let hash = overflow.hash_with(&self.hasher);
        let found = table.find(hash, &overflow);
        (found.unwrap_or_else(|| table.insert(hash, overflow.to_key().into())), false)
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

impl Drop for Aggregator {
    fn drop(&mut self) {
        let series: usize =
            self.known.iter_mut().map(|known| known.get_mut().unwrap_or_else(PoisonError::into_inner).0.len()).sum();
        self.shared.series.fetch_sub(series, Ordering::Relaxed);
    }
}

impl Shared {
    /// Takes room for one series.
    fn take(&self) -> bool {
        let more = |series: usize| (series < self.limit).then_some(series + 1);
        self.series.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }
}

fn merge<'a>(ours: &mut Tables, theirs: impl IntoIterator<Item = &'a Rows>, plan: &MetricsPlan) {
    for ((ours, theirs), group) in ours.iter_mut().zip(theirs).zip(&plan.groups) {
        ours.merge(theirs, group);
    }
}

/// One worker's part of the series of a plan.
#[derive(Debug)]
pub struct Shard {
    aggregator: Arc<Aggregator>,
    tables: Arc<Mutex<Tables>>,
    /// Workloads noted lately, by address: held, so that an address cannot come to mean another one.
    noted: [Option<Arc<Workload>>; NOTED],
    labels: Vec<u8>,
}

const NOTED: usize = 64;

impl Shard {
    /// Adds what was measured of an exchange to its series. `context` is the span that the measurement belongs to.
    pub fn record(&mut self, facts: &Facts<'_>, context: Option<(u128, u64)>) {
        let Self { aggregator, tables, noted, labels: bytes } = self;
        let aggregator = &**aggregator;
        let mut measured = Measurements::of(facts);
        let server = if facts.role == Role::Client { facts.server() } else { None };
        let server = server.as_ref().map(|(address, port)| (&**address, *port));
        let key = KeyRef::of(facts, &aggregator.shared.methods, server);
        let exemplar = context.map(|(trace_id, span_id)| {
            let time = facts.exchange.end.0;
            Exemplar { trace_id, span_id, value: 0.0, time }
        });
        let subject = ExchangeSubject { facts, identity: None, methods: &aggregator.shared.methods };
        measured.decided = aggregator.decisions && subject.key(AttributeKey::EventAction).is_some();
        let mut tables = lock(tables);
        let mut admitted = false;
        for (index, group) in aggregator.plan.groups[..aggregator.of_exchanges].iter().enumerate() {
            if group.role.is_some_and(|role| role != facts.role) || !measured.any(group) {
                continue;
            }
            bytes.clear();
            if !group.labels.is_empty() {
                let cut = labels::encode(&group.labels, &subject, Part::default(), bytes);
                aggregator.shared.cut.fetch_add(cut, Ordering::Relaxed);
            }
            let key = KeyRef { labels: bytes, ..aggregator.kept[index].apply(key) };
            let (position, own) = aggregator.place(&mut tables[index], index, &key);
            admitted |= own;
            tables[index].add(position, group, &measured, exemplar);
        }
        if let Some(call) = &facts.exchange.call
            && aggregator.of_exchanges < aggregator.plan.groups.len()
        {
            let mut recording =
                Recording { aggregator, tables: &mut tables, bytes, exchange: subject, exemplar, admitted };
            recording.call(call);
            admitted = recording.admitted;
        }
        // A service in overflow series only is not noted, so the limit bounds the workloads too.
        if admitted {
            note(aggregator, noted, &facts.exchange.connection.workload);
        }
    }

    /// Adds what is told of a connection to its series.
    pub fn connection(&mut self, report: &Report) {
        let Self { aggregator, tables, noted, labels: bytes } = self;
        let aggregator = &**aggregator;
        let connection = &report.connection;
        let role = report.role.unwrap_or(connection.role);
        let subject = ConnectionSubject(report);
        let whole = OfConnection { report, direction: None };
        let lanes = DIRECTIONS.map(|direction| OfConnection { report, direction: Some(direction) });
        let mut tables = lock(tables);
        let mut admitted = false;
        for (index, group) in aggregator.plan.groups.iter().enumerate().skip(aggregator.of_exchanges) {
            let parts = match group.occasion {
                Occasion::Connection => std::slice::from_ref(&whole),
                Occasion::ConnectionIo => &lanes,
                _ => continue,
            };
            for measured in parts.iter().filter(|part| part.any(group)) {
                bytes.clear();
                let cut = labels::encode(&group.labels, &subject, measured.part(), bytes);
                aggregator.shared.cut.fetch_add(cut, Ordering::Relaxed);
                let key = KeyRef { labels: bytes, ..KeyRef::of_labels(&connection.workload, role) };
                let (position, own) = aggregator.place(&mut tables[index], index, &key);
                admitted |= own;
                tables[index].add(position, group, measured, None);
            }
        }
        if admitted {
            note(aggregator, noted, &connection.workload);
        }
    }
}

fn note(aggregator: &Aggregator, noted: &mut [Option<Arc<Workload>>; NOTED], workload: &Arc<Workload>) {
    let slot = &mut noted[(Arc::as_ptr(workload) as usize >> 6) % NOTED];
    if !slot.as_ref().is_some_and(|noted| Arc::ptr_eq(noted, workload)) {
        aggregator.note(workload);
        *slot = Some(Arc::clone(workload));
    }
}

impl Drop for Shard {
    /// What it counted stays.
    fn drop(&mut self) {
        let mut shards = lock(&self.aggregator.shards);
        shards.live.retain(|tables| !Arc::ptr_eq(tables, &self.tables));
        let retired = shards.retired.get_or_insert_with(|| self.aggregator.tables());
        merge(retired, lock(&self.tables).iter().map(Table::rows), &self.aggregator.plan);
    }
}

impl Measurements {
    /// The size of a message that was cut would be that of what was seen: there is none, and if it is the response no duration.
    pub fn of(facts: &Facts<'_>) -> Self {
        if !facts.both_ends {
            return Self::default();
        }
        Self {
            duration: facts.duration(),
            request_body: facts.exchange.request.body_size.filter(|_| facts.exchange.request.complete),
            response_body: facts.exchange.response.as_ref().and_then(|response| response.body_size),
            decided: false,
        }
    }
}
