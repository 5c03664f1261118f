//! Any bytes in any pieces: no panic, the same hello whatever the pieces, and nothing in it that is no name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use telltale::{
    capture::{Direction, GapReason, Timestamp},
    protocol::{Connection, Counters, End, Head, Incomplete, MessageSink, Protocol, tls::Hello},
    stream::Segment,
};

/// A handshake has no messages of HTTP.
#[derive(Default)]
struct Silent;

impl MessageSink for Silent {
    fn head(&mut self, _: Direction, _: Head) {}
    fn body(&mut self, _: Direction, _: Timestamp, _: &[u8]) {}
    fn body_gap(&mut self, _: Direction, _: u64, _: GapReason) {}
    fn end(&mut self, _: Direction, _: End) {}
    fn unanswered(&mut self, _: u64, _: Timestamp, _: Incomplete) {}
    fn protocol(&mut self, _: Protocol) {}
}

fn read(streams: [&[u8]; 2], size: usize) -> Option<Hello> {
    let mut connection = Connection::new(None);
    let (mut counters, mut hello) = (Counters::default(), None);
    for (direction, stream) in [Direction::Out, Direction::In].into_iter().zip(streams) {
        let mut position = 0;
        for bytes in stream.chunks(size) {
            let segment = Segment::Data { position, time: Timestamp(1), bytes };
            connection.segment(direction, segment, &mut counters, &mut Silent);
            hello = connection.take_hello().or(hello);
            position += bytes.len() as u64;
        }
    }
    hello
}

// Input: a byte that says where the second direction begins, in 256ths; the bytes of both.
fuzz_target!(|input: &[u8]| {
    let Some((&place, rest)) = input.split_first() else { return };
    // What a connection speaks may be decided by the first piece: that of TLS is not, so both begin as it does.
    let begin = |stream: &[u8]| [&[22, 3, 1], stream].concat();
    let (client, server) = rest.split_at(rest.len() * usize::from(place) / 256);
    let (client, server) = (begin(client), begin(server));
    let hello = read([&client, &server], usize::MAX);
    assert_eq!(hello, read([&client, &server], 1));
    for name in hello.iter().filter_map(|hello| hello.server_name.as_deref()) {
        assert!(!name.is_empty() && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_')));
    }
});
