//! HTTP/1.0 and HTTP/1.1 (RFC 9112), as an observer of both directions sees them.
//!
//! Framing is exact as long as no byte of it is missing: a gap inside content of known length is bridged. Where it is lost, the
//! direction is passed over until a segment (one call of the application) begins with a plausible start line; which request
//! a later response then answers is decided in [`pipeline`].

mod chunked;
mod head;
mod lane;
mod pipeline;
mod read;
#[cfg(test)]
mod tests;

pub(super) use head::{Kind, is_plausible, may_resync};

use self::{
    chunked::Chunked,
    head::{Framing, Parsed},
    lane::{HeadStart, Lane, State},
    pipeline::{Answer, Method, Pending, Pipeline},
};
use super::{
    Counters, End, Head, Headers, Incomplete, MAX_LOST_TURNS, MessageSink, Protocol, StartLine, WAIT_BYTES, WAIT_TIME,
    stash::Stash,
};
use crate::{
    capture::{CloseHow, Direction, Timestamp},
    stream::Segment,
};

/// Both directions of one connection.
#[derive(Debug)]
pub(super) struct Http1 {
    lanes: [Lane; 2],
    /// Which way requests go.
    requests: Direction,
    pipeline: Pipeline,
    next_request: u64,
    /// A response whose request has not come yet, and behind it what came in its direction.
    waiting: Option<Box<Waiting>>,
    stash: Stash,
    /// The latest time of any segment.
    clock: Timestamp,
    /// Why message boundaries were lost last.
    loss: Incomplete,
    last_direction: Direction,
    turns: u8,
    /// Upgraded or given up: bytes are only counted.
    opaque: bool,
    /// Opened by `CONNECT` (RFC 9110 section 9.3.6).
    tunnel: bool,
}

#[derive(Debug)]
struct Waiting {
    parsed: Parsed,
    start: HeadStart,
    complete: Timestamp,
    since: Timestamp,
}

/// What one call works on beside the connection itself.
pub(super) struct Out<'a, S> {
    pub(super) counters: &'a mut Counters,
    pub(super) sink: &'a mut S,
}

impl Http1 {
    pub(super) fn new(requests: Direction) -> Self {
        Self {
            lanes: [Lane::default(), Lane::default()],
            requests,
            pipeline: Pipeline::default(),
            next_request: 0,
            waiting: None,
            stash: Stash::default(),
            clock: Timestamp::default(),
            loss: Incomplete::LateJoin,
            last_direction: requests,
            turns: 0,
            opaque: false,
            tunnel: false,
        }
    }

    pub(super) fn segment(&mut self, direction: Direction, segment: Segment<'_>, out: &mut Out<'_, impl MessageSink>) {
        let (Segment::Data { time, .. } | Segment::Gap { time, .. }) = segment;
        self.tick(time, out);
        self.count_turn(direction, out);
        if self.waiting.is_some() && direction != self.requests {
            self.stash.push(direction, segment);
            while self.waiting.is_some() && self.stash.is_above(WAIT_BYTES) {
                out.counters.wait_overflows += 1;
                self.give_up_wait(out);
            }
            return;
        }
        self.feed(direction, segment, out);
        self.retry(out);
    }

    /// Whether it has become a tunnel, of which nothing more is read here.
    pub(super) const fn is_tunnel(&self) -> bool {
        self.tunnel
    }

    /// Whether a response waits for its request.
    pub(super) fn waits(&self) -> bool {
        self.waiting.is_some()
    }

    pub(super) fn tick(&mut self, time: Timestamp, out: &mut Out<'_, impl MessageSink>) {
        self.clock = self.clock.max(time);
        while self.waiting.as_ref().is_some_and(|waiting| self.clock.0.saturating_sub(waiting.since.0) > WAIT_TIME) {
            self.give_up_wait(out);
        }
    }

