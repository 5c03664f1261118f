//! Properties of the whole pipeline: whatever was lost, no exchange is invented and none comes twice.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use telltale::{
    admin::Health,
    capture::{ConnectionId, Direction, Event, EventKind, GapReason, Open, Role, Timestamp},
    export::LineSink,
    pipeline::{Pipeline, Settings},
    policy::{Plan, PlanStore, Plans},
    telemetry::{self, Outlets, Recorder, metrics::Aggregator, summary::Summary},
    workload::Source,
};

/// Keeps the lines of the access log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<serde_json::Value>>>);

impl LineSink for Lines {
    fn line(&mut self, line: &[u8]) {
        self.0.lock().unwrap().push(serde_json::from_slice(line).expect("a line is JSON"));
    }
}

impl Lines {
    fn take(&self) -> Vec<serde_json::Value> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn pipeline(connections: usize) -> (Pipeline, Lines, Arc<Health>) {
    following(&PlanStore::new(Plans::everywhere(Plan::of_signals(true, false, true))), connections)
}

fn following(plans: &Arc<PlanStore>, connections: usize) -> (Pipeline, Lines, Arc<Health>) {
    let (lines, health) = (Lines::default(), Health::new());
    let settings = telemetry::Settings::default();
    let aggregator = Aggregator::new(settings.methods.clone(), 100);
    let sink = lines.clone();
    let outlets = move |_: &Arc<Plan>| Outlets {
        metrics: Some(aggregator.shard()),
        logs: vec![Box::new(sink.clone())],
        ..Outlets::default()
    };
    let recorder = Recorder::new(settings, Box::new(outlets), &health);
    let settings = Settings { plans: Arc::clone(plans), source: Source::Events, connections };
    (Pipeline::new(settings, recorder, &health), lines, health)
}

fn open(role: Option<Role>) -> EventKind<'static> {
    EventKind::Open(Box::new(Open {
        role,
        local: ([10, 0, 0, 1], 4000).into(),
        peer: ([10, 0, 0, 2], 80).into(),
        pid: 12,
        comm: "client".to_owned(),
        cgroup: None,
        isn_out: None,
        isn_in: None,
        tls: false,
        pod: None,
        container: None,
    }))
}

/// Exchange `number` as its two messages; the response's status and the path tell which it is.
fn messages(number: usize, chunked: bool, body: usize) -> [Vec<u8>; 2] {
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

fn feed(pipeline: &mut Pipeline, role: Option<Role>, calls: &[Call], gaps_said: bool) -> Summary {
    let mut time = 1_000_000_000;
    let mut add = |pipeline: &mut Pipeline, kind: EventKind<'_>| {
        time += 1000;
        pipeline.event(&Event { time: Timestamp(time), connection: ConnectionId(1), kind });
    };
    add(pipeline, open(role));
    for call in calls {
        let &Call { direction, position, ref bytes, lost } = call;
        let length = bytes.len() as u32;
        if !lost {
            add(pipeline, EventKind::Data { direction, position, length, bytes });
        } else if gaps_said {
            let reason = GapReason::RingFull;
            add(pipeline, EventKind::Gap { direction, position, length: u64::from(length), reason });
        }
    }
    add(pipeline, EventKind::Close { how: None });
    pipeline.finish()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Nothing lost: every exchange exactly once, with its own response and sizes, however the bytes were cut.
    #[test]
    fn every_exchange_once(
        exchanges in proptest::collection::vec((any::<bool>(), 1_usize..300), 1..12),
        cuts in proptest::collection::vec(1_usize..200, 1..20),
        role in prop_oneof![Just(None), Just(Some(Role::Client))],
    ) {
        let (mut pipeline, lines, _) = pipeline(8);
        let summary = feed(&mut pipeline, role, &calls(&exchanges, &cuts, &[false]), true);
        prop_assert_eq!(summary.exchanges(), exchanges.len() as u64);
        for (number, (line, (_, body))) in lines.take().iter().zip(&exchanges).enumerate() {
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
        let (mut pipeline, lines, _) = pipeline(8);
        feed(&mut pipeline, None, &calls(&exchanges, &cuts, &lost), gaps_said);
        let mut seen = Vec::new();
        for line in lines.take() {
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
        let (mut pipeline, ..) = pipeline(2);
        for (time, (connection, kind, out, position, more, bytes)) in events.iter().enumerate() {
            let direction = if *out { Direction::Out } else { Direction::In };
            let kind = match kind {
                0 => open(None),
                1 => EventKind::Data { direction, position: *position, length: bytes.len() as u32 + more, bytes },
                2 => EventKind::Gap { direction, position: *position, length: u64::from(*more), reason: GapReason::Unseen },
                _ => EventKind::Close { how: None },
            };
            pipeline.event(&Event { time: Timestamp(time as u64), connection: ConnectionId(*connection), kind });
            prop_assert!(pipeline.connections() <= 2);
        }
        pipeline.finish();
    }
}

#[test]
fn a_full_table_forgets_a_connection_and_says_so() {
    let (mut pipeline, lines, health) = pipeline(2);
    for connection in 0..3 {
        pipeline.event(&Event { time: Timestamp(1), connection: ConnectionId(connection), kind: open(None) });
        let bytes = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
        let kind = EventKind::Data { direction: Direction::Out, position: 0, length: bytes.len() as u32, bytes };
        pipeline.event(&Event { time: Timestamp(2), connection: ConnectionId(connection), kind });
    }
    assert_eq!(pipeline.connections(), 2);
    let forgotten = lines.take();
    assert_eq!(forgotten.len(), 1);
    assert_eq!(forgotten[0]["incomplete"], "agent_limit");
    assert_eq!(health.value(&telltale::admin::table::CONNECTIONS_EVICTED, &["limit"]), 1);
    assert_eq!(pipeline.finish().exchanges(), 3);
}

#[test]
fn content_that_nobody_wants_is_skipped_until_the_next_message() {
    let (mut pipeline, ..) = pipeline(2);
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
    let request = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut add = |kind| pipeline.event(&Event { time: Timestamp(1), connection: ConnectionId(7), kind });
    add(open(None));
    add(EventKind::Data { direction: Direction::Out, position: 0, length: request.len() as u32, bytes: request });
    add(EventKind::Data { direction: Direction::In, position: 0, length: head.len() as u32, bytes: head });
    let skips: Vec<_> = pipeline.take_skips().collect();
    assert_eq!(skips.len(), 1);
    assert_eq!(skips[0].until, head.len() as u64 + 1000);
    assert_eq!((skips[0].connection, skips[0].direction), (ConnectionId(7), Direction::In));
    assert_eq!(pipeline.take_skips().count(), 0);
}

/// Feeds whole messages of one connection, each at its position.
struct Feeder<'a> {
    pipeline: &'a mut Pipeline,
    positions: [u64; 2],
    time: u64,
}

impl Feeder<'_> {
    fn open(&mut self) {
        self.pipeline.event(&Event { time: Timestamp(1), connection: ConnectionId(1), kind: open(Some(Role::Client)) });
    }

    fn send(&mut self, direction: Direction, bytes: &[u8]) {
        let position = self.positions[direction.index()];
        self.positions[direction.index()] += bytes.len() as u64;
        let kind = EventKind::Data { direction, position, length: bytes.len() as u32, bytes };
        self.time += 1;
        self.pipeline.event(&Event { time: Timestamp(self.time), connection: ConnectionId(1), kind });
    }

    /// Nothing happens for so long that nobody waits any more.
    fn pause(&mut self) {
        self.time += 10_000_000_000;
        self.pipeline.tick(Timestamp(self.time));
    }

    fn exchange(&mut self, number: usize) {
        let [request, response] = messages(number, false, 3);
        self.send(Direction::Out, &request);
        self.send(Direction::In, &response);
    }
}

