//! Any events at any positions and times: delivery is contiguous, each byte once, and nothing is kept behind.
#![no_main]

use libfuzzer_sys::fuzz_target;
use telltale::{
    capture::{Direction, GapReason, Timestamp},
    stream::{Counters, Segment, Streams},
};

/// The byte that is at this position of every stream.
fn byte_at(position: u64) -> u8 {
    (position.wrapping_mul(31) >> 2) as u8
}

// Input: events of a byte of flags, two of position, one of length, one of time.
fuzz_target!(|input: &[u8]| {
    let (mut streams, mut counters) = (Streams::new(), Counters::default());
    let mut next = [None::<u64>; 2];
    let mut sink = |direction: Direction, segment: Segment<'_>| {
        let (position, length) = match segment {
            Segment::Data { position, bytes, .. } => {
                assert!(bytes.iter().zip(position..).all(|(byte, at)| *byte == byte_at(at)));
                (position, bytes.len() as u64)
            }
            Segment::Gap { position, length, .. } => (position, length),
        };
        assert!(length > 0);
        let expected = next[direction.index()].replace(position + length);
        assert!(expected.is_none_or(|expected| expected == position));
    };
    let mut time = 0;
    for event in input.chunks_exact(5) {
        let [flags, high, low, length, later] = *event else { return };
        let direction = if flags & 1 == 0 { Direction::Out } else { Direction::In };
        let offset = u64::from(u16::from_be_bytes([high, low]));
        let position = if flags & 2 == 0 { offset } else { (u64::MAX - 60_000).saturating_add(offset) };
        let length = u64::from(length) * if flags & 4 == 0 { 1 } else { 100 };
        time += u64::from(later) * 500_000;
        let when = Timestamp(time);
        if flags & 8 == 0 {
            let copied = if flags & 16 == 0 { length } else { length / 2 };
            let bytes: Vec<u8> = (0..copied).map(|at| byte_at(position.wrapping_add(at))).collect();
            streams.data(direction, position, length as u32, &bytes, when, &mut counters, &mut sink);
        } else {
            let reason = GapReason::ALL[usize::from(flags >> 4) % GapReason::ALL.len()];
            streams.gap(direction, position, length, reason, when, &mut counters, &mut sink);
        }
    }
    streams.close(&mut counters, &mut sink);
    assert!(!streams.waits());
});