    pub(super) fn close(&mut self, how: Option<CloseHow>, time: Timestamp, out: &mut Out<'_, impl MessageSink>) {
        while self.waiting.is_some() {
            self.give_up_wait(out);
        }
        let reset = how == Some(CloseHow::Reset);
        for direction in [self.requests, self.requests.reverse()] {
            let incomplete = match self.lanes[direction.index()].state {
                State::Length(_) | State::Chunked(_) | State::Trailers if !reset => Some(Incomplete::Truncated),
                State::Length(_) | State::Chunked(_) | State::Trailers => Some(Incomplete::Reset),
                State::UntilClose => reset.then_some(Incomplete::Reset),
                State::Head { resync: false } => {
                    out.counters.truncated_heads += 1;
                    continue;
                }
                State::Head { resync: true } | State::Start | State::Lost => continue,
            };
            if !self.opaque {
                let (last_byte, size) =
                    (self.lanes[direction.index()].last_byte, self.lanes[direction.index()].body_size);
                self.end(direction, last_byte, Some(size), Headers::default(), incomplete, out);
            }
        }
        let why = if reset { Incomplete::Reset } else { Incomplete::Closed };
        self.pipeline.clear(|request| out.sink.unanswered(request, time, why));
        self.opaque = true;
    }

    pub(super) fn skip_until(&self, direction: Direction, wanted: bool) -> u64 {
        if self.opaque {
            u64::MAX
        } else if wanted || self.waiting.is_some() && direction != self.requests {
            0
        } else {
            self.lanes[direction.index()].skip_until()
        }
    }

    /// Bytes that are kept.
    #[cfg(test)]
    pub(super) fn retained(&self) -> usize {
        self.stash.bytes() + self.lanes.iter().map(|lane| lane.carry.len()).sum::<usize>()
    }

    fn kind(&self, direction: Direction) -> Kind {
        if direction == self.requests { Kind::Request } else { Kind::Response }
    }

    /// A connection on which no start line turns up, however often the direction changes, is not read for ever.
    fn count_turn(&mut self, direction: Direction, out: &mut Out<'_, impl MessageSink>) {
        if direction == self.last_direction {
            return;
        }
        self.last_direction = direction;
        if self.opaque
            || !self.lanes.iter().any(|lane| matches!(lane.state, State::Lost | State::Head { resync: true }))
        {
            return;
        }
        self.turns += 1;
        if self.turns > MAX_LOST_TURNS {
            out.counters.given_up += 1;
            self.become_opaque(out);
        }
    }

    /// The head of a message is whole.
    fn head(
        &mut self,
        direction: Direction,
        parsed: Parsed,
        start: HeadStart,
        complete: Timestamp,
        out: &mut Out<'_, impl MessageSink>,
    ) {
        // Of two threads, the one that called later may have been first to get the socket.
        let complete = complete.max(start.first_byte);
        match &parsed.start {
            StartLine::Request { method, .. } => {
                let method = match &**method {
                    "HEAD" => Method::Head,
                    "CONNECT" => Method::Connect,
                    _ => Method::Other,
                };
                self.request(parsed, method, start, complete, out);
            }
            StartLine::Response { status: 100 | 102..=199 } => {
                out.counters.interim_responses += 1;
                self.pipeline.saw_interim();
                let lane = &mut self.lanes[direction.index()];
                lane.state = State::Start;
                lane.quiet_before_interim = Some(start.quiet_since);
            }
            StartLine::Response { .. } => {
                let since = self.clock;
                self.response(Waiting { parsed, start, complete, since }, true, out);
            }
        }
    }

    fn request(
        &mut self,
        parsed: Parsed,
        method: Method,
        start: HeadStart,
        complete: Timestamp,
        out: &mut Out<'_, impl MessageSink>,
    ) {
        let request = self.next_request;
        self.next_request += 1;
        out.counters.requests += 1;
        let (framing, expects_interim) = (parsed.framing, parsed.expects_interim);
        out.sink.head(self.requests, into_head(parsed, start, complete, request));
        if start.follows_at_once {
            self.pipeline.saw_pipelining();
        }
        let pending = Pending { request, first_byte: start.first_byte, method, expects_interim };
        let why = self.loss;
        if !self.pipeline.push(pending, |request| out.sink.unanswered(request, complete, why)) {
            out.counters.pipeline_overflows += 1;
        }
        self.lanes[self.requests.index()].silent = false;
        match framing {
            Framing::OtherCoding => {
                out.counters.bad_transfer_encodings += 1;
                self.bad_framing(self.requests, complete, out);
            }
            Framing::None => self.body(self.requests, Framing::Length(0), complete, out),
            framing => self.body(self.requests, framing, complete, out),
        }
    }

