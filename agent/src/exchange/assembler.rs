//! Puts the parts of messages together, one connection at a time.

use std::{collections::VecDeque, sync::Arc};

use super::{
    Budget, Call, Connection, Exchange, Half,
    content::{Keeping, Which},
    genai::{Kept, Providers},
    mcp::{Correlator, Link},
    reading::Reading,
};
use crate::{
    capture::{Direction, GapReason, Open, Role, Timestamp},
    policy::{Capture, Plan},
    protocol::{End, Head, Headers, Incomplete, MessageSink, Protocol, StartLine, body, tls::Hello},
    workload::Workload,
};

/// The most requests of one connection that may wait for their response (pipelining, RFC 9112 section 9.3.2).
///
/// Twice what the parser lets wait: requests that it gives up leave only when their own last byte came.
pub const MAX_PENDING: usize = 512;

/// As many as a first allocation has room for: without pipelining no more are needed.
const KEPT_ROOM: usize = 4;

/// What did not become an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests beyond [`MAX_PENDING`].
    pub overflow: u64,
    /// Responses whose request is not waiting: it was beyond the bound.
    pub orphans: u64,
}

impl std::ops::AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        self.overflow += other.overflow;
        self.orphans += other.orphans;
    }
}

/// What is asked for of the content of exchanges.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// By this plan, within this bound; `None` if nothing is.
    plan: Option<(Arc<Plan>, Arc<Budget>)>,
    /// Whose language models are known by what.
    providers: Arc<Providers>,
    /// Where answers go whose requests went over another connection.
    correlator: Option<Arc<Correlator>>,
}

impl Asked {
    /// By this plan. What is kept is taken from the budget.
    pub fn by(plan: &Arc<Plan>, budget: &Arc<Budget>, providers: &Arc<Providers>) -> Self {
        let asks = plan.calls || plan.capture == Capture::Bodies && plan.content.is_some();
        let plan = asks.then(|| (Arc::clone(plan), Arc::clone(budget)));
        Self { plan, providers: Arc::clone(providers), correlator: None }
    }

    /// Answers whose requests went over another connection are told to this.
    #[must_use]
    pub fn with_correlator(mut self, correlator: &Arc<Correlator>) -> Self {
        self.correlator = Some(Arc::clone(correlator));
        self
    }

    /// The plan, if it reports exchanges of this connection.
    fn plan_of(&self, connection: &Connection) -> Option<&(Arc<Plan>, Arc<Budget>)> {
        self.plan.as_ref().filter(|(plan, _)| plan.reports(connection.role, connection.open.tls))
    }

    /// What an exchange of this connection keeps its content in.
    fn keeping(&self, connection: &Connection) -> Option<Box<Keeping>> {
        let (plan, budget) = self.plan_of(connection)?;
        let content = plan.content.as_ref().filter(|_| plan.capture == Capture::Bodies)?;
        Some(Box::new(Keeping::new(content, budget)))
    }

    /// What reads an exchange of this connection that begins so.
    fn reading(&self, connection: &Connection, request: &Head) -> Option<Box<Reading>> {
        let (plan, budget) = self.plan_of(connection).filter(|(plan, _)| plan.calls)?;
        let content = plan.content.as_ref().filter(|_| plan.capture == Capture::Bodies);
        let kept = content.map(|content| Kept { plan: Arc::clone(content), budget: Arc::clone(budget) });
        let link = || self.correlator.as_ref().map(|correlator| Link::of(correlator, connection));
        Reading::begin(request, &self.providers, budget, kept.as_ref(), link)
    }
}

/// A request that is not over.
#[derive(Debug)]
struct Pending {
    number: u64,
    request: Half,
    request_ended: bool,
    response: Option<Half>,
    /// Nothing more of the response will come.
    answered: bool,
    incomplete: Option<Incomplete>,
    /// The latest moment that belongs to it.
    end: Timestamp,
    epoch: u32,
    /// Its content, where it is kept.
    keeping: Option<Box<Keeping>>,
    /// What reads its content.
    reading: Option<Box<Reading>>,
    /// Why content was not seen of which it would matter only if this is a call.
    unread: Option<GapReason>,
}

impl Pending {
    fn headers(&self, which: Which) -> Option<&Headers> {
        match which {
            Which::Request => Some(&self.request.head.headers),
            Which::Response => self.response.as_ref().map(|response| &response.head.headers),
        }
    }

