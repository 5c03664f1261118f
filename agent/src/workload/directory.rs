//! Who is in the cluster, by name, by UID and by address.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use super::{PodIdentity, Workload, WorkloadKind, naming::Naming};
use crate::{
    capture::Timestamp,
    policy::objects::{AddressRange, ObjectName, Objects, Pod},
};

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// How long it is remembered that a pod had an address: connections that began then may still be told of.
const KEPT: u64 = 600 * 1_000_000_000;
/// Former pods of one address that are remembered.
const MAX_FORMER: usize = 4;
/// Former pods of all addresses that are remembered.
const MAX_PAST: usize = 16_384;

/// What is known of the cluster, for attribution. Immutable; a change makes the [`Self::next`] one, which shares what stayed the same.
#[derive(Debug, Default)]
pub struct Directory {
    naming: Naming,
    pods: BTreeMap<ObjectName, Arc<Known>>,
    /// By `metadata.uid` and, of static pods, by the hash that names their cgroups.
    by_uid: Map<String, Arc<Known>>,
    by_address: Map<IpAddr, Vec<Tenure>>,
    others: Map<IpAddr, Arc<Workload>>,
    ranges: Vec<AddressRange>,
    forgotten: u64,
}

/// A pod, and what it is as the other end of a connection, once that was asked.
#[derive(Debug)]
struct Known {
    identity: Arc<PodIdentity>,
    workload: OnceLock<Arc<Workload>>,
}

/// A time in which a pod had an address.
#[derive(Clone, Debug)]
struct Tenure {
    from: Timestamp,
    /// It has it still, if absent.
    until: Option<Timestamp>,
    /// Absent where several say that they have it.
    pod: Option<Arc<Known>>,
}

impl Known {
    fn pod(&self) -> &Pod {
        &self.identity.pod
    }

    /// The same pod, whatever changed of it.
    fn is(&self, other: &Self) -> bool {
        self.identity.name == other.identity.name && self.pod().uid == other.pod().uid
    }

    /// When it was created, in whole seconds.
    fn created(&self) -> Option<Timestamp> {
        let nanoseconds = self.pod().created?.as_nanosecond();
        u64::try_from(nanoseconds).ok().map(Timestamp)
    }
}

impl Directory {
    /// Of these objects, whenever it is asked about.
    pub fn of(objects: &Objects) -> Self {
        Self::default().next(objects, Timestamp(0))
    }

    /// An empty one that names services so.
    pub fn naming(naming: Naming) -> Self {
        Self { naming, ..Self::default() }
    }

    /// The one that follows when these objects are what there is from `now` on. Who had an address before is remembered for ten minutes, for
    /// connections that began then.
    #[must_use]
    pub fn next(&self, objects: &Objects, now: Timestamp) -> Self {
        let mut next = Self { naming: self.naming, forgotten: self.forgotten, ..Self::default() };
        let mut claims: Map<IpAddr, Vec<Arc<Known>>> = Map::default();
        let mut mirrors: Map<String, Option<Arc<Known>>> = Map::default();
        for (name, pod) in &objects.pods {
            let known = self.known(objects, name, pod);
            if let Some(uid) = &pod.uid {
                next.by_uid.insert(uid.clone(), Arc::clone(&known));
            }
            if let Some(hash) = known.identity.static_hash() {
                // What two say that they have is of none.
                let only = |first: &mut Option<Arc<Known>>| *first = None;
                mirrors.entry(hash.to_owned()).and_modify(only).or_insert_with(|| Some(Arc::clone(&known)));
            }
            // Those of a pod on the network of its node are of others too.
            let own = pod.addresses.iter().filter(|address| !address.is_loopback() && !pod.host_network);
            for address in own {
                claims.entry(address.to_canonical()).or_default().push(Arc::clone(&known));
            }
            next.pods.insert(name.clone(), known);
        }
        for (hash, known) in mirrors {
            // The API server gave the UIDs; a hash takes none of them away.
            if let Some(known) = known {
                next.by_uid.entry(hash).or_insert(known);
            }
        }
        let nobody: Vec<Arc<Known>> = Vec::new();
        for (address, before) in &self.by_address {
            let claimants = claims.get(address).unwrap_or(&nobody);
            let tenures = follow(before, claimants, now);
            if !tenures.is_empty() {
                next.by_address.insert(*address, tenures);
            }
        }
        for (address, claimants) in &claims {
            if !self.by_address.contains_key(address) {
                let tenures = follow(&[], claimants, now);
                if !tenures.is_empty() {
                    next.by_address.insert(*address, tenures);
                }
            }
        }
        next.bound();
        for (name, node) in &objects.nodes {
            let workload = Arc::new(Workload::of_node(name));
            next.others.extend(node.addresses.iter().map(|address| (address.to_canonical(), Arc::clone(&workload))));
            next.ranges.extend(&node.pod_ranges);
        }
        for (name, service) in &objects.services {
            let workload = Arc::new(Workload::of_service(name));
            next.others.extend(service.addresses.iter().map(|address| (address.to_canonical(), Arc::clone(&workload))));
        }
        next
    }

