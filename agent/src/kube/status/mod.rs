//! Writes the status of policies, while this agent is the elected one.
//!
//! Several controllers write into one status, and its list of entries is one atomic field: it is read, changed and replaced with the
//! `resourceVersion` that was read (POLICY.md section 2).

mod entry;
mod event;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    future,
    sync::Arc,
    time::Duration,
};

use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, ObjectMeta, PostParams, TypeMeta},
};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

pub use self::entry::PolicyObjectRef;
use self::{entry::Entry, event::Events};
use super::{
    Leadership, clock,
    failure::{Failure, Writes, within},
};
use crate::{
    admin::{Gauge, Health, table},
    policy::{
        api::status::PolicyStatus,
        model::{Dialect, KIND, PolicyKey},
    },
};

/// A request that is not answered by then is sent again.
const REQUEST: Duration = Duration::from_secs(10);
/// How often one policy is read again in a row since others write it at the same time.
const MAX_CONFLICTS: u32 = 5;
/// Between two writes in the long run, and how many may come at once.
const SPACING: Duration = Duration::from_millis(20);
const BURST: u32 = 50;

/// The statuses that are wanted, each with the policy that it is of.
type Wanted = Arc<Vec<(PolicyObjectRef, PolicyStatus)>>;

/// Writes statuses on the elected agent; on others it does nothing. Dropping it ends that.
#[derive(Debug)]
pub struct StatusWriter {
    wanted: watch::Sender<Wanted>,
    task: tokio::task::JoinHandle<()>,
}

impl StatusWriter {
    /// Starts on the current tokio runtime. `identity` is what events name as their source: the pod.
    pub fn start(client: Client, identity: &str, leadership: Leadership, health: &Arc<Health>) -> Self {
        let (wanted, receiver) = watch::channel(Wanted::default());
        let writing = Writing {
            events: Events::new(client.clone(), identity, health),
            client,
            leadership,
            entries: HashMap::new(),
            paused: Instant::now(),
            rate: Rate::new(Instant::now()),
            writes: Writes::new("status", health),
            queued: health.gauge(&table::QUEUE_LENGTH, &["status"]),
            failing: false,
        };
        let task = health.liveness().task("writer of statuses", writing.run(receiver));
        Self { wanted, task: tokio::spawn(task) }
    }

    /// Has these written where they are not what is there: all policies that there are, each with what
    /// [`statuses`](crate::policy::status::statuses()) says. The newest call counts; a policy that is not in it is not written. To be called by the
    /// elected agent only, each time that policies (their statuses too), what they depend on, or what nodes reported changed.
    pub fn write(&self, statuses: Vec<(PolicyObjectRef, PolicyStatus)>) {
        self.wanted.send_replace(Arc::new(statuses));
    }
}

impl Drop for StatusWriter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Lets so many through at once, and then one in a while.
struct Rate {
    /// When the burst is whole again.
    whole: Instant,
}

impl Rate {
    const fn new(now: Instant) -> Self {
        Self { whole: now }
    }

    /// When the next may go.
    fn next(&self, now: Instant) -> Instant {
        self.whole.checked_sub(SPACING * BURST).map_or(now, |at| at.max(now))
    }

    fn take(&mut self, now: Instant) {
        self.whole = self.whole.max(now) + SPACING;
    }
}

struct Writing {
    client: Client,
    leadership: Leadership,
    events: Events,
    entries: HashMap<PolicyKey, Entry>,
    /// The server had a problem: nothing is sent before.
    paused: Instant,
    rate: Rate,
    writes: Writes,
    queued: Gauge,
    /// Whether that is in the log already.
    failing: bool,
}

