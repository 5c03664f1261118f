//! Hellos of real programs (OpenSSL 3.0; the first records of the client, an empty line, those of the server), and ones that no program would send.

use proptest::prelude::*;

use super::{Hello, MAX_HELLO, MAX_OFFERED, Version};
use crate::{
    capture::{Direction, Role},
    protocol::testing::Bench,
};

struct Recorded {
    client: Vec<u8>,
    server: Vec<u8>,
}

fn recorded(text: &str) -> Recorded {
    let (client, server) = text.split_once("\n\n").unwrap();
    let bytes = |text: &str| {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    };
    Recorded { client: bytes(client), server: bytes(server) }
}

fn hello(name: Option<&str>, offered: &[&str], chosen: Option<&str>, version: Option<Version>) -> Hello {
    let offered = offered.iter().map(|&protocol| protocol.into()).collect();
    Hello { server_name: name.map(Into::into), offered, chosen: chosen.map(Into::into), version }
}

/// Real ones, with what they say.
fn table() -> Vec<(Recorded, Hello)> {
    let both = &["h2", "http/1.1"];
    let name = Some("api.test");
    vec![
        (recorded(include_str!("tests/curl_tls12.hex")), hello(name, both, Some("http/1.1"), Some(Version::Tls12))),
        (recorded(include_str!("tests/curl_tls13.hex")), hello(name, both, None, Some(Version::Tls13))),
        (recorded(include_str!("tests/curl_hello_retry.hex")), hello(name, both, None, Some(Version::Tls13))),
        (recorded(include_str!("tests/node_tls12.hex")), hello(name, &[], None, Some(Version::Tls12))),
        (recorded(include_str!("tests/python_tls12.hex")), hello(name, &[], None, Some(Version::Tls12))),
    ]
}

/// Feeds a client's connection, and says what its hellos say at the end.
fn read(bench: &mut Bench, pieces: &[(Direction, &[u8])]) -> Option<Hello> {
    let mut hello = None;
    for (direction, piece) in pieces {
        bench.data(*direction, bench.time + 1, piece);
        hello = bench.connection.take_hello().or(hello);
    }
    hello
}

fn whole(client: &[u8], server: &[u8]) -> Option<Hello> {
    read(&mut Bench::new(None), &[(Direction::Out, client), (Direction::In, server)])
}

#[test]
fn real_programs() {
    for (recorded, expected) in table() {
        let mut bench = Bench::new(None);
        assert_eq!(bench.connection.skip_until(Direction::Out, true), 0);
        let client = read(&mut bench, &[(Direction::Out, &recorded.client)]).unwrap();
        assert_eq!(client, Hello { chosen: None, version: None, ..expected.clone() });
        assert_eq!(bench.connection.skip_until(Direction::Out, true), u64::MAX);
        assert_eq!(bench.connection.skip_until(Direction::In, true), 0);
        assert_eq!(read(&mut bench, &[(Direction::In, &recorded.server)]), Some(expected));
        assert_eq!(bench.connection.skip_until(Direction::In, true), u64::MAX);
        assert_eq!(bench.connection.role(), Some(Role::Client));
        assert_eq!(bench.connection.retained(), 0);
        assert_eq!(bench.counters.opaque_bytes, (recorded.client.len() + recorded.server.len()) as u64);
        assert_eq!(bench.transcript(), "protocol Tls");
    }
}

#[test]
fn a_server_sees_the_same() {
    for (recorded, expected) in table() {
        let mut bench = Bench::new(Some(Role::Server));
        let pieces = [(Direction::In, &*recorded.client), (Direction::Out, &*recorded.server)];
        assert_eq!(read(&mut bench, &pieces), Some(expected));
        assert_eq!(bench.connection.role(), Some(Role::Server));
    }
}

