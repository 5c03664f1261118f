//! All watches together, and the snapshots that they give.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use kube::{Api, Client, core::ApiResource};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};

use super::{
    Snapshot,
    follow::follow,
    kinds::{Defined, Subject},
    received::{Peer, Whole},
    store::Store,
};
use crate::{
    admin::{Health, Sample, table},
    policy::model::Dialect,
};

/// What is watched.
#[derive(Clone, Debug)]
pub struct WatchSettings {
    /// The name of this node: of its pods everything is kept.
    pub node: String,
    /// Whether pods of other nodes are watched, to name peers.
    pub peers: bool,
}

/// Two snapshots are so far apart at least, for each so many objects: copying them must not take more than about a percent of this time.
const INTERVAL: Duration = Duration::from_millis(100);
const OBJECTS: usize = 5_000;
/// While lists come in, which they do object by object.
const LISTING_INTERVAL: Duration = Duration::from_millis(500);

/// What the tasks share.
#[derive(Debug)]
pub(super) struct Shared {
    store: Mutex<Store>,
    /// Something has changed.
    dirty: Notify,
    /// In which version each subject that needs a definition is served.
    versions: BTreeMap<Defined, watch::Sender<Option<String>>>,
    pub(super) health: Arc<Health>,
}

impl Shared {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known. `change` says whether it did.
    pub(super) fn change(&self, subject: Subject, change: impl FnOnce(&mut Store) -> bool) {
        let mut store = self.store();
        if !change(&mut store) {
            return;
        }
        if let Subject::Definition(defined) = subject
            && let Some(sender) = self.versions.get(&defined)
        {
            let version = store.version(defined);
            sender.send_if_modified(|known| {
                let is_new = known.as_deref() != version;
                if is_new {
                    *known = version.map(str::to_owned);
                }
                is_new
            });
        }
        drop(store);
        self.dirty.notify_one();
    }
}

/// A task that ends with its owner.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Task {
    /// Of a panic in it `/healthz` tells.
    fn start(name: &str, health: &Health, task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(health.liveness().task(&format!("watch of {name}"), task)))
    }

    /// Ends it, and waits until it has.
    async fn end(mut self) {
        self.0.abort();
        let _ = (&mut self.0).await;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Follows what the agent needs to know of its cluster. Clones see the same; the last one that is dropped ends the watches.
#[derive(Clone, Debug)]
pub struct Watches {
    shared: Arc<Shared>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    _tasks: Arc<Vec<Task>>,
}

impl Watches {
    /// Starts all watches on the current Tokio runtime.
    pub fn start(client: &Client, settings: WatchSettings, health: &Arc<Health>) -> Self {
        let WatchSettings { node, peers } = settings;
        let shared = Arc::new(Shared {
            store: Mutex::new(Store::new(node.clone())),
            dirty: Notify::new(),
            versions: Defined::ALL.into_iter().map(|defined| (defined, watch::Sender::new(None))).collect(),
            health: Arc::clone(health),
        });
        register(&shared);
        let (sender, snapshots) = watch::channel(Arc::default());
        let mut tasks = vec![Task::start("everything", health, publish(Arc::clone(&shared), sender))];
        for subject in [Subject::Pods, Subject::Namespaces, Subject::Nodes, Subject::Services] {
            tasks.push(watch(&shared, client, subject, subject.kind().versions[0], &node));
        }
        if peers {
            tasks.push(watch(&shared, client, Subject::Peers, Subject::Peers.kind().versions[0], &node));
        }
        for defined in Defined::ALL {
            let subject = Subject::Definition(defined);
            tasks.push(watch(&shared, client, subject, subject.kind().versions[0], &node));
            let watching = watch_while_defined(Arc::clone(&shared), client.clone(), defined, node.clone());
            tasks.push(Task::start(subject.label(), health, watching));
        }
        Self { shared, snapshots, _tasks: Arc::new(tasks) }
    }

    /// What is known now. Empty, and not `synced`, until all of it has been read once; peers are not waited for.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshots.borrow())
    }

    /// Waits for a snapshot that this handle did not wait for yet, and gives it.
    pub async fn changed(&mut self) -> Arc<Snapshot> {
        // The sender is a task that the handle keeps alive.
        if self.snapshots.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        Arc::clone(&self.snapshots.borrow_and_update())
    }

    /// What has not been read yet, while the snapshot is not synced: kinds, for messages.
    pub fn waiting(&self) -> Vec<&'static str> {
        let mut labels: Vec<_> = self.shared.store().waiting().into_iter().map(Subject::label).collect();
        labels.dedup();
        labels
    }
}

