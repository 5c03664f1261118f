//! One connection: what it speaks, which end is the client, and the parser that follows from it.

use super::{
    Counters, Incomplete, MAX_HEAD, MAX_LOST_TURNS, MessageSink, Protocol,
    detect::{Verdict, detect},
    http1::{self, Http1, Kind},
    stash::Stash,
    tls::{Handshake, Hello},
};
use crate::{
    capture::{CloseHow, Direction, Role, Timestamp},
    stream::Segment,
};

/// Parses both directions of one connection.
///
/// Takes segments of a direction in order; those of the two directions may come in any order that a socket could show, also a
/// response before its request (two threads, each between its call and its event), as long as the times are true.
/// Everything that it keeps is bounded: per direction [`MAX_HEAD`], of waiting responses [`super::WAIT_BYTES`].
#[derive(Debug)]
pub struct Connection {
    role: Option<Role>,
    state: State,
}

#[derive(Debug)]
enum State {
    Undecided(Box<Undecided>),
    Http1(Box<Http1>),
    /// The hellos are read; all bytes are only counted.
    Tls(Box<Handshake>),
    /// Bytes are only counted.
    Opaque,
}

/// What came before it was clear what it is.
#[derive(Debug, Default)]
struct Undecided {
    stash: Stash,
    lanes: [First; 2],
    last_direction: Option<Direction>,
    turns: u8,
    seen: bool,
}

/// The beginning of a direction.
#[derive(Debug, Default)]
struct First {
    began: bool,
    /// Bytes before what is looked at were not seen: anything may come until a start line.
    joined_late: bool,
    /// What was passed over.
    passed: Option<Passed>,
    /// How many bytes before the next segment are kept, undecided.
    kept: u64,
    /// The bytes that are looked at, while they do not decide.
    bytes: Vec<u8>,
}

/// Bytes that were not seen, or are the middle of a message.
#[derive(Clone, Copy, Debug)]
struct Passed {
    start: u64,
    end: u64,
    /// When the last of them moved.
    time: Timestamp,
    why: Incomplete,
}

impl Connection {
    /// A connection of which nothing was seen. `role` is what the socket says.
    pub fn new(role: Option<Role>) -> Self {
        Self { role, state: State::Undecided(Box::default()) }
    }

    /// Which end the process is; `None` until the socket or the traffic tells.
    pub fn role(&self) -> Option<Role> {
        self.role
    }

    /// What the hellos of TLS say, each time that it is more than before.
    pub fn take_hello(&mut self) -> Option<Hello> {
        let State::Tls(handshake) = &mut self.state else { return None };
        let hello = handshake.take();
        if [Direction::Out, Direction::In].into_iter().all(|direction| handshake.is_over(direction)) {
            self.state = State::Opaque;
        }
        hello
    }

    /// Stream position of a direction before which no payload need be copied: its bytes are content that is not wanted, or
    /// nothing that is parsed. 0: everything is needed; `u64::MAX`: nothing any more. The bytes must still be accounted for, as
    /// [`Segment::Gap`]. `wanted`: whether somebody wants the content of the message that the direction is in.
    pub fn skip_until(&self, direction: Direction, wanted: bool) -> u64 {
        match &self.state {
            State::Undecided(_) => 0,
            State::Http1(http1) => http1.skip_until(direction, wanted),
            State::Tls(handshake) if !handshake.is_over(direction) => 0,
            State::Tls(_) | State::Opaque => u64::MAX,
        }
    }

    /// The next piece of a direction.
    pub fn segment(
        &mut self,
        direction: Direction,
        segment: Segment<'_>,
        counters: &mut Counters,
        sink: &mut impl MessageSink,
    ) {
        match &mut self.state {
            State::Http1(http1) => {
                http1.segment(direction, segment, &mut http1::Out { counters, sink });
                if http1.is_tunnel() {
                    // What it is opened for is nearly always TLS; if not, the first bytes of each direction say so.
                    self.state = State::Tls(Box::default());
                }
            }
            State::Tls(_) => self.handshake(direction, segment, counters),
            State::Opaque => {
                counters.opaque_bytes = counters.opaque_bytes.saturating_add(length(segment));
            }
            State::Undecided(undecided) => {
                if let Some(verdict) = undecided.judge(direction, segment, self.role, counters) {
                    self.decide(verdict, direction, segment, counters, sink);
                }
            }
        }
    }

