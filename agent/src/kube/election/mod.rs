//! One elected agent of all nodes, by a Lease (`coordination.k8s.io/v1`).
//!
//! The crates that do this compare clocks of machines (`kube-leader-election` 0.44, `kubert` 0.25); this compares none, as client-go.

mod state;
#[cfg(test)]
mod tests;

use std::{
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt as _;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::PostParams,
    runtime::{WatchStreamExt as _, watcher},
};
use tokio::{sync::watch, task::JoinHandle};

pub use state::Timing;

use self::state::{Action, Answer, LeaseState, Record, Seen};
use super::{
    clock,
    failure::{Failure, Writes, within},
};
use crate::admin::{Gauge, Health, table};

/// The name of the Lease.
pub const LEASE: &str = "telltale-status";

/// A request that is not answered by then is sent again.
const REQUEST: Duration = Duration::from_secs(5);

/// The part of one agent in the election. Clones are the same part.
#[derive(Clone, Debug)]
pub struct Election {
    leadership: Leadership,
    stop: Arc<watch::Sender<bool>>,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

/// Whether this agent is the elected one, for those who have no part in how.
#[derive(Clone, Debug)]
pub struct Leadership {
    /// Until when it is, in nanoseconds of [`clock::local`].
    pub(super) until: Arc<AtomicU64>,
    pub(super) changed: watch::Receiver<bool>,
}

impl Leadership {
    /// Whether it is, now: asked of the clock, so that it is right even if no task had its turn since. Asked before every write.
    pub fn is_leader(&self) -> bool {
        clock::local() < Duration::from_nanos(self.until.load(Ordering::Acquire))
    }

    /// Waits until that changes. What changed before the last call is not waited for.
    pub async fn changed(&mut self) {
        if self.changed.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Election {
    /// Takes part on the current tokio runtime. `identity` (the pod) is what people see; each process is another candidate.
    pub fn start(client: Client, identity: &str, namespace: &str, timing: Timing, health: &Arc<Health>) -> Self {
        let until = Arc::new(AtomicU64::new(0));
        let (publish, changed) = watch::channel(false);
        let (stop, stopped) = watch::channel(false);
        let identity = format!("{identity}_{:08x}", clock::random() as u32);
        let candidate = Candidate {
            leases: Api::namespaced(client, namespace),
            state: LeaseState::new(identity.clone(), timing),
            identity,
            namespace: namespace.to_owned(),
            timing,
            object: None,
            chance: clock::chance(),
            shown: Shown { until: Arc::clone(&until), publish, leader: health.gauge(&table::KUBERNETES_LEADER, &[]) },
            writes: Writes::new("lease", health),
            failing: false,
        };
        let task = tokio::spawn(health.liveness().task("election", candidate.run(stopped)));
        Self { leadership: Leadership { until, changed }, stop: Arc::new(stop), task: Arc::new(Mutex::new(Some(task))) }
    }

    /// Whether this agent is the elected one; see [`Leadership::is_leader`].
    pub fn is_leader(&self) -> bool {
        self.leadership.is_leader()
    }

    /// For those who ask and wait.
    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Takes part no longer: leads no more from now on, and gives the Lease back, so that another agent takes over at once. Returns when that was
    /// answered, after some seconds at most.
    pub async fn stop(&self) {
        self.leadership.until.store(0, Ordering::Release);
        self.stop.send_replace(true);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            let _ = task.await;
        }
    }
}

/// What the others see.
struct Shown {
    until: Arc<AtomicU64>,
    publish: watch::Sender<bool>,
    leader: Gauge,
}

impl Shown {
    /// We lead until then, or not.
    fn show(&self, until: Option<Duration>, now: Duration) {
        let before = self.until.swap(until.unwrap_or_default().as_nanos() as u64, Ordering::AcqRel);
        // Who asked the clock meanwhile has seen that we did not lead for a while, and waits to be told that we do.
        if *self.publish.borrow() && Duration::from_nanos(before) <= now {
            self.publish.send_replace(false);
        }
        let leads = until.is_some();
        self.leader.set(i64::from(leads));
        self.publish.send_if_modified(|before| {
            let changed = *before != leads;
            if changed && leads {
                tracing::info!("this agent is elected and writes the status of policies");
            } else if changed {
                tracing::info!("this agent is no longer elected");
            }
            *before = leads;
            changed
        });
    }
}

struct Candidate {
    leases: Api<Lease>,
    state: LeaseState,
    identity: String,
    namespace: String,
    timing: Timing,
    /// The Lease as it was seen last: what others keep in it stays.
    object: Option<Lease>,
    chance: f64,
    shown: Shown,
    writes: Writes,
    /// Whether that is in the log already.
    failing: bool,
}

impl Candidate {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        // A hint only: it makes a candidate see at once that the Lease was given back, and spares it from asking.
        let fields = format!("metadata.name={LEASE}");
        let mut events =
            pin!(watcher(self.leases.clone(), watcher::Config::default().fields(&fields)).default_backoff());
        loop {
            let now = clock::local();
            self.show(now, &stopped);
            if *stopped.borrow() {
                break;
            }
            match self.state.next(now, self.chance) {
                Action::Wait(until) => {
                    let until = self.state.until().filter(|end| *end > now).map_or(until, |end| end.min(until));
                    tokio::select! {
                        _ = stopped.wait_for(|stop| *stop) => {}
                        () = tokio::time::sleep(until.saturating_sub(now)) => {}
                        Some(event) = events.next() => self.watched(event),
                    }
                }
                Action::Read => self.read().await,
                action => self.write(action).await,
            }
        }
        self.release().await;
    }