    /// Lets what reads it have something of one of its messages.
    fn read(&mut self, which: Which, with: impl FnOnce(&mut Reading, &Headers)) {
        let Some(mut reading) = self.reading.take() else { return };
        if let Some(headers) = self.headers(which) {
            with(&mut reading, headers);
        }
        self.reading = Some(reading);
    }

    /// Whether somebody wants the content of one of its messages.
    fn wants(&self, which: Which) -> bool {
        self.keeping.as_ref().is_some_and(|keeping| keeping.wants(which))
            || self.reading.as_ref().is_some_and(|reading| reading.wants(which))
    }

    fn is_over(&self) -> bool {
        self.request_ended && self.answered
    }
}

/// The message that a direction is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Current {
    None,
    Request(u64),
    Response(u64),
}

/// Assembles the exchanges of one connection. Finished ones collect in `done`, in the order in which they ended, until taken.
///
/// It is the [`MessageSink`] of the connection's parser. The parser decides which response answers which request; each request
/// becomes exactly one exchange, or is counted in [`Counters::overflow`].
#[derive(Debug)]
pub struct Assembler {
    connection: Arc<Connection>,
    role_from_traffic: bool,
    asked: Asked,
    epoch: u32,
    pending: VecDeque<Pending>,
    current: [Current; 2],
    done: Vec<Exchange>,
    counters: Counters,
    /// What readers of content counted, if any did.
    bodies: Option<Box<body::Counters>>,
    /// Bytes of content that the pending exchanges hold.
    held: usize,
    /// The connection was closed or reset.
    closed: bool,
}

impl Assembler {
    /// For a connection that was just seen.
    pub fn new(open: Open, workload: Arc<Workload>, asked: Asked) -> Self {
        // Nothing is reported before the first request, which decides.
        let role = open.role.unwrap_or(Role::Client);
        Self {
            connection: Arc::new(Connection {
                open,
                role,
                workload,
                peer: None,
                protocol: Protocol::Unknown,
                hello: None,
            }),
            role_from_traffic: false,
            asked,
            epoch: 0,
            pending: VecDeque::new(),
            current: [Current::None; 2],
            done: Vec::new(),
            counters: Counters::default(),
            bodies: None,
            held: 0,
            closed: false,
        }
    }

    /// The other end belongs to this workload. For a connection that was just seen.
    #[must_use]
    pub fn with_peer(mut self, peer: Option<Arc<Workload>>) -> Self {
        Arc::make_mut(&mut self.connection).peer = peer;
        self
    }

    /// It is of these, as far as is known now: exchanges that end from now on are.
    pub fn set_whose(&mut self, workload: Arc<Workload>, peer: Option<Arc<Workload>>) {
        let connection = Arc::make_mut(&mut self.connection);
        connection.workload = workload;
        connection.peer = peer;
    }

    /// The hellos of its TLS say this: exchanges that end from now on tell of it.
    pub fn set_hello(&mut self, hello: Arc<Hello>) {
        Arc::make_mut(&mut self.connection).hello = Some(hello);
    }

    /// What the exchanges share.
    pub const fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Exchanges that begin from now on are of this epoch, and this is asked for of them.
    pub fn begin_epoch(&mut self, epoch: u32, asked: Asked) {
        self.epoch = epoch;
        self.asked = asked;
    }

    /// Whether somebody wants the content of the message that a direction is in.
    pub fn wants_body(&self, direction: Direction) -> bool {
        let (which, number) = match self.current[direction.index()] {
            Current::None => return false,
            Current::Request(number) => (Which::Request, number),
            Current::Response(number) => (Which::Response, number),
        };
        self.pending.iter().find(|pending| pending.number == number).is_some_and(|pending| pending.wants(which))
    }

    /// Whether there are exchanges to take.
    pub const fn has_done(&self) -> bool {
        !self.done.is_empty()
    }

    /// Takes the exchanges that are over.
    pub fn take_done(&mut self) -> impl Iterator<Item = Exchange> {
        self.done.drain(..)
    }

    /// Requests that wait for their response.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Whether one that began in this epoch waits for its response.
    pub fn has_pending_of(&self, epoch: u32) -> bool {
        self.pending.iter().any(|pending| pending.epoch == epoch)
    }

