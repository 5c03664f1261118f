//! Every bound between the events and the sinks is reached from the outside, costs what it says, and is counted.

use std::{io, sync::mpsc, time::Duration};

use telltale::{
    admin::{Health, table},
    capture::Direction,
    export::{LineQueue, Output},
    protocol::{MAX_HEAD, MAX_LOST_TURNS, MAX_PIPELINE, WAIT_BYTES},
    stream::{WINDOW_BYTES, WINDOW_EVENTS},
    telemetry::summary::MAX_PEERS,
};

use super::bench::{Bench, GET, OK, SERIES};

#[test]
fn a_full_table_forgets_a_connection() {
    let mut bench = Bench::new(2);
    for connection in 0..3 {
        bench.open(connection);
        bench.data(connection, Direction::Out, 0, GET);
    }
    assert_eq!(bench.pipeline.connections(), 2);
    let forgotten = bench.lines.take();
    assert_eq!(forgotten.len(), 1);
    assert_eq!(forgotten[0]["incomplete"], "agent_limit");
    assert_eq!(bench.count(&table::CONNECTIONS_EVICTED, &["limit"]), 1);
    // What comes of it later is not lost silently.
    for connection in 0..3 {
        bench.data(connection, Direction::In, 0, OK);
    }
    assert_eq!(bench.count(&table::EVENTS_WITHOUT_OPEN, &[]), 1);
    assert_eq!(bench.pipeline.finish().exchanges(), 3);
}

#[test]
fn processes_beyond_the_bound_are_looked_up_again() {
    let mut bench = Bench::new(2);
    for process in 1..=5000 {
        bench.exchange(process, GET, OK);
    }
    assert_eq!(bench.count(&table::WORKLOADS_EVICTED, &[]), 5000 - 4096);
    assert_eq!(bench.lines.take().len(), 5000);
}

#[test]
fn series_beyond_the_limit_share_one() {
    let mut bench = Bench::new(2);
    for number in 0..2 * SERIES {
        let response = format!("HTTP/1.1 {} X\r\nContent-Length: 0\r\n\r\n", 200 + number);
        bench.exchange(1, GET, response.as_bytes());
    }
    // Three are those of the connections themselves: one, and one for each direction.
    assert_eq!(bench.health.value(&table::SERIES, &[]), SERIES as u64 - 1);
    assert_eq!(bench.health.value(&table::SERIES_OVERFLOWED, &[]), SERIES as u64 + 1 + 3);
}

#[test]
fn peers_beyond_the_bound_share_a_row_of_the_summary() {
    let mut bench = Bench::new(2);
    for number in 0..MAX_PEERS + 7 {
        bench.exchange(1, format!("GET / HTTP/1.1\r\nHost: h{number}\r\n\r\n").as_bytes(), OK);
    }
    let summary = bench.pipeline.finish();
    assert_eq!(summary.exchanges(), MAX_PEERS as u64 + 7);
    let table = summary.render(false, &[]);
    let others = table.lines().find(|line| line.contains("(other peers)")).expect("a row for the others");
    assert_eq!(others.split_whitespace().nth(3), Some("7"), "{table}");
}

#[test]
fn bytes_wait_for_those_before_them_only_in_a_window() {
    for (size, events) in [(1, WINDOW_EVENTS), (1 + WINDOW_BYTES / 8, 7)] {
        let mut bench = Bench::new(2);
        bench.open(1);
        bench.data(1, Direction::Out, 0, GET);
        bench.data(1, Direction::In, 0, OK);
        // What follows never comes, what follows that does.
        let piece = vec![b'x'; size];
        for number in 0..events {
            bench.data(1, Direction::In, 1000 + (number * size) as u64, &piece);
        }
        assert_eq!(bench.count(&table::STREAM_CUT_SHORT, &["full"]), 0);
        bench.data(1, Direction::In, 1000 + (events * size) as u64, &piece);
        assert_eq!(bench.count(&table::STREAM_CUT_SHORT, &["full"]), 1);
        assert_eq!(bench.count(&table::GAP_BYTES, &["unseen"]), 1000 - OK.len() as u64);
    }
}

