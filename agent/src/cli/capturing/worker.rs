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

impl CaptureWorker {
    /// Keeps an event, if a recording is written and may hold it.
    fn record(&mut self, event: &Event<'_>) {
        let Some(recorder) = self.recorder.as_mut().filter(|_| !self.pipeline.withholds(event.connection)) else {
            return;
        };
        if let EventKind::Open(open) = &event.kind {
            let mut open = open.clone();
            open.service = self.pipeline.service(&open);
            recorder.record(&Event { kind: EventKind::Open(open), ..*event });
        } else {
            recorder.record(event);
        }
    }
}

impl Worker for CaptureWorker {
    fn event(&mut self, event: Event<'_>, skips: &mut Skips) {
        #[cfg(debug_assertions)]
        assert!(!self.panics, "a test asked for it");
        // Of an end it is known before whose it is, of all else afterwards.
        let ends = matches!(event.kind, EventKind::Close { .. });
        if ends {
            self.record(&event);
        }
        self.pipeline.event(&event);
        if ends {
            skips.remove(event.connection);
        } else {
            self.record(&event);
        }
        if let (Some(tls), EventKind::Open(open)) = (&mut self.tls, &event.kind)
            && self.pipeline.wants_inside(event.connection)
        {
            tls.opened(open.pid);
        }
        if self.recorder.is_none() {
            for skip in self.pipeline.take_skips() {
                skips.set(skip.connection, skip.direction, skip.until);
            }
            return;
        }
        // A recording is to hold what can be had: nothing that it may hold is skipped.
        let taken: Vec<_> = self.pipeline.take_skips().collect();
        for skip in taken.into_iter().filter(|skip| self.pipeline.withholds(skip.connection)) {
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
