//! One worker: events in, telemetry out, with no lock shared with another worker.

mod counts;
mod table;

use std::sync::Arc;

use self::{counts::Counts, table::Table};
use crate::{
    admin::Health,
    capture::{CloseHow, ConnectionId, Direction, Event, EventKind, GapReason, Open, Timestamp},
    exchange::Assembler,
    policy::Plan,
    protocol::{self, Incomplete},
    stream::{self, Streams},
    telemetry::{Recorder, summary::Summary},
    workload::{Registry, Source},
};

/// The most connections of one worker; a connection beyond it makes the pipeline forget one that was not used lately.
pub const MAX_CONNECTIONS: usize = 65_536;

/// The most processes that one worker remembers.
const MAX_PROCESSES: usize = 4096;

/// How a pipeline works.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// What is asked for.
    pub plan: Plan,
    /// Where facts about processes come from.
    pub source: Source,
    /// At most this many connections, normally [`MAX_CONNECTIONS`].
    pub connections: usize,
}

/// The content of this direction is not needed before this stream position: capture need not copy it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skip {
    /// On which connection.
    pub connection: ConnectionId,
    /// Which way.
    pub direction: Direction,
    /// The first position that is needed again.
    pub until: u64,
}

/// Why nothing more comes of a connection.
#[derive(Clone, Copy, Debug)]
enum Ending {
    /// It was closed.
    Closed(Option<CloseHow>),
    /// The capture or the recording is over.
    Over,
    /// It had to make room.
    Evicted,
}

/// What is kept of a connection.
#[derive(Debug)]
struct Tracked {
    streams: Streams,
    parser: protocol::Connection,
    assembler: Assembler,
    /// The end of the content that capture was told to leave out, by direction.
    skipping: [u64; 2],
    /// The latest time of its events.
    latest: Timestamp,
    /// It is in [`Pipeline::waiting`].
    waiting: bool,
    /// Its protocol when it was last counted.
    counted: Option<protocol::Protocol>,
}

/// Turns events into telemetry: the straight path through all stages, for the connections of one worker.
pub struct Pipeline {
    plan: Plan,
    connections: Table<Tracked>,
    registry: Registry,
    recorder: Recorder,
    summary: Summary,
    counts: Counts,
    stream_counters: stream::Counters,
    parser_counters: protocol::Counters,
    /// Connections of which bytes wait for others, for [`Self::tick`].
    waiting: Vec<ConnectionId>,
    skips: Vec<Skip>,
}

impl Pipeline {
    /// A pipeline that records to `recorder` and counts in `health`.
    pub fn new(settings: Settings, recorder: Recorder, health: &Arc<Health>) -> Self {
        let Settings { plan, source, connections } = settings;
        Self {
            plan,
            connections: Table::new(connections),
            registry: Registry::new(source, MAX_PROCESSES),
            recorder,
            summary: Summary::default(),
            counts: Counts::new(health),
            stream_counters: stream::Counters::default(),
            parser_counters: protocol::Counters::default(),
            waiting: Vec::new(),
            skips: Vec::new(),
        }
    }

    /// Takes the next event. Those of one connection come in the order in which capture saw them.
    pub fn event(&mut self, event: &Event<'_>) {
        self.counts.event(event);
        let id = event.connection;
        match &event.kind {
            EventKind::Open(open) => self.open(id, open, event.time),
            EventKind::Close { how } => {
                if let Some(tracked) = self.connections.remove(id) {
                    self.counts.closed.add(1);
                    self.close(tracked, Ending::Closed(*how), event.time);
                }
            }
            EventKind::Data { .. } | EventKind::Gap { .. } => self.bytes(id, event),
        }
    }

    /// It is now `now`: bytes that waited too long for others are let through, and counts are published. Called a few times a
    /// second by live capture; a replay, whose time is that of the events, has no need of it.
    pub fn tick(&mut self, now: Timestamp) {
        for id in std::mem::take(&mut self.waiting) {
            let Some(tracked) = self.connections.get_mut(id) else { continue };
            let Tracked { streams, parser, assembler, .. } = tracked;
            let counters = &mut self.parser_counters;
            streams.tick(now, &mut self.stream_counters, &mut |direction, segment| {
                parser.segment(direction, segment, counters, assembler);
            });
            parser.tick(now, counters, assembler);
            tracked.waiting = tracked.streams.waits();
            if tracked.waiting {
                self.waiting.push(id);
            }
            settle(tracked, &mut self.recorder, &mut self.summary, self.plan);
        }
        self.publish();
        self.recorder.flush();
    }

    /// What capture may leave out, since the last call.
    pub fn take_skips(&mut self) -> impl Iterator<Item = Skip> {
        self.skips.drain(..)
    }

