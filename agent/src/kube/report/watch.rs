//! What all nodes report, for the elected agent.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    future,
    pin::pin,
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::{Stream, StreamExt as _};
use k8s_openapi::api::{coordination::v1::Lease, core::v1::Pod};
use kube::{
    Api, Client, Resource,
    runtime::{WatchStreamExt as _, watcher},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    AGENT_PODS, LABEL, LEFT_OUT, POLICIES, REMARKS,
    content::{self, Followed},
};
use crate::{
    admin::Health,
    kube::Leadership,
    policy::{
        model::PolicyKey,
        status::{NodeReports, Nodes, Remarks},
    },
};

/// Changes are collected for so long: all nodes report a new policy within a moment.
const COLLECT: Duration = Duration::from_millis(200);

/// Watches what nodes report while this agent is the elected one: the others need not know, and there are many of them.
#[derive(Debug)]
pub struct ReportsWatch {
    leadership: Leadership,
    reported: watch::Receiver<Option<Arc<Reported>>>,
    task: tokio::task::JoinHandle<()>,
}

impl ReportsWatch {
    /// Starts on the current tokio runtime, in the namespace of the installation.
    pub fn start(client: Client, namespace: &str, leadership: Leadership, health: &Health) -> Self {
        let (publish, reported) = watch::channel(None);
        let watching = Watching {
            leases: Api::namespaced(client.clone(), namespace),
            pods: Api::namespaced(client, namespace),
            leadership: leadership.clone(),
            publish,
        };
        let task = health.liveness().task("watch of reports", watching.run());
        Self { leadership, reported, task: tokio::spawn(task) }
    }

    /// What all nodes reported; `None` while this agent is not the elected one, or does not know yet. Then no status is to be written.
    pub fn reported(&self) -> Option<Arc<Reported>> {
        self.reported.borrow().clone().filter(|_| self.leadership.is_leader())
    }

    /// Waits until that changes. What changed before the last call is not waited for.
    pub async fn changed(&mut self) {
        if self.reported.changed().await.is_err() {
            future::pending::<()>().await;
        }
    }
}

impl Drop for ReportsWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What all nodes reported.
#[derive(Debug, Default, PartialEq)]
pub struct Reported {
    ready: BTreeSet<String>,
    nodes: BTreeMap<String, OfNode>,
}

/// What one node reported. Nodes that say the same share it.
#[derive(Clone, Debug, PartialEq)]
struct OfNode {
    followed: Arc<Followed>,
    remarks: Arc<BTreeMap<PolicyKey, Remarks>>,
    left_out: usize,
}

impl Reported {
    /// For [`statuses`](crate::policy::status::statuses()). `uid` gives `metadata.uid` of the policies that there are: what a node said about one
    /// that was deleted and made again by the same name does not count.
    pub fn nodes<'a>(&self, uid: impl Fn(&PolicyKey) -> Option<&'a str>) -> Nodes {
        let mut same: HashMap<*const Followed, Arc<BTreeMap<PolicyKey, i64>>> = HashMap::new();
        let reports = self.nodes.iter().map(|(node, of)| {
            let generations =
                same.entry(Arc::as_ptr(&of.followed)).or_insert_with(|| content::generations(&of.followed, &uid));
            let generations = Arc::clone(generations);
            (node.clone(), NodeReports { generations, remarks: Arc::clone(&of.remarks), left_out: of.left_out })
        });
        Nodes { ready: self.ready.clone(), reports: reports.collect() }
    }
}

/// Values made of the same text once.
struct Interned<T>(HashMap<String, Weak<T>>);

impl<T> Interned<T> {
    fn of(&mut self, text: &str, read: impl FnOnce(&str) -> T) -> Arc<T> {
        if let Some(known) = self.0.get(text).and_then(Weak::upgrade) {
            return known;
        }
        self.0.retain(|_, known| known.strong_count() > 0);
        let value = Arc::new(read(text));
        self.0.insert(text.to_owned(), Arc::downgrade(&value));
        value
    }
}

/// A picture of watched objects: by name, what is of interest.
struct Picture<T> {
    now: BTreeMap<String, T>,
    /// What the watch lists anew after it lost its place; the old picture stays until that is complete.
    listing: BTreeMap<String, T>,
    is_complete: bool,
}

impl<T> Picture<T> {
    fn new() -> Self {
        Self { now: BTreeMap::new(), listing: BTreeMap::new(), is_complete: false }
    }

