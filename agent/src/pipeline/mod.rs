//! One worker: events in, telemetry out, with no lock shared with another worker.

mod counts;
mod followed;
mod table;
mod view;

use std::{collections::VecDeque, sync::Arc};

use foldhash::HashSet;

pub use self::view::ConnectionView;
use self::{counts::Counts, followed::Followed, table::Table};
use crate::{
    admin::Health,
    capture::{CloseHow, ConnectionId, Direction, Event, EventKind, GapReason, Open, Timestamp},
    exchange::{Asked, Assembler, Budget, Connection},
    policy::{Capture, Plan, PlanStore, Plans},
    protocol::{self, Incomplete},
    stream::{self, Streams},
    telemetry::{Recorder, summary::Summary},
    workload::{Registry, Source},
};

/// The most connections of one worker; a connection beyond it makes the pipeline forget one that was not used lately.
pub const MAX_CONNECTIONS: usize = 65_536;

/// The most processes that one worker remembers.
const MAX_PROCESSES: usize = 4096;

/// The most connections of one worker that keep room for their next exchange, about 4 KB each: those that had one last.
const MAX_ROOMY: usize = 256;

/// How a pipeline works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What is asked for, of whom.
    pub plans: Arc<PlanStore>,
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
    /// The first position that is needed again; 0 if all is, or if nothing more is known of the connection.
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
    followed: Followed,
    streams: Streams,
    parser: protocol::Connection,
    assembler: Assembler,
    /// Up to where capture was told to leave content out, by direction.
    skipping: [u64; 2],
    /// The latest time of its events.
    latest: Timestamp,
    /// It is in [`Pipeline::waiting`].
    waiting: bool,
    /// Bytes were passed over, since no plan asked for them.
    unread: bool,
    /// It is in [`Pipeline::roomy`].
    roomy: bool,
    /// Its protocol when it was last counted.
    counted: Option<protocol::Protocol>,
}

impl Tracked {
    /// Whether no plan asks for anything of it, now or for an exchange that is not over.
    fn is_unwanted(&self) -> bool {
        self.followed.current().capture == Capture::Nothing && self.assembler.pending() == 0
    }

    /// Nothing is read; capture need not copy.
    fn pass_over(&mut self, id: ConnectionId, event: &Event<'_>, skips: &mut Vec<Skip>) {
        let (EventKind::Data { direction, .. } | EventKind::Gap { direction, .. }) = event.kind else { return };
        self.unread = true;
        if self.skipping[direction.index()] != u64::MAX {
            self.skipping[direction.index()] = u64::MAX;
            skips.push(Skip { connection: id, direction, until: u64::MAX });
        }
    }

    /// It is forgotten without its end having been seen: capture need not remember it either.
    fn forget(&self, id: ConnectionId, skips: &mut Vec<Skip>) {
        let told = [Direction::Out, Direction::In].into_iter().filter(|direction| self.skipping[direction.index()] > 0);
        skips.extend(told.map(|direction| Skip { connection: id, direction, until: 0 }));
    }

    /// Another plan holds: what it asks for is read from now on.
    fn follow(&mut self, id: ConnectionId, plan: &Arc<Plan>, budget: &Arc<Budget>, skips: &mut Vec<Skip>) {
        let Some(epoch) = self.followed.follow(plan, |epoch| self.assembler.has_pending_of(epoch)) else { return };
        if self.unread && plan.capture != Capture::Nothing {
            // It was passed over: it is joined late.
            let Connection { open, workload, peer, .. } = &**self.assembler.connection();
            self.parser = protocol::Connection::new(open.role, false);
            self.assembler =
                Assembler::new(open.clone(), Arc::clone(workload), Asked::default()).with_peer(peer.clone());
            self.streams = Streams::new();
            self.unread = false;
        }
        self.assembler.begin_epoch(epoch, Asked::by(plan, budget));
        // An exchange that is not over may ask for more than the plan that holds now.
        self.parser.ask_for_bodies(self.assembler.asks_for_bodies());
        for direction in [Direction::Out, Direction::In] {
            let until = self.parser.skip_until(direction);
            if self.skipping[direction.index()] > until {
                self.skipping[direction.index()] = until;
                skips.push(Skip { connection: id, direction, until });
            }
        }
    }

