//! One worker: events in, telemetry out, with no lock shared with another worker.

mod counts;
mod followed;
mod inside;
mod late;
mod table;
mod told;
mod view;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use agent_common::tls;
use foldhash::HashSet;

pub use self::view::ConnectionView;
use self::{
    counts::Counts,
    followed::Followed,
    inside::Account,
    late::{Late, Unknown, attribute},
    table::Table,
    told::Told,
};
use crate::{
    admin::Health,
    capture::{CloseHow, ConnectionId, Direction, Event, EventKind, GapReason, Open, Timestamp},
    exchange::{Asked, Assembler, Budget, Connection, genai::Providers, mcp::Correlator},
    policy::{Capture, Plan, PlanStore, Plans},
    protocol::{self, Incomplete},
    stream::{self, Streams},
    telemetry::{Recorder, summary::Summary},
    workload::{Attribution, Registry, Source, Workload, mesh},
};

/// The most connections of one worker; a connection beyond it makes the pipeline forget one that was not used lately.
pub const MAX_CONNECTIONS: usize = 65_536;

/// The most processes that one worker remembers.
const MAX_PROCESSES: usize = 4096;

/// The most connections of one worker that keep room for their next exchange, about 4 KB each: those that had one last.
const MAX_ROOMY: usize = 256;

/// How often it is looked for connections whose bytes are to be told.
const LOOKING: Duration = Duration::from_secs(10);

/// How a pipeline works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What is asked for, of whom.
    pub plans: Arc<PlanStore>,
    /// Where facts about processes come from.
    pub source: Source,
    /// What whose connections are is known by.
    pub attribution: Attribution,
    /// Whose language models are known by what.
    pub providers: Arc<Providers>,
    /// Where answers of MCP go whose requests went over another connection: the same for all workers.
    pub correlator: Correlator,
    /// At most this many connections, normally [`MAX_CONNECTIONS`].
    pub connections: usize,
    /// Whether the summary keeps the order of calls ([`Summary::render_tree`]).
    pub tree: bool,
}

impl Settings {
    /// For plans that are resolved against objects which do not come from a cluster.
    pub fn new(plans: &Arc<PlanStore>, source: Source) -> Self {
        let attribution = Attribution::of(&plans.current().1.objects);
        Self {
            plans: Arc::clone(plans),
            source,
            attribution,
            providers: Arc::default(),
            correlator: Correlator::default(),
            connections: MAX_CONNECTIONS,
            tree: false,
        }
    }
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
    /// When it was first seen.
    began: Timestamp,
    /// What is not known yet of whose it is.
    unknown: Unknown,
    /// It is in [`Pipeline::waiting`].
    waiting: bool,
    /// Bytes were passed over, since no plan asked for them.
    unread: bool,
    /// It is in [`Pipeline::roomy`].
    roomy: bool,
    /// Its protocol when it was last counted.
    counted: Option<protocol::Protocol>,
    /// What it has moved, and what is inside it or around it.
    account: Account,
}

impl Tracked {
    /// Whether no plan asks for anything of it, now or for an exchange that is not over.
    fn is_unwanted(&self) -> bool {
        !self.followed.current().wants(self.is_inside_tls()) && self.assembler.pending() == 0
    }