#[test]
fn a_response_waits_for_its_request_only_so_many_bytes() {
    let mut bench = Bench::new(2);
    bench.open(1);
    bench.data(1, Direction::Out, 0, GET);
    bench.data(1, Direction::In, 0, OK);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 2 * WAIT_BYTES);
    let mut position = OK.len() as u64;
    bench.data(1, Direction::In, position, head.as_bytes());
    position += head.len() as u64;
    for _ in 0..3 {
        assert_eq!(bench.count(&table::HTTP1_WAIT_OVERFLOWS, &[]), 0);
        bench.data(1, Direction::In, position, &vec![b'x'; WAIT_BYTES / 2]);
        position += WAIT_BYTES as u64 / 2;
    }
    assert_eq!(bench.count(&table::HTTP1_WAIT_OVERFLOWS, &[]), 1);
    assert_eq!(bench.count(&table::UNPAIRED_RESPONSES, &["orphan"]), 1);
    assert_eq!(bench.lines.take().len(), 1);
}

#[test]
fn requests_that_wait_for_their_responses_are_each_told_of_once() {
    let mut bench = Bench::new(2);
    bench.open(1);
    let requests = 3 * MAX_PIPELINE;
    for number in 0..requests {
        bench.data(1, Direction::Out, (number * GET.len()) as u64, GET);
    }
    assert!(bench.count(&table::HTTP1_PIPELINE_OVERFLOWS, &[]) >= 1);
    assert!(bench.lines.take().len() >= MAX_PIPELINE, "those beyond the bound are told of at once");
    bench.close(1);
    assert_eq!(bench.pipeline.finish().exchanges(), requests as u64);
    // The parser's bound is the smaller one: that of the exchanges behind it costs nothing.
    assert_eq!(bench.count(&table::EXCHANGES_OVERFLOWED, &[]), 0);
}

#[test]
fn a_head_is_bounded() {
    let mut bench = Bench::new(2);
    bench.open(1);
    let mut position = 0;
    for piece in [GET, b"GET /large HTTP/1.1\r\nX: ", &vec![b'x'; MAX_HEAD]] {
        bench.data(1, Direction::Out, position, piece);
        position += piece.len() as u64;
    }
    assert_eq!(bench.count(&table::PARSE_FAILURES, &["http1", "oversize"]), 1);
}

#[test]
fn a_connection_on_which_nothing_is_found_is_given_up() {
    let mut bench = Bench::new(2);
    bench.open(1);
    let noise = b"\x01noise";
    for turn in 0..u64::from(MAX_LOST_TURNS) {
        // Joined late: anything may come.
        let position = 1000 + turn * noise.len() as u64;
        bench.data(1, Direction::Out, position, noise);
        bench.data(1, Direction::In, position, noise);
        bench.tick(1_000_000_000);
    }
    assert_eq!(bench.count(&table::HTTP1_GIVEN_UP, &[]), 1);
    bench.open(2);
    bench.data(2, Direction::Out, 0, b"GET /");
    bench.data(2, Direction::Out, 5, &vec![b'x'; MAX_HEAD]);
    assert_eq!(bench.count(&table::DETECTION_OVERFLOWS, &[]), 1);
}

/// Takes nothing until the other end is dropped.
struct Stuck(mpsc::Receiver<()>);

impl io::Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_does_not_read_costs_lines_and_no_time() {
    let (reader, stuck) = mpsc::channel();
    let health = Health::new();
    let output = Output { name: "a pipe".to_owned(), writer: Box::new(Stuck(stuck)) };
    let queue = LineQueue::start(output, &health).unwrap();
    let mut bench = Bench::with_queue(2, &health, &[queue.sender()]);
    let capacity = bench.count(&table::QUEUE_CAPACITY, &["access_log"]);
    for _ in 0..3 * capacity {
        bench.exchange(1, GET, OK);
    }
    let full = bench.count(&table::QUEUE_DROPPED, &["access_log", "full"]);
    assert!((capacity..3 * capacity).contains(&full), "{full}");
    drop(reader);
    queue.close(Duration::from_mins(1));
    assert_eq!(bench.count(&table::EXPORTED, &["access_log"]) + full, 3 * capacity);
}