    fn response(&mut self, response: Waiting, patient: bool, out: &mut Out<'_, impl MessageSink>) {
        let Waiting { ref start, complete, .. } = response;
        let why = self.loss;
        let answer = self.pipeline.answer(start.first_byte, start.quiet_since, patient, |request| {
            out.sink.unanswered(request, complete, why);
        });
        match answer {
            Answer::To(pending) => self.answered(response, pending, out),
            Answer::Wait if patient => self.waiting = Some(Box::new(response)),
            Answer::Wait => {
                self.pipeline.give_up_wait();
                out.counters.orphan_responses += 1;
                self.unpaired(&response, None, out);
            }
            Answer::Orphan => {
                out.counters.orphan_responses += 1;
                self.unpaired(&response, None, out);
            }
            Answer::Ambiguous(method) => {
                out.counters.ambiguous_responses += 1;
                self.unpaired(&response, method, out);
            }
        }
    }

    fn answered(&mut self, response: Waiting, pending: Pending, out: &mut Out<'_, impl MessageSink>) {
        let Waiting { parsed, start, complete, .. } = response;
        let direction = self.requests.reverse();
        out.counters.responses += 1;
        self.lanes[direction.index()].silent = false;
        let (status, framing) = (status(&parsed), parsed.framing);
        out.sink.head(direction, into_head(parsed, start, complete, pending.request));
        self.response_body(status, framing, pending.method, complete, out);
    }

    /// Frames the content of a response (RFC 9112 section 6.3).
    fn response_body(
        &mut self,
        status: u16,
        framing: Framing,
        method: Method,
        complete: Timestamp,
        out: &mut Out<'_, impl MessageSink>,
    ) {
        let direction = self.requests.reverse();
        let tunnel = status == 101 || method == Method::Connect && (200..300).contains(&status);
        if tunnel || method == Method::Head || matches!(status, 204 | 304) {
            self.body(direction, Framing::Length(0), complete, out);
            if tunnel {
                self.become_opaque(out);
                self.tunnel = status != 101;
                out.sink.protocol(Protocol::Upgraded);
            }
        } else {
            self.body(direction, framing, complete, out);
        }
    }

    /// A response that cannot be given to a request is framed where its request's method is sure, and else passed over.
    fn unpaired(&mut self, response: &Waiting, method: Option<Method>, out: &mut Out<'_, impl MessageSink>) {
        let direction = self.requests.reverse();
        self.lanes[direction.index()].silent = true;
        let (status, framing) = (status(&response.parsed), response.parsed.framing);
        let empty = matches!(status, 101 | 204 | 304) || framing == Framing::Length(0);
        match method {
            Some(method) => self.response_body(status, framing, method, response.complete, out),
            None if empty => self.response_body(status, framing, Method::Other, response.complete, out),
            None => self.lose(direction, response.complete, false, self.loss, out),
        }
    }

    /// Content begins, framed by `framing`; [`Framing::None`] is until the connection closes.
    fn body(&mut self, direction: Direction, framing: Framing, time: Timestamp, out: &mut Out<'_, impl MessageSink>) {
        let lane = &mut self.lanes[direction.index()];
        lane.body_size = 0;
        match framing {
            Framing::Length(0) => self.end(direction, time, Some(0), Headers::default(), None, out),
            Framing::Length(length) => lane.state = State::Length(length),
            Framing::Chunked => lane.state = State::Chunked(Chunked::START),
            Framing::None | Framing::OtherCoding => lane.state = State::UntilClose,
            Framing::BadLength => {
                out.counters.bad_content_lengths += 1;
                self.bad_framing(direction, time, out);
            }
        }
    }

    fn bad_framing(&mut self, direction: Direction, time: Timestamp, out: &mut Out<'_, impl MessageSink>) {
        self.end(direction, time, None, Headers::default(), Some(Incomplete::Truncated), out);
        self.lose(direction, time, false, Incomplete::Truncated, out);
    }

    /// The message that is open in this direction is over.
    fn end(
        &mut self,
        direction: Direction,
        time: Timestamp,
        body_size: Option<u64>,
        trailers: Headers,
        incomplete: Option<Incomplete>,
        out: &mut Out<'_, impl MessageSink>,
    ) {
        let lane = &mut self.lanes[direction.index()];
        lane.state = State::Start;
        lane.ended_in = Some(lane.segment);
        lane.quiet_before_interim = None;
        let time = time.max(lane.head.first_byte);
        if !lane.silent {
            out.sink.end(direction, End { time, body_size, trailers, incomplete });
        }
        if direction != self.requests && incomplete.is_none() {
            self.pipeline.response_ended(time);
        }
    }