    /// Whether its bytes are what is inside TLS.
    fn is_inside_tls(&self) -> bool {
        self.assembler.connection().open.tls
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
    fn follow(&mut self, id: ConnectionId, plan: &Arc<Plan>, means: &Means, skips: &mut Vec<Skip>) {
        let Some(epoch) = self.followed.follow(plan, |epoch| self.assembler.has_pending_of(epoch)) else { return };
        if self.unread && plan.wants(self.is_inside_tls()) {
            // It was passed over: it is joined late.
            let Connection { open, workload, peer, .. } = &**self.assembler.connection();
            self.parser = protocol::Connection::new(open.role);
            self.assembler =
                Assembler::new(open.clone(), Arc::clone(workload), Asked::default()).with_peer(peer.clone());
            self.streams = Streams::new();
            self.unread = false;
        }
        self.assembler.begin_epoch(epoch, means.asked(plan));
        for direction in [Direction::Out, Direction::In] {
            let until = self.skip_until(direction);
            if self.skipping[direction.index()] > until {
                self.skipping[direction.index()] = until;
                skips.push(Skip { connection: id, direction, until });
            }
        }
    }

    /// Stream position before which nothing of a direction is needed.
    fn skip_until(&self, direction: Direction) -> u64 {
        self.parser.skip_until(direction, self.assembler.wants_body(direction))
    }

    /// Asks again whose it is.
    fn ask(&mut self, registry: &mut Registry, late: &Late) {
        let Connection { open, workload, .. } = &**self.assembler.connection();
        let whose = late.whose(registry, open, self.began).or_former(workload, self.unknown.is_proxy());
        self.unknown = whose.unknown;
        self.assembler.set_whose(whose.workload, whose.peer);
    }

    /// Whether what is not known of it decides what is asked of it.
    fn awaits_plan(&self) -> bool {
        self.unknown.is_podless() || self.unknown.is_proxy()
    }

    /// Whether something of it waits that the passing of time alone ends.
    fn waits(&self) -> bool {
        self.streams.waits() || self.parser.waits()
    }
}

/// What all exchanges of a worker are read with.
struct Means {
    /// Of content that is kept.
    budget: Arc<Budget>,
    /// Whose language models are known by what.
    providers: Arc<Providers>,
    /// Where answers go whose requests went over another connection.
    correlator: Arc<Correlator>,
}

impl Means {
    fn asked(&self, plan: &Arc<Plan>) -> Asked {
        Asked::by(plan, &self.budget, &self.providers).with_correlator(&self.correlator)
    }
}

/// Turns events into telemetry: the straight path through all stages, for the connections of one worker.
pub struct Pipeline {
    store: Arc<PlanStore>,
    plans: Arc<Plans>,
    generation: u64,
    connections: Table<Tracked>,
    registry: Registry,
    late: Late,
    /// What is asked of connections that are not observed.
    nothing: Arc<Plan>,
    recorder: Recorder,
    told: Told,
    counts: Counts,
    stream_counters: stream::Counters,
    parser_counters: protocol::Counters,
    /// Connections of which bytes or responses wait for others, for [`Self::tick`]; all are in the table.
    waiting: HashSet<ConnectionId>,
    /// When it was last looked for connections whose bytes are to be told.
    looked: Timestamp,
    /// Connections that keep the room that their exchanges needed, the oldest first: to free and allocate it with each exchange is
    /// needless where the next one follows, to keep it for all would be most of the memory of idle ones.
    roomy: VecDeque<ConnectionId>,
    skips: Vec<Skip>,
    means: Means,
}

impl Pipeline {
    /// A pipeline that records to `recorder` and counts in `health`.
    pub fn new(settings: Settings, recorder: Recorder, health: &Arc<Health>) -> Self {
        let Settings { plans: store, source, attribution, providers, correlator, connections, tree } = settings;
        let (generation, plans) = store.current();
        let correlator = Arc::new(correlator);
        Self {
            store,
            plans,
            generation,
            connections: Table::new(connections),
            registry: Registry::new(source, attribution, MAX_PROCESSES),
            late: Late::new(health),
            nothing: Arc::default(),
            recorder,
            told: Told::new(tree, &correlator),
            counts: Counts::new(health),
            stream_counters: stream::Counters::default(),
            parser_counters: protocol::Counters::default(),
            waiting: HashSet::default(),
            looked: Timestamp::default(),
            roomy: VecDeque::new(),
            skips: Vec::new(),
            means: Means { budget: Arc::default(), providers, correlator },
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
                    self.close((id, tracked), Ending::Closed(*how), event.time);
                }
            }
            EventKind::Data { .. } | EventKind::Gap { .. } => self.bytes(id, event),
        }
        self.told.answered(event.time, &mut self.recorder);
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
            if settle((id, tracked), &mut self.registry, &mut self.late, &mut self.recorder, &mut self.told) {
                self.keep_room(id);
            }
        }
        let Self { late, registry, recorder, told, .. } = self;
        late.tick(now, registry, &mut |exchange, plan| told.exchange(exchange, &plan, recorder));
        told.answered(now, recorder);
        self.tell_bytes(now);
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

    /// Whether a connection's bytes are what is inside TLS and may not be kept by anybody: its plan leaves that out, or it is not known which one holds.
    pub fn withholds(&self, id: ConnectionId) -> bool {
        match self.connections.peek(id) {
            Some(tracked) => tracked.is_inside_tls() && !tracked.followed.current().wants(true),
            None => tls::is_inside(id.0),
        }
    }

    /// Whether what is inside the TLS of this connection is asked for, should it be TLS.
    pub fn wants_inside(&self, id: ConnectionId) -> bool {
        self.connections.peek(id).is_some_and(|tracked| tracked.followed.current().wants(true))
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
        for (id, tracked) in self.connections.drain() {
            let latest = tracked.latest;
            self.close((id, tracked), Ending::Over, latest);
        }
        let Self { late, registry, recorder, told, .. } = self;
        late.finish(registry, &mut |exchange, plan| told.exchange(exchange, &plan, recorder));
        told.all(recorder);
        self.waiting.clear();
        self.roomy.clear();
        self.skips.clear();
        self.publish();
        self.recorder.flush();
        self.told.summary.take()
    }

    /// Takes over the plans that hold now, if they changed.
    fn follow_plans(&mut self) {
        if self.store.generation() == self.generation {
            return;
        }
        (self.generation, self.plans) = self.store.current();
        for (id, tracked) in self.connections.iter_mut() {
            let workload = &tracked.assembler.connection().workload;
            let plan =
                plan_of(&self.plans, workload, tracked.unknown.is_proxy(), self.registry.attribution(), &self.nothing);
            self.counts.assembler(tracked.assembler.take_counters());
            tracked.follow(id, plan, &self.means, &mut self.skips);
        }
    }

    fn open(&mut self, id: ConnectionId, open: &Open, time: Timestamp) {
        self.counts.opened.add(1);
        let whose = self.late.whose(&mut self.registry, open, time);
        let attribution = self.registry.attribution();
        let plan = plan_of(&self.plans, &whose.workload, whose.unknown.is_proxy(), attribution, &self.nothing);
        let asked = self.means.asked(plan);
        let tracked = Tracked {
            followed: Followed::new(Arc::clone(plan)),
            streams: Streams::new(),
            parser: protocol::Connection::new(open.role),
            assembler: Assembler::new(open.clone(), whose.workload, asked).with_peer(whose.peer),
            skipping: [0; 2],
            latest: time,
            began: time,
            unknown: whose.unknown,
            waiting: false,
            unread: false,
            roomy: false,
            counted: None,
            account: Account::default(),
        };
        if let Some((old, forgotten)) = self.connections.insert(id, tracked) {
            self.waiting.remove(&old);
            forgotten.forget(old, &mut self.skips);
            let latest = forgotten.latest;
            if old == id {
                // The id stands for another connection: the end of the former one was not seen.
                self.close((old, forgotten), Ending::Over, latest);
            } else {
                self.counts.evicted.add(1);
                self.close((old, forgotten), Ending::Evicted, latest);
            }
        }
        inside::begin(&mut self.connections, id);
    }

    fn bytes(&mut self, id: ConnectionId, event: &Event<'_>) {
        let Some(tracked) = self.connections.get_mut(id) else {
            // Its `open` was lost, or it was forgotten: without addresses nothing can be said about it.
            self.counts.without_open.add(1);
            return;
        };
        tracked.latest = tracked.latest.max(event.time);
        tracked.account.moved(event);
        if tracked.awaits_plan() && tracked.unknown.may_be_known(&self.registry) {
            tracked.ask(&mut self.registry, &self.late);
            let workload = &tracked.assembler.connection().workload;
            let plan =
                plan_of(&self.plans, workload, tracked.unknown.is_proxy(), self.registry.attribution(), &self.nothing);
            self.counts.assembler(tracked.assembler.take_counters());
            tracked.follow(id, plan, &self.means, &mut self.skips);
        }
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
        let counted = tracked.counted;
        self.counts.protocol(&mut tracked.counted, tracked.assembler.connection().protocol, event);
        let protocol = if tracked.counted == counted { None } else { tracked.counted };
        let hello = tracked.parser.take_hello();
        for direction in [Direction::Out, Direction::In] {
            let until = tracked.skip_until(direction);
            if until > tracked.skipping[direction.index()] {
                tracked.skipping[direction.index()] = until;
                self.skips.push(Skip { connection: id, direction, until });
            }
        }
        if settle((id, tracked), &mut self.registry, &mut self.late, &mut self.recorder, &mut self.told) {
            self.keep_room(id);
        }
        if hello.is_some() || protocol.is_some() {
            inside::tell(&mut self.connections, id, hello, protocol);
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

    fn close(&mut self, (id, mut tracked): (ConnectionId, Tracked), ending: Ending, time: Timestamp) {
        let time = tracked.latest.max(time);
        let Tracked { streams, parser, assembler, .. } = &mut tracked;
        let counters = &mut self.parser_counters;
        streams.close(&mut self.stream_counters, &mut |direction, segment| {
            parser.segment(direction, segment, counters, assembler);
        });
        match ending {
            Ending::Closed(how) => {
                assembler.closed();
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
        settle((id, &mut tracked), &mut self.registry, &mut self.late, &mut self.recorder, &mut self.told);
        tell(id, &mut tracked, Some(ending), time, &mut self.recorder);
    }

    /// Tells what connections that go on have moved.
    fn tell_bytes(&mut self, now: Timestamp) {
        if now.since(self.looked) < LOOKING {
            return;
        }
        self.looked = now;
        for (id, tracked) in self.connections.iter_mut() {
            if tracked.account.is_due(tracked.began, now) {
                tell(id, tracked, None, now, &mut self.recorder);
            }
        }
    }

    fn publish(&mut self) {
        let correlation = self.told.correlation();
        self.counts.publish(
            self.connections.len(),
            self.registry.counters(),
            (self.stream_counters.rows().chain(self.parser_counters.rows()))
                .chain(self.told.bodies.rows())
                .chain(correlation)
                .chain(self.means.budget.rows()),
        );
    }
}

/// Tells of a connection, if its plan asks.
fn tell(id: ConnectionId, tracked: &mut Tracked, ending: Option<Ending>, now: Timestamp, recorder: &mut Recorder) {
    if tracked.followed.current().metrics.is_some()
        && let Some(report) = inside::report(id, tracked, ending, now)
    {
        recorder.connection(&report, tracked.followed.current());
    }
}

/// What is asked of the connections of a workload: nothing of a proxy beside an application, and nothing in a cluster as long as the pod is not known.
fn plan_of<'a>(
    plans: &'a Plans,
    workload: &Workload,
    is_proxy: bool,
    attribution: &Attribution,
    nothing: &'a Arc<Plan>,
) -> &'a Arc<Plan> {
    let observed = match workload.pod.as_deref() {
        Some(pod) => !is_proxy && mesh::is_observed(pod, plans),
        None => !attribution.is_live(),
    };
    if observed { plans.of(workload.pod.as_ref().map(|pod| &pod.name)) } else { nothing }
}

/// Records the exchanges of a connection that are over, or keeps them until it is known whose they are. Returns whether it keeps room from now on.
fn settle(
    (id, tracked): (ConnectionId, &mut Tracked),
    registry: &mut Registry,
    late: &mut Late,
    recorder: &mut Recorder,
    told: &mut Told,
) -> bool {
    if !tracked.assembler.has_done() {
        return false;
    }
    let asked_again = tracked.unknown.may_be_known(registry);
    if asked_again {
        tracked.ask(registry, late);
    }
    let connection = Arc::clone(tracked.assembler.connection());
    let waits = late.is_worth_waiting(tracked.unknown, &connection.open);
    if !waits && late.holds(id) {
        late.release(id, &connection, &mut |exchange, plan| told.exchange(exchange, &plan, recorder));
    }
    for mut exchange in tracked.assembler.take_done() {
        let plan = tracked.followed.of(exchange.epoch);
        if asked_again {
            attribute(&mut exchange, &connection.workload, connection.peer.as_ref());
        }
        if !waits {
            told.exchange(exchange, plan, recorder);
        } else if plan.capture != Capture::Nothing
            && let Some((exchange, plan)) = late.hold(id, exchange, plan, tracked.began)
        {
            told.exchange(exchange, &plan, recorder);
        }
    }
    if let Some(counters) = tracked.assembler.take_body_counters() {
        told.bodies += *counters;
    }
    if tracked.followed.has_earlier() && tracked.assembler.pending() == 0 {
        tracked.followed.forget_earlier();
    }
    tracked.assembler.shrink_large();
    !std::mem::replace(&mut tracked.roomy, true)
}