impl Writing {
    async fn run(mut self, mut wanted: watch::Receiver<Wanted>) {
        loop {
            let now = Instant::now();
            // Who does not lead does nothing about them until it is told of its leadership, which it is after every lapse: they stay due.
            let due = self.entries.iter().filter(|_| self.leadership.is_leader());
            let next = due.filter_map(|(key, entry)| Some((entry.due?, key))).min();
            let next = next.map(|(due, key)| (due.max(self.paused).max(self.rate.next(now)), key.clone()));
            self.queued.set(self.entries.values().filter(|entry| entry.due.is_some()).count() as i64);
            let turn = async {
                match next {
                    Some((at, key)) => {
                        sleep_until(at).await;
                        key
                    }
                    None => future::pending().await,
                }
            };
            tokio::select! {
                changed = wanted.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let wanted = Arc::clone(&wanted.borrow_and_update());
                    self.want(&wanted);
                }
                () = self.leadership.changed() => {
                    // What was wanted before is not known to be wanted now.
                    if !self.leadership.is_leader() {
                        self.entries.clear();
                    }
                }
                key = turn => self.work(&key).await,
            }
        }
    }

    fn want(&mut self, wanted: &Wanted) {
        if !self.leadership.is_leader() {
            self.entries.clear();
            return;
        }
        let now = Instant::now();
        let keys: HashSet<&PolicyKey> = wanted.iter().map(|(object, _)| &object.key).collect();
        self.entries.retain(|key, _| keys.contains(key));
        for (object, ours) in wanted.iter() {
            let (object, ours) = (object.clone(), ours.clone());
            match self.entries.get_mut(&object.key) {
                Some(entry) if entry.object().uid == object.uid => entry.want(object, ours, now),
                _ => {
                    self.entries.insert(object.key.clone(), Entry::new(object, ours, now));
                }
            }
        }
    }

    /// Does what is to do about one policy.
    async fn work(&mut self, key: &PolicyKey) {
        let api = self.api(key);
        for conflicts in 0..=MAX_CONFLICTS {
            let Some(entry) = self.entries.get_mut(key).filter(|_| self.leadership.is_leader()) else { return };
            entry.due = None;
            let todo = entry.todo(Instant::now());
            if !todo.tell.is_empty() {
                let told = self.events.no_room(entry.object(), &todo.tell).await;
                if told || todo.status.is_some() {
                    entry.told(todo.tell, Instant::now());
                } else {
                    entry.failed(Instant::now());
                }
            }
            let Some(status) = todo.status else { return };
            // Asked right before, since the time of an election may end while we wait for anything.
            if !self.leadership.is_leader() {
                entry.due = Some(Instant::now());
                return;
            }
            self.rate.take(Instant::now());
            let answer =
                within(REQUEST, api.replace_status(&key.name, &PostParams::default(), &body(entry.object(), &status)))
                    .await;
            match answer {
                Ok(object) => {
                    self.writes.written();
                    self.failing = false;
                    tracing::debug!("wrote the status of {key}");
                    return entry.written(reference(key, &object), Instant::now());
                }
                Err((failure, message)) => {
                    self.writes.failed(failure);
                    match failure {
                        Failure::Conflict if conflicts < MAX_CONFLICTS => {}
                        // It was deleted, as the watch is about to show.
                        Failure::NotFound => return,
                        Failure::Refused => {
                            tracing::warn!("the API server refuses the status of {key}: {message}");
                            return entry.settle();
                        }
                        _ => return self.failed(key, failure, &message),
                    }
                }
            }
            sleep(Duration::from_millis(10 << conflicts).mul_f64(clock::chance())).await;
            match within(REQUEST, api.get_opt(&key.name)).await {
                Ok(Some(object)) if object.metadata.uid.as_deref() == self.uid(key) => {
                    if let Some(entry) = self.entries.get_mut(key) {
                        entry.read(reference(key, &object));
                    }
                }
                // Another by the same name, or none: the watch is about to show.
                Ok(_) => return,
                Err((failure, message)) => return self.failed(key, failure, &message),
            }
        }
    }

    fn uid(&self, key: &PolicyKey) -> Option<&str> {
        self.entries.get(key).map(|entry| entry.object().uid.as_str())
    }

    /// It is tried again later; where it is about the server and not about this policy, nothing is sent before then.
    fn failed(&mut self, key: &PolicyKey, failure: Failure, message: &str) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        let again = entry.failed(Instant::now());
        if failure.is_of_the_server() {
            self.paused = again;
        }
        if std::mem::replace(&mut self.failing, true) {
            tracing::debug!("cannot write the status of {key}: {message}");
        } else {
            tracing::warn!("cannot write the status of {key}: {message}; tried again until it works");
        }
    }

    fn api(&self, key: &PolicyKey) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &key.namespace, &resource(key.dialect))
    }
}

/// How the API serves a dialect.
fn resource(dialect: Dialect) -> ApiResource {
    let api_version = dialect.api_version();
    ApiResource {
        group: dialect.group().to_owned(),
        version: api_version.rsplit('/').next().unwrap_or_default().to_owned(),
        api_version: api_version.to_owned(),
        kind: KIND.to_owned(),
        plural: "telemetrypolicies".to_owned(),
    }
}

/// What replaces the status: of the rest of an object, the server takes nothing from there.
fn body(object: &PolicyObjectRef, status: &Value) -> DynamicObject {
    let PolicyObjectRef { key, uid, version, .. } = object;
    DynamicObject {
        types: Some(TypeMeta { api_version: key.dialect.api_version().to_owned(), kind: KIND.to_owned() }),
        metadata: ObjectMeta {
            name: Some(key.name.clone()),
            namespace: Some(key.namespace.clone()),
            uid: Some(uid.clone()),
            resource_version: Some(version.clone()),
            ..ObjectMeta::default()
        },
        data: json!({ "status": status }),
    }
}

fn reference(key: &PolicyKey, object: &DynamicObject) -> PolicyObjectRef {
    let metadata = json!({ "uid": object.metadata.uid, "resourceVersion": object.metadata.resource_version });
    PolicyObjectRef::new(key.clone(), &json!({ "metadata": metadata, "status": object.data["status"] }))
}
