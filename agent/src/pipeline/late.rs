//! Exchanges that are over before it is known whose they are.

use std::{collections::VecDeque, net::IpAddr, sync::Arc};

use foldhash::{HashMap, HashSet};

use crate::{
    admin::{Counter, Gauge, Health, table},
    capture::{ConnectionId, Open, Timestamp},
    exchange::{Connection, Exchange},
    policy::Plan,
    workload::{Missing, Peer, Registry, Workload},
};

/// How long an exchange waits: the API tells of the address of a pod and of the id of a container a second or two after they are in use.
pub(super) const PATIENCE: u64 = 5_000_000_000;
/// The most exchanges of one worker that wait; beyond it the oldest goes as it is.
pub(super) const MAX_WAITING: usize = 1024;
/// Addresses, and cgroups of containers, that were waited for in vain.
const MAX_GIVEN_UP: usize = 4096;
/// How long they are not waited for again.
const GIVEN_UP_FOR: u64 = 600 * 1_000_000_000;

/// What is not known of whose a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unknown {
    local: Missing,
    peer: PeerState,
    is_proxy: bool,
    /// The generation of attribution that it was last asked of.
    asked: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PeerState {
    Known,
    Unknown,
    /// Unknown, and worth waiting for.
    Awaited,
}

/// Whose a connection is, as far as that is known.
pub(super) struct Whose {
    pub(super) workload: Arc<Workload>,
    pub(super) peer: Option<Arc<Workload>>,
    pub(super) unknown: Unknown,
}

impl Whose {
    /// Of a connection that was `former`'s: it stays a pod's whose object is gone by now, as a pod that is deleted goes while its last exchanges are
    /// told of. The process never is another pod's.
    pub(super) fn or_former(mut self, former: &Arc<Workload>, was_proxy: bool) -> Self {
        if self.unknown.local == Missing::Pod && former.pod.is_some() {
            self.workload = Arc::clone(former);
            self.unknown.local = Missing::Nothing;
            self.unknown.is_proxy = was_proxy;
        }
        self
    }
}

impl Unknown {
    fn is_everything_known(self) -> bool {
        self.local == Missing::Nothing && self.peer == PeerState::Known
    }

    /// Whether more may be known than when it was last asked.
    pub(super) fn may_be_known(self, registry: &Registry) -> bool {
        !self.is_everything_known() && registry.attribution().generation() != self.asked
    }

    /// Whether it is of a proxy beside an application, as far as is known.
    pub(super) fn is_proxy(self) -> bool {
        self.is_proxy
    }

    /// Whether its pod is not known.
    pub(super) fn is_podless(self) -> bool {
        self.local == Missing::Pod
    }
}

/// What was waited for in vain, and is not again for a while: an address of a node's bridge, a container that the API does not name any more since
/// another one took its place.
#[derive(Default)]
struct GivenUp {
    addresses: HashSet<IpAddr>,
    /// Those of containers.
    cgroups: HashSet<u64>,
    since: Option<Timestamp>,
}

impl GivenUp {
    fn add(&mut self, open: &Open, unknown: Unknown, now: Timestamp) {
        if self.addresses.len() + self.cgroups.len() >= MAX_GIVEN_UP {
            *self = Self::default();
        }
        self.since.get_or_insert(now);
        if unknown.peer == PeerState::Awaited {
            self.addresses.insert(open.peer.ip());
        }
        if unknown.local == Missing::Container {
            self.cgroups.extend(open.cgroup);
        }
    }

    /// Addresses come to be of pods, and ids of cgroups are given again.
    fn expire(&mut self, now: Timestamp) {
        if self.since.is_some_and(|since| now.0.saturating_sub(since.0) >= GIVEN_UP_FOR) {
            *self = Self::default();
        }
    }
}

struct Waiting {
    connection: ConnectionId,
    exchange: Exchange,
    plan: Arc<Plan>,
    began: Timestamp,
    since: Timestamp,
}

/// What waits, in the order in which it was over.
pub(super) struct Late {
    waiting: VecDeque<Waiting>,
    by_connection: HashMap<ConnectionId, u32>,
    given_up: GivenUp,
    generation: u64,
    length: Gauge,
    attributed: Counter,
    timed_out: Counter,
    crowded_out: Counter,
}

impl Late {
    pub(super) fn new(health: &Arc<Health>) -> Self {
        Self {
            waiting: VecDeque::new(),
            by_connection: HashMap::default(),
            given_up: GivenUp::default(),
            generation: 0,
            length: health.gauge(&table::ATTRIBUTION_WAITING, &[]),
            attributed: health.counter(&table::ATTRIBUTION_LATE, &[]),
            timed_out: health.counter(&table::ATTRIBUTION_GIVEN_UP, &["time"]),
            crowded_out: health.counter(&table::ATTRIBUTION_GIVEN_UP, &["room"]),
        }
    }