/// Starts the watch of a subject.
fn watch(shared: &Arc<Shared>, client: &Client, subject: Subject, version: &str, node: &str) -> Task {
    let kind = subject.kind();
    let api_version = if kind.group.is_empty() { version.to_owned() } else { format!("{}/{version}", kind.group) };
    let resource = ApiResource {
        group: kind.group.to_owned(),
        version: version.to_owned(),
        api_version,
        kind: kind.name.to_owned(),
        plural: kind.plural.to_owned(),
    };
    let (health, label) = (Arc::clone(&shared.health), subject.label());
    let (shared, client, fields) = (Arc::clone(shared), client.clone(), subject.fields(node));
    if subject == Subject::Peers {
        Task::start(label, &health, follow(shared, subject, Api::<Peer>::all_with(client, &resource), fields))
    } else {
        Task::start(label, &health, follow(shared, subject, Api::<Whole>::all_with(client, &resource), fields))
    }
}

/// Watches a subject as long as its definition is installed, in the version that it is served in.
async fn watch_while_defined(shared: Arc<Shared>, client: Client, defined: Defined, node: String) {
    let Some(sender) = shared.versions.get(&defined) else { return };
    let mut versions = sender.subscribe();
    let subject = defined.subject();
    let mut running: Option<Task> = None;
    loop {
        let version = versions.borrow_and_update().clone();
        if let Some(task) = running.take() {
            task.end().await;
            // In another version there are the same objects: what is known stays until they are listed, and only what the list does not name goes.
            if version.is_none() {
                shared.change(subject, |store| store.clear(subject));
            }
        }
        if let Some(version) = version {
            tracing::info!("following {} {version}", subject.label());
            running = Some(watch(&shared, &client, subject, &version, &node));
        }
        if versions.changed().await.is_err() {
            return;
        }
        if versions.borrow().is_none() {
            tracing::info!("{} are not installed any more", subject.label());
        }
    }
}

/// Gives a snapshot when something has changed, not too often.
async fn publish(shared: Arc<Shared>, sender: watch::Sender<Arc<Snapshot>>) {
    loop {
        shared.dirty.notified().await;
        let (mut snapshot, is_listing, objects) = {
            let store = shared.store();
            (store.snapshot(), store.is_listing(), store.len())
        };
        // Before all was read once, what is missing may only not have been read yet. Afterwards a kind that is installed later holds nothing up.
        snapshot.synced |= sender.borrow().synced;
        if snapshot.synced {
            sender.send_replace(Arc::new(snapshot));
        }
        let pause = INTERVAL * (objects / OBJECTS + 1) as u32;
        tokio::time::sleep(if is_listing { pause.max(LISTING_INTERVAL) } else { pause }).await;
    }
}

/// Metrics of what is held.
fn register(shared: &Arc<Shared>) {
    let weak: Weak<Shared> = Arc::downgrade(shared);
    shared.health.source(move |add| {
        let Some(shared) = weak.upgrade() else { return };
        let store = shared.store();
        for (subject, book) in store.books().filter(|(subject, _)| !matches!(subject, Subject::Definition(_))) {
            let mut one = |metric, value: f64| {
                add(Sample { metric, labels: vec![subject.label().to_owned()], value });
            };
            one(&table::KUBERNETES_OBJECTS, book.objects as f64);
            one(&table::KUBERNETES_OBJECT_BYTES, book.bytes as f64);
            one(&table::KUBERNETES_REFUSED, book.refused as f64);
        }
        let (sets, bytes) = store.labels();
        for (metric, value) in [(&table::KUBERNETES_OBJECTS, sets), (&table::KUBERNETES_OBJECT_BYTES, bytes)] {
            add(Sample { metric, labels: vec!["pod_labels".to_owned()], value: value as f64 });
        }
        let dialects = store.dialects();
        for dialect in Dialect::ALL.into_iter().filter(|dialect| dialects.contains_key(dialect)) {
            let labels = vec![dialect.group().to_owned()];
            let value = dialects[&dialect].pruned.len() as f64;
            add(Sample { metric: &table::POLICY_FIELDS_PRUNED, labels, value });
        }
    });
}