    /// Tells the others whether we lead.
    fn show(&self, now: Duration, stopped: &watch::Receiver<bool>) {
        let until = self.state.until().filter(|until| now < *until && !*stopped.borrow());
        self.shown.show(until, now);
        // A stop that came since then has set 0, which must stay.
        if *stopped.borrow() {
            self.shown.until.store(0, Ordering::Release);
        }
    }

    fn watched(&mut self, event: watcher::Result<watcher::Event<Lease>>) {
        let lease = match event {
            Ok(watcher::Event::Apply(lease) | watcher::Event::InitApply(lease)) => Some(lease),
            Ok(watcher::Event::Delete(_)) => None,
            Ok(watcher::Event::Init | watcher::Event::InitDone) => return,
            Err(error) => {
                tracing::debug!("cannot watch the Lease {LEASE}: {error}");
                return;
            }
        };
        let now = clock::local();
        if !self.state.leads(now) {
            self.chance = clock::chance();
            self.state.watched(lease.as_ref().map(seen), now, self.chance);
            self.object = lease;
        }
    }

    async fn read(&mut self) {
        let answer = within(self.limit(), self.leases.get_opt(LEASE)).await;
        let now = clock::local();
        self.chance = clock::chance();
        match answer {
            Ok(lease) => {
                self.failing = false;
                self.state.read(lease.as_ref().map(seen), now, self.chance);
                self.object = lease;
            }
            Err((_, message)) => {
                self.failed("read", &message);
                self.state.read_failed(now);
            }
        }
    }

    async fn write(&mut self, action: Action) {
        let lease = self.holding(&action, &self.identity, self.timing.lease);
        let sent = clock::local();
        let parameters = PostParams::default();
        let answer = if action == Action::Create {
            within(self.limit(), self.leases.create(&parameters, &lease)).await
        } else {
            within(self.limit(), self.leases.replace(LEASE, &parameters, &lease)).await
        };
        let now = clock::local();
        self.chance = clock::chance();
        match answer {
            Ok(lease) => {
                self.failing = false;
                self.writes.written();
                self.state.answered(Answer::Written(seen(&lease)), sent, now);
                self.object = Some(lease);
            }
            Err((failure @ (Failure::Conflict | Failure::NotFound), _)) => {
                self.writes.failed(failure);
                self.state.answered(Answer::Conflict, sent, now);
            }
            Err((failure, message)) => {
                self.writes.failed(failure);
                self.failed("write", &message);
                self.state.answered(Answer::Failed, sent, now);
            }
        }
    }

