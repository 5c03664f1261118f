//! The programs of a capture, for all that attach some.

use std::sync::{Arc, Mutex, PoisonError};

use aya::Ebpf;

use super::uprobe_multi::UprobeMulti;

/// The loaded programs, until the capture is over. What attaches more of them has a handle too.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    loaded: Arc<Mutex<Option<Ebpf>>>,
    /// Those for links that aya does not know, where they are wanted and the kernel has such links.
    uprobe_multi: Option<Arc<UprobeMulti>>,
}

impl Programs {
    pub(super) fn new(ebpf: Ebpf, uprobe_multi: Option<UprobeMulti>) -> Self {
        Self { loaded: Arc::new(Mutex::new(Some(ebpf))), uprobe_multi: uprobe_multi.map(Arc::new) }
    }

    /// `None` if the capture is over.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Ebpf) -> T) -> Option<T> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(act)
    }

    /// The programs of such links.
    pub(super) fn uprobe_multi(&self) -> Option<&UprobeMulti> {
        self.uprobe_multi.as_deref()
    }

    /// What is attached stays so only as long as its links are held.
    pub(super) fn unload(&self) {
        drop(self.loaded.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}
