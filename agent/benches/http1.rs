//! Cost of framing, parsing and pairing one HTTP/1 exchange, from segments to message parts.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use telltale::{
    capture::{Direction, GapReason, Role, Timestamp},
    protocol::{Connection, Counters, End, Head, Incomplete, MessageSink, Protocol},
    stream::Segment,
};

const REQUEST: &[u8] =
    b"GET /api/v1/items?page=2&limit=50 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: curl/8.5.0\r\n\
    Accept: application/json\r\nAccept-Encoding: gzip\r\nX-Request-Id: 7f2a1c\r\nAuthorization: Bearer abcdef\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
    Content-Type: application/json\r\nContent-Length: 13\r\nConnection: keep-alive\r\nCache-Control: no-store\r\n\r\n{\"items\": []}";
const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n\
    e\r\ndata: {\"a\":1}\n\r\ne\r\ndata: {\"a\":2}\n\r\ne\r\ndata: {\"a\":3}\n\r\n0\r\n\r\n";

/// Takes everything and keeps nothing.
struct Nothing;

impl MessageSink for Nothing {
    fn head(&mut self, _: Direction, head: Head) {
        black_box(head);
    }
    fn body(&mut self, _: Direction, _: Timestamp, bytes: &[u8]) {
        black_box(bytes);
    }
    fn body_gap(&mut self, _: Direction, _: u64, _: GapReason) {}
    fn end(&mut self, _: Direction, end: End) {
        black_box(end);
    }
    fn unanswered(&mut self, _: u64, _: Timestamp, _: Incomplete) {}
    fn protocol(&mut self, _: Protocol) {}
}

/// One keep-alive connection, one exchange a round.
struct Bench {
    connection: Connection,
    counters: Counters,
    position: [u64; 2],
    time: u64,
}

impl Bench {
    fn new() -> Self {
        Self {
            connection: Connection::new(Some(Role::Server)),
            counters: Counters::default(),
            position: [0; 2],
            time: 0,
        }
    }

    fn feed(&mut self, direction: Direction, bytes: &[u8], cut: usize) {
        for bytes in bytes.chunks(cut) {
            self.time += 1;
            let position = &mut self.position[direction.index()];
            let segment = Segment::Data { position: *position, time: Timestamp(self.time), bytes };
            *position += bytes.len() as u64;
            self.connection.segment(direction, segment, &mut self.counters, &mut Nothing);
        }
    }
}

fn http1(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("http1");
    group.throughput(Throughput::Elements(1));
    for (name, response, cut) in [
        ("exchange", RESPONSE, usize::MAX),
        ("exchange_chunked", CHUNKED, usize::MAX),
        ("exchange_in_64_byte_segments", RESPONSE, 64),
        ("exchange_byte_by_byte", RESPONSE, 1),
    ] {
        group.bench_function(name, |bencher| {
            let mut bench = Bench::new();
            bencher.iter(|| {
                bench.feed(Direction::In, REQUEST, cut);
                bench.feed(Direction::Out, response, cut);
            });
            assert_eq!(bench.counters.requests, bench.counters.responses);
        });
    }
    group.finish();
}

criterion_group!(benches, http1);
criterion_main!(benches);