    /// Whether something of it waits that the passing of time alone ends.
    fn waits(&self) -> bool {
        self.streams.waits() || self.parser.waits()
    }
}

/// Turns events into telemetry: the straight path through all stages, for the connections of one worker.
pub struct Pipeline {
    store: Arc<PlanStore>,
    plans: Arc<Plans>,
    generation: u64,
    connections: Table<Tracked>,
    registry: Registry,
    recorder: Recorder,
    summary: Summary,
    counts: Counts,
    stream_counters: stream::Counters,
    parser_counters: protocol::Counters,
    /// Connections of which bytes or responses wait for others, for [`Self::tick`]; all are in the table.
    waiting: HashSet<ConnectionId>,
    /// Connections that keep the room that their exchanges needed, the oldest first: to free and allocate it with each exchange is
    /// needless where the next one follows, to keep it for all would be most of the memory of idle ones.
    roomy: VecDeque<ConnectionId>,
    skips: Vec<Skip>,
    /// Of content that is kept.
    budget: Arc<Budget>,
}

impl Pipeline {
    /// A pipeline that records to `recorder` and counts in `health`.
    pub fn new(settings: Settings, recorder: Recorder, health: &Arc<Health>) -> Self {
        let Settings { plans: store, source, connections } = settings;
        let (generation, plans) = store.current();
        let mut registry = Registry::new(source, MAX_PROCESSES);
        registry.set_objects(&plans.objects);
        Self {
            store,
            plans,
            generation,
            connections: Table::new(connections),
            registry,
            recorder,
            summary: Summary::default(),
            counts: Counts::new(health),
            stream_counters: stream::Counters::default(),
            parser_counters: protocol::Counters::default(),
            waiting: HashSet::default(),
            roomy: VecDeque::new(),
            skips: Vec::new(),
            budget: Arc::default(),
        }
    }

    /// Takes the next event. Those of one connection come in the order in which capture saw them.
    pub fn event(&mut self, event: &Event<'_>) {
        self.counts.event(event);
        self.follow_plans();
        let id = event.connection;
        match &event.kind {
            EventKind::Open(open) => self.open(id, open, event.time),
            EventKind::Close { how } => {
                if let Some(tracked) = self.connections.remove(id) {
                    self.waiting.remove(&id);
                    self.counts.closed.add(1);
                    self.close(tracked, Ending::Closed(*how), event.time);
                }
            }
            EventKind::Data { .. } | EventKind::Gap { .. } => self.bytes(id, event),
        }
    }

    /// It is now `now`: bytes and responses that waited too long for others are let through, and counts are published. Called a few
    /// times a second by live capture; a replay, whose time is that of the events, has no need of it.
    pub fn tick(&mut self, now: Timestamp) {
        self.follow_plans();
        let mut waiting: Vec<_> = self.waiting.drain().collect();
        waiting.sort_unstable();
        for id in waiting {
            let Some(tracked) = self.connections.get_mut(id) else { continue };
            let Tracked { streams, parser, assembler, .. } = tracked;
            let counters = &mut self.parser_counters;
            streams.tick(now, &mut self.stream_counters, &mut |direction, segment| {
                parser.segment(direction, segment, counters, assembler);
            });
            parser.tick(now, counters, assembler);
            tracked.waiting = tracked.waits();
            if tracked.waiting {
                self.waiting.insert(id);
            }
            if settle(tracked, &mut self.recorder, &mut self.summary) {
                self.keep_room(id);
            }
        }
        self.publish();
        self.recorder.flush();
    }

    /// What the process at this connection's own end is called, where its command name does not tell: what a recording has to say so that
    /// its replay gives the same names.
    pub fn service(&mut self, open: &Open) -> Option<String> {
        let workload = self.registry.workload(open);
        let told = open.pid != 0 && workload.pod.is_none() && workload.service_name != open.comm;
        told.then(|| workload.service_name.clone())
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
        self.roomy.clear();
        self.skips.clear();
        self.publish();
        self.recorder.flush();
        std::mem::take(&mut self.summary)
    }

