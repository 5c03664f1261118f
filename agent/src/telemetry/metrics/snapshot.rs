//! All series at one moment, for who shows them.

use std::collections::BTreeMap;

use super::{Data, WorkloadInfo};
use crate::{
    policy::attribute::Value,
    telemetry::names::{Instrument, every_instrument, prometheus},
};

/// The series of all plans at one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// In the order of the tables of instruments; of one instrument its own name first, then others in order.
    pub families: Vec<Family>,
    /// The workloads that have series, sorted by namespace and name.
    pub workloads: Vec<WorkloadInfo>,
}

/// The series of one name. Several plans can have series with the same attributes: [`Family::merged`].
#[derive(Debug)]
pub struct Family {
    /// OpenTelemetry name.
    pub name: String,
    /// What it is.
    pub instrument: &'static Instrument,
    /// At least one.
    pub series: Vec<Series>,
}

/// One series of a plan.
#[derive(Clone, Debug)]
pub struct Series {
    /// Whom it belongs to: `service.name` and `k8s.namespace.name`; `None` for an overflow series.
    pub workload: Option<(String, Option<String>)>,
    /// Its attributes, in the order in which they are shown.
    pub attributes: Vec<(String, Value<'static>)>,
    /// Nanoseconds since the epoch: from when on it counts.
    pub start: u64,
    /// What it counted.
    pub data: Data,
}

impl Series {
    /// Whether it holds what is beyond a limit.
    pub fn is_overflow(&self) -> bool {
        self.workload.is_none()
    }
}

impl Family {
    /// Its series by `identity`, each once: those that are the same are added up. In the order of `identity`.
    pub fn merged<K: Ord>(&self, identity: impl Fn(&Series) -> K) -> BTreeMap<K, Series> {
        let mut merged: BTreeMap<K, Series> = BTreeMap::new();
        for series in &self.series {
            match merged.entry(identity(series)) {
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(series.clone());
                }
                std::collections::btree_map::Entry::Occupied(mut entry) => {
                    let ours = entry.get_mut();
                    ours.start = ours.start.min(series.start);
                    ours.data.merge(series.data.clone());
                }
            }
        }
        merged
    }
}

/// Collects the series of all plans.
#[derive(Debug, Default)]
pub(super) struct Collector {
    families: BTreeMap<(usize, String), Family>,
    /// Which names are of which instrument, as Prometheus spells them: one name has one type, unit and description.
    names: BTreeMap<String, &'static Instrument>,
    workloads: BTreeMap<(Option<String>, String), WorkloadInfo>,
}

impl Collector {
    /// Under which name series of an instrument are shown that a policy calls `wanted`: under the instrument's own, if another policy has given that name to
    /// something else already.
    pub(super) fn name(&mut self, wanted: &str, instrument: &'static Instrument) -> String {
        let family = prometheus::family(wanted, instrument.unit, instrument.kind());
        let owner = *self.names.entry(family).or_insert(instrument);
        // Both ends of the same measurement can share a name.
        if owner.is_like(instrument) { wanted.to_owned() } else { instrument.name.to_owned() }
    }

    pub(super) fn series(&mut self, name: &str, instrument: &'static Instrument, series: Series) {
        let family = prometheus::family(name, instrument.unit, instrument.kind());
        let owner = self.names.get(&family).copied().unwrap_or(instrument);
        let order = every_instrument().position(|row| row == owner).unwrap_or(usize::MAX);
        // Its own name first: no name of a policy is empty.
        let key = if name == owner.name { String::new() } else { name.to_owned() };
        self.families
            .entry((order, key))
            .or_insert_with(|| Family { name: name.to_owned(), instrument: owner, series: Vec::new() })
            .series
            .push(series);
    }

    pub(super) fn workload(&mut self, info: WorkloadInfo) {
        self.workloads
            .entry((info.namespace.clone(), info.service_name.clone()))
            .and_modify(|known| known.attributes.retain(|attribute| info.attributes.contains(attribute)))
            .or_insert(info);
    }

    pub(super) fn finish(self) -> Snapshot {
        Snapshot { families: self.families.into_values().collect(), workloads: self.workloads.into_values().collect() }
    }
}
