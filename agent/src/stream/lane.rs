//! One direction: what is delivered, and what waits for bytes before it.

use std::collections::VecDeque;

use super::{Counters, Segment, WINDOW_BYTES, WINDOW_EVENTS, WINDOW_TIME};
use crate::capture::{GapReason, Timestamp};

/// When an event happened, and the connection's clock: the latest time of any of its events.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) event: Timestamp,
    pub(super) clock: Timestamp,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Position of the next byte to deliver.
    next: u64,
    started: bool,
    joined_late: bool,
    /// Sorted by position, data before gaps. Ranges may overlap: they are cut on delivery.
    held: VecDeque<Held>,
    held_bytes: usize,
}

#[derive(Debug)]
struct Held {
    position: u64,
    end: u64,
    time: Timestamp,
    /// The connection's clock when it came.
    arrived: Timestamp,
    what: What,
}

#[derive(Debug)]
enum What {
    Bytes(Box<[u8]>),
    Gap(GapReason),
}

impl Held {
    fn is_gap(&self) -> bool {
        matches!(self.what, What::Gap(_))
    }

    /// Overlapping calls report a range that another call's bytes may still fill.
    fn may_be_filled(&self) -> bool {
        matches!(self.what, What::Gap(GapReason::Interleaved))
    }

    fn expired(&self, clock: Timestamp) -> bool {
        clock.0.saturating_sub(self.arrived.0) > WINDOW_TIME
    }
}

impl Lane {
    pub(super) fn joined_late(&self) -> bool {
        self.joined_late
    }

    pub(super) fn next(&self) -> Option<u64> {
        self.started.then_some(self.next)
    }

    /// Time of the first held event.
    pub(super) fn front_time(&self) -> Option<Timestamp> {
        self.held.front().map(|held| held.time)
    }

    pub(super) fn expired(&self, clock: Timestamp) -> bool {
        self.held.iter().any(|held| held.expired(clock))
    }