    /// Counts since the last call.
    pub fn take_counters(&mut self) -> Counters {
        std::mem::take(&mut self.counters)
    }

    /// What readers of content counted since the last call, if any did.
    pub fn take_body_counters(&mut self) -> Option<Box<body::Counters>> {
        self.bodies.take()
    }

    /// The connection was closed or reset, which the parser is about to be told: what ends from now on ends with it.
    pub const fn closed(&mut self) {
        self.closed = true;
    }

    /// Nothing more comes of the connection and its parser has said its last: whatever it left open ends here, incomplete for this
    /// reason.
    pub fn close(&mut self, time: Timestamp, why: Incomplete) {
        for mut pending in std::mem::take(&mut self.pending) {
            pending.end = pending.end.max(time);
            pending.incomplete.get_or_insert(why);
            self.finish(pending);
        }
        self.current = [Current::None; 2];
    }

    /// Gives back memory beyond what a few exchanges at a time need.
    pub fn shrink_large(&mut self) {
        if self.pending.capacity() > KEPT_ROOM || self.done.capacity() > KEPT_ROOM {
            self.shrink();
        }
    }

    /// Gives back memory that an idle connection does not need.
    pub fn shrink(&mut self) {
        if self.pending.is_empty() {
            self.pending.shrink_to_fit();
        }
        if self.done.is_empty() {
            self.done.shrink_to_fit();
        }
    }

    fn find(&mut self, number: u64) -> Option<&mut Pending> {
        // Numbers ascend; nearly always it is the first.
        self.pending.iter_mut().find(|pending| pending.number == number)
    }

    /// The message that a direction is in, with its exchange.
    fn current(&mut self, direction: Direction) -> Option<(Which, &mut Pending)> {
        let (which, number) = match self.current[direction.index()] {
            Current::None => return None,
            Current::Request(number) => (Which::Request, number),
            Current::Response(number) => (Which::Response, number),
        };
        Some((which, self.find(number)?))
    }

    /// Ends the exchange of this number if both halves are over.
    fn settle(&mut self, number: u64) {
        let over = self.pending.iter().position(|pending| pending.number == number && pending.is_over());
        if let Some(pending) = over.and_then(|index| self.pending.remove(index)) {
            self.finish(pending);
        }
    }

    fn finish(&mut self, mut pending: Pending) {
        let call = pending.reading.and_then(|mut reading| {
            **self.bodies.get_or_insert_default() += reading.take_counters();
            reading.finish(&pending.request, pending.response.as_ref())
        });
        if let Some(mut keeping) = pending.keeping {
            self.held -= keeping.held();
            if call.as_ref().and_then(Call::genai).is_some_and(|call| call.stream.is_some()) {
                keeping.came_in_parts(Which::Response);
            }
            pending.request.content = keeping.give_out(Which::Request);
            if let Some(response) = &mut pending.response {
                response.content = keeping.give_out(Which::Response);
            }
        }
        if call.is_some() {
            pending.incomplete = pending.incomplete.or(pending.unread.map(Incomplete::Gap));
        }
        self.done.push(Exchange {
            connection: Arc::clone(&self.connection),
            request: pending.request,
            response: pending.response,
            incomplete: pending.incomplete,
            end: pending.end,
            closed: self.closed,
            call,
            epoch: pending.epoch,
        });
    }
}

fn half(head: Head) -> Half {
    let last_byte = head.complete;
    Half { head, body_size: None, trailers: Headers::default(), last_byte, complete: false, content: None }
}

impl MessageSink for Assembler {
    fn head(&mut self, direction: Direction, head: Head) {
        let number = head.request;
        let index = direction.index();
        if matches!(head.start, StartLine::Response { .. }) {
            let end = head.complete;
            let Some(pending) = self.find(number).filter(|pending| pending.response.is_none() && !pending.answered)
            else {
                self.counters.orphans += 1;
                self.current[index] = Current::None;
                return;
            };
            pending.end = pending.end.max(end);
            if let Some(reading) = &mut pending.reading {
                reading.response_head(&head);
            }
            pending.response = Some(half(head));
            self.current[index] = Current::Response(number);
            return;
        }
        if !self.role_from_traffic {
            self.role_from_traffic = true;
            let role = match direction {
                Direction::Out => Role::Client,
                Direction::In => Role::Server,
            };
            if self.connection.role != role {
                Arc::make_mut(&mut self.connection).role = role;
            }
        }
        if self.pending.len() == MAX_PENDING {
            self.counters.overflow += 1;
            self.current[index] = Current::None;
            return;
        }
        self.current[index] = Current::Request(number);
        self.pending.push_back(Pending {
            number,
            end: head.complete,
            keeping: self.asked.keeping(&self.connection),
            reading: self.asked.reading(&self.connection, &head),
            unread: None,
            request: half(head),
            request_ended: false,
            response: None,
            answered: false,
            incomplete: None,
            epoch: self.epoch,
        });
    }