    /// The same as before, if nothing of the pod changed: what refers to it stays valid.
    fn known(&self, objects: &Objects, name: &ObjectName, pod: &Arc<Pod>) -> Arc<Known> {
        let namespace_labels = objects.namespaces.get(&name.namespace).map(|namespace| &namespace.labels);
        let same = self.pods.get(name).filter(|before| {
            let identity = &before.identity;
            let same_pod = Arc::ptr_eq(&identity.pod, pod) || identity.pod == *pod;
            same_pod
                && namespace_labels.map_or(identity.namespace_labels.is_empty(), |l| *l == identity.namespace_labels)
        });
        if let Some(same) = same {
            return Arc::clone(same);
        }
        let identity = PodIdentity {
            name: name.clone(),
            pod: Arc::clone(pod),
            namespace_labels: namespace_labels.cloned().unwrap_or_default(),
        };
        Arc::new(Known { identity: Arc::new(identity), workload: OnceLock::new() })
    }

    /// Forgets former pods beyond the bound, those that are gone longest first.
    fn bound(&mut self) {
        let mut ends: Vec<Timestamp> = self.by_address.values().flatten().filter_map(|tenure| tenure.until).collect();
        let Some(excess) = ends.len().checked_sub(MAX_PAST).filter(|excess| *excess > 0) else { return };
        ends.sort_unstable();
        let before = ends[excess - 1];
        for tenures in self.by_address.values_mut() {
            tenures.retain(|tenure| tenure.until.is_none_or(|until| until > before));
        }
        self.by_address.retain(|_, tenures| !tenures.is_empty());
        self.forgotten += excess as u64;
    }

    /// How service names are found.
    pub(crate) const fn names(&self) -> Naming {
        self.naming
    }

    /// The pod of this name.
    pub fn pod(&self, name: &ObjectName) -> Option<&Arc<PodIdentity>> {
        self.pods.get(name).map(|known| &known.identity)
    }

    /// The pod of this UID, or the mirror of the one static pod whose cgroups are named by this hash.
    pub fn pod_by_uid(&self, uid: &str) -> Option<&Arc<PodIdentity>> {
        self.by_uid.get(uid).map(|known| &known.identity)
    }

    /// All pods, by name.
    pub fn pods(&self) -> impl Iterator<Item = &Arc<PodIdentity>> {
        self.pods.values().map(|known| &known.identity)
    }

    /// The pod that had this address at this time.
    pub fn pod_at(&self, address: IpAddr, time: Timestamp) -> Option<&Arc<PodIdentity>> {
        self.tenant(address, time).map(|known| &known.identity)
    }

    fn tenant(&self, address: IpAddr, time: Timestamp) -> Option<&Arc<Known>> {
        let tenures = self.by_address.get(&address.to_canonical())?;
        let then = tenures.iter().rfind(|tenure| tenure.from <= time)?;
        then.pod.as_ref().filter(|_| then.until.is_none_or(|until| time <= until))
    }

    /// Who had this address at this time: a pod, a service that has it as a cluster address, or a node.
    pub fn at(&self, address: IpAddr, time: Timestamp) -> Option<Arc<Workload>> {
        if let Some(known) = self.tenant(address, time) {
            let workload = || Arc::new(Workload::of_pod(&known.identity, None, self.naming));
            return Some(Arc::clone(known.workload.get_or_init(workload)));
        }
        self.others.get(&address.to_canonical()).map(Arc::clone)
    }

