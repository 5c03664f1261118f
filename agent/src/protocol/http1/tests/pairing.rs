//! Which response goes to which request, and what is left unpaired.

use crate::{
    capture::{Direction, Role},
    protocol::{WAIT_BYTES, WAIT_TIME, testing::Bench},
};

fn get(name: &str) -> String {
    format!("GET /{name} HTTP/1.1\r\nHost: h\r\n\r\n")
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn status(status: u16) -> String {
    format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n")
}

fn client() -> Bench {
    Bench::new(Some(Role::Client))
}

fn server() -> Bench {
    Bench::new(Some(Role::Server))
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let mut bench = server();
    bench.inc(get("a") + &get("b") + &get("c")).out(status(201) + &status(202)).out(status(203)).fin();
    assert_eq!(bench.pairs(), [("GET /a", 201), ("GET /b", 202), ("GET /c", 203)]);
}

#[test]
fn a_lost_response_does_not_shift_the_pipeline() {
    // Which of the three were lost cannot be known: none is given to a request until the pipeline is known to be empty.
    let mut bench = client();
    bench.out(get("a") + &get("b") + &get("c")).in_gap(50).inc(status(202)).inc(status(203));
    bench.out(get("d")).inc(status(204)).fin();
    assert_eq!(bench.pairs(), [("GET /c", 203), ("GET /d", 204)]);
    assert_eq!(bench.counters.ambiguous_responses, 1);
}

#[test]
fn a_lost_body_end_does_not_shift_the_pipeline() {
    let mut bench = client();
    bench
        .out(get("a") + &get("b") + &get("c"))
        .inc("HTTP/1.1 201 X\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        .in_gap(50)
        .inc(status(203))
        .out(get("d"))
        .inc(status(204))
        .fin();
    for pair in bench.pairs() {
        assert!([("GET /a", 201), ("GET /d", 204)].contains(&pair), "{pair:?} is a guess");
    }
}

#[test]
fn requests_sent_one_by_one_without_waiting_are_pipelining() {
    // Three writes, no response between: the loss of the first response must not give the second's to a later request.
    let mut bench = client();
    bench.out(get("a")).out(get("b")).out(get("c")).in_gap(38).out(get("d")).inc(status(202)).inc(status(203));
    bench.inc(status(204)).fin();
    for (request, status) in bench.pairs() {
        let expected = [("GET /a", 201), ("GET /b", 202), ("GET /c", 203), ("GET /d", 204)];
        assert!(expected.contains(&(request, status)), "{request} got {status}");
    }
}

#[test]
fn after_a_lost_response_the_next_exchange_is_right() {
    let mut bench = client();
    bench.out(get("a")).in_gap(60).out(get("b")).inc(ok("b")).out(get("c")).inc(ok("c")).fin();
    assert_eq!(bench.pairs(), [("GET /b", 200), ("GET /c", 200)]);
    assert!(bench.transcript().contains("#0 unanswered ring_full"));
}

#[test]
fn a_silent_hole_found_at_the_next_response_is_that_of_the_first_request() {
    let mut bench = client();
    bench.out(get("a")).out(get("b")).in_gap(60).inc(status(202)).out(get("c")).inc(status(203)).fin();
    assert_eq!(bench.pairs(), [("GET /b", 202), ("GET /c", 203)]);
}

#[test]
fn after_a_broken_body_the_next_exchange_is_right() {
    let mut bench = client();
    bench
        .out(get("a"))
        .inc("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5\r\n")
        .in_gap(12)
        .inc("more of the body\r\n0\r\n\r\n")
        .out(get("b"))
        .inc(ok("b"))
        .fin();
    assert_eq!(bench.pairs(), [("GET /a", 200), ("GET /b", 200)]);
    assert!(bench.transcript().contains("body_size unknown incomplete=ring_full"));
    assert_eq!(bench.counters.resyncs, 1);
}

#[test]
fn after_a_lost_request_its_response_is_nobodys() {
    let mut bench = server();
    bench.inc_gap_then(40).out(status(201)).inc(get("b")).out(status(202)).inc(get("c")).out(status(203)).fin();
    assert_eq!(bench.pairs(), [("GET /b", 202), ("GET /c", 203)]);
}

#[test]
fn requests_given_up_are_no_evidence_of_lock_step() {
    // Pipelined and joined late; the event of the last request comes between the parts of the first response.
    let first = status(201);
    let (start, end) = first.as_bytes().split_at(20);
    let mut bench = Bench::new(None).joined_at(4, 4);
    bench.gap(Direction::Out, 1, 40);
    bench.data(Direction::Out, 2, get("b").as_bytes());
    bench.data(Direction::In, 1000, start).data(Direction::Out, 3, get("c").as_bytes());
    bench.data(Direction::In, 1000, end).data(Direction::In, 1001, status(202).as_bytes());
    bench.data(Direction::In, 1002, status(203).as_bytes()).fin();
    for (request, status) in bench.pairs() {
        assert!([("GET /b", 202), ("GET /c", 203)].contains(&(request, status)), "{request} got {status}");
    }
}

#[test]
fn a_lost_empty_line_is_no_lost_request() {
    let mut bench = server();
    bench.inc(get("a")).out(status(201)).in_gap(2).inc(get("b")).out(status(202)).inc(get("c")).out(status(203)).fin();
    let pairs = bench.pairs();
    assert_eq!((pairs.first(), pairs.last()), (Some(&("GET /a", 201)), Some(&("GET /c", 203))));
}

impl Bench {
    /// A first exchange, so that the connection is known, then a lost request.
    fn inc_gap_then(&mut self, length: u64) -> &mut Self {
        self.inc(get("first")).out(ok("")).in_gap(length);
        self.sink.exchanges.clear();
        self
    }
}

#[test]
fn a_lost_request_in_a_pipeline_gives_nothing_away() {
    let mut bench = server();
    bench.inc(get("a")).in_gap(40).inc(get("c")).out(status(201)).out(status(202)).out(status(203));
    bench.inc(get("d")).out(status(204)).fin();
    for (request, status) in bench.pairs() {
        let expected = [("GET /a", 201), ("GET /c", 203), ("GET /d", 204)];
        assert!(expected.contains(&(request, status)), "{request} got {status}");
    }
    assert!(bench.counters.orphan_responses > 0);
}

#[test]
fn a_response_whose_event_comes_first_waits_for_its_request() {
    let mut bench = client();
    bench.data(Direction::In, 20, ok("a").as_bytes()).data(Direction::Out, 10, get("a").as_bytes()).fin();
    assert_eq!(bench.pairs(), [("GET /a", 200)]);
    let mut bench = client();
    bench.out(get("a")).inc(ok("a"));
    bench.data(Direction::In, 20, &ok("b").as_bytes()[..9]).data(Direction::In, 21, &ok("b").as_bytes()[9..]);
    bench.data(Direction::In, 40, ok("c").as_bytes());
    bench.data(Direction::Out, 10, get("b").as_bytes()).data(Direction::Out, 30, get("c").as_bytes()).fin();
    assert_eq!(bench.pairs(), [("GET /a", 200), ("GET /b", 200), ("GET /c", 200)]);
}

#[test]
fn a_response_is_never_older_than_its_request() {
    let mut bench = client();
    bench.out(get("a")).inc(ok("a"));
    bench.data(Direction::In, 10, status(208).as_bytes()).data(Direction::Out, 11, get("b").as_bytes());
    bench.data(Direction::In, 12, status(202).as_bytes()).fin();
    assert_eq!(bench.pairs(), [("GET /a", 200), ("GET /b", 202)]);
    assert_eq!(bench.counters.orphan_responses, 1);
}

#[test]
fn a_wait_ends_by_time_by_bytes_and_by_close() {
    let mut bench = client();
    bench.out(get("a")).inc(ok("a")).inc(status(208)).tick(WAIT_TIME);
    assert_eq!(bench.counters.orphan_responses, 0);
    bench.tick(1);
    assert_eq!(bench.counters.orphan_responses, 1);

    let mut bench = client();
    let body = "x".repeat(WAIT_BYTES);
    bench.out(get("a")).inc(ok("a")).inc(status(208)).inc(body).inc("y");
    assert_eq!((bench.counters.wait_overflows, bench.counters.orphan_responses), (1, 1));
    bench.out(get("b")).inc(ok("b")).fin();
    assert_eq!(bench.pairs(), [("GET /a", 200), ("GET /b", 200)]);

    let mut bench = client();
    bench.out(get("a")).inc(ok("a")).inc(status(208) + &status(209)).fin();
    assert_eq!(bench.pairs(), [("GET /a", 200)]);
    assert_eq!(bench.counters.orphan_responses, 2);
}

#[test]
fn a_late_join_between_exchanges_misses_nothing() {
    for role in [None, Some(Role::Client)] {
        let mut bench = Bench::new(role).joined_at(1000, 5000);
        bench.out(get("a")).inc(ok("a")).out(get("b")).inc(ok("b")).fin();
        assert_eq!(bench.pairs(), [("GET /a", 200), ("GET /b", 200)]);
        assert_eq!(bench.connection.role(), Some(Role::Client));
    }
}

#[test]
fn a_late_join_in_a_response_skips_the_rest_of_it() {
    for role in [None, Some(Role::Client)] {
        let mut bench = Bench::new(role).joined_at(1000, 5000);
        bench.inc("the rest of a body").inc(" and more").out(get("b")).inc(ok("b")).fin();
        assert_eq!(bench.pairs(), [("GET /b", 200)]);
    }
}

#[test]
fn a_late_join_before_a_response_gives_it_to_nobody() {
    for role in [None, Some(Role::Client)] {
        let mut bench = Bench::new(role).joined_at(1000, 5000);
        bench.inc(status(201)).out(get("b")).inc(status(202)).fin();
        assert_eq!(bench.pairs(), [("GET /b", 202)]);
        assert_eq!(bench.counters.orphan_responses, 1);
    }
}

#[test]
fn a_late_join_in_a_request_skips_it_and_its_response() {
    let mut bench = server().joined_at(1000, 5000);
    bench.inc("rest of an upload").out(status(201)).inc(get("b")).out(status(202)).fin();
    assert_eq!(bench.pairs(), [("GET /b", 202)]);
}

#[test]
fn a_direction_that_is_never_seen_leaves_each_request_unanswered() {
    let mut bench = client();
    for index in 0..20 {
        bench.out(get(&index.to_string())).in_gap(100);
        let told = bench.sink.lines.iter().filter(|line| line.contains("unanswered")).count();
        assert!(told >= index, "at most one request waits");
    }
    bench.fin();
    assert_eq!(bench.pairs(), []);
}

#[test]
fn requests_without_an_answer_are_told_at_the_end() {
    let mut bench = client();
    bench.out(get("a")).close(Some(crate::capture::CloseHow::Reset));
    assert!(bench.transcript().ends_with("#0 unanswered reset"));
    let mut bench = client();
    bench.out(get("a")).close(None);
    assert!(bench.transcript().ends_with("#0 unanswered closed"));
}
