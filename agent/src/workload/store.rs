//! The directory that holds now, shared by all workers.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use super::Directory;
use crate::{
    admin::{Health, Sample, table},
    capture::Timestamp,
    policy::objects::Objects,
};

/// The directory that holds now. A worker looks at a number for each event, and takes a lock only when it has changed.
#[derive(Debug, Default)]
pub struct DirectoryStore {
    generation: AtomicU64,
    current: Mutex<Arc<Directory>>,
}

impl DirectoryStore {
    /// A directory that holds from the start.
    pub fn new(directory: Directory) -> Arc<Self> {
        Arc::new(Self { generation: AtomicU64::new(1), current: Mutex::new(Arc::new(directory)) })
    }

    /// The cluster is as these objects say from `now` on; what held before is remembered for a while ([`Directory::next`]).
    pub fn update(&self, objects: &Objects, now: Timestamp) {
        // Made outside the lock: it takes a while for a large cluster. There is one that updates.
        let next = Arc::new(self.current().1.next(objects, now));
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = next;
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Replaces the directory, and all that it remembers.
    pub fn replace(&self, directory: Directory) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(directory);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Shows in the agent's health what bounds cost.
    pub fn report_to(self: &Arc<Self>, health: &Health) {
        let store = Arc::clone(self);
        health.source(move |add| {
            let value = store.current().1.forgotten() as f64;
            add(Sample { metric: &table::DIRECTORY_FORGOTTEN, labels: Vec::new(), value });
        });
    }

    /// Changes with every [`Self::update`] and [`Self::replace`].
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The directory that holds now, with its generation.
    pub fn current(&self) -> (u64, Arc<Directory>) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        (self.generation(), Arc::clone(&current))
    }
}