    fn body(&mut self, direction: Direction, time: Timestamp, bytes: &[u8]) {
        let held = self.held;
        let Some((which, pending)) = self.current(direction) else { return };
        pending.read(which, |reading, headers| reading.body(which, headers, time, bytes));
        let Some(mut keeping) = pending.keeping.take() else { return };
        let before = keeping.held();
        if let Some(headers) = pending.headers(which) {
            keeping.body(which, headers, bytes, held);
        }
        let more = keeping.held() - before;
        pending.keeping = Some(keeping);
        self.held += more;
    }

    fn body_gap(&mut self, direction: Direction, _: u64, reason: GapReason) {
        let Some((which, pending)) = self.current(direction) else { return };
        if pending.reading.as_ref().is_some_and(|reading| reading.wants(which)) {
            pending.unread.get_or_insert(reason);
        }
        pending.read(which, |reading, _| reading.gap(which));
        // Left out on purpose, because the amount that is copied is limited: nobody asked for more.
        let on_purpose = matches!(reason, GapReason::NotCopied | GapReason::CallLimit);
        if on_purpose && !pending.keeping.as_ref().is_some_and(|keeping| keeping.wants(which)) {
            return;
        }
        pending.incomplete.get_or_insert(Incomplete::Gap(reason));
        let Some(mut keeping) = pending.keeping.take() else { return };
        if let Some(headers) = pending.headers(which) {
            keeping.gap(which, headers);
        }
        pending.keeping = Some(keeping);
    }

    fn end(&mut self, direction: Direction, end: End) {
        let current = std::mem::replace(&mut self.current[direction.index()], Current::None);
        let (Current::Request(number) | Current::Response(number)) = current else { return };
        let Some(pending) = self.find(number) else { return };
        let (which, half) = if let Current::Request(_) = current {
            pending.request_ended = true;
            (Which::Request, Some(&mut pending.request))
        } else {
            pending.answered = true;
            (Which::Response, pending.response.as_mut())
        };
        if let Some(reading) = &mut pending.reading {
            reading.end(which, end.incomplete.is_none());
        }
        if let Some(keeping) = &mut pending.keeping
            && end.incomplete.is_none()
        {
            keeping.end(which);
        }
        if let Some(half) = half {
            half.body_size = end.body_size;
            half.trailers = end.trailers;
            half.last_byte = half.last_byte.max(end.time);
            half.complete = end.incomplete.is_none();
        }
        pending.end = pending.end.max(end.time);
        pending.incomplete = pending.incomplete.or(end.incomplete);
        self.settle(number);
    }

    fn unanswered(&mut self, request: u64, time: Timestamp, why: Incomplete) {
        let Some(pending) = self.find(request) else { return };
        pending.answered = true;
        pending.incomplete.get_or_insert(why);
        pending.end = pending.end.max(time);
        self.settle(request);
    }

    fn protocol(&mut self, protocol: Protocol) {
        Arc::make_mut(&mut self.connection).protocol = protocol;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        policy::{model::ContentCapture, plan::ContentPlan},
        protocol::HttpVersion,
    };

