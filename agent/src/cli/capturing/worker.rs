//! A ring's events into a pipeline, and into the recording if there is one.

use std::{
    collections::HashSet,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    admin::{Counter, live::WorkerProbe},
    capture::{
        Event, EventKind, Timestamp,
        kernel::{InsideCounts, Skips, Worker},
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
        // Who found no room is told of with its next one.
        if pid != 0 && !self.told.contains(&pid) && self.follower.connection(pid) {
            self.told.insert(pid);
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
    /// Connections inside TLS that were joined again.
    pub(super) rejoined: Counter,
    /// Who looks for TLS libraries is told of the processes that connections are of.
    pub(super) tls: Option<Connections>,
    /// A test wants to see a panic.
    #[cfg(debug_assertions)]
    pub(super) panics: bool,
}

impl CaptureWorker {
    /// An event into the pipeline and the recording.
    fn take(&mut self, event: &Event<'_>) {
        // Of an end it is known before whose it is, of all else afterwards.
        let ends = matches!(event.kind, EventKind::Close { .. });
        if ends {
            self.record(event);
        }
        self.pipeline.event(event);
        if !ends {
            self.record(event);
        }
    }

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
        self.take(&event);
        if matches!(event.kind, EventKind::Close { .. }) {
            skips.remove(event.connection);
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

    fn inside(&mut self, counts: InsideCounts) {
        self.sockets_evicted.add(counts.evicted);
        self.rejoined.add(counts.rejoined);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use agent_common::tls;

    use super::*;
    use crate::{
        admin::{
            Health,
            live::{About, LiveState},
            table,
        },
        capture::{ConnectionId, Direction, Open, recording},
        pipeline::Settings,
        policy::{Plan, PlanStore, Plans, model::Tls},
        telemetry::{self, Outlets},
        workload::{DirectoryStore, Source},
    };

    #[test]
    fn a_recording_has_nothing_inside_tls_that_is_not_to_be_read() {
        let recorded = |tls| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("recording.jsonl");
            let recording = recording::Recorder::start(&path).unwrap();
            let (health, directory) = (Health::new(), Arc::<DirectoryStore>::default());
            let plans = PlanStore::new(Plans::everywhere(Plan { tls, ..Plan::of_signals(true, false, false) }));
            let recorder =
                telemetry::Recorder::new(telemetry::Settings::default(), Box::new(Outlets::default()), &health);
            let mut worker = CaptureWorker {
                pipeline: Pipeline::new(Settings::new(&plans, Source::Events), recorder, &health),
                probe: LiveState::new(About::of_this_process(None), &health, &plans, &directory).worker("worker"),
                recorder: Some(recording.handle()),
                malformed: health.counter(&table::KERNEL_DROPS, &["malformed"]),
                refused: health.counter(&table::SKIPS_REFUSED, &[]),
                sockets_evicted: health.counter(&table::TLS_SOCKETS_EVICTED, &[]),
                rejoined: health.counter(&table::TLS_REJOINED, &[]),
                tls: None,
                #[cfg(debug_assertions)]
                panics: false,
            };
            for id in [7, tls::inside(7, 0)] {
                let mut event = |kind| worker.take(&Event { time: Timestamp(1), connection: ConnectionId(id), kind });
                let open = Open::new(([10, 0, 0, 1], 4000).into(), ([10, 0, 0, 2], 443).into());
                event(EventKind::Open(Box::new(Open { tls: tls::is_inside(id), ..open })));
                event(EventKind::Data { direction: Direction::Out, position: 0, length: 6, bytes: b"secret" });
                event(EventKind::Close { how: None });
            }
            drop(worker);
            recording.finish();
            let text = std::fs::read_to_string(path).unwrap();
            text.lines().map(|line| (line.contains("b64"), line.contains("inside"))).collect()
        };
        let outside = [(false, false), (true, false), (false, false)];
        let inside = [(false, true), (true, true), (false, true)];
        let all: Vec<(bool, bool)> = recorded(Tls::Enabled);
        assert_eq!(all, [outside, inside].concat());
        assert_eq!(recorded(Tls::Disabled), outside);
    }
}