/// A tunnel is opened in plain text; what goes through it is TLS.
#[test]
fn inside_a_tunnel() {
    for (recorded, expected) in table() {
        let mut bench = Bench::new(Some(Role::Client));
        bench.out("CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n");
        bench.inc("HTTP/1.1 200 Connection established\r\n\r\n");
        let pieces = [(Direction::Out, &*recorded.client), (Direction::In, &*recorded.server)];
        assert_eq!(read(&mut bench, &pieces), Some(expected));
        assert_eq!(bench.connection.skip_until(Direction::Out, true), u64::MAX);
        bench.fin();
        assert_eq!(bench.pairs(), [("CONNECT api.test:443", 200)]);
    }
    // Something else says so with its first bytes.
    let mut bench = Bench::new(Some(Role::Client));
    bench.out("CONNECT h:22 HTTP/1.1\r\nHost: h:22\r\n\r\n").inc("HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(read(&mut bench, &[(Direction::Out, b"SSH-2.0-x\r\n"), (Direction::In, b"SSH-2.0-y\r\n")]), None);
    assert_eq!(bench.connection.skip_until(Direction::In, true), u64::MAX);
}

fn vector(width: usize, content: &[u8]) -> Vec<u8> {
    let mut bytes = (content.len() as u32).to_be_bytes()[4 - width..].to_vec();
    bytes.extend_from_slice(content);
    bytes
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &vector(2, content)].concat()
}

fn name_list(name: &[u8]) -> Vec<u8> {
    extension(0, &vector(2, &[&[0][..], &vector(2, name)].concat()))
}

fn protocol_list(names: &[&[u8]]) -> Vec<u8> {
    extension(16, &vector(2, &names.iter().flat_map(|name| vector(1, name)).collect::<Vec<_>>()))
}

/// A message with a header, of a client (1) or a server (2), with these extensions.
fn message(kind: u8, extensions: &[u8]) -> Vec<u8> {
    let parameters: &[u8] = if kind == 1 { &[0, 2, 0x13, 0x01, 1, 0] } else { &[0x13, 0x01, 0] };
    let body = [&[3, 3][..], &[7; 32], &[0], parameters, &vector(2, extensions)].concat();
    [&[kind][..], &vector(3, &body)].concat()
}

/// In records of at most so many bytes.
fn records(message: &[u8], most: usize) -> Vec<u8> {
    message.chunks(most).flat_map(|fragment| [&[22, 3, 1][..], &vector(2, fragment)].concat()).collect()
}

fn said(extensions: &[u8]) -> Option<Hello> {
    read(&mut Bench::new(None), &[(Direction::Out, &records(&message(1, extensions), 1 << 14))])
}

#[test]
fn grease_is_nothing() {
    let list = protocol_list(&[&[0x0A, 0x0A], b"h2", b"JJ", b"", b"\x01\xff", b"http/1.1", b"zz"]);
    let grease = extension(0x2A2A, &[]);
    let parsed = said(&[grease.clone(), name_list(b"API.Test."), list, extension(0xFAFA, &[0])].concat()).unwrap();
    assert_eq!(parsed, hello(Some("api.test"), &["h2", "http/1.1"], None, None));
    let version = |wire: [u8; 2]| {
        let server = message(2, &[grease.clone(), extension(43, &wire)].concat());
        whole(&records(&message(1, &[]), 600), &records(&server, 600)).unwrap().version
    };
    assert_eq!((version([3, 4]), version([0x7F, 28]), version([0x5A, 0x5A])), (Some(Version::Tls13), None, None));
}

#[test]
fn only_what_can_be_a_host_is_a_name() {
    let name = |name: &[u8]| said(&name_list(name)).unwrap().server_name;
    assert_eq!(name(b"a-1.b_c.xn--p1ai").as_deref(), Some("a-1.b_c.xn--p1ai"));
    for bad in [&b""[..], b".", b"a b", b"a\"b", b"a/b", b"\xc3\xa4.de", b"a\0b", &[b'a'; 256]] {
        assert_eq!(name(bad), None, "{}", bad.escape_ascii());
    }
    // Of another type, which nobody has defined.
    assert_eq!(said(&extension(0, &vector(2, &[9, 0, 1, b'a']))).unwrap().server_name, None);
    let many: Vec<String> = (0..100).map(|number| format!("p{number}")).collect();
    let many: Vec<&[u8]> = many.iter().map(String::as_bytes).collect();
    assert_eq!(said(&protocol_list(&many)).unwrap().offered.len(), MAX_OFFERED);
}

