//! What the agent waits for before it is of use.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What `/readyz` says: ready when every gate is open. Without gates it is.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<Vec<Wait>>>);

#[derive(Clone, Debug)]
struct Wait {
    name: &'static str,
    /// Why it is closed.
    reason: Option<String>,
}

/// One thing that must be done, for who does it.
#[derive(Clone, Debug)]
pub struct Gate {
    readiness: Readiness,
    index: usize,
}

impl Readiness {
    /// Not ready from now on until this is done; `reason` says why it is not yet.
    pub fn gate(&self, name: &'static str, reason: impl Into<String>) -> Gate {
        let mut waits = self.lock();
        waits.push(Wait { name, reason: Some(reason.into()) });
        Gate { readiness: self.clone(), index: waits.len() - 1 }
    }

    /// What is not done, each with why; empty if the agent is ready.
    pub fn waits_for(&self) -> Vec<(&'static str, String)> {
        self.lock().iter().filter_map(|wait| Some((wait.name, wait.reason.clone()?))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Wait>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate {
    /// It is done.
    pub fn open(&self) {
        self.set(None);
    }

    /// It is to be done again, and why.
    pub fn close(&self, reason: impl Into<String>) {
        self.set(Some(reason.into()));
    }

    fn set(&self, reason: Option<String>) {
        if let Some(wait) = self.readiness.lock().get_mut(self.index) {
            wait.reason = reason;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_when_all_gates_are_open() {
        let readiness = Readiness::default();
        assert!(readiness.waits_for().is_empty());
        let (capture, sync) = (readiness.gate("capture", "not yet"), readiness.gate("sync", "no pods"));
        capture.open();
        assert_eq!(readiness.waits_for(), [("sync", "no pods".to_owned())]);
        sync.open();
        assert!(readiness.waits_for().is_empty());
        capture.close("detached");
        assert_eq!(readiness.waits_for(), [("capture", "detached".to_owned())]);
    }
}
