//! Keeps this node's Lease at what the agent says.

use std::{collections::BTreeMap, future, pin::pin, sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use k8s_openapi::{
    api::{
        coordination::v1::{Lease, LeaseSpec},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference},
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::PostParams,
    runtime::{WatchStreamExt as _, watcher},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{LABEL, LEFT_OUT, POLICIES, REMARKS, Report, lease_name};
use crate::{
    admin::Health,
    kube::{
        backoff::Backoff,
        failure::{Failure, Writes, within},
        known::Known,
    },
};

/// A request that is not answered by then is sent again.
const REQUEST: Duration = Duration::from_secs(10);
/// Between two writes: policies are often applied several at a time.
const SPACING: Duration = Duration::from_secs(1);
/// Between two writes that change notes only.
const NOTES_SPACING: Duration = Duration::from_secs(30);

/// Whose reports they are.
#[derive(Clone, Debug)]
pub struct NodeReporterSettings {
    /// The namespace of the installation.
    pub namespace: String,
    /// The node.
    pub node: String,
    /// The agent's pod, with which the report goes; `None` where it is in none.
    pub pod: Option<String>,
}

/// Reports what this node does. Dropping it ends that; the report stays until its pod is gone.
#[derive(Debug)]
pub struct NodeReporter {
    report: watch::Sender<Option<Arc<Report>>>,
    reported: watch::Receiver<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl NodeReporter {
    /// Starts on the current tokio runtime. Nothing is written before the first report.
    pub fn start(client: Client, settings: NodeReporterSettings, health: &Arc<Health>) -> Self {
        let (report, wanted) = watch::channel(None);
        let (done, reported) = watch::channel(false);
        let writer = Writer {
            leases: Api::namespaced(client.clone(), &settings.namespace),
            pods: Api::namespaced(client, &settings.namespace),
            name: lease_name(&settings.node),
            settings,
            owner: None,
            known: Known::Unread,
            listed: false,
            content: None,
            written: None,
            not_before: Instant::now(),
            last: None,
            backoff: Backoff::default(),
            writes: Writes::new("report", health),
            log: Log::default(),
        };
        let task = tokio::spawn(health.liveness().task("reporter", writer.run(wanted, done)));
        Self { report, reported, task }
    }

    /// Reports this instead of what was reported before. It is written soon, if it is not what the API server has; many changes are one write.
    pub fn report(&self, report: Report) {
        self.report.send_if_modified(|before| {
            let changed = before.as_deref() != Some(&report);
            if changed {
                *before = Some(Arc::new(report));
            }
            changed
        });
    }

    /// Whether what was reported last is with the API server: a node should not be ready before its first report is.
    pub fn is_reported(&self) -> bool {
        *self.reported.borrow()
    }

    /// Waits until it is.
    pub async fn reported(&self) {
        let mut reported = self.reported.clone();
        if reported.wait_for(|reported| *reported).await.is_err() {
            future::pending::<()>().await;
        }
    }
}

impl Drop for NodeReporter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What is in the log already.
#[derive(Default)]
struct Log {
    failing: bool,
    replaced: bool,
}

struct Writer {
    settings: NodeReporterSettings,
    leases: Api<Lease>,
    pods: Api<Pod>,
    name: String,
    /// Our pod.
    owner: Option<OwnerReference>,
    /// The Lease as it was seen last.
    known: Known<Lease>,
    /// Whether it was among those that the watch began with.
    listed: bool,
    /// What is wanted, as annotations.
    content: Option<(Arc<Report>, BTreeMap<String, String>)>,
    /// What was written last by us.
    written: Option<Arc<Report>>,
    /// Nothing is sent before.
    not_before: Instant,
    /// When it was written last by us.
    last: Option<Instant>,
    backoff: Backoff,
    writes: Writes,
    log: Log,
}

impl Writer {
    async fn run(mut self, mut wanted: watch::Receiver<Option<Arc<Report>>>, done: watch::Sender<bool>) {
        self.find_owner().await;
        let fields = format!("metadata.name={}", self.name);
        let mut events =
            pin!(watcher(self.leases.clone(), watcher::Config::default().fields(&fields)).default_backoff());
        loop {
            let report = wanted.borrow_and_update().clone();
            if let Some(report) = report
                && self.content.as_ref().is_none_or(|(known, _)| !Arc::ptr_eq(known, &report))
            {
                let annotations = report.annotations();
                self.content = Some((report, annotations));
            }
            let is_written = self.is_written();
            done.send_if_modified(|before| std::mem::replace(before, is_written) != is_written);
            let due = self.due();
            let timer = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => future::pending().await,
                }
            };
            tokio::select! {
                changed = wanted.changed() => if changed.is_err() { return },
                Some(event) = events.next() => self.watched(event),
                () = timer => self.write().await,
            }
        }
    }

    /// The agent's pod becomes the owner: what it said goes with it.
    async fn find_owner(&mut self) {
        let Some(pod) = self.settings.pod.clone() else { return };
        loop {
            match within(REQUEST, self.pods.get_opt(&pod)).await {
                Ok(found) => {
                    self.owner = found.and_then(|pod| {
                        Some(OwnerReference {
                            api_version: "v1".to_owned(),
                            kind: "Pod".to_owned(),
                            name: pod.metadata.name?,
                            uid: pod.metadata.uid?,
                            ..OwnerReference::default()
                        })
                    });
                    if self.owner.is_none() {
                        tracing::warn!(
                            "there is no pod {pod} in namespace {}; this node's report will stay after the agent",
                            self.settings.namespace
                        );
                    }
                    self.backoff.worked();
                    return;
                }
                Err((_, message)) => {
                    self.failing(&format!("cannot read the agent's pod {pod}: {message}"));
                    tokio::time::sleep(self.backoff.failed()).await;
                }
            }
        }
    }

    fn watched(&mut self, event: watcher::Result<watcher::Event<Lease>>) {
        match event {
            Ok(watcher::Event::Init) => self.listed = false,
            Ok(watcher::Event::InitApply(lease) | watcher::Event::Apply(lease)) => {
                self.listed = true;
                self.known = Known::There(lease);
            }
            Ok(watcher::Event::InitDone) if self.listed => {}
            Ok(watcher::Event::InitDone | watcher::Event::Delete(_)) => self.known = Known::Absent,
            Err(error) => self.failing(&format!("cannot watch this node's report: {error}")),
        }
    }

    fn is_written(&self) -> bool {
        let (Some(lease), Some((_, annotations))) = (self.known.there(), &self.content) else { return false };
        self.says(lease, annotations)
    }

    /// Whether a Lease says what is wanted.
    fn says(&self, lease: &Lease, annotations: &BTreeMap<String, String>) -> bool {
        let has = |name: &str| lease.metadata.annotations.as_ref().and_then(|had| had.get(name));
        let labelled = lease.metadata.labels.as_ref().and_then(|labels| labels.get(LABEL.0));
        [POLICIES, REMARKS, LEFT_OUT].iter().all(|name| has(name) == annotations.get(*name))
            && lease.metadata.owner_references.as_deref().unwrap_or_default() == self.owner.as_slice()
            && lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_ref()) == Some(&self.settings.node)
            && labelled.map(String::as_str) == Some(LABEL.1)
    }

    /// When to write, if there is something to write.
    fn due(&mut self) -> Option<Instant> {
        if self.known == Known::Unread {
            return None;
        }
        let known = self.known.there();
        let (report, annotations) = self.content.as_ref()?;
        if known.is_some_and(|lease| self.says(lease, annotations)) {
            return None;
        }
        if self.is_replaced() {
            if !std::mem::replace(&mut self.log.replaced, true) {
                tracing::warn!("another agent reports for node {}; this one does no longer", self.settings.node);
            }
            return None;
        }
        let notes_only =
            (self.written.as_ref()).is_some_and(|written| written.without_notes() == report.without_notes());
        let spacing = if notes_only && known.is_some() { NOTES_SPACING } else { SPACING };
        Some(self.last.map_or(self.not_before, |last| self.not_before.max(last + spacing)))
    }

    /// Whether the agent of another pod took the Lease after us: it is the newer one.
    fn is_replaced(&self) -> bool {
        let (Some(lease), Some(own), Some(_)) = (self.known.there(), &self.owner, &self.written) else { return false };
        lease.metadata.owner_references.iter().flatten().any(|owner| owner.uid != own.uid)
    }

    async fn write(&mut self) {
        let Some((report, annotations)) = &self.content else { return };
        let known = self.known.there();
        let report = Arc::clone(report);
        let lease = self.lease(known, annotations.clone());
        let parameters = PostParams::default();
        let answer = if known.is_some() {
            within(REQUEST, self.leases.replace(&self.name, &parameters, &lease)).await
        } else {
            within(REQUEST, self.leases.create(&parameters, &lease)).await
        };
        match answer {
            Ok(lease) => {
                self.writes.written();
                self.backoff.worked();
                self.log.failing = false;
                self.known = Known::There(lease);
                self.written = Some(report);
                self.last = Some(Instant::now());
            }
            Err((failure, message)) => {
                self.writes.failed(failure);
                if !matches!(failure, Failure::Conflict | Failure::NotFound) {
                    self.failing(&format!("cannot write this node's report: {message}"));
                }
                self.not_before = Instant::now() + self.backoff.failed();
                // The watch shows what is there, but perhaps not yet.
                if let Ok(lease) = within(REQUEST, self.leases.get_opt(&self.name)).await {
                    self.known = lease.into();
                }
            }
        }
    }

    /// The Lease that says what is wanted; what others keep in it stays.
    fn lease(&self, known: Option<&Lease>, ours: BTreeMap<String, String>) -> Lease {
        let now = MicroTime(Timestamp::now());
        let known = known.cloned().unwrap_or_default();
        let mut annotations = known.metadata.annotations.unwrap_or_default();
        annotations.retain(|name, _| ![POLICIES, REMARKS, LEFT_OUT].contains(&name.as_str()));
        annotations.extend(ours);
        let mut labels = known.metadata.labels.unwrap_or_default();
        labels.insert(LABEL.0.to_owned(), LABEL.1.to_owned());
        labels.insert("app.kubernetes.io/name".to_owned(), "telltale".to_owned());
        let spec = known.spec.unwrap_or_default();
        Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                namespace: Some(self.settings.namespace.clone()),
                resource_version: known.metadata.resource_version,
                labels: Some(labels),
                annotations: Some(annotations),
                owner_references: self.owner.clone().map(|owner| vec![owner]),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.settings.node.clone()),
                acquire_time: spec.acquire_time.clone().or(Some(now.clone())),
                renew_time: Some(now),
                ..spec
            }),
        }
    }

    fn failing(&mut self, message: &str) {
        if std::mem::replace(&mut self.log.failing, true) {
            tracing::debug!("{message}");
        } else {
            tracing::warn!("{message}; tried again until it works");
        }
    }
}
