//! What capture may leave out.

use telltale::capture::{ConnectionId, Direction};

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
