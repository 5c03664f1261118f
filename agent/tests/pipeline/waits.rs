//! What waits on a connection on which nothing happens any more.

use telltale::{
    admin::table,
    capture::{Direction, GapReason},
    protocol::WAIT_TIME,
};

use super::bench::{Bench, GET, OK};

/// A response without its request: another thread's event may still bring it, but not for ever.
#[test]
fn a_response_does_not_wait_for_the_next_byte_to_be_given_up() {
    let mut bench = Bench::new(2);
    bench.open(1);
    bench.data(1, Direction::Out, 0, GET);
    bench.data(1, Direction::In, 0, OK);
    bench.data(1, Direction::In, OK.len() as u64, OK);
    bench.tick(WAIT_TIME);
    assert_eq!(bench.count(&table::UNPAIRED_RESPONSES, &["orphan"]), 0, "its request may still come");
    bench.tick(1);
    assert_eq!(bench.count(&table::UNPAIRED_RESPONSES, &["orphan"]), 1);
    // The connection goes on.
    bench.data(1, Direction::Out, GET.len() as u64, GET);
    bench.data(1, Direction::In, 2 * OK.len() as u64, OK);
    assert_eq!(bench.lines.take().len(), 2);
}

/// A response that is perhaps the second to its request: the exchange is over when no other request came.
#[test]
fn an_exchange_is_over_without_the_next_byte() {
    let mut bench = Bench::new(2);
    bench.open(1);
    bench.data(1, Direction::Out, 0, GET);
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut position = head.len() as u64;
    bench.data(1, Direction::In, 0, head);
    // Where its content ends is lost, and whether the next response began in there.
    for request in [None, Some(GET)] {
        if let Some(request) = request {
            bench.data(1, Direction::Out, GET.len() as u64, request);
        }
        bench.gap(1, Direction::In, position, 10, GapReason::RingFull);
        position += 10;
    }
    bench.lines.take();
    bench.data(1, Direction::In, position, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(bench.lines.take().len(), 0);
    bench.tick(WAIT_TIME + 1);
    let lines = bench.lines.take();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["response_code"], 404);
}

/// The response's event came first; it is not given up once it has its request.
#[test]
fn a_wait_is_answered_by_the_event_it_is_for() {
    let mut bench = Bench::new(2);
    bench.open(1);
    bench.data(1, Direction::In, 0, OK);
    bench.time -= 2000;
    bench.data(1, Direction::Out, 0, GET);
    assert_eq!(bench.lines.take().len(), 1);
    bench.tick(WAIT_TIME + 1);
    assert_eq!(bench.count(&table::UNPAIRED_RESPONSES, &["orphan"]), 0);
}