    /// Whether something waits that [`Self::tick`] gives up one day.
    pub fn waits(&self) -> bool {
        matches!(&self.state, State::Http1(http1) if http1.waits())
    }

    /// It is now `time`: what waited too long is given up.
    pub fn tick(&mut self, time: Timestamp, counters: &mut Counters, sink: &mut impl MessageSink) {
        if let State::Http1(http1) = &mut self.state {
            http1.tick(time, &mut http1::Out { counters, sink });
        }
    }

    /// The connection is over: every open message ends and every request without a response is [`MessageSink::unanswered`].
    pub fn close(
        &mut self,
        how: Option<CloseHow>,
        time: Timestamp,
        counters: &mut Counters,
        sink: &mut impl MessageSink,
    ) {
        match &mut self.state {
            State::Http1(http1) => http1.close(how, time, &mut http1::Out { counters, sink }),
            State::Undecided(undecided) if undecided.seen => {
                self.state = State::Opaque;
                sink.protocol(Protocol::Unknown);
            }
            State::Undecided(_) | State::Tls(_) | State::Opaque => {}
        }
    }

    /// Bytes that are kept.
    #[cfg(test)]
    pub(super) fn retained(&self) -> usize {
        match &self.state {
            State::Undecided(undecided) => {
                undecided.stash.bytes() + undecided.lanes.iter().map(|lane| lane.bytes.len()).sum::<usize>()
            }
            State::Http1(http1) => http1.retained(),
            State::Tls(handshake) => handshake.retained(),
            State::Opaque => 0,
        }
    }

    fn handshake(&mut self, direction: Direction, segment: Segment<'_>, counters: &mut Counters) {
        let State::Tls(handshake) = &mut self.state else { return };
        counters.opaque_bytes = counters.opaque_bytes.saturating_add(length(segment));
        handshake.segment(direction, segment);
        if let Some(client) = handshake.client() {
            self.role = Some(if client == Direction::Out { Role::Client } else { Role::Server });
        }
    }

    fn decide(
        &mut self,
        verdict: Verdict,
        direction: Direction,
        segment: Segment<'_>,
        counters: &mut Counters,
        sink: &mut impl MessageSink,
    ) {
        let State::Undecided(undecided) = &mut self.state else { return };
        let opaque = match verdict {
            Verdict::Undecided => {
                undecided.stash.push(direction, segment);
                if !undecided.stash.is_above(MAX_HEAD) {
                    return;
                }
                counters.detection_overflows += 1;
                if undecided.lanes.iter().any(|lane| lane.joined_late) {
                    for direction in [Direction::Out, Direction::In] {
                        undecided.pass_over(direction, counters);
                    }
                    return;
                }
                Protocol::Unknown
            }
            Verdict::Http1(kind) => {
                let requests = if kind == Kind::Request { direction } else { direction.reverse() };
                let role = if requests == Direction::Out { Role::Client } else { Role::Server };
                self.role = Some(role);
                let mut stash = std::mem::take(&mut undecided.stash);
                let mut http1 = Box::new(Http1::new(requests));
                sink.protocol(Protocol::Http1);
                let out = &mut http1::Out { counters, sink };
                for direction in [requests, requests.reverse()] {
                    if let Some(Passed { start, end, time, why }) = undecided.lanes[direction.index()].passed {
                        http1.passed_over(direction, (start, end), time, why, out);
                    }
                }
                while let Some((direction, stashed)) = stash.pop() {
                    http1.segment(direction, stashed.as_segment(), out);
                }
                http1.segment(direction, segment, out);
                self.state = State::Http1(http1);
                return;
            }
            Verdict::Tls => {
                let mut stash = std::mem::take(&mut undecided.stash);
                self.state = State::Tls(Box::default());
                sink.protocol(Protocol::Tls);
                while let Some((direction, stashed)) = stash.pop() {
                    self.handshake(direction, stashed.as_segment(), counters);
                }
                self.handshake(direction, segment, counters);
                return;
            }
            Verdict::Http2 => Protocol::Http2,
            Verdict::Other => Protocol::Unknown,
        };
        while let Some((_, stashed)) = undecided.stash.pop() {
            counters.opaque_bytes = counters.opaque_bytes.saturating_add(length(stashed.as_segment()));
        }
        if verdict != Verdict::Undecided {
            counters.opaque_bytes = counters.opaque_bytes.saturating_add(length(segment));
        }
        self.state = State::Opaque;
        sink.protocol(opaque);
    }
}

