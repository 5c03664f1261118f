//! Whatever was lost, no exchange is invented and none comes twice.

use proptest::prelude::*;
use telltale::{
    capture::{ConnectionId, Direction, Event, EventKind, GapReason, Role, Timestamp},
    telemetry::summary::Summary,
};

use super::bench::{Bench, open};

/// Exchange `number` as its two messages; the response's status and the path tell which it is.
pub(crate) fn messages(number: usize, chunked: bool, body: usize) -> [Vec<u8>; 2] {
    let request = format!("POST /{number} HTTP/1.1\r\nHost: h\r\nContent-Length: {body}\r\n\r\n{}", "r".repeat(body));
    // Not 204 and 304, which have no content.
    let status = 400 + number;
    let response = if chunked {
        format!(
            "HTTP/1.1 {status} X\r\nTransfer-Encoding: chunked\r\n\r\n{body:x}\r\n{}\r\n0\r\n\r\n",
            "s".repeat(body)
        )
    } else {
        format!("HTTP/1.1 {status} X\r\nContent-Length: {body}\r\n\r\n{}", "s".repeat(body))
    };
    [request.into_bytes(), response.into_bytes()]
}

/// One call of the application: which way, which bytes, and whether they were seen.
#[derive(Clone, Debug)]
struct Call {
    direction: Direction,
    position: u64,
    bytes: Vec<u8>,
    lost: bool,
}

/// The calls of exchanges that follow each other, each message cut into pieces.
fn calls(exchanges: &[(bool, usize)], cuts: &[usize], lost: &[bool]) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut positions = [0, 0];
    let (mut cuts, mut lost) = (cuts.iter().cycle(), lost.iter().cycle());
    for (number, &(chunked, body)) in exchanges.iter().enumerate() {
        for (direction, message) in [Direction::Out, Direction::In].into_iter().zip(messages(number, chunked, body)) {
            let mut rest = &message[..];
            while !rest.is_empty() {
                let (piece, after) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                let position = &mut positions[direction.index()];
                let lost = *lost.next().unwrap();
                calls.push(Call { direction, position: *position, bytes: piece.to_vec(), lost });
                *position += piece.len() as u64;
                rest = after;
            }
        }
    }
    calls
}

fn feed(bench: &mut Bench, role: Option<Role>, calls: &[Call], gaps_said: bool) -> Summary {
    let mut time = 1_000_000_000;
    let mut add = |kind: EventKind<'_>| {
        time += 1000;
        bench.pipeline.event(&Event { time: Timestamp(time), connection: ConnectionId(1), kind });
    };
    add(open(role, 12));
    for call in calls {
        let &Call { direction, position, ref bytes, lost } = call;
        let length = bytes.len() as u32;
        if !lost {
            add(EventKind::Data { direction, position, length, bytes });
        } else if gaps_said {
            let reason = GapReason::RingFull;
            add(EventKind::Gap { direction, position, length: u64::from(length), reason });
        }
    }
    if !gaps_said {
        // At the end of a connection capture knows how far the process has sent: without that, the last request could be lost without a trace.
        let sent = calls.iter().filter(|call| call.direction == Direction::Out);
        let (mut told, mut end) = (0, 0);
        for call in sent {
            end = call.position + call.bytes.len() as u64;
            told = if call.lost { told } else { end };
        }
        if told < end {
            add(EventKind::Gap {
                direction: Direction::Out,
                position: told,
                length: end - told,
                reason: GapReason::Unseen,
            });
        }
    }
    add(EventKind::Close { how: None });
    bench.pipeline.finish()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Nothing lost: every exchange exactly once, with its own response and sizes, however the bytes were cut.
    #[test]
    fn every_exchange_once(
        exchanges in proptest::collection::vec((any::<bool>(), 1_usize..300), 1..12),
        cuts in proptest::collection::vec(1_usize..200, 1..20),
        role in prop_oneof![Just(None), Just(Some(Role::Client))],
    ) {
        let mut bench = Bench::new(8);
        let summary = feed(&mut bench, role, &calls(&exchanges, &cuts, &[false]), true);
        prop_assert_eq!(summary.exchanges(), exchanges.len() as u64);
        for (number, (line, (_, body))) in bench.lines.take().iter().zip(&exchanges).enumerate() {
            prop_assert_eq!(&line["path"], &format!("/{number}"));
            prop_assert_eq!(&line["response_code"], 400 + number);
            prop_assert_eq!(&line["bytes_received"], *body);
            prop_assert_eq!(&line["bytes_sent"], *body);
            prop_assert!(line.get("incomplete").is_none());
        }
    }

    /// Whatever was lost, said or not: no exchange that there was not, none twice, no response given to another request, and sizes
    /// that are given are true.
    #[test]
    fn nothing_is_invented(
        exchanges in proptest::collection::vec((any::<bool>(), 1_usize..300), 1..12),
        cuts in proptest::collection::vec(1_usize..200, 1..20),
        lost in proptest::collection::vec(proptest::bool::weighted(0.2), 1..40),
        gaps_said in any::<bool>(),
    ) {
        let mut bench = Bench::new(8);
        feed(&mut bench, None, &calls(&exchanges, &cuts, &lost), gaps_said);
        let mut seen = Vec::new();
        for line in bench.lines.take() {
            let path = line["path"].as_str().expect("an exchange has a path");
            let number: usize = path[1..].parse().expect("only paths that were sent");
            prop_assert!(number < exchanges.len());
            if let Some(status) = line["response_code"].as_u64() {
                prop_assert_eq!(status, 400 + number as u64);
            }
            for key in ["bytes_received", "bytes_sent"] {
                if let Some(size) = line[key].as_u64() && line.get("incomplete").is_none() {
                    prop_assert_eq!(size, exchanges[number].1 as u64);
                }
            }
            seen.push(number);
        }
        let mut distinct = seen.clone();
        distinct.sort_unstable();
        distinct.dedup();
        prop_assert_eq!(distinct.len(), seen.len());
    }

    /// Any events at all: no panic.
    #[test]
    fn any_events(
        events in proptest::collection::vec(
            (0_u64..4, 0_u8..4, any::<bool>(), 0_u64..600, 0_u32..400, proptest::collection::vec(any::<u8>(), 0..40)),
            0..100,
        ),
    ) {
        let mut bench = Bench::new(2);
        for (time, (connection, kind, out, position, more, bytes)) in events.iter().enumerate() {
            let direction = if *out { Direction::Out } else { Direction::In };
            let kind = match kind {
                0 => open(None, 12),
                1 => EventKind::Data { direction, position: *position, length: bytes.len() as u32 + more, bytes },
                2 => EventKind::Gap { direction, position: *position, length: u64::from(*more), reason: GapReason::Unseen },
                _ => EventKind::Close { how: None },
            };
            bench.pipeline.event(&Event { time: Timestamp(time as u64), connection: ConnectionId(*connection), kind });
            prop_assert!(bench.pipeline.connections() <= 2);
        }
        bench.pipeline.finish();
    }
}
