//! Both directions of a connection, on one clock.

use super::{
    Counters, Segment,
    lane::{Lane, Moment},
};
use crate::capture::{Direction, GapReason, Timestamp};

/// Puts the events of one connection in order.
///
/// Events of one direction may come slightly out of order (two threads, each between its call and its event) and may overlap.
/// Bytes in order go straight through, borrowed. Bytes ahead of their turn wait, at most [`super::WINDOW_BYTES`],
/// [`super::WINDOW_EVENTS`] and [`super::WINDOW_TIME`]; then what is missing becomes a gap [`GapReason::Unseen`]. A stream whose
/// first event is not at position 0 waits likewise, and then starts where its first event is: it was joined late.
///
/// Time is event time only, so a replay does what the capture did.
#[derive(Debug, Default)]
pub struct Streams {
    lanes: [Lane; 2],
    clock: Timestamp,
}

impl Streams {
    /// Two directions of which nothing was seen.
    pub fn new() -> Self {
        Self::default()
    }

    /// The application moved `length` bytes at `position`, of which `bytes` were copied.
    #[expect(clippy::too_many_arguments, reason = "the fields of one event, which are not a type of their own")]
    pub fn data(
        &mut self,
        direction: Direction,
        position: u64,
        length: u32,
        bytes: &[u8],
        time: Timestamp,
        counters: &mut Counters,
        sink: &mut impl FnMut(Direction, Segment<'_>),
    ) {
        self.tick(time, counters, sink);
        let moment = Moment { event: time, clock: self.clock };
        let lane = &mut self.lanes[direction.index()];
        let mut lane_sink = |segment: Segment<'_>| sink(direction, segment);
        lane.data(position, u64::from(length), bytes, moment, counters, &mut lane_sink);
    }

    /// `length` bytes at `position` were moved and not seen.
    #[expect(clippy::too_many_arguments, reason = "the fields of one event, which are not a type of their own")]
    pub fn gap(
        &mut self,
        direction: Direction,
        position: u64,
        length: u64,
        reason: GapReason,
        time: Timestamp,
        counters: &mut Counters,
        sink: &mut impl FnMut(Direction, Segment<'_>),
    ) {
        self.tick(time, counters, sink);
        let moment = Moment { event: time, clock: self.clock };
        let lane = &mut self.lanes[direction.index()];
        let mut lane_sink = |segment: Segment<'_>| sink(direction, segment);
        let end = position.saturating_add(length);
        lane.gap(position, end, reason, moment, counters, &mut lane_sink);
    }

    /// It is now `time`: what waited too long is delivered.
    pub fn tick(&mut self, time: Timestamp, counters: &mut Counters, sink: &mut impl FnMut(Direction, Segment<'_>)) {
        self.clock = self.clock.max(time);
        if self.waits() {
            self.release(false, counters, sink);
        }
    }

    /// The connection is over: everything that waits is delivered.
    pub fn close(&mut self, counters: &mut Counters, sink: &mut impl FnMut(Direction, Segment<'_>)) {
        self.release(true, counters, sink);
    }

    /// Whether an event waits for bytes before it.
    pub fn waits(&self) -> bool {
        self.lanes.iter().any(|lane| lane.front_time().is_some())
    }

    /// Whether the first bytes of this direction were before the first event.
    pub fn joined_late(&self, direction: Direction) -> bool {
        self.lanes[direction.index()].joined_late()
    }

    /// Position of the next byte to deliver; `None` before the first.
    pub fn next(&self, direction: Direction) -> Option<u64> {
        self.lanes[direction.index()].next()
    }

    fn release(&mut self, everything: bool, counters: &mut Counters, sink: &mut impl FnMut(Direction, Segment<'_>)) {
        let clock = self.clock;
        // The earlier event first, so that a request that waited comes before its response that waited.
        while let Some((_, direction)) = [Direction::Out, Direction::In]
            .into_iter()
            .filter_map(|direction| {
                let lane = &self.lanes[direction.index()];
                let due = everything || lane.expired(clock);
                lane.front_time().filter(|_| due).map(|time| (time, direction))
            })
            .min()
        {
            counters.window_timeouts += 1;
            self.lanes[direction.index()].release(clock, counters, &mut |segment| sink(direction, segment));
        }
        for lane in &mut self.lanes {
            lane.shrink();
        }
    }
}