impl First {
    fn note_passed(&mut self, position: u64, length: u64, time: Timestamp, why: Incomplete) {
        // What was kept before, and is dropped now, began earlier.
        let start = position - (self.kept.min(position));
        let passed = self.passed.get_or_insert(Passed { start, end: 0, time, why });
        passed.end = position.saturating_add(length);
        passed.time = passed.time.max(time);
        self.kept = 0;
    }
}

impl Undecided {
    /// Judges one more segment. `None`: it is the middle of a message that began before, and is passed over.
    fn judge(
        &mut self,
        direction: Direction,
        segment: Segment<'_>,
        role: Option<Role>,
        counters: &mut Counters,
    ) -> Option<Verdict> {
        self.seen = true;
        if self.last_direction != Some(direction) {
            self.last_direction = Some(direction);
            self.turns = self.turns.saturating_add(1);
        }
        if self.turns > MAX_LOST_TURNS {
            counters.given_up += 1;
            return Some(Verdict::Other);
        }
        let (Segment::Data { position, time, .. } | Segment::Gap { position, time, .. }) = segment;
        let first = &mut self.lanes[direction.index()];
        first.joined_late |= !first.began && position > 0;
        first.began = true;
        let bytes = match segment {
            Segment::Data { bytes, .. } => bytes,
            Segment::Gap { length, reason, .. } => {
                let why = if first.joined_late { Incomplete::LateJoin } else { Incomplete::Gap(reason) };
                first.joined_late = true;
                self.pass_over(direction, counters);
                self.lanes[direction.index()].note_passed(position, length, time, why);
                return None;
            }
        };
        let late = first.joined_late;
        let verdict = if first.bytes.is_empty() {
            detect(bytes, late)
        } else {
            first.bytes.extend_from_slice(bytes);
            match detect(&first.bytes, late) {
                // What was kept was the end of something; this segment may begin a message.
                Verdict::Other if late => {
                    self.pass_over(direction, counters);
                    detect(bytes, late)
                }
                verdict => verdict,
            }
        };
        let first = &mut self.lanes[direction.index()];
        match verdict {
            Verdict::Http1(kind) if role.is_none_or(|role| is_sender(role, kind, direction)) => Some(verdict),
            Verdict::Http2 | Verdict::Tls => Some(verdict),
            Verdict::Undecided => {
                if first.bytes.is_empty() {
                    first.bytes = bytes.to_vec();
                }
                first.kept = first.bytes.len() as u64;
                Some(verdict)
            }
            Verdict::Http1(_) | Verdict::Other if first.joined_late => {
                counters.skipped_bytes += bytes.len() as u64;
                self.pass_over(direction, counters);
                self.lanes[direction.index()].note_passed(position, bytes.len() as u64, time, Incomplete::LateJoin);
                None
            }
            Verdict::Http1(_) | Verdict::Other => Some(Verdict::Other),
        }
    }

    /// Drops what was kept of a direction.
    fn pass_over(&mut self, direction: Direction, counters: &mut Counters) {
        self.lanes[direction.index()].bytes = Vec::new();
        counters.skipped_bytes += self.stash.drop_direction(direction);
    }
}

/// Whether an end with this role sends messages of this kind in this direction.
fn is_sender(role: Role, kind: Kind, direction: Direction) -> bool {
    (role == Role::Client) == ((kind == Kind::Request) == (direction == Direction::Out))
}

fn length(segment: Segment<'_>) -> u64 {
    match segment {
        Segment::Data { bytes, .. } => bytes.len() as u64,
        Segment::Gap { length, .. } => length,
    }
}
