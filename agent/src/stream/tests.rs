//! Units of the stage, and its one property: whatever the order and overlap of events, delivery is contiguous and true.

use proptest::prelude::*;

use super::{Counters, Segment, Streams, WINDOW_BYTES, WINDOW_EVENTS, WINDOW_TIME};
use crate::capture::{Direction, GapReason, Timestamp};

/// A segment as a test writes it.
#[derive(Clone, Debug, PartialEq)]
enum Got {
    Data(u64, Vec<u8>),
    Gap(u64, u64, GapReason),
}

#[derive(Default)]
struct Bench {
    streams: Streams,
    counters: Counters,
    got: Vec<Got>,
}

impl Bench {
    fn sink(got: &mut Vec<Got>) -> impl FnMut(Direction, Segment<'_>) {
        |_, segment| {
            got.push(match segment {
                Segment::Data { position, bytes, .. } => Got::Data(position, bytes.to_vec()),
                Segment::Gap { position, length, reason, .. } => Got::Gap(position, length, reason),
            });
        }
    }

    fn data(&mut self, time: u64, position: u64, bytes: &[u8]) -> &mut Self {
        self.part(time, position, bytes.len() as u32, bytes)
    }

    fn part(&mut self, time: u64, position: u64, length: u32, bytes: &[u8]) -> &mut Self {
        let mut sink = Self::sink(&mut self.got);
        self.streams.data(Direction::In, position, length, bytes, Timestamp(time), &mut self.counters, &mut sink);
        drop(sink);
        self
    }

    fn gap(&mut self, time: u64, position: u64, length: u64, reason: GapReason) -> &mut Self {
        let mut sink = Self::sink(&mut self.got);
        self.streams.gap(Direction::In, position, length, reason, Timestamp(time), &mut self.counters, &mut sink);
        drop(sink);
        self
    }

    fn tick(&mut self, time: u64) -> &mut Self {
        let mut sink = Self::sink(&mut self.got);
        self.streams.tick(Timestamp(time), &mut self.counters, &mut sink);
        drop(sink);
        self
    }

    fn close(&mut self) -> &mut Self {
        let mut sink = Self::sink(&mut self.got);
        self.streams.close(&mut self.counters, &mut sink);
        drop(sink);
        self
    }
}

fn data(position: u64, bytes: &[u8]) -> Got {
    Got::Data(position, bytes.to_vec())
}

#[test]
fn bytes_in_order_pass_at_once() {
    let mut bench = Bench::default();
    bench.data(1, 0, b"ab").data(2, 2, b"c");
    assert_eq!(bench.got, [data(0, b"ab"), data(2, b"c")]);
    assert!(!bench.streams.waits());
    assert_eq!(bench.counters, Counters { data_bytes: 3, ..Counters::default() });
}

#[test]
fn a_later_position_waits_for_the_earlier() {
    let mut bench = Bench::default();
    bench.data(2, 2, b"cd");
    assert_eq!(bench.got, []);
    bench.data(1, 0, b"ab");
    assert_eq!(bench.got, [data(0, b"ab"), data(2, b"cd")]);
    assert_eq!(bench.counters.reordered, 1);
    assert!(!bench.streams.joined_late(Direction::In));
}

#[test]
fn what_never_comes_is_unseen_after_the_window_time() {
    let mut bench = Bench::default();
    bench.data(1, 0, b"a").data(2, 5, b"f").tick(2 + WINDOW_TIME);
    assert_eq!(bench.got, [data(0, b"a")]);
    bench.tick(3 + WINDOW_TIME);
    assert_eq!(bench.got[1..], [Got::Gap(1, 4, GapReason::Unseen), data(5, b"f")]);
    bench.data(4 + WINDOW_TIME, 1, b"bcde");
    assert_eq!(bench.got.len(), 3, "a place that was given up stays a gap");
    assert_eq!((bench.counters.late_bytes, bench.counters.window_timeouts), (4, 1));
}

#[test]
fn time_passes_by_events_of_the_other_direction() {
    let mut bench = Bench::default();
    bench.data(1, 0, b"a").data(2, 5, b"f");
    let mut sink = Bench::sink(&mut bench.got);
    let time = Timestamp(3 + WINDOW_TIME);
    bench.streams.data(Direction::Out, 0, 1, b"x", time, &mut bench.counters, &mut sink);
    drop(sink);
    assert_eq!(bench.got[1..], [Got::Gap(1, 4, GapReason::Unseen), data(5, b"f"), data(0, b"x")]);
}

#[test]
fn a_full_window_ends_the_wait() {
    let mut bench = Bench::default();
    bench.data(1, 0, b"a");
    for index in 0..WINDOW_EVENTS as u64 {
        bench.data(2, 10 + 2 * index, b"x");
    }
    assert_eq!(bench.got.len(), 1);
    bench.data(2, 1000, b"y");
    assert_eq!(bench.got[1..], [Got::Gap(1, 9, GapReason::Unseen), data(10, b"x")]);
    assert_eq!(bench.counters.window_overflows, 1);

    let mut bench = Bench::default();
    bench.data(1, 0, b"a").data(2, 2, &vec![b'x'; WINDOW_BYTES]);
    assert_eq!(bench.got.len(), 1);
    bench.data(2, 2 + WINDOW_BYTES as u64, b"y");
    assert_eq!(bench.got.len(), 4);
    assert_eq!(bench.counters.window_overflows, 1);
}