    /// Takes over the plans that hold now, if they changed.
    fn follow_plans(&mut self) {
        if self.store.generation() == self.generation {
            return;
        }
        (self.generation, self.plans) = self.store.current();
        for (id, tracked) in self.connections.iter_mut() {
            let plan = self.plans.of(tracked.assembler.connection().workload.pod.as_ref().map(|pod| &pod.name));
            self.counts.assembler(tracked.assembler.take_counters());
            tracked.follow(id, plan, &self.budget, &mut self.skips);
        }
        self.registry.set_objects(&self.plans.objects);
    }

    fn open(&mut self, id: ConnectionId, open: &Open, time: Timestamp) {
        self.counts.opened.add(1);
        let workload = self.registry.workload(open);
        let plan = self.plans.of(workload.pod.as_ref().map(|pod| &pod.name));
        let bodies = plan.capture == Capture::Bodies;
        let tracked = Tracked {
            followed: Followed::new(Arc::clone(plan)),
            streams: Streams::new(),
            parser: protocol::Connection::new(open.role, bodies),
            assembler: Assembler::new(open.clone(), workload, Asked::by(plan, &self.budget))
                .with_peer(self.registry.peer(open)),
            skipping: [0; 2],
            latest: time,
            waiting: false,
            unread: false,
            roomy: false,
            counted: None,
        };
        if let Some((old, forgotten)) = self.connections.insert(id, tracked) {
            self.waiting.remove(&old);
            forgotten.forget(old, &mut self.skips);
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
        if tracked.is_unwanted() {
            tracked.pass_over(id, event, &mut self.skips);
            return;
        }
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
        if !tracked.waiting && tracked.waits() {
            tracked.waiting = true;
            self.waiting.insert(id);
        }
        self.counts.protocol(&mut tracked.counted, tracked.assembler.connection().protocol, event);
        for direction in [Direction::Out, Direction::In] {
            let until = tracked.parser.skip_until(direction);
            if until > tracked.skipping[direction.index()] {
                tracked.skipping[direction.index()] = until;
                self.skips.push(Skip { connection: id, direction, until });
            }
        }
        if settle(tracked, &mut self.recorder, &mut self.summary) {
            self.keep_room(id);
        }
    }

    /// A connection that had no room kept had an exchange: it takes the place of the one that has it longest.
    fn keep_room(&mut self, id: ConnectionId) {
        if self.roomy.len() == MAX_ROOMY
            && let Some(tracked) = self.roomy.pop_front().and_then(|oldest| self.connections.peek_mut(oldest))
        {
            tracked.roomy = false;
            tracked.assembler.shrink();
        }
        self.roomy.push_back(id);
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
        settle(&mut tracked, &mut self.recorder, &mut self.summary);
    }

    fn publish(&mut self) {
        self.counts.publish(
            self.connections.len(),
            self.registry.counters(),
            self.stream_counters.rows().chain(self.parser_counters.rows()).chain(self.budget.rows()),
        );
    }
}

/// Records the exchanges of a connection that are over. Returns whether it keeps room from now on.
fn settle(tracked: &mut Tracked, recorder: &mut Recorder, summary: &mut Summary) -> bool {
    if !tracked.assembler.has_done() {
        return false;
    }
    for exchange in tracked.assembler.take_done() {
        if let Some(facts) = recorder.record(&exchange, tracked.followed.of(exchange.epoch)) {
            summary.record(&facts);
        }
    }
    if tracked.followed.has_earlier() {
        tracked.parser.ask_for_bodies(tracked.assembler.asks_for_bodies());
        if tracked.assembler.pending() == 0 {
            tracked.followed.forget_earlier();
        }
    }
    tracked.assembler.shrink_large();
    !std::mem::replace(&mut tracked.roomy, true)
}
