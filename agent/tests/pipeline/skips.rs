//! What capture may leave out.

use telltale::{
    capture::{ConnectionId, Direction},
    pipeline::Skip,
};

use super::bench::{Bench, GET};

#[test]
fn content_that_nobody_wants_is_skipped_until_the_next_message() {
    let mut bench = Bench::new(2);
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
    bench.open(7);
    bench.data(7, Direction::Out, 0, GET);
    bench.data(7, Direction::In, 0, head);
    let skips: Vec<_> = bench.pipeline.take_skips().collect();
    assert_eq!(skips.len(), 1);
    assert_eq!(skips[0].until, head.len() as u64 + 1000);
    assert_eq!((skips[0].connection, skips[0].direction), (ConnectionId(7), Direction::In));
    assert_eq!(bench.pipeline.take_skips().count(), 0);
}

/// Nobody will tell capture that they are over, whose table of them is bounded.
#[test]
fn nothing_is_skipped_of_a_connection_that_is_forgotten() {
    let mut bench = Bench::new(2);
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
    for connection in [7, 8] {
        bench.open(connection);
        bench.data(connection, Direction::Out, 0, GET);
        bench.data(connection, Direction::In, 0, head);
    }
    assert_eq!(bench.pipeline.take_skips().count(), 2);
    let over = |connection| Skip { connection: ConnectionId(connection), direction: Direction::In, until: 0 };
    // Its number is given to another one.
    bench.open(7);
    assert_eq!(bench.pipeline.take_skips().collect::<Vec<_>>(), [over(7)]);
    // There is no room for all.
    bench.open(9);
    bench.open(10);
    assert_eq!(bench.pipeline.take_skips().collect::<Vec<_>>(), [over(8)], "the other one had nothing to skip");
}