#[test]
fn bytes_are_delivered_once() {
    let mut bench = Bench::default();
    bench.data(1, 0, b"abcd").data(2, 2, b"cdef").data(3, 0, b"abc");
    assert_eq!(bench.got, [data(0, b"abcd"), data(4, b"ef")]);
    assert_eq!(bench.counters.late_bytes, 5);
}

#[test]
fn held_bytes_that_overlap_are_delivered_once() {
    let mut bench = Bench::default();
    bench.data(1, 0, b"a").data(2, 3, b"def").data(3, 2, b"cd").data(4, 1, b"b");
    assert_eq!(bench.got, [data(0, b"a"), data(1, b"b"), data(2, b"cd"), data(4, b"ef")]);
}

#[test]
fn what_was_not_copied_is_a_gap_behind_what_was() {
    let mut bench = Bench::default();
    bench.part(1, 0, 10, b"abc").data(2, 10, b"k").part(3, 11, 4, b"");
    assert_eq!(
        bench.got,
        [data(0, b"abc"), Got::Gap(3, 7, GapReason::NotCopied), data(10, b"k"), Got::Gap(11, 4, GapReason::NotCopied)]
    );
    assert_eq!(bench.counters.gap_bytes[GapReason::NotCopied as usize], 11);
}

#[test]
fn data_wins_over_a_gap_that_is_not_delivered_yet() {
    let mut bench = Bench::default();
    bench.data(1, 0, b"a").gap(2, 2, 6, GapReason::Fault).data(3, 4, b"ef").data(4, 1, b"b");
    assert_eq!(
        bench.got,
        [
            data(0, b"a"),
            data(1, b"b"),
            Got::Gap(2, 2, GapReason::Fault),
            data(4, b"ef"),
            Got::Gap(6, 2, GapReason::Fault)
        ]
    );
}

#[test]
fn an_interleaved_gap_waits_for_the_bytes_of_the_other_call() {
    let mut bench = Bench::default();
    bench.gap(1, 0, 6, GapReason::Interleaved).data(2, 0, b"abc");
    assert_eq!(bench.got, [data(0, b"abc")]);
    bench.tick(3 + WINDOW_TIME);
    assert_eq!(bench.got[1..], [Got::Gap(3, 3, GapReason::Interleaved)]);
}

#[test]
fn a_first_position_above_zero_is_a_late_join() {
    let mut bench = Bench::default();
    bench.data(1, 1000, b"x").data(2, 1001, b"y").close();
    assert_eq!(bench.got, [data(1000, b"x"), data(1001, b"y")]);
    assert!(bench.streams.joined_late(Direction::In));
    assert!(!bench.streams.joined_late(Direction::Out));
    assert_eq!(bench.streams.next(Direction::In), Some(1002));
}

#[test]
fn absurd_positions_and_lengths_do_no_harm() {
    let mut bench = Bench::default();
    bench
        .data(1, u64::MAX, b"abc")
        .part(u64::MAX, u64::MAX - 1, u32::MAX, b"abc")
        .gap(2, 5, u64::MAX, GapReason::Fault)
        .gap(3, 5, 0, GapReason::Fault)
        .part(3, 0, 2, b"longer than its length")
        .part(0, 0, 0, b"")
        .close();
    assert_eq!(bench.streams.next(Direction::In), Some(u64::MAX));
}

#[test]
fn every_count_has_one_row() {
    let rows: Vec<_> = Counters::default().rows().map(|(name, reason, _)| (name, reason)).collect();
    let distinct: std::collections::BTreeSet<_> = rows.iter().collect();
    assert_eq!(distinct.len(), rows.len());
    assert_eq!(rows.len(), 5 + GapReason::ALL.len());
}

/// The byte that is at this position of every generated stream.
fn byte_at(position: u64) -> u8 {
    (position.wrapping_mul(31) >> 2) as u8
}

proptest! {
    #[test]
    fn delivery_is_contiguous_true_and_bounded(
        events in prop::collection::vec((0_u64..4000, 0_usize..600, 0_u32..40, any::<bool>(), 0_u64..40_000_000), 1..80)
    ) {
        let mut bench = Bench::default();
        let mut time = 0;
        for (position, length, more, is_gap, later) in events {
            time += later;
            if is_gap {
                bench.gap(time, position, length as u64, GapReason::RingFull);
            } else {
                let bytes: Vec<u8> = (position..position + length as u64).map(byte_at).collect();
                bench.part(time, position, length as u32 + more, &bytes);
            }
        }
        bench.close();
        prop_assert!(!bench.streams.waits());
        let mut next = None;
        for got in &bench.got {
            let (position, length) = match got {
                Got::Data(position, bytes) => {
                    prop_assert!(bytes.iter().zip(*position..).all(|(byte, at)| *byte == byte_at(at)));
                    (*position, bytes.len() as u64)
                }
                Got::Gap(position, length, _) => (*position, *length),
            };
            prop_assert!(length > 0);
            prop_assert!(next.is_none_or(|next| next == position), "{position} does not follow {next:?}");
            next = Some(position + length);
        }
    }

    #[test]
    fn any_order_within_the_window_gives_all_the_bytes(
        order in Just((0..40_u64).collect::<Vec<_>>()).prop_shuffle()
    ) {
        let mut bench = Bench::default();
        for index in order {
            let bytes: Vec<u8> = (index * 7..index * 7 + 7).map(byte_at).collect();
            bench.data(1, index * 7, &bytes);
        }
        let all: Vec<u8> = bench.got.iter().flat_map(|got| match got {
            Got::Data(_, bytes) => bytes.clone(),
            Got::Gap(..) => vec![],
        }).collect();
        prop_assert_eq!(all, (0..280).map(byte_at).collect::<Vec<_>>());
    }
}