    /// Message boundaries of a direction are lost; with them a head, if `head`.
    fn lose(
        &mut self,
        direction: Direction,
        time: Timestamp,
        head: bool,
        why: Incomplete,
        out: &mut Out<'_, impl MessageSink>,
    ) {
        let lane = &mut self.lanes[direction.index()];
        lane.state = State::Lost;
        lane.quiet_before_interim = None;
        lane.drop_carry();
        self.loss = why;
        if direction == self.requests {
            let until = (why != Incomplete::LateJoin).then_some(time);
            self.pipeline.request_lost(lane.last_byte, until, head);
        } else {
            self.pipeline.response_lost(time, head, |request| out.sink.unanswered(request, time, why));
        }
    }

    /// Bytes of a direction whose boundaries are lost were passed over.
    fn pass_over(&mut self, direction: Direction, length: u64, time: Timestamp, out: &mut Out<'_, impl MessageSink>) {
        out.counters.skipped_bytes = out.counters.skipped_bytes.saturating_add(length);
        let why = self.loss;
        if direction == self.requests {
            self.pipeline.request_lost(time, Some(time), false);
        } else {
            self.pipeline.response_lost(time, false, |request| out.sink.unanswered(request, time, why));
        }
    }

    /// Before it was clear that this is HTTP/1, a direction was passed over from `start` to `end`.
    pub(super) fn passed_over(
        &mut self,
        direction: Direction,
        (start, end): (u64, u64),
        time: Timestamp,
        why: Incomplete,
        out: &mut Out<'_, impl MessageSink>,
    ) {
        self.begin(direction, start, time, out);
        if start == 0 {
            out.counters.gap_heads += 1;
            self.lose(direction, time, true, why, out);
        }
        if direction == self.requests {
            self.pipeline.request_lost(time, Some(time), false);
        }
        let lane = &mut self.lanes[direction.index()];
        lane.position = end;
        lane.last_byte = time;
    }

    /// Offers a response that waits to the requests that are known now.
    fn retry(&mut self, out: &mut Out<'_, impl MessageSink>) {
        while let Some(waiting) = self.waiting.take() {
            self.response(*waiting, true, out);
            if self.waiting.is_some() {
                return;
            }
            self.feed_stash(out);
        }
    }

    fn give_up_wait(&mut self, out: &mut Out<'_, impl MessageSink>) {
        if let Some(waiting) = self.waiting.take() {
            self.response(*waiting, false, out);
            self.feed_stash(out);
        }
    }

    fn feed_stash(&mut self, out: &mut Out<'_, impl MessageSink>) {
        while self.waiting.is_none()
            && let Some((direction, stashed)) = self.stash.pop()
        {
            self.feed(direction, stashed.as_segment(), out);
        }
    }

    fn feed(&mut self, direction: Direction, segment: Segment<'_>, out: &mut Out<'_, impl MessageSink>) {
        match segment {
            Segment::Data { position, time, bytes } => self.data(direction, position, time, bytes, out),
            Segment::Gap { position, length, reason, time } => self.gap(direction, position, length, reason, time, out),
        }
    }

    fn become_opaque(&mut self, out: &mut Out<'_, impl MessageSink>) {
        self.opaque = true;
        for direction in [Direction::Out, Direction::In] {
            let lane = &mut self.lanes[direction.index()];
            lane.drop_carry();
            let open = matches!(lane.state, State::Length(_) | State::Chunked(_) | State::Trailers | State::UntilClose);
            if open {
                let time = lane.last_byte;
                self.end(direction, time, None, Headers::default(), Some(Incomplete::Truncated), out);
            }
        }
        let time = self.clock;
        self.pipeline.clear(|request| out.sink.unanswered(request, time, Incomplete::Truncated));
    }
}

fn status(parsed: &Parsed) -> u16 {
    match parsed.start {
        StartLine::Response { status } => status,
        StartLine::Request { .. } => 0,
    }
}

fn into_head(parsed: Parsed, start: HeadStart, complete: Timestamp, request: u64) -> Head {
    let Parsed { start: line, version, headers, .. } = parsed;
    Head { start: line, version, headers, position: start.position, first_byte: start.first_byte, complete, request }
}
