//! The agent's live state, for who looks: read-only, without content, values of headers or queries of URLs (`docs/admin.md`).

mod connections;
mod guard;
mod plans;
mod query;
mod routes;
mod state;
mod view;
mod worker;
mod workloads;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

pub(super) use routes::router;
use worker::Desk;
pub use worker::WorkerProbe;

use super::{Health, Liveness, Readiness};
use crate::{
    policy::{Compiled, PlanStore},
    workload::DirectoryStore,
};

/// The most entries of one list of an answer; what is beyond it is counted.
pub const MAX_ENTRIES: usize = 1000;

/// Which agent it is.
#[derive(Clone, Debug)]
pub struct About {
    /// Its version.
    pub version: &'static str,
    /// The node that it observes, in a cluster.
    pub node: Option<String>,
    /// Its process id.
    pub pid: u32,
    /// When it started.
    pub started: Timestamp,
}

impl About {
    /// This process, started now.
    pub fn of_this_process(node: Option<String>) -> Self {
        Self { version: env!("CARGO_PKG_VERSION"), node, pid: std::process::id(), started: Timestamp::now() }
    }
}

/// How it captures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CaptureState {
    /// The kernel's release.
    pub kernel: String,
    /// The backend in use.
    pub backend: String,
    /// The backends before it, and why they were not taken.
    pub refusals: Vec<BackendRefusal>,
}

/// Why a backend was not taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BackendRefusal {
    /// Which.
    pub backend: String,
    /// What was tried.
    pub step: String,
    /// What the system said.
    pub reason: String,
}

/// What those who look may see, and where workers say that they live. A handle: clones are the same.
#[derive(Clone, Debug)]
pub struct LiveState(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    about: About,
    health: Arc<Health>,
    plans: Arc<PlanStore>,
    directory: Arc<DirectoryStore>,
    liveness: Liveness,
    readiness: Readiness,
    capture: Mutex<Option<CaptureState>>,
    cannot: Mutex<Vec<String>>,
    compiled: Mutex<Option<Arc<Compiled>>>,
    desks: Mutex<Vec<Arc<Desk>>>,
    /// One question to the workers at a time.
    turn: tokio::sync::Mutex<()>,
}

impl LiveState {
    /// Of an agent that counts in `health`, follows the plans of `plans`, and knows the pods of `directory`.
    pub fn new(about: About, health: &Arc<Health>, plans: &Arc<PlanStore>, directory: &Arc<DirectoryStore>) -> Self {
        Self(Arc::new(Inner {
            about,
            health: Arc::clone(health),
            plans: Arc::clone(plans),
            directory: Arc::clone(directory),
            liveness: health.liveness().clone(),
            readiness: Readiness::default(),
            capture: Mutex::default(),
            cannot: Mutex::default(),
            compiled: Mutex::default(),
            desks: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }))
    }

    /// Where threads show that they live.
    pub fn liveness(&self) -> &Liveness {
        &self.0.liveness
    }

    /// What the agent waits for before it is ready.
    pub fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }

    /// What a worker of this name carries along, and ticks with.
    pub fn worker(&self, name: &str) -> WorkerProbe {
        let desk = Arc::new(Desk::new(name));
        lock(&self.0.desks).push(Arc::clone(&desk));
        WorkerProbe::new(self.0.liveness.heartbeat(name), desk)
    }

    /// It captures like this.
    pub fn set_capture(&self, capture: CaptureState) {
        *lock(&self.0.capture) = Some(capture);
    }

    /// What no policy gets from this node, each in a few words.
    pub fn set_cannot(&self, cannot: Vec<String>) {
        *lock(&self.0.cannot) = cannot;
    }

    /// These policies hold from now on: what `explain` answers from.
    pub fn set_policies(&self, compiled: Arc<Compiled>) {
        *lock(&self.0.compiled) = Some(compiled);
    }

    fn compiled(&self) -> Option<Arc<Compiled>> {
        lock(&self.0.compiled).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