    /// Takes an event in. Whether it may have changed the picture.
    fn event<K: Resource>(&mut self, event: watcher::Event<K>, mut read: impl FnMut(&K) -> Option<T>) -> bool {
        let name = |object: &K| object.meta().name.clone().unwrap_or_default();
        match event {
            watcher::Event::Init => self.listing.clear(),
            watcher::Event::InitApply(object) => {
                if let Some(value) = read(&object) {
                    self.listing.insert(name(&object), value);
                }
            }
            watcher::Event::InitDone => {
                self.now = std::mem::take(&mut self.listing);
                self.is_complete = true;
                return true;
            }
            watcher::Event::Apply(object) => {
                match read(&object) {
                    Some(value) => self.now.insert(name(&object), value),
                    None => self.now.remove(&name(&object)),
                };
                return true;
            }
            watcher::Event::Delete(object) => return self.now.remove(&name(&object)).is_some(),
        }
        false
    }
}

struct Watching {
    leases: Api<Lease>,
    pods: Api<Pod>,
    leadership: Leadership,
    publish: watch::Sender<Option<Arc<Reported>>>,
}

impl Watching {
    async fn run(mut self) {
        loop {
            while !self.leadership.is_leader() {
                self.leadership.changed().await;
            }
            let label = format!("{}={}", LABEL.0, LABEL.1);
            let leases = watcher(self.leases.clone(), watcher::Config::default().labels(&label)).default_backoff();
            let pods = watcher(self.pods.clone(), watcher::Config::default().labels(AGENT_PODS)).default_backoff();
            self.watch(leases, pods).await;
            self.publish.send_if_modified(|before| before.take().is_some());
        }
    }

    /// As long as this agent is the elected one.
    async fn watch(
        &mut self,
        leases: impl Stream<Item = watcher::Result<watcher::Event<Lease>>>,
        pods: impl Stream<Item = watcher::Result<watcher::Event<Pod>>>,
    ) {
        let (mut leases, mut pods) = (pin!(leases), pin!(pods));
        let (mut reports, mut agents) = (Picture::new(), Picture::new());
        let mut followed = Interned(HashMap::new());
        let mut remarks = Interned(HashMap::new());
        let mut publish_at: Option<Instant> = None;
        let mut failing = false;
        while self.leadership.is_leader() {
            let timer = async {
                match publish_at {
                    Some(at) => sleep_until(at).await,
                    None => future::pending().await,
                }
            };
            let changed = tokio::select! {
                () = self.leadership.changed() => continue,
                Some(event) = leases.next() => event.map(|event| {
                    reports.event(event, |lease| {
                        let (node, text, of) = annotations(lease)?;
                        let [policies, said] = text;
                        let followed = followed.of(policies, content::followed);
                        Some((node, OfNode { followed, remarks: remarks.of(said, content::remarks), left_out: of }))
                    })
                }),
                Some(event) = pods.next() => event.map(|event| agents.event(event, ready_node)),
                () = timer => {
                    publish_at = None;
                    self.publish(&reports, &agents);
                    Ok(false)
                }
            };
            match changed {
                Ok(changed) => {
                    failing = false;
                    if changed && reports.is_complete && agents.is_complete {
                        publish_at = publish_at.or_else(|| Some(Instant::now() + COLLECT));
                    }
                }
                // The picture stays as it is.
                Err(error) if !std::mem::replace(&mut failing, true) => {
                    tracing::warn!("cannot watch the reports of nodes: {error}; tried again until it works");
                }
                Err(error) => tracing::debug!("cannot watch the reports of nodes: {error}"),
            }
        }
    }

    fn publish(&self, reports: &Picture<(String, OfNode)>, agents: &Picture<String>) {
        let reported =
            Reported { ready: agents.now.values().cloned().collect(), nodes: reports.now.values().cloned().collect() };
        self.publish.send_if_modified(|before| {
            let changed = before.as_deref() != Some(&reported);
            if changed {
                *before = Some(Arc::new(reported));
            }
            changed
        });
    }
}

/// The node of a report, its two annotations, and how many policies it has no room for.
fn annotations(lease: &Lease) -> Option<(String, [&str; 2], usize)> {
    let node = lease.spec.as_ref()?.holder_identity.clone()?;
    let of = |name: &str| lease.metadata.annotations.as_ref()?.get(name).map(String::as_str);
    let left_out = of(LEFT_OUT).and_then(|number| number.parse().ok()).unwrap_or_default();
    Some((node, [of(POLICIES)?, of(REMARKS).unwrap_or_default()], left_out))
}

/// The node of an agent's pod that is ready and stays.
fn ready_node(pod: &Pod) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.iter().flatten();
    let is_ready = conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    let stays = pod.metadata.deletion_timestamp.is_none();
    (is_ready && stays).then(|| pod.spec.as_ref()?.node_name.clone()).flatten()
}