fn paths(lines: &Lines) -> Vec<String> {
    lines.take().iter().map(|line| line["path"].as_str().expect("a path").to_owned()).collect()
}

#[test]
fn an_exchange_ends_under_the_plan_that_it_began_with() {
    let plans = PlanStore::new(Plans::everywhere(Plan::of_signals(true, false, true)));
    let (mut pipeline, lines, _) = following(&plans, 2);
    let mut feeder = Feeder { pipeline: &mut pipeline, positions: [0; 2], time: 1 };
    feeder.open();
    feeder.exchange(0);
    let [request, response] = messages(1, true, 5);
    feeder.send(Direction::Out, &request);
    plans.replace(Plans::everywhere(Plan::of_signals(true, false, false)));
    feeder.send(Direction::In, &response);
    feeder.exchange(2);
    assert_eq!(paths(&lines), ["/0", "/1"]);
    plans.replace(Plans::everywhere(Plan::of_signals(false, false, true)));
    feeder.exchange(3);
    assert_eq!(paths(&lines), ["/3"]);
}

#[test]
fn what_no_plan_asks_for_is_not_read_until_one_does() {
    let plans = PlanStore::new(Plans::everywhere(Plan::default()));
    let (mut pipeline, lines, health) = following(&plans, 2);
    let mut feeder = Feeder { pipeline: &mut pipeline, positions: [0; 2], time: 1 };
    feeder.open();
    feeder.exchange(0);
    let skips: Vec<_> = feeder.pipeline.take_skips().map(|skip| (skip.direction, skip.until)).collect();
    assert_eq!(skips, [(Direction::Out, u64::MAX), (Direction::In, u64::MAX)]);
    plans.replace(Plans::everywhere(Plan::of_signals(false, false, true)));
    // Joined late: where each direction begins is certain after a while.
    feeder.exchange(1);
    feeder.pause();
    feeder.exchange(2);
    assert_eq!(paths(&lines), ["/1", "/2"]);
    let skips: Vec<_> = feeder.pipeline.take_skips().map(|skip| (skip.direction, skip.until)).collect();
    assert_eq!(skips[..2], [(Direction::Out, 0), (Direction::In, 0)]);
    // Off again: what has begun is told, nothing behind it is.
    let [request, response] = messages(3, false, 0);
    feeder.send(Direction::Out, &request);
    plans.replace(Plans::everywhere(Plan::default()));
    feeder.send(Direction::In, &response);
    feeder.exchange(4);
    assert_eq!(paths(&lines), ["/3"]);
    pipeline.finish();
    assert_eq!(health.value(&telltale::admin::table::EXCHANGES, &[]), 3);
}
