//! From what the cluster is to what this node does: plans for the workers, a scope for the kernel, a report for the elected agent, and statuses, if this
//! is the elected one.

use std::{
    collections::HashMap,
    future,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::sync::watch;

use super::policies::{ClusterPolicies, uids};
use crate::{
    admin::{Gate, Gauge, live::LiveState},
    capture::{
        Timestamp,
        kernel::{Membership, ScopeControl},
        tls::{follower::FollowerHandle, processes::Members},
    },
    export::LogSinks,
    kube::{
        Leadership, NodeReporter, PolicyObject, PolicyObjectRef, PolicyReport, Report, Reported, ReportsWatch,
        Snapshot, StatusWriter, Watches, proxies_note, refused_note,
    },
    policy::{
        Compiled, PlanStore, Plans, Reach,
        model::{PolicyKey, Tls},
        status::{NodeReport, statuses},
    },
    telemetry::metrics::Metrics,
    workload::{Attribution, mesh::Selection},
};

/// How often that is looked at of which nobody tells: lines that a rate limit refused.
const LOOK: Duration = Duration::from_secs(30);
/// Changes come in groups: a pod, its address, its cgroup.
const COLLECT: Duration = Duration::from_millis(50);

/// What no policy can have any more.
const TLS_FAILED: &str = "what is inside TLS is not read any more: what looks for TLS libraries failed";

/// What follows the cluster.
pub(super) struct Controller {
    /// Which node this is.
    pub(super) node: String,
    /// What the cluster is.
    pub(super) watches: Watches,
    /// By what the workers know whose a connection is; also the cgroups of this node's pods, if they are to be seen.
    pub(super) attribution: Attribution,
    /// What is asked for.
    pub(super) policies: ClusterPolicies,
    /// Where the workers look it up.
    pub(super) plans: Arc<PlanStore>,
    /// Where the kernel looks it up; `None` where nothing can be captured.
    pub(super) scope: Option<ScopeControl>,
    /// Where it is known whose TLS is read; `None` where that cannot be.
    pub(super) tls: Option<FollowerHandle>,
    /// What it was told last.
    pub(super) tls_members: Option<Members>,
    /// Why no policy can have what is inside TLS on this node; it is among [`Self::cannot_now`].
    pub(super) tls_refused: Option<String>,
    /// What no policy can ever have on this node.
    pub(super) cannot: Vec<String>,
    /// The same with what it cannot have now.
    pub(super) cannot_now: Vec<String>,
    /// What is told less exactly on this node.
    pub(super) notes: Vec<String>,
    /// Series of policies that are gone go.
    pub(super) series: Arc<Metrics>,
    /// Knows how many lines its limit refused.
    pub(super) sinks: Option<LogSinks>,
    /// Where policies may not send: to nodes.
    pub(super) reach: Reach,
    /// Tells the elected agent.
    pub(super) reporter: NodeReporter,
    /// Whether that is this one.
    pub(super) leadership: Leadership,
    /// What all nodes told, if it is.
    pub(super) reports: ReportsWatch,
    /// What the elected agent writes.
    pub(super) writer: StatusWriter,
    /// After which reports it wrote last.
    pub(super) told: Option<Arc<Reported>>,
    /// What people see.
    pub(super) live: LiveState,
    /// Opened when the first policies hold.
    pub(super) synced: Gate,
    /// How many pods are captured.
    pub(super) selected: Gauge,
}

impl Controller {
    /// Follows until `stop` changes.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut cgroups = self.attribution.cgroups.as_ref().map(|cgroups| cgroups.changes());
        let mut looks = tokio::time::interval(LOOK);
        let mut seen: Option<Arc<Snapshot>> = None;
        let mut is_open = false;
        loop {
            let mut is_due = false;
            tokio::select! {
                _ = stop.changed() => return,
                // The elected agent waits for the reports of nodes that are ready.
                () = self.reporter.reported(), if !is_open && seen.is_some() => {
                    self.synced.open();
                    is_open = true;
                    continue;
                }
                _ = self.watches.changed() => {}
                () = changed(&mut cgroups) => {}
                () = self.reports.changed() => {}
                // The writer has forgotten what was wanted if it saw that we did not lead, even for a moment.
                () = self.leadership.changed() => self.told = None,
                _ = looks.tick() => is_due = true,
            }
            tokio::select! {
                _ = stop.changed() => return,
                () = tokio::time::sleep(COLLECT) => {}
            }
            let snapshot = self.watches.snapshot();
            if snapshot.synced {
                // Many policies take long to compile, and exporters share the threads.
                tokio::task::block_in_place(|| self.follow(&snapshot, seen.as_deref(), is_due));
                seen = Some(snapshot);
            }
        }
    }

    /// `before` is what was followed last; `is_due` that what nobody tells of is to be looked at.
    fn follow(&mut self, snapshot: &Snapshot, before: Option<&Snapshot>, is_due: bool) {
        let is_new = before.is_none_or(|before| !std::ptr::eq(before, snapshot));
        if before.is_none_or(|before| asks_otherwise(before, snapshot)) {
            // Asked when policies are compiled.
            let nodes = snapshot.objects.nodes.values();
            self.reach.set_nodes(nodes.flat_map(|node| node.addresses.iter().copied()));
            self.policies.update(snapshot);
            // Both before the scope: what comes into it is somebody's, and has a plan, from its first byte on.
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.attribution.directory.update(&snapshot.objects, Timestamp(now.as_nanos() as u64));
            let plans = self.policies.plans();
            let (_, current) = self.plans.current();
            if before.is_none() || !plans.asks_the_same(&current) {
                self.series.retain(&plans);
                self.plans.replace(plans);
            }
            self.live.set_policies(Arc::clone(self.policies.compiled()));
        }
        let (_, plans) = self.plans.current();
        let (cannot, proxies) = self.select(&plans);
        if is_new || is_due || cannot != self.cannot_now {
            self.reporter.report(self.report(snapshot, &cannot, &proxies));
        }
        if cannot != self.cannot_now {
            self.live.set_cannot(cannot.clone());
            self.cannot_now = cannot;
        }
        self.write_statuses(snapshot, is_new);
    }

    /// Puts the pods of this node into scope of which something is asked. Returns why that is not possible, and how many pods of each policy are left
    /// out as proxies.
    fn select(&mut self, plans: &Plans) -> (Vec<String>, HashMap<PolicyKey, usize>) {
        let (mut cannot, mut proxies) = (self.cannot.clone(), HashMap::<PolicyKey, usize>::new());
        if self.tls.take_if(|tls| tls.has_failed()).is_some() {
            self.tls_refused = Some(TLS_FAILED.to_owned());
            self.cannot.push(TLS_FAILED.to_owned());
            cannot.clone_from(&self.cannot);
        }
        let (Some(scope), Some(cgroups)) = (&mut self.scope, &self.attribution.cgroups) else {
            return (cannot, proxies);
        };
        let (_, directory) = self.attribution.directory.current();
        let own = directory.pods().filter(|pod| pod.pod.node.as_deref() == Some(self.node.as_str()));
        let (mut wanted, mut pods) = (Vec::new(), 0_i64);
        let (mut inside_tls, mut beside) = (Vec::new(), Vec::new());
        for pod in own {
            let Selection { included, excluded, is_proxied } = Selection::of(pod, &directory, plans, cgroups);
            if is_proxied && let Some(policy) = &plans.of(Some(&pod.name)).policy {
                *proxies.entry(policy.clone()).or_default() += 1;
            }
            pods += i64::from(!included.is_empty());
            let membership = match plans.of(Some(&pod.name)).tls {
                Tls::Enabled => {
                    inside_tls.extend(included.iter().map(|directory| directory.path.clone()));
                    beside.extend(excluded.iter().map(|directory| directory.path.clone()));
                    Membership::Included
                }
                Tls::Disabled => Membership::IncludedPlain,
            };
            wanted.extend(included.into_iter().map(|directory| (directory.id, membership)));
            wanted.extend(excluded.into_iter().map(|directory| (directory.id, Membership::Excluded)));
        }
        self.selected.set(pods);
        if let Err(error) = scope.set(wanted) {
            let error = error.to_string();
            if !self.cannot_now.contains(&error) {
                tracing::error!("{error}; the others are captured");
            }
            cannot.push(error);
        }
        // After the scope: who starts from now on is told of by the kernel.
        if let Some(tls) = &self.tls {
            let members = Members::Cgroups { included: inside_tls, excluded: beside };
            if self.tls_members.as_ref() != Some(&members) {
                tls.set_members(members.clone());
                self.tls_members = Some(members);
            }
        }
        (cannot, proxies)
    }

    /// What this node acknowledges.
    fn report(&self, snapshot: &Snapshot, cannot: &[String], proxies: &HashMap<PolicyKey, usize>) -> Report {
        // The candidates are in the order of the policies.
        let policies = snapshot.policies.iter().zip(&self.policies.compiled().candidates).map(|(object, candidate)| {
            let refused = self.sinks.as_ref().map_or(0, |sinks| sinks.refused(&object.key));
            let left_out = proxies.get(&object.key).copied().unwrap_or(0);
            let counted = refused_note(refused).into_iter().chain(proxies_note(left_out));
            let report = NodeReport {
                generation: object.generation,
                cannot: asked_for(cannot, self.tls_refused.as_deref(), candidate.policy.spec.tls),
                notes: counted.chain(self.notes.iter().cloned()).collect(),
            };
            (object.key.clone(), PolicyReport { uid: object.uid.clone(), report })
        });
        Report { policies: policies.collect() }
    }

    /// On the elected agent. Nothing is written of which nothing changed.
    fn write_statuses(&mut self, snapshot: &Snapshot, is_new: bool) {
        let Some(reported) = self.reports.reported() else {
            self.told = None;
            return;
        };
        if !is_new && self.told.as_ref().is_some_and(|told| Arc::ptr_eq(told, &reported)) {
            return;
        }
        let uids = uids(snapshot);
        let nodes = reported.nodes(|key| uids.get(key).copied());
        let Compiled { candidates, objects, resolution, .. } = &**self.policies.compiled();
        let statuses = statuses(candidates, objects, resolution, Some(&nodes), jiff::Timestamp::now());
        self.writer.write(snapshot.policies.iter().map(PolicyObjectRef::from).zip(statuses).collect());
        self.told = Some(reported);
    }
}

