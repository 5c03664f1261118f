//! Every bound is reached, counted, and survived.

use crate::{
    capture::{Direction, Role, Timestamp},
    protocol::{Connection, Counters, MAX_HEAD, MAX_LOST_TURNS, MAX_PIPELINE, testing::Bench, testing::Transcript},
    stream::Segment,
};

const GET: &str = "GET /next HTTP/1.1\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn padded(length: usize) -> String {
    let (start, end) = ("GET / HTTP/1.1\r\nX: ", "\r\n\r\n");
    format!("{start}{}{end}", "x".repeat(length - start.len() - end.len()))
}

#[test]
fn a_head_may_have_64_kib_and_no_more() {
    for cut in [MAX_HEAD + 1, 1000] {
        let mut bench = Bench::new(Some(Role::Server));
        bench.inc(GET).out(OK);
        for part in padded(MAX_HEAD).as_bytes().chunks(cut) {
            bench.inc(part);
        }
        bench.out(OK);
        assert_eq!((bench.pairs().len(), bench.counters.oversize_heads), (2, 0));
        for part in padded(MAX_HEAD + 1).as_bytes().chunks(cut) {
            bench.inc(part);
        }
        bench.out("HTTP/1.1 431 Too Large\r\nContent-Length: 0\r\n\r\n").inc(GET).out(OK).fin();
        assert_eq!(bench.counters.oversize_heads, 1);
        assert_eq!(bench.pairs()[2..], [("GET /next", 200)]);
    }
}

#[test]
fn trailers_are_bounded() {
    let mut bench = Bench::new(Some(Role::Client));
    bench.out(GET).inc("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n");
    for _ in 0..=MAX_HEAD / 1000 {
        bench.inc(format!("X: {}\r\n", "x".repeat(995)));
    }
    bench.out(GET).inc(OK).fin();
    assert_eq!(bench.counters.oversize_heads, 1);
    assert_eq!(bench.pairs().len(), 2);
}

#[test]
fn chunk_lines_are_bounded() {
    let mut bench = Bench::new(Some(Role::Client));
    bench.out(GET).inc("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;");
    for _ in 0..20 {
        bench.inc("x".repeat(1000));
    }
    assert_eq!(bench.counters.bad_chunks, 1);
    let mut bench = Bench::new(Some(Role::Client));
    bench.out(GET).inc("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\n");
    assert_eq!(bench.counters.bad_chunks, 1);
}

#[test]
fn a_pipeline_is_bounded() {
    let mut bench = Bench::new(Some(Role::Server));
    for _ in 0..=MAX_PIPELINE {
        bench.inc(GET);
    }
    assert_eq!(bench.counters.pipeline_overflows, 1);
    for _ in 0..=MAX_PIPELINE {
        bench.out(OK);
    }
    bench.fin();
    assert_eq!(bench.pairs(), [], "which response is whose is not known any more");
}

#[test]
fn a_connection_without_start_lines_is_given_up() {
    let mut bench = Bench::new(Some(Role::Client)).joined_at(10, 10);
    for _ in 0..MAX_LOST_TURNS {
        bench.out("\x01binary").inc("\x02binary");
    }
    assert_eq!(bench.counters.given_up, 1);
    assert_eq!(bench.connection.skip_until(Direction::In, false), u64::MAX);
    assert_eq!(bench.transcript(), "protocol Unknown");

    let mut bench = Bench::new(Some(Role::Client));
    bench.out(GET).inc(OK).out_gap(10).in_gap(10);
    for _ in 0..MAX_LOST_TURNS {
        bench.out("\x01binary").inc("\x02binary");
    }
    assert_eq!(bench.counters.given_up, 1);
    assert_eq!(bench.connection.skip_until(Direction::Out, false), u64::MAX);
}

#[test]
fn undecided_bytes_are_bounded() {
    let mut bench = Bench::new(None);
    bench.inc("GET /").inc("x".repeat(MAX_HEAD));
    assert_eq!(bench.counters.detection_overflows, 1);
    assert_eq!(bench.transcript(), "protocol Unknown");
    let mut bench = Bench::new(None).joined_at(0, 10);
    bench.inc("GET /").inc("x".repeat(MAX_HEAD)).inc(GET).out(OK).fin();
    assert_eq!(bench.pairs(), [("GET /next", 200)]);
}

#[test]
fn what_need_not_be_copied_is_told() {
    let mut connection = Connection::new(Some(Role::Client));
    let (mut counters, mut sink) = (Counters::default(), Transcript::default());
    let mut position = [0_u64; 2];
    let mut feed = |connection: &mut Connection, direction: Direction, bytes: &str| {
        let segment =
            Segment::Data { position: position[direction.index()], time: Timestamp(1), bytes: bytes.as_bytes() };
        position[direction.index()] += bytes.len() as u64;
        connection.segment(direction, segment, &mut counters, &mut sink);
        (connection.skip_until(direction, false), position[direction.index()])
    };
    assert_eq!(connection.skip_until(Direction::Out, false), 0);
    let (skip, at) = feed(&mut connection, Direction::Out, "PUT / HTTP/1.1\r\nContent-Length: 5000\r\n\r\nab");
    assert_eq!(skip, at + 4998);
    let (skip, _) = feed(&mut connection, Direction::In, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(skip, 0);
    let (skip, at) = feed(&mut connection, Direction::In, "1000\r\nab");
    assert_eq!(skip, at + 0x1000 - 2);
    let (skip, _) = feed(&mut connection, Direction::In, &("x".repeat(0x1000 - 2) + "\r\n0\r\n\r\n"));
    assert_eq!(skip, 0);
    feed(&mut connection, Direction::Out, &("x".repeat(4998) + GET));
    let (skip, _) = feed(&mut connection, Direction::In, "HTTP/1.0 200 OK\r\n\r\n");
    assert_eq!(skip, u64::MAX);
    assert_eq!(connection.skip_until(Direction::In, true), 0, "it is wanted");
}

#[test]
fn every_count_has_one_row() {
    let rows: Vec<_> = Counters::default().rows().map(|(name, reason, _)| (name, reason)).collect();
    let distinct: std::collections::BTreeSet<_> = rows.iter().collect();
    assert_eq!(distinct.len(), rows.len());
}