    pub(super) fn data(
        &mut self,
        position: u64,
        length: u64,
        bytes: &[u8],
        moment: Moment,
        counters: &mut Counters,
        sink: &mut impl FnMut(Segment<'_>),
    ) {
        // A hostile recording may claim anything: nothing goes past the last position, nor past the length.
        let length = length.min(u64::MAX - position);
        let bytes = &bytes[..bytes.len().min(usize::try_from(length).unwrap_or(usize::MAX))];
        let copied_end = position + bytes.len() as u64;
        let end = position + length;
        self.count_order(position, counters);
        if !self.started && position == 0 {
            self.started = true;
        }
        if self.started && position <= self.next {
            let seen = (self.next - position).min(bytes.len() as u64);
            counters.late_bytes += seen;
            let fresh = &bytes[seen as usize..];
            if !fresh.is_empty() {
                deliver(self.next, moment.event, fresh, counters, sink);
                self.next = copied_end;
            }
        } else if !bytes.is_empty() {
            let what = What::Bytes(bytes.into());
            self.hold(Held { position, end: copied_end, time: moment.event, arrived: moment.clock, what });
        }
        if end > copied_end {
            self.missing(copied_end, end, GapReason::NotCopied, moment, counters, sink);
        } else if !self.held.is_empty() {
            self.settle(moment.clock, counters, sink);
        }
    }

    pub(super) fn gap(
        &mut self,
        position: u64,
        end: u64,
        reason: GapReason,
        moment: Moment,
        counters: &mut Counters,
        sink: &mut impl FnMut(Segment<'_>),
    ) {
        self.count_order(position, counters);
        self.missing(position, end, reason, moment, counters, sink);
    }

    fn missing(
        &mut self,
        position: u64,
        end: u64,
        reason: GapReason,
        moment: Moment,
        counters: &mut Counters,
        sink: &mut impl FnMut(Segment<'_>),
    ) {
        if !self.started && position == 0 {
            self.started = true;
        }
        if end <= position || (self.started && end <= self.next) {
            // Nothing of it is news, but bytes that were delivered just now may have freed what was held.
            self.settle(moment.clock, counters, sink);
            return;
        }
        let held = Held { position, end, time: moment.event, arrived: moment.clock, what: What::Gap(reason) };
        if self.started && position <= self.next && self.held.is_empty() && !held.may_be_filled() {
            self.deliver_gap(end, reason, moment.event, counters, sink);
            return;
        }
        self.hold(held);
        self.settle(moment.clock, counters, sink);
    }

    fn count_order(&self, position: u64, counters: &mut Counters) {
        if self.held.front().is_some_and(|front| front.position > position) {
            counters.reordered += 1;
        }
    }

    /// Delivers what is in order and, while the window is over its bounds, what is not.
    fn settle(&mut self, clock: Timestamp, counters: &mut Counters, sink: &mut impl FnMut(Segment<'_>)) {
        self.drain(clock, counters, sink);
        while self.held_bytes > WINDOW_BYTES || self.held.len() > WINDOW_EVENTS {
            counters.window_overflows += 1;
            self.release(clock, counters, sink);
        }
    }

    /// Ends the wait for the bytes before the first held event, delivers it and what follows it in order.
    pub(super) fn release(&mut self, clock: Timestamp, counters: &mut Counters, sink: &mut impl FnMut(Segment<'_>)) {
        let Some(front) = self.held.front() else { return };
        let (position, time) = (front.position, front.time);
        if !self.started {
            self.started = true;
            self.joined_late = position > 0;
            self.next = position;
        } else if position > self.next {
            self.deliver_gap(position, GapReason::Unseen, time, counters, sink);
        }
        self.deliver_front(counters, sink);
        self.drain(clock, counters, sink);
    }

    fn drain(&mut self, clock: Timestamp, counters: &mut Counters, sink: &mut impl FnMut(Segment<'_>)) {
        while let Some(front) = self.held.front() {
            let waits = front.may_be_filled() && front.end > self.next && !front.expired(clock);
            if !self.started || front.position > self.next || waits {
                break;
            }
            self.deliver_front(counters, sink);
        }
    }

    /// Delivers the first held event, which starts at or before `next`.
    fn deliver_front(&mut self, counters: &mut Counters, sink: &mut impl FnMut(Segment<'_>)) {
        let Some(mut front) = self.held.pop_front() else { return };
        match front.what {
            What::Bytes(ref bytes) => {
                self.held_bytes -= bytes.len();
                let seen = (self.next - front.position).min(bytes.len() as u64);
                counters.late_bytes += seen;
                let fresh = &bytes[seen as usize..];
                if !fresh.is_empty() {
                    deliver(self.next, front.time, fresh, counters, sink);
                    self.next = front.end;
                }
            }
            What::Gap(reason) => {
                // Bytes that were seen win over a record that says they were not.
                let data = self.held.iter().find(|held| !held.is_gap() && held.end > self.next);
                let cut = data.map_or(front.end, |data| data.position.clamp(self.next, front.end.max(self.next)));
                if cut > self.next {
                    self.deliver_gap(cut, reason, front.time, counters, sink);
                }
                if front.end > cut {
                    front.position = cut;
                    self.hold(front);
                }
            }
        }
    }

    fn deliver_gap(
        &mut self,
        end: u64,
        reason: GapReason,
        time: Timestamp,
        counters: &mut Counters,
        sink: &mut impl FnMut(Segment<'_>),
    ) {
        let length = end - self.next;
        counters.count_gap(reason, length);
        sink(Segment::Gap { position: self.next, length, reason, time });
        self.next = end;
    }

    fn hold(&mut self, held: Held) {
        if let What::Bytes(bytes) = &held.what {
            self.held_bytes += bytes.len();
        }
        let key = (held.position, held.is_gap());
        let index = self.held.partition_point(|other| (other.position, other.is_gap()) <= key);
        self.held.insert(index, held);
    }

    /// Gives back the memory of an empty window.
    pub(super) fn shrink(&mut self) {
        if self.held.is_empty() && self.held.capacity() > 0 {
            self.held = VecDeque::new();
        }
    }
}

fn deliver(position: u64, time: Timestamp, bytes: &[u8], counters: &mut Counters, sink: &mut impl FnMut(Segment<'_>)) {
    counters.data_bytes += bytes.len() as u64;
    sink(Segment::Data { position, time, bytes });
}