    /// How long an answer is waited for: not past the end of our own time, which has to be shown.
    fn limit(&self) -> Duration {
        let now = clock::local();
        let left = self.state.until().and_then(|until| until.checked_sub(now)).filter(|left| !left.is_zero());
        left.map_or(REQUEST, |left| left.min(REQUEST))
    }

    /// The Lease with another holder.
    fn holding(&self, action: &Action, holder: &str, duration: Duration) -> Lease {
        let (version, transitions, renewal) = match action {
            Action::Replace { version, transitions, renewal } => (Some(version), *transitions, *renewal),
            _ => (None, 0, false),
        };
        let known = self.object.as_ref().filter(|known| known.metadata.resource_version.as_ref() == version);
        let metadata = known.filter(|_| version.is_some()).map_or_else(
            || ObjectMeta {
                name: Some(LEASE.to_owned()),
                namespace: Some(self.namespace.clone()),
                resource_version: version.cloned(),
                labels: Some([("app.kubernetes.io/name".to_owned(), "telltale".to_owned())].into()),
                ..ObjectMeta::default()
            },
            |known| known.metadata.clone(),
        );
        let now = MicroTime(Timestamp::now());
        let spec = known.and_then(|known| known.spec.clone()).unwrap_or_default();
        let acquire_time = if renewal { spec.acquire_time.clone().or(Some(now.clone())) } else { Some(now.clone()) };
        let spec = LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(i32::try_from(duration.as_secs().max(1)).unwrap_or(i32::MAX)),
            lease_transitions: Some(transitions),
            acquire_time,
            renew_time: Some(now),
            ..spec
        };
        Lease { metadata, spec: Some(spec) }
    }

    /// Gives the Lease back, if it is ours.
    async fn release(&mut self) {
        self.state.step_down();
        let Some(ours) = self.state.ours() else { return };
        let action =
            Action::Replace { version: ours.version.clone(), transitions: ours.record.transitions, renewal: true };
        let lease = self.holding(&action, "", Duration::from_secs(1));
        if let Err((_, message)) = within(REQUEST, self.leases.replace(LEASE, &PostParams::default(), &lease)).await {
            tracing::debug!("the Lease {LEASE} was not given back, and runs out: {message}");
        }
    }

    fn failed(&mut self, what: &str, message: &str) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!("cannot {what} the Lease {LEASE}: {message}; tried again until it works");
        }
    }
}

fn seen(lease: &Lease) -> Seen {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or_default();
    Seen {
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
        record: Record {
            holder: spec.holder_identity.unwrap_or_default(),
            renewed: spec.renew_time.map(|time| time.0.to_string()).unwrap_or_default(),
            transitions: spec.lease_transitions.unwrap_or_default(),
            duration: Duration::from_secs(seconds.max(1)),
        },
    }
}

#[cfg(test)]
mod shown {
    use super::*;

    #[test]
    fn a_time_in_which_it_did_not_lead_is_told_even_if_it_is_over() {
        let (publish, mut changed) = watch::channel(false);
        let leader = Health::new().gauge(&table::KUBERNETES_LEADER, &[]);
        let shown = Shown { until: Arc::default(), publish, leader };
        let seconds = Duration::from_secs;
        let mut is_told = || {
            let told = changed.has_changed().unwrap().then(|| *changed.borrow());
            changed.mark_unchanged();
            told
        };
        shown.show(Some(seconds(10)), seconds(1));
        assert_eq!(is_told(), Some(true));
        // It was renewed in time.
        shown.show(Some(seconds(15)), seconds(6));
        assert_eq!(is_told(), None);
        // It was not, and then it was.
        shown.show(Some(seconds(25)), seconds(16));
        assert_eq!(is_told(), Some(true));
        shown.show(None, seconds(17));
        assert_eq!(is_told(), Some(false));
        shown.show(None, seconds(18));
        assert_eq!(is_told(), None);
    }
}