    /// Whose a connection is that began then.
    pub(super) fn whose(&self, registry: &mut Registry, open: &Open, began: Timestamp) -> Whose {
        // Before the answers: what comes meanwhile is asked for again.
        let asked = registry.attribution().generation();
        let local = registry.local(open);
        let (peer, state) = match registry.peer(open, began) {
            Peer::Known(workload) => (Some(workload), PeerState::Known),
            Peer::Unknown { may_come: true } if !self.given_up.addresses.contains(&open.peer.ip()) => {
                (None, PeerState::Awaited)
            }
            Peer::Unknown { .. } => (None, PeerState::Unknown),
        };
        let unknown = Unknown { local: local.missing, peer: state, is_proxy: local.is_proxy, asked };
        Whose { workload: local.workload, peer, unknown }
    }

    /// Whether the exchanges of a connection of which this is unknown wait.
    pub(super) fn is_worth_waiting(&self, unknown: Unknown, open: &Open) -> bool {
        let GivenUp { addresses, cgroups, .. } = &self.given_up;
        let peer = unknown.peer == PeerState::Awaited && !addresses.contains(&open.peer.ip());
        let container = unknown.local == Missing::Container && !open.cgroup.is_some_and(|id| cgroups.contains(&id));
        container || peer
    }

    /// Whether an exchange of this connection waits.
    pub(super) fn holds(&self, connection: ConnectionId) -> bool {
        !self.by_connection.is_empty() && self.by_connection.contains_key(&connection)
    }

    /// An exchange waits. Returns the one that makes room for it.
    pub(super) fn hold(
        &mut self,
        connection: ConnectionId,
        exchange: Exchange,
        plan: &Arc<Plan>,
        began: Timestamp,
    ) -> Option<(Exchange, Arc<Plan>)> {
        let crowded = self.waiting.len() >= MAX_WAITING;
        let oldest = if crowded { self.waiting.pop_front().map(|oldest| self.leave(oldest)) } else { None };
        if oldest.is_some() {
            self.crowded_out.add(1);
        }
        *self.by_connection.entry(connection).or_default() += 1;
        let since = exchange.end;
        self.waiting.push_back(Waiting { connection, exchange, plan: Arc::clone(plan), began, since });
        self.length.set(self.waiting.len() as i64);
        oldest
    }

    /// Those of one connection: it is known now, or nothing more is waited for. `whose` replaces what they were known by.
    pub(super) fn release(
        &mut self,
        connection: ConnectionId,
        whose: &Connection,
        record: &mut impl FnMut(Exchange, Arc<Plan>),
    ) {
        for mut waiting in std::mem::take(&mut self.waiting) {
            if waiting.connection == connection {
                attribute(&mut waiting.exchange, &whose.workload, whose.peer.as_ref());
                self.attributed.add(1);
                let (exchange, plan) = self.leave(waiting);
                record(exchange, plan);
            } else {
                self.waiting.push_back(waiting);
            }
        }
        self.length.set(self.waiting.len() as i64);
    }

    /// It is now `now`: those of which everything is known by now go, and those that waited long enough.
    pub(super) fn tick(
        &mut self,
        now: Timestamp,
        registry: &mut Registry,
        record: &mut impl FnMut(Exchange, Arc<Plan>),
    ) {
        self.given_up.expire(now);
        if self.waiting.is_empty() {
            return;
        }
        let generation = registry.attribution().generation();
        let more = generation != self.generation;
        self.generation = generation;
        for mut waiting in std::mem::take(&mut self.waiting) {
            let long = now.0.saturating_sub(waiting.since.0) >= PATIENCE;
            if !more && !long {
                self.waiting.push_back(waiting);
                continue;
            }
            let Connection { open, workload, .. } = &*waiting.exchange.connection;
            // Nothing of a proxy waits.
            let whose = self.whose(registry, open, waiting.began).or_former(workload, false);
            let worth = self.is_worth_waiting(whose.unknown, open);
            if worth && !long {
                self.waiting.push_back(waiting);
                continue;
            }
            if worth {
                self.timed_out.add(1);
                self.given_up.add(open, whose.unknown, now);
            } else {
                self.attributed.add(1);
            }
            attribute(&mut waiting.exchange, &whose.workload, whose.peer.as_ref());
            let (exchange, plan) = self.leave(waiting);
            record(exchange, plan);
        }
        self.length.set(self.waiting.len() as i64);
    }

    /// Nothing is waited for any more.
    pub(super) fn finish(&mut self, registry: &mut Registry, record: &mut impl FnMut(Exchange, Arc<Plan>)) {
        self.tick(Timestamp(u64::MAX), registry, record);
    }

    fn leave(&mut self, waiting: Waiting) -> (Exchange, Arc<Plan>) {
        if let Some(count) = self.by_connection.get_mut(&waiting.connection) {
            *count -= 1;
            if *count == 0 {
                self.by_connection.remove(&waiting.connection);
            }
        }
        (waiting.exchange, waiting.plan)
    }
}

/// The exchange is theirs.
pub(super) fn attribute(exchange: &mut Exchange, workload: &Arc<Workload>, peer: Option<&Arc<Workload>>) {
    let same_peer = match (&exchange.connection.peer, peer) {
        (None, None) => true,
        (Some(known), Some(peer)) => Arc::ptr_eq(known, peer),
        _ => false,
    };
    if same_peer && Arc::ptr_eq(&exchange.connection.workload, workload) {
        return;
    }
    let connection = Arc::make_mut(&mut exchange.connection);
    connection.workload = Arc::clone(workload);
    connection.peer = peer.map(Arc::clone);
}

#[cfg(test)]
mod tests;