/// Whether more than the statuses of policies differs.
fn asks_otherwise(before: &Snapshot, now: &Snapshot) -> bool {
    let same = |(before, now): (&Arc<PolicyObject>, &Arc<PolicyObject>)| {
        before.uid == now.uid && Arc::ptr_eq(&before.document, &now.document)
    };
    !Arc::ptr_eq(&before.objects, &now.objects)
        || before.dialects != now.dialects
        || before.policies.len() != now.policies.len()
        || !before.policies.iter().zip(&now.policies).all(same)
}

/// What of that a policy asks for: one that leaves out what is inside TLS does not miss it.
fn asked_for(cannot: &[String], inside_tls: Option<&str>, tls: Tls) -> Vec<String> {
    let is_asked_for = |what: &&String| tls == Tls::Enabled || inside_tls != Some(what.as_str());
    cannot.iter().filter(is_asked_for).cloned().collect()
}

/// Waits for cgroups to come or go.
async fn changed(changes: &mut Option<watch::Receiver<u64>>) {
    let gone = match changes {
        Some(changes) => changes.changed().await.is_err(),
        None => true,
    };
    if gone {
        future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_asks_for_what_is_inside_tls_misses_it() {
        let cannot = [TLS_FAILED.to_owned(), "another thing".to_owned()];
        assert_eq!(asked_for(&cannot, Some(TLS_FAILED), Tls::Enabled), cannot);
        assert_eq!(asked_for(&cannot, Some(TLS_FAILED), Tls::Disabled), ["another thing"]);
        assert_eq!(asked_for(&cannot, None, Tls::Disabled), cannot);
    }
}