    /// Whether pods have addresses like this one, so that it may soon be known of one. Clusters that do not give out addresses by node say nothing.
    pub fn may_be_of_a_pod(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|range| range.contains(address))
    }

    /// Former pods that were forgotten because of a bound.
    pub const fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

/// Who has an address from `now` on, if these pods say that they have it, and who had it before. Ordered by time.
fn follow(before: &[Tenure], claimants: &[Arc<Known>], now: Timestamp) -> Vec<Tenure> {
    let ended = |known: &&Arc<Known>| known.pod().phase.is_over();
    let leaving = |known: &&Arc<Known>| known.pod().deleted.is_some() && !ended(known);
    let live: Vec<_> = claimants.iter().filter(|known| !ended(known) && !leaving(known)).collect();
    let last: Vec<_> = claimants.iter().filter(leaving).collect();
    // One that is being deleted has its address until another one has it.
    let holder = match (&live[..], &last[..]) {
        ([only], _) | ([], [only]) => *only,
        ([], []) => return end(before, now),
        // Networks that overlap: of none is it known.
        _ => return vec![Tenure { from: Timestamp(0), until: None, pod: None }],
    };
    if let Some(current) = before.last()
        && current.until.is_none()
        && current.pod.as_ref().is_some_and(|pod| pod.is(holder))
    {
        let mut tenures = recent(before, now);
        if let Some(current) = tenures.last_mut() {
            current.pod = Some(Arc::clone(holder));
        }
        return tenures;
    }
    let mut tenures = end(before, now);
    let mut former: Vec<_> = claimants.iter().filter(|known| !known.is(holder)).collect();
    former.sort_by_key(|known| known.created());
    for known in former {
        let is_there = tenures.iter().any(|tenure| tenure.pod.as_ref().is_some_and(|pod| pod.is(known)));
        if !is_there && let Some(from) = if tenures.is_empty() { Some(Timestamp(0)) } else { known.created() } {
            tenures.push(Tenure { from, until: Some(now), pod: Some(Arc::clone(known)) });
        }
    }
    let from = match tenures.last_mut() {
        None => Timestamp(0),
        Some(previous) => {
            // It cannot have had it before it was there, nor before the other one was gone.
            let created = holder.created().unwrap_or(now);
            let from = if now == Timestamp(0) { created } else { created.min(now) };
            let from = previous.until.filter(|until| *until < now).map_or(from, |until| from.max(until));
            if previous.until.is_none_or(|until| until < from) && now == Timestamp(0) {
                previous.until = Some(from);
            }
            from
        }
    };
    tenures.push(Tenure { from, until: None, pod: Some(Arc::clone(holder)) });
    tenures
}

/// Nobody has it any more.
fn end(before: &[Tenure], now: Timestamp) -> Vec<Tenure> {
    let mut tenures = recent(before, now);
    if let Some(last) = tenures.last_mut() {
        last.until.get_or_insert(now);
    }
    // What several said that they had is of none.
    tenures.retain(|tenure| tenure.pod.is_some());
    tenures
}

/// Without those that are too long ago, or too many.
fn recent(before: &[Tenure], now: Timestamp) -> Vec<Tenure> {
    let recent = before.iter().filter(|tenure| tenure.until.is_none_or(|until| until.0.saturating_add(KEPT) > now.0));
    let mut tenures: Vec<Tenure> = recent.cloned().collect();
    let excess = tenures.len().saturating_sub(MAX_FORMER);
    tenures.drain(..excess);
    tenures
}

impl Workload {
    /// A service, as the other end of a connection to its cluster address: which of its pods answered is not known.
    fn of_service(name: &ObjectName) -> Self {
        Self {
            service_name: name.name.clone(),
            namespace: Some(name.namespace.clone()),
            kind: WorkloadKind::Service,
            ..Self::default()
        }
    }

    /// A node: the kubelet, or any pod on its network.
    fn of_node(name: &str) -> Self {
        Self { service_name: name.to_owned(), kind: WorkloadKind::Node, ..Self::default() }
    }
}

#[cfg(test)]
mod tests;
