//! The bytes of one direction, step by step.

use super::{
    Http1, Out, chunked, head,
    lane::{Joined, State},
};
use crate::{
    capture::{Direction, GapReason, Timestamp},
    protocol::{Headers, Incomplete, MAX_HEAD, MessageSink},
    stream::Segment,
};

/// While the start line is not whole, how much of it is looked at again with every segment.
const LINE_PREFIX: usize = 128;

/// The shortest request head there is, `M / HTTP/1.1` and two line ends; empty lines of that length no client sends.
const MIN_REQUEST_HEAD: u64 = 16;

impl Http1 {
    pub(super) fn data(
        &mut self,
        direction: Direction,
        position: u64,
        time: Timestamp,
        bytes: &[u8],
        out: &mut Out<'_, impl MessageSink>,
    ) {
        self.begin(direction, position, time, out);
        self.lanes[direction.index()].segment = position;
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.opaque {
                out.counters.opaque_bytes = out.counters.opaque_bytes.saturating_add(rest.len() as u64);
                break;
            }
            let taken = self.step(direction, time, rest, out);
            rest = &rest[taken..];
            let lane = &mut self.lanes[direction.index()];
            lane.position += taken as u64;
            lane.last_byte = time;
            if self.waiting.is_some() && direction != self.requests && !rest.is_empty() {
                let segment = Segment::Data { position: lane.position, time, bytes: rest };
                self.stash.push_front(direction, segment);
                return;
            }
        }
        let lane = &mut self.lanes[direction.index()];
        lane.position = position + bytes.len() as u64;
        lane.last_byte = time;
    }

    /// Takes at least one byte of `rest`, and says how many.
    fn step(
        &mut self,
        direction: Direction,
        time: Timestamp,
        rest: &[u8],
        out: &mut Out<'_, impl MessageSink>,
    ) -> usize {
        let lane = &mut self.lanes[direction.index()];
        match &mut lane.state {
            State::Start if matches!(rest[0], b'\r' | b'\n') => 1,
            State::Start => {
                lane.begin_head(time);
                self.first_head_part(direction, time, rest, false, out)
            }
            State::Lost if lane.position == lane.segment && matches!(rest[0], b'\r' | b'\n') => {
                // An empty line before a start line: the segment begins behind it.
                lane.segment += 1;
                1
            }
            State::Lost if lane.position == lane.segment => {
                lane.begin_head(time);
                self.first_head_part(direction, time, rest, true, out)
            }
            State::Lost => {
                self.pass_over(direction, rest.len() as u64, time, out);
                rest.len()
            }
            State::Head { resync } => {
                let resync = *resync;
                self.next_head_part(direction, time, rest, resync, out)
            }
            State::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                *left -= taken as u64;
                let over = *left == 0;
                self.content(direction, time, &rest[..taken], out);
                if over {
                    let size = self.lanes[direction.index()].body_size;
                    self.end(direction, time, Some(size), Headers::default(), None, out);
                }
                taken
            }
            State::UntilClose => {
                self.content(direction, time, rest, out);
                rest.len()
            }
            State::Chunked(chunked) => match chunked.step(rest) {
                chunked::Step::Framing(taken) => taken,
                chunked::Step::Data(taken) => {
                    self.content(direction, time, &rest[..taken], out);
                    taken
                }
                chunked::Step::Last(taken) => {
                    lane.state = State::Trailers;
                    taken
                }
                chunked::Step::Bad => {
                    out.counters.bad_chunks += 1;
                    self.bad_framing(direction, time, out);
                    self.pass_over(direction, rest.len() as u64, time, out);
                    rest.len()
                }
            },
            State::Trailers => self.trailer_part(direction, time, rest, out),
        }
    }

    fn content(&mut self, direction: Direction, time: Timestamp, bytes: &[u8], out: &mut Out<'_, impl MessageSink>) {
        let lane = &mut self.lanes[direction.index()];
        lane.body_size = lane.body_size.saturating_add(bytes.len() as u64);
        if !lane.silent {
            out.sink.body(direction, time, bytes);
        }
    }

    /// The first bytes of a head; where they are the whole head they are parsed in place.
    fn first_head_part(
        &mut self,
        direction: Direction,
        time: Timestamp,
        rest: &[u8],
        resync: bool,
        out: &mut Out<'_, impl MessageSink>,
    ) -> usize {
        let kind = self.kind(direction);
        if resync && !head::may_resync(kind, rest) {
            return self.no_head(direction, time, rest.len(), resync, out);
        }
        let within = &rest[..rest.len().min(MAX_HEAD)];
        match head::find_end(within, 0) {
            Ok(end) => {
                let start = self.lanes[direction.index()].head;
                let Some(parsed) = head::parse(kind, &rest[..end], out.counters) else {
                    return self.no_head(direction, time, rest.len(), resync, out);
                };
                self.found_head(resync, out);
                self.head(direction, parsed, start, time, out);
                end
            }
            Err(_) if within.len() == MAX_HEAD => self.oversize_head(direction, time, rest.len(), resync, out),
            Err(_) if !head::is_plausible(kind, rest) => self.no_head(direction, time, rest.len(), resync, out),
            Err(scanned) => {
                let lane = &mut self.lanes[direction.index()];
                lane.carry = rest.to_vec();
                lane.scanned = scanned;
                lane.line_checked = memchr::memchr(b'\n', rest).is_some();
                lane.state = State::Head { resync };
                rest.len()
            }
        }
    }

    fn next_head_part(
        &mut self,
        direction: Direction,
        time: Timestamp,
        rest: &[u8],
        resync: bool,
        out: &mut Out<'_, impl MessageSink>,
    ) -> usize {
        let kind = self.kind(direction);
        let lane = &mut self.lanes[direction.index()];
        let before = lane.carry.len();
        let taken = rest.len().min(MAX_HEAD - before);
        lane.carry.extend_from_slice(&rest[..taken]);
        if resync
            && !lane.line_checked
            && memchr::memchr(b'\n', rest).is_some()
            && !head::is_plausible(kind, &lane.carry)
            && head::may_resync(kind, rest)
        {
            // What was kept was the end of something; this segment begins a message.
            lane.drop_carry();
            self.pass_over(direction, before as u64, time, out);
            self.lanes[direction.index()].begin_head(time);
            return self.first_head_part(direction, time, rest, resync, out);
        }
        let found = head::find_end(&lane.carry, lane.scanned);
        if !lane.line_checked {
            let newline = memchr::memchr(b'\n', &rest[..taken]).is_some();
            if (newline || before < LINE_PREFIX) && !head::is_plausible(kind, &lane.carry) {
                return self.no_head(direction, time, rest.len(), resync, out);
            }
            lane.line_checked = newline;
        }
        match found {
            Ok(end) => {
                let section = std::mem::take(&mut lane.carry);
                let start = lane.head;
                lane.drop_carry();
                let Some(parsed) = head::parse(kind, &section[..end], out.counters) else {
                    return self.no_head(direction, time, rest.len(), resync, out);
                };
                self.found_head(resync, out);
                self.head(direction, parsed, start, time, out);
                end - before
            }
            Err(_) if lane.carry.len() >= MAX_HEAD => self.oversize_head(direction, time, rest.len(), resync, out),
            Err(scanned) => {
                lane.scanned = scanned;
                taken
            }
        }
    }

    fn found_head(&mut self, resync: bool, out: &mut Out<'_, impl MessageSink>) {
        self.turns = 0;
        if resync {
            out.counters.resyncs += 1;
        }
    }

    /// There is no start line where one should be, or might have been.
    fn no_head(
        &mut self,
        direction: Direction,
        time: Timestamp,
        length: usize,
        resync: bool,
        out: &mut Out<'_, impl MessageSink>,
    ) -> usize {
        let lane = &mut self.lanes[direction.index()];
        let passed = lane.carry.len().max(length);
        lane.drop_carry();
        if resync {
            lane.state = State::Lost;
        } else {
            out.counters.bad_start_lines += 1;
            self.lose(direction, time, true, Incomplete::Truncated, out);
        }
        self.pass_over(direction, passed as u64, time, out);
        length
    }

    fn oversize_head(
        &mut self,
        direction: Direction,
        time: Timestamp,
        length: usize,
        resync: bool,
        out: &mut Out<'_, impl MessageSink>,
    ) -> usize {
        out.counters.oversize_heads += 1;
        self.lanes[direction.index()].drop_carry();
        self.lose(direction, time, !resync, Incomplete::Truncated, out);
        self.pass_over(direction, length as u64, time, out);
        length
    }

    fn trailer_part(
        &mut self,
        direction: Direction,
        time: Timestamp,
        rest: &[u8],
        out: &mut Out<'_, impl MessageSink>,
    ) -> usize {
        let lane = &mut self.lanes[direction.index()];
        let before = lane.carry.len();
        let taken = rest.len().min(MAX_HEAD - before);
        lane.carry.extend_from_slice(&rest[..taken]);
        // An empty section is the blank line alone; no newline comes before it in the carry.
        let end = match &lane.carry[..] {
            [b'\n', ..] => Ok(1),
            [b'\r', b'\n', ..] => Ok(2),
            carry => head::find_end(carry, lane.scanned),
        };
        match end {
            Ok(end) => {
                let section = std::mem::take(&mut lane.carry);
                lane.drop_carry();
                let trailers = if end > 2 {
                    head::parse_fields(&section[..end], out.counters, |_, _| {})
                } else {
                    Headers::default()
                };
                let size = lane.body_size;
                self.end(direction, time, Some(size), trailers, None, out);
                end - before
            }
            Err(_) if lane.carry.len() >= MAX_HEAD => {
                out.counters.oversize_heads += 1;
                self.bad_framing(direction, time, out);
                self.pass_over(direction, rest.len() as u64, time, out);
                rest.len()
            }
            Err(scanned) => {
                lane.scanned = scanned;
                taken
            }
        }
    }

    pub(super) fn gap(
        &mut self,
        direction: Direction,
        position: u64,
        length: u64,
        reason: GapReason,
        time: Timestamp,
        out: &mut Out<'_, impl MessageSink>,
    ) {
        self.begin(direction, position, time, out);
        if self.opaque {
            out.counters.opaque_bytes = out.counters.opaque_bytes.saturating_add(length);
            return;
        }
        let lane = &mut self.lanes[direction.index()];
        lane.position = position.saturating_add(length);
        lane.segment = position;
        let why = Incomplete::Gap(reason);
        match &mut lane.state {
            State::Length(left) => {
                let inside = length.min(*left);
                *left -= inside;
                let over = *left == 0;
                self.content_gap(direction, inside, reason, out);
                if over {
                    let size = self.lanes[direction.index()].body_size;
                    self.end(direction, time, Some(size), Headers::default(), None, out);
                }
                if length > inside {
                    out.counters.gap_heads += 1;
                    let head = self.held_head(direction, length - inside);
                    self.lose(direction, time, head, why, out);
                }
            }
            State::Chunked(chunked::Chunked::Data(left)) if length <= *left => {
                *left -= length;
                if *left == 0 {
                    lane.state = State::Chunked(chunked::Chunked::DataEnd { cr: false });
                }
                self.content_gap(direction, length, reason, out);
            }
            State::UntilClose => self.content_gap(direction, length, reason, out),
            State::Chunked(_) | State::Trailers => {
                self.end(direction, time, None, Headers::default(), Some(why), out);
                self.lose(direction, time, false, why, out);
            }
            State::Start => {
                out.counters.gap_heads += 1;
                let head = self.held_head(direction, length);
                self.lose(direction, time, head, why, out);
            }
            State::Head { resync: false } => {
                out.counters.gap_heads += 1;
                self.lose(direction, time, true, why, out);
            }
            State::Head { resync: true } | State::Lost => self.lose(direction, time, false, why, out),
        }
        self.lanes[direction.index()].last_byte = time;
    }

    /// Whether a gap of so many bytes, where a head should begin, destroyed one: before a request there may be empty
    /// lines (RFC 9112 section 2.2).
    fn held_head(&self, direction: Direction, length: u64) -> bool {
        direction != self.requests || length >= MIN_REQUEST_HEAD
    }

    fn content_gap(
        &mut self,
        direction: Direction,
        length: u64,
        reason: GapReason,
        out: &mut Out<'_, impl MessageSink>,
    ) {
        let lane = &mut self.lanes[direction.index()];
        lane.body_size = lane.body_size.saturating_add(length);
        if !lane.silent && length > 0 {
            out.sink.body_gap(direction, length, reason);
        }
    }

    /// Notes where a direction was joined.
    pub(super) fn begin(
        &mut self,
        direction: Direction,
        position: u64,
        time: Timestamp,
        out: &mut Out<'_, impl MessageSink>,
    ) {
        let lane = &mut self.lanes[direction.index()];
        lane.position = position;
        if lane.joined.is_some() {
            return;
        }
        if position == 0 {
            lane.joined = Some(Joined::AtStart);
            return;
        }
        lane.joined = Some(Joined::Late);
        let requests = &self.lanes[self.requests.index()];
        if direction != self.requests && requests.joined == Some(Joined::AtStart) {
            // The requests were seen from the first, so that what is missing here was lost.
            out.counters.gap_heads += 1;
            self.lose(direction, time, true, Incomplete::Gap(GapReason::Unseen), out);
        } else {
            self.lose(direction, time, false, Incomplete::LateJoin, out);
        }
    }
}