#[test]
fn a_hello_above_the_bound_is_not_kept() {
    let padded = |length: usize| message(1, &[name_list(b"a"), extension(21, &vec![0; length])].concat());
    let rest = padded(0).len();
    assert!(said(&[name_list(b"a"), extension(21, &vec![0; MAX_HELLO - rest])].concat()).is_some());
    let mut bench = Bench::new(None);
    for byte in records(&padded(MAX_HELLO + 1 - rest), 100) {
        bench.out([byte]);
        assert!(bench.connection.retained() <= MAX_HELLO);
    }
    assert_eq!(bench.connection.take_hello(), None);
    assert_eq!(bench.connection.skip_until(Direction::Out, true), u64::MAX);
}

#[test]
fn what_was_not_seen_whole_says_nothing() {
    let (recorded, expected) = table().swap_remove(0);
    let mut bench = Bench::new(None);
    bench.out(&recorded.client[..100]).out_gap(50).out(&recorded.client[150..]).inc(&recorded.server);
    let seen = bench.connection.take_hello().unwrap();
    assert_eq!(seen, Hello { server_name: None, offered: Vec::new(), ..expected });
    // Joined among application data.
    let mut bench = Bench::new(None).joined_at(5000, 700);
    bench.out(b"\x17\x03\x03\x00\x04abcd").inc(b"\x17\x03\x03\x00\x04abcd");
    assert_eq!(bench.connection.take_hello(), None);
    assert_eq!(bench.connection.skip_until(Direction::In, false), u64::MAX);
    assert_eq!(bench.transcript(), "protocol Tls");
}

#[test]
fn what_is_no_handshake_says_nothing() {
    let (recorded, _) = table().swap_remove(0);
    // An alert in place of the answer.
    let parsed = whole(&recorded.client, b"\x15\x03\x03\x00\x02\x02\x28").unwrap();
    assert_eq!((parsed.server_name.as_deref(), parsed.version), (Some("api.test"), None));
    // Two clients.
    let parsed = whole(&recorded.client, &recorded.client).unwrap();
    assert_eq!(parsed.version, None);
    // Lengths that contradict each other.
    let good = message(1, &name_list(b"a"));
    for cut in 4..good.len() {
        let body = &good[4..cut];
        let bad = [&[1][..], &vector(3, body)].concat();
        // Without extensions it is a hello of its own.
        let ends = body.len() == good.len() - 4 - name_list(b"a").len() - 2;
        let parsed = read(&mut Bench::new(None), &[(Direction::Out, &records(&bad, 99))]);
        assert_eq!(parsed.is_some(), ends, "{cut}");
    }
}

proptest! {
    #[test]
    fn any_segmentation_gives_the_same(
        which in 0..table().len(),
        record in 1_usize..700,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        server_first in any::<bool>(),
    ) {
        let (recorded, expected) = table().swap_remove(which);
        // Over several records too: the first message of each, framed anew.
        let again = |bytes: &[u8]| {
            let length = 5 + usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
            [records(&bytes[5..length], record), bytes[length..].to_vec()].concat()
        };
        let streams = [again(&recorded.client), again(&recorded.server)];
        let mut pieces = Vec::new();
        for (direction, stream) in [Direction::Out, Direction::In].into_iter().zip(&streams) {
            let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            places.extend([0, stream.len()]);
            places.sort_unstable();
            pieces.extend(places.windows(2).map(|pair| (direction, &stream[pair[0]..pair[1]])));
        }
        if server_first {
            pieces.reverse();
            pieces.sort_by_key(|(direction, piece)| (direction.index() == 0, piece.as_ptr()));
        }
        let mut bench = Bench::new(None);
        prop_assert_eq!(read(&mut bench, &pieces), Some(expected));
        prop_assert_eq!(bench.counters.opaque_bytes as usize, streams[0].len() + streams[1].len());
    }

    #[test]
    fn any_bytes_are_read_within_bounds(
        pieces in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..200)), 0..20),
        kind in 1_u8..3,
        body in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut bench = Bench::new(None);
        let message = [&[kind][..], &vector(3, &body)].concat();
        bench.out(records(&message, 64));
        for (out, piece) in pieces {
            bench.data(if out { Direction::Out } else { Direction::In }, bench.time + 1, &piece);
            bench.connection.take_hello();
        }
    }
}