    /// How many connections are tracked.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// The capture or the recording is over: every connection ends here, those in the table as ends of which nothing is known. Returns
    /// what this worker saw since the last call. The pipeline can be used again.
    pub fn finish(&mut self) -> Summary {
        for (_, tracked) in self.connections.drain() {
            let latest = tracked.latest;
            self.close(tracked, Ending::Over, latest);
        }
        self.waiting.clear();
        self.skips.clear();
        self.publish();
        self.recorder.flush();
        std::mem::take(&mut self.summary)
    }

    fn open(&mut self, id: ConnectionId, open: &Open, time: Timestamp) {
        self.counts.opened.add(1);
        let workload = self.registry.workload(open);
        let tracked = Tracked {
            streams: Streams::new(),
            parser: protocol::Connection::new(open.role, self.plan.bodies),
            assembler: Assembler::new(open.clone(), workload, self.plan.bodies),
            skipping: [0; 2],
            latest: time,
            waiting: false,
            counted: None,
        };
        if let Some((old, forgotten)) = self.connections.insert(id, tracked) {
            let latest = forgotten.latest;
            if old == id {
                // The id stands for another connection: the end of the former one was not seen.
                self.close(forgotten, Ending::Over, latest);
            } else {
                self.counts.evicted.add(1);
                self.close(forgotten, Ending::Evicted, latest);
            }
        }
    }

    fn bytes(&mut self, id: ConnectionId, event: &Event<'_>) {
        let Some(tracked) = self.connections.get_mut(id) else {
            // Its `open` was lost, or it was forgotten: without addresses nothing can be said about it.
            self.counts.without_open.add(1);
            return;
        };
        tracked.latest = tracked.latest.max(event.time);
        let Tracked { streams, parser, assembler, .. } = tracked;
        let counters = &mut self.parser_counters;
        let mut sink = |direction: Direction, segment: stream::Segment<'_>| {
            parser.segment(direction, segment, counters, assembler);
        };
        match event.kind {
            EventKind::Data { direction, position, length, bytes } => {
                let stream_counters = &mut self.stream_counters;
                streams.data(direction, position, length, bytes, event.time, stream_counters, &mut sink);
            }
            EventKind::Gap { direction, position, length, reason } => {
                let stream_counters = &mut self.stream_counters;
                streams.gap(direction, position, length, reason, event.time, stream_counters, &mut sink);
            }
            EventKind::Open(_) | EventKind::Close { .. } => {}
        }
        if !tracked.waiting && tracked.streams.waits() {
            tracked.waiting = true;
            self.waiting.push(id);
        }
        self.counts.protocol(&mut tracked.counted, tracked.assembler.connection().protocol, event);
        for direction in [Direction::Out, Direction::In] {
            let until = tracked.parser.skip_until(direction);
            if until > tracked.skipping[direction.index()] {
                tracked.skipping[direction.index()] = until;
                self.skips.push(Skip { connection: id, direction, until });
            }
        }
        settle(tracked, &mut self.recorder, &mut self.summary, self.plan);
    }

    fn close(&mut self, mut tracked: Tracked, ending: Ending, time: Timestamp) {
        let time = tracked.latest.max(time);
        let Tracked { streams, parser, assembler, .. } = &mut tracked;
        let counters = &mut self.parser_counters;
        streams.close(&mut self.stream_counters, &mut |direction, segment| {
            parser.segment(direction, segment, counters, assembler);
        });
        match ending {
            Ending::Closed(how) => {
                parser.close(how, time, counters, assembler);
                assembler.close(time, Incomplete::Truncated);
            }
            // The connection itself may go on: nobody closed it before the answer.
            Ending::Over => assembler.close(time, Incomplete::Truncated),
            Ending::Evicted => assembler.close(time, Incomplete::Gap(GapReason::AgentLimit)),
        }
        self.counts.assembler(assembler.take_counters());
        let silent = [Direction::Out, Direction::In].iter().all(|direction| tracked.streams.next(*direction).is_none());
        if tracked.counted.is_none() && !silent {
            self.counts.undetected();
        }
        settle(&mut tracked, &mut self.recorder, &mut self.summary, self.plan);
    }

    fn publish(&mut self) {
        self.counts.publish(
            self.connections.len(),
            self.registry.counters(),
            self.stream_counters.rows().chain(self.parser_counters.rows()),
        );
    }
}

/// Records the exchanges of a connection that are over.
fn settle(tracked: &mut Tracked, recorder: &mut Recorder, summary: &mut Summary, plan: Plan) {
    if !tracked.assembler.has_done() {
        return;
    }
    for exchange in tracked.assembler.take_done() {
        if let Some(facts) = recorder.record(&exchange, plan) {
            summary.record(&facts);
        }
    }
    tracked.assembler.shrink();
}
