//! A ring's events into a pipeline, and into the recording if there is one.

use std::{
    collections::HashSet,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    admin::{Counter, live::WorkerProbe},
    capture::{
        Event, EventKind, Timestamp,
        kernel::{Skips, Worker},
        recording::RecorderHandle,
        tls::follower::FollowerHandle,
    },
    pipeline::Pipeline,
};

/// Processes that are remembered as told of; then they are forgotten, and told of once more.
const TOLD: usize = 4096;

/// Tells of each process once.
pub(super) struct Connections {
    pub(super) follower: FollowerHandle,
    pub(super) told: HashSet<u32, foldhash::fast::RandomState>,
}

impl Connections {
    fn opened(&mut self, pid: u32) {
        if self.told.len() >= TOLD {
            self.told.clear();
        }
        if pid != 0 && self.told.insert(pid) {
            self.follower.connection(pid);
        }
    }
}

/// What one capture thread does.
pub(super) struct CaptureWorker {
    pub(super) pipeline: Pipeline,
    pub(super) probe: WorkerProbe,
    pub(super) recorder: Option<RecorderHandle>,
    /// Records that could not be decoded.
    pub(super) malformed: Counter,
    /// Skip positions that did not fit into the kernel's table.
    pub(super) refused: Counter,
    /// Sockets that made room for others in the table of those that may carry TLS.
    pub(super) sockets_evicted: Counter,
    /// Who looks for TLS libraries is told of the processes that connections are of.
    pub(super) tls: Option<Connections>,
    /// A test wants to see a panic.
    #[cfg(debug_assertions)]
    pub(super) panics: bool,
}

impl Worker for CaptureWorker {
    fn event(&mut self, event: Event<'_>, skips: &mut Skips) {
        #[cfg(debug_assertions)]
        assert!(!self.panics, "a test asked for it");
        if let Some(recorder) = &mut self.recorder {
            let mut event = event.clone();
            if let EventKind::Open(open) = &mut event.kind {
                open.service = self.pipeline.service(open);
            }
            recorder.record(&event);
        }
        if let (Some(tls), EventKind::Open(open)) = (&mut self.tls, &event.kind) {
            tls.opened(open.pid);
        }
        self.pipeline.event(&event);
        if matches!(event.kind, EventKind::Close { .. }) {
            skips.remove(event.connection);
        }
        // A recording is to hold what can be had, so nothing is skipped while one is written.
        let wanted = self.recorder.is_none();
        for skip in self.pipeline.take_skips().filter(|_| wanted) {
            skips.set(skip.connection, skip.direction, skip.until);
        }
    }

    fn tick(&mut self, skips: &mut Skips) {
        self.refused.add(skips.take_refused());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.pipeline.tick(Timestamp(now.as_nanos() as u64));
        if let Some(recorder) = &mut self.recorder {
            recorder.flush();
        }
        self.probe.tick(&self.pipeline);
    }

    fn malformed(&mut self) {
        self.malformed.add(1);
    }

    fn sockets_evicted(&mut self, count: u64) {
        self.sockets_evicted.add(count);
    }
}