    fn open(role: Option<Role>) -> Open {
        Open { role, pid: 1, comm: "c".to_owned(), ..Open::new(([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into()) }
    }

    fn assembler() -> Assembler {
        Assembler::new(open(None), Arc::new(Workload::default()), Asked::default())
    }

    fn head(number: u64, start: StartLine, time: u64) -> Head {
        Head {
            start,
            version: HttpVersion::Http11,
            headers: Headers::default(),
            position: number,
            first_byte: Timestamp(time),
            complete: Timestamp(time),
            request: number,
        }
    }

    fn request(number: u64, time: u64) -> Head {
        head(number, StartLine::Request { method: "GET".into(), target: "/".into() }, time)
    }

    fn response(number: u64, time: u64) -> Head {
        head(number, StartLine::Response { status: 200 }, time)
    }

    fn end(time: u64) -> End {
        End { time: Timestamp(time), body_size: Some(0), ..End::default() }
    }

    #[test]
    fn a_request_and_its_response_are_one_exchange() {
        let mut assembler = assembler();
        assembler.head(Direction::In, request(0, 1));
        assembler.end(Direction::In, end(2));
        assert!(!assembler.has_done());
        assembler.head(Direction::Out, response(0, 3));
        assembler.end(Direction::Out, end(4));
        let done: Vec<_> = assembler.take_done().collect();
        assert_eq!(done.len(), 1);
        assert_eq!(done[0].connection.role, Role::Server);
        assert_eq!(done[0].end, Timestamp(4));
        assert_eq!(done[0].incomplete, None);
        assert_eq!(assembler.pending(), 0);
    }

    #[test]
    fn room_for_many_is_given_back_and_for_a_few_is_kept() {
        let mut assembler = assembler();
        for (round, requests) in [1, 40, 1].into_iter().enumerate() {
            let numbers = round as u64 * 100..round as u64 * 100 + requests;
            for number in numbers.clone() {
                assembler.head(Direction::Out, request(number, 1));
                assembler.end(Direction::Out, end(2));
            }
            for number in numbers {
                assembler.head(Direction::In, response(number, 3));
                assembler.end(Direction::In, end(4));
            }
            assert_eq!(assembler.take_done().count() as u64, requests);
            assembler.shrink_large();
            let room = (assembler.pending.capacity(), assembler.done.capacity());
            assert_eq!(room, if requests == 1 { (KEPT_ROOM, KEPT_ROOM) } else { (0, 0) });
        }
        assembler.shrink();
        assert_eq!((assembler.pending.capacity(), assembler.done.capacity()), (0, 0));
    }

    #[test]
    fn an_early_response_waits_for_the_end_of_its_request() {
        let mut assembler = assembler();
        assembler.head(Direction::Out, request(0, 1));
        assembler.head(Direction::In, response(0, 2));
        assembler.end(Direction::In, end(3));
        assert!(!assembler.has_done());
        assembler.end(Direction::Out, end(9));
        let done: Vec<_> = assembler.take_done().collect();
        assert_eq!(done[0].end, Timestamp(9));
        assert_eq!(done[0].response.as_ref().unwrap().last_byte, Timestamp(3));
    }

    #[test]
    fn pipelined_responses_go_to_the_request_that_the_parser_says() {
        let mut assembler = assembler();
        for number in 0..3 {
            assembler.head(Direction::Out, request(number, number));
            assembler.end(Direction::Out, end(number));
        }
        assembler.unanswered(0, Timestamp(5), Incomplete::Gap(GapReason::RingFull));
        assembler.head(Direction::In, response(2, 6));
        assembler.end(Direction::In, end(7));
        let done: Vec<_> = assembler.take_done().map(|e| (e.request.head.request, e.response.is_some())).collect();
        assert_eq!(done, [(0, false), (2, true)]);
        assembler.unanswered(1, Timestamp(8), Incomplete::Closed);
        let last = assembler.take_done().next().unwrap();
        assert_eq!((last.request.head.request, last.incomplete), (1, Some(Incomplete::Closed)));
    }

    #[test]
    fn the_first_reason_is_kept_and_a_close_ends_everything() {
        let mut assembler = assembler();
        assembler.head(Direction::Out, request(0, 1));
        assembler.body_gap(Direction::Out, 5, GapReason::Fault);
        assembler.head(Direction::In, response(0, 2));
        assembler.close(Timestamp(3), Incomplete::Truncated);
        let done: Vec<_> = assembler.take_done().collect();
        assert_eq!(done[0].incomplete, Some(Incomplete::Gap(GapReason::Fault)));
        assert_eq!(done[0].end, Timestamp(3));
        assembler.close(Timestamp(4), Incomplete::Truncated);
        assert!(!assembler.has_done());
    }

    #[test]
    fn what_a_close_ends_says_so() {
        for closed in [true, false] {
            let mut assembler = assembler();
            assembler.head(Direction::Out, request(0, 1));
            assembler.end(Direction::Out, end(1));
            assembler.head(Direction::In, response(0, 2));
            assembler.end(Direction::In, end(3));
            assert!(!assembler.take_done().next().unwrap().closed);
            assembler.head(Direction::Out, request(1, 4));
            assembler.end(Direction::Out, end(4));
            assembler.head(Direction::In, response(1, 5));
            if closed {
                assembler.closed();
                assembler.end(Direction::In, End { incomplete: Some(Incomplete::Truncated), ..end(6) });
            }
            assembler.close(Timestamp(7), Incomplete::Truncated);
            assert_eq!(assembler.take_done().next().unwrap().closed, closed);
        }
    }

    #[test]
    fn content_that_nobody_asked_for_is_not_missing() {
        let cases = [GapReason::NotCopied, GapReason::CallLimit]
            .map(|reason| [(reason, false, None), (reason, true, Some(Incomplete::Gap(reason)))]);
        for (reason, bodies, expected) in cases.into_iter().flatten() {
            let content = ContentPlan {
                capture: ContentCapture::Request,
                max_bytes: 10,
                paths: Vec::new(),
                patterns: Vec::new(),
            };
            let capture = if bodies { Capture::Bodies } else { Capture::Heads };
            let plan = Arc::new(Plan { capture, content: bodies.then(|| Arc::new(content)), ..Plan::default() });
            let asked = Asked::by(&plan, &Arc::default(), &Arc::default());
            let mut assembler = Assembler::new(open(None), Arc::new(Workload::default()), asked);
            assembler.head(Direction::Out, request(0, 1));
            assembler.body_gap(Direction::Out, 5, reason);
            assembler.end(Direction::Out, end(2));
            assembler.unanswered(0, Timestamp(3), Incomplete::Closed);
            let incomplete = assembler.take_done().next().unwrap().incomplete;
            assert_eq!(incomplete, expected.or(Some(Incomplete::Closed)));
        }
    }

    #[test]
    fn what_is_beyond_the_bound_is_counted_and_never_mixed_up() {
        let mut assembler = assembler();
        let total = MAX_PENDING as u64 + 3;
        for number in 0..total {
            assembler.head(Direction::Out, request(number, number));
            assembler.end(Direction::Out, end(number));
        }
        for number in 0..total {
            assembler.head(Direction::In, response(number, total));
            assembler.end(Direction::In, end(total));
        }
        let numbers: Vec<u64> = assembler.take_done().map(|exchange| exchange.request.head.request).collect();
        assert_eq!(numbers, (0..MAX_PENDING as u64).collect::<Vec<_>>());
        assert_eq!(assembler.take_counters(), Counters { overflow: 3, orphans: 3 });
    }

    proptest! {
        /// Whatever order a parser could call in: each request that had a head becomes one exchange, with its own response.
        #[test]
        fn each_request_is_one_exchange(calls in proptest::collection::vec((0_u8..6, any::<bool>()), 0..200)) {
            let mut assembler = assembler();
            let (mut requests, mut responses, mut time) = (0, 0, 0);
            for (call, out) in calls {
                time += 1;
                let direction = if out { Direction::Out } else { Direction::In };
                match call {
                    0 => {
                        assembler.head(Direction::Out, request(requests, time));
                        requests += 1;
                    }
                    1 if responses < requests => {
                        assembler.head(Direction::In, response(responses, time));
                        responses += 1;
                    }
                    2 => assembler.end(direction, end(time)),
                    3 if responses < requests => {
                        assembler.unanswered(responses, Timestamp(time), Incomplete::Closed);
                        responses += 1;
                    }
                    4 => assembler.body_gap(direction, 1, GapReason::Unseen),
                    _ => {}
                }
            }
            assembler.close(Timestamp(time), Incomplete::Truncated);
            let mut seen: Vec<u64> = assembler
                .take_done()
                .inspect(|exchange| {
                    if let Some(response) = &exchange.response {
                        assert_eq!(response.head.request, exchange.request.head.request);
                    }
                })
                .map(|exchange| exchange.request.head.request)
                .collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..requests).collect::<Vec<_>>());
        }
    }
}
