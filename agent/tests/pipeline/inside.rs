//! Connections of TLS: what the socket moves and what is inside are one connection to whoever asks.

use std::collections::BTreeMap;

use agent_common::tls;
use telltale::{
    capture::{ConnectionId, Direction, EventKind, GapReason, Open, Role},
    policy::{Plan, PlanStore, Plans, model::Tls},
    telemetry::metrics::Data,
};

use super::bench::{Bench, GET, OK, open};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// The first records of curl and of a server (OpenSSL 3.0, TLS 1.2).
fn hellos() -> [Vec<u8>; 2] {
    let text = include_str!("../../src/protocol/tls/tests/curl_tls12.hex");
    let (client, server) = text.split_once("\n\n").unwrap();
    [client, server].map(|text| {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    })
}

impl Bench {
    /// A client's handshake on the socket of this number.
    fn handshake(&mut self, socket: u64) {
        let [client, server] = hellos();
        self.open(socket);
        self.data(socket, Direction::Out, 0, &client);
        self.data(socket, Direction::In, 0, &server);
    }

    /// What is inside the TLS of this socket was read from its beginning on.
    fn open_inside(&mut self, socket: u64) -> u64 {
        let id = tls::inside(socket, 0);
        let EventKind::Open(mut open) = open(Some(Role::Client), socket as u32) else { unreachable!() };
        open.tls = true;
        self.event(id, EventKind::Open(open));
        id
    }

    /// The series of an instrument: its attributes as one text, and its number.
    fn series(&self, name: &str) -> BTreeMap<String, u64> {
        let snapshot = self.metrics.snapshot();
        let family = snapshot.families.iter().find(|family| family.name == name);
        let series = family.iter().flat_map(|family| &family.series).map(|series| {
            let attributes = series.attributes.iter().filter(|(name, _)| name != "telltale.reporter");
            let text: Vec<_> = attributes.map(|(name, value)| format!("{name}={value}")).collect();
            let number = match &series.data {
                Data::Counter(number) => *number,
                data => data.count(),
            };
            (text.join(" ").replace("telltale.connection.", ""), number)
        });
        series.collect()
    }
}

fn rows<const N: usize>(rows: [(&str, u64); N]) -> BTreeMap<String, u64> {
    rows.into_iter().map(|(text, number)| (text.to_owned(), number)).collect()
}

#[test]
fn what_nobody_reads_inside_of_is_opaque_and_is_copied_no_longer_than_its_hellos() {
    let mut bench = Bench::new(4);
    bench.handshake(7);
    let skips: Vec<_> = bench.pipeline.take_skips().map(|skip| (skip.direction, skip.until)).collect();
    assert_eq!(skips, [(Direction::Out, u64::MAX), (Direction::In, u64::MAX)]);
    let [client, server] = hellos().map(|hello| hello.len() as u64);
    bench.gap(7, Direction::Out, client, 1000, GapReason::RingFull);
    bench.event(7, EventKind::Data { direction: Direction::In, position: server, length: 500_000, bytes: &[] });
    bench.close(7);
    let opaque = "visibility=opaque opaque_reason=tls tls.protocol.version=1.2 server.address=api.test";
    assert_eq!(bench.series("telltale.connections"), rows([(opaque, 1)]));
    assert_eq!(bench.series("telltale.connection.duration"), rows([(opaque, 1)]));
    let [sent, received] = ["transmit", "receive"].map(|way| format!("network.io.direction={way} {opaque}"));
    let moved = rows([(&sent, client + 1000), (&received, server + 500_000)]);
    assert_eq!(bench.series("telltale.connection.io"), moved);
    assert!(bench.lines.take().is_empty());
}

#[test]
fn what_is_read_inside_of_is_told_once() {
    for order in [["inside", "socket"], ["socket", "inside"], ["neither", ""]] {
        let mut bench = Bench::new(4);
        bench.handshake(7);
        let inside = bench.open_inside(7);
        let [client, _] = hellos().map(|hello| hello.len() as u64);
        bench.gap(7, Direction::Out, client, 60, GapReason::RingFull);
        bench.data(inside, Direction::Out, 0, b"GET /x HTTP/1.1\r\n\r\n");
        bench.data(inside, Direction::In, 0, OK);
        for which in order {
            match which {
                "inside" => bench.close(inside),
                "socket" => bench.close(7),
                _ => {}
            }
        }
        bench.pipeline.finish();
        let decrypted =
            "visibility=decrypted network.protocol.name=http tls.protocol.version=1.2 server.address=api.test";
        assert_eq!(bench.series("telltale.connections"), rows([(decrypted, 1)]), "{order:?}");
        let sent = format!("network.io.direction=transmit {decrypted}");
        assert_eq!(bench.series("telltale.connection.io")[&sent], client + 60, "as the socket moved them");
        let lines = bench.lines.take();
        assert_eq!(lines.len(), 1);
        assert_eq!((&lines[0]["path"], &lines[0]["response_code"]), (&"/x".into(), &200.into()));
        let requests = bench.series("http.client.request.duration");
        let [key] = requests.keys().collect::<Vec<_>>()[..] else { panic!("{requests:?}") };
        assert!(key.contains("server.address=api.test server.port=80"), "{key}: there was no Host");
    }
}

/// The other end of the connection is the proxy; who is asked has the port of the scheme, unless the request says another.
#[test]
fn behind_a_proxy_the_server_has_the_port_of_its_scheme() {
    let mut bench = Bench::new(4);
    let [client, server] = hellos();
    let (connect, opened) =
        (b"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n");
    bench.open(7);
    bench.data(7, Direction::Out, 0, connect);
    bench.data(7, Direction::In, 0, opened);
    bench.data(7, Direction::Out, connect.len() as u64, &client);
    bench.data(7, Direction::In, opened.len() as u64, &server);
    let inside = bench.open_inside(7);
    bench.data(inside, Direction::Out, 0, b"GET /x HTTP/1.1\r\nHost: api.test\r\n\r\n");
    bench.data(inside, Direction::In, 0, OK);
    bench.pipeline.finish();
    let requests: Vec<_> = bench.series("http.client.request.duration").into_keys().collect();
    let [own, tunnel] = &requests[..] else { panic!("{requests:?}") };
    for series in [own, tunnel] {
        assert!(series.contains("server.address=api.test server.port=443"), "{series}");
    }
}

/// A policy that leaves out what is inside TLS: nobody reads or keeps it, and the connection is as any that nobody could read inside of.
#[test]
fn what_is_not_to_be_read_inside_of_is_opaque() {
    let plan = |tls| Plans::everywhere(Plan { tls, ..Plan::of_signals(true, false, true) });
    let plans = PlanStore::new(plan(Tls::Disabled));
    let mut bench = Bench::following_many(&plans, 4);
    bench.handshake(7);
    let inside = bench.open_inside(7);
    bench.pipeline.take_skips().for_each(drop);
    bench.data(inside, Direction::Out, 0, GET);
    bench.data(inside, Direction::In, 0, OK);
    let skips: Vec<_> = bench.pipeline.take_skips().map(|skip| (skip.connection.0, skip.until)).collect();
    assert_eq!(skips, [(inside, u64::MAX); 2]);
    let [of_socket, of_inside, of_nobody] =
        [7, inside, tls::inside(8, 0)].map(|id| bench.pipeline.withholds(ConnectionId(id)));
    assert_eq!((of_socket, of_inside, of_nobody), (false, true, true));
    assert!(!bench.pipeline.wants_inside(ConnectionId(7)));
    bench.close(7);
    bench.close(inside);
    let opaque = "visibility=opaque opaque_reason=tls tls.protocol.version=1.2 server.address=api.test";
    assert_eq!(bench.series("telltale.connections"), rows([(opaque, 1)]));
    assert!(bench.lines.take().is_empty());
    // It is joined late once it may be read.
    bench.handshake(9);
    let inside = bench.open_inside(9);
    bench.data(inside, Direction::Out, 0, GET);
    plans.replace(plan(Tls::Enabled));
    bench.data(inside, Direction::Out, GET.len() as u64, GET);
    bench.data(inside, Direction::In, OK.len() as u64, OK);
    assert!(!bench.pipeline.withholds(ConnectionId(inside)));
    bench.pipeline.finish();
    assert_eq!(bench.lines.take().len(), 1);
}

/// What is read is told as far as it is read: a WebSocket inside TLS is as opaque as one in clear.
#[test]
fn what_is_inside_and_was_upgraded_is_opaque() {
    let mut bench = Bench::new(4);
    bench.handshake(7);
    let inside = bench.open_inside(7);
    bench.data(inside, Direction::Out, 0, b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n");
    bench.data(inside, Direction::In, 0, b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n\x81\0");
    bench.close(inside);
    bench.close(7);
    let upgraded = "visibility=opaque opaque_reason=upgraded tls.protocol.version=1.2 server.address=api.test";
    assert_eq!(bench.series("telltale.connections"), rows([(upgraded, 1)]));
    assert_eq!(bench.lines.take().len(), 1);
}

/// A proxy that is reached by TLS, and through its tunnel TLS again, whose handshake is in what is inside the first.
#[test]
fn tls_within_tls_has_the_handshake_that_is_its_own() {
    let [client, server] = hellos();
    let renamed = |name: &[u8]| {
        let at = client.windows(8).position(|window| window == b"api.test").unwrap();
        [&client[..at], name, &client[at + 8..]].concat()
    };
    let (connect, opened) =
        (b"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n");
    for (reads, hello_seen) in [(true, true), (true, false), (false, true)] {
        let mut bench = Bench::new(4);
        bench.open(7);
        bench.data(7, Direction::Out, 0, &renamed(b"px1.test"));
        bench.data(7, Direction::In, 0, &server);
        let inside = bench.open_inside(7);
        bench.data(inside, Direction::Out, 0, connect);
        bench.data(inside, Direction::In, 0, opened);
        if hello_seen {
            bench.data(inside, Direction::Out, connect.len() as u64, &client);
            bench.data(inside, Direction::In, opened.len() as u64, &server);
        }
        if reads {
            let EventKind::Open(mut open) = open(Some(Role::Client), 7) else { unreachable!() };
            open.tls = true;
            let innermost = tls::inside(7, 1);
            bench.event(innermost, EventKind::Open(open));
            bench.data(innermost, Direction::Out, 0, b"GET /x HTTP/1.1\r\n\r\n");
            bench.data(innermost, Direction::In, 0, OK);
        }
        bench.pipeline.finish();
        let told = if reads { "decrypted network.protocol.name=http" } else { "opaque opaque_reason=tls" };
        let told = format!("visibility={told} tls.protocol.version=1.2 server.address=px1.test");
        assert_eq!(bench.series("telltale.connections"), rows([(&told, 1)]));
        // By the name of the handshake, where none is in the request.
        let requests = bench.series("http.client.request.duration");
        let by_address = requests.keys().any(|key| key.contains("server.address=10.0.0.2"));
        let by_name = requests.keys().filter(|key| key.contains("server.address=api.test")).count();
        assert_eq!((by_address, by_name), (reads && !hello_seen, 1 + usize::from(reads && hello_seen)), "{requests:?}");
        assert!(!requests.keys().any(|key| key.contains("px1")), "{requests:?}");
    }
}

/// Whatever becomes of the socket's connection before, there is one.
#[test]
fn what_is_inside_is_told_with_its_socket() {
    let told = |bench: &mut Bench| {
        bench.pipeline.finish();
        bench.series("telltale.connections")
    };
    // Its socket was met later: it had been there before the agent.
    let mut bench = Bench::new(4);
    let inside = bench.open_inside(7);
    bench.data(inside, Direction::Out, 0, GET);
    bench.handshake(7);
    bench.data(inside, Direction::In, 0, OK);
    let decrypted = "visibility=decrypted network.protocol.name=http tls.protocol.version=1.2 server.address=api.test";
    assert_eq!(told(&mut bench), rows([(decrypted, 1)]));
    // Its socket had to make room.
    let mut bench = Bench::new(2);
    bench.handshake(7);
    let inside = bench.open_inside(7);
    bench.data(inside, Direction::Out, 0, GET);
    bench.open(8);
    bench.data(inside, Direction::In, 0, OK);
    assert_eq!(bench.lines.take().len(), 1);
    assert_eq!(told(&mut bench), rows([(decrypted, 1), ("server.address=10.0.0.2", 1)]));
}

#[test]
fn http2_inside_is_told_as_what_is_not_parsed_yet() {
    let mut bench = Bench::new(4);
    bench.handshake(7);
    let inside = bench.open_inside(7);
    bench.data(inside, Direction::Out, 0, PREFACE);
    bench.close(inside);
    bench.close(7);
    let http2 = "visibility=opaque opaque_reason=http2 network.protocol.name=http network.protocol.version=2 tls.protocol.version=1.2 server.address=api.test";
    assert_eq!(bench.series("telltale.connections"), rows([(http2, 1)]));
}

#[test]
fn the_others_are_told_by_what_they_speak() {
    let mut bench = Bench::new(9);
    bench.exchange(1, GET, OK);
    bench.exchange(2, PREFACE, b"\0\0\0\x04\0\0\0\0\0");
    bench.exchange(3, b"\x05\x01\0", b"\x05\0");
    bench.exchange(
        4,
        b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n\x81\0",
    );
    bench.exchange(5, b"CONNECT api.test:443 HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n");
    // Silent.
    bench.open(6);
    bench.close(6);
    // Through a tunnel.
    let [client, server] = hellos();
    let (connect, opened) = (b"CONNECT api.test:443 HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n");
    bench.open(8);
    bench.data(8, Direction::Out, 0, connect);
    bench.data(8, Direction::In, 0, opened);
    bench.data(8, Direction::Out, connect.len() as u64, &client);
    bench.data(8, Direction::In, opened.len() as u64, &server);
    bench.close(8);
    let connections = rows([
        ("visibility=plain network.protocol.name=http server.address=10.0.0.2", 1),
        (
            "visibility=opaque opaque_reason=http2 network.protocol.name=http network.protocol.version=2 server.address=10.0.0.2",
            1,
        ),
        ("visibility=opaque opaque_reason=unknown server.address=10.0.0.2", 1),
        ("visibility=opaque opaque_reason=upgraded server.address=10.0.0.2", 2),
        ("server.address=10.0.0.2", 1),
        ("visibility=opaque opaque_reason=tls tls.protocol.version=1.2 server.address=api.test", 1),
    ]);
    assert_eq!(bench.series("telltale.connections"), connections);
}

/// Nobody can say that the socket's connection is the one that was read: it is counted as what it looks like.
#[test]
fn what_is_inside_of_a_socket_that_is_not_known_has_no_address() {
    let mut bench = Bench::new(4);
    bench.handshake(7);
    let unknown = tls::TLS | tls::UNKNOWN | 3;
    let open = Open { tls: true, pid: 7, comm: "client".to_owned(), ..Open::new(Open::NO_ADDRESS, Open::NO_ADDRESS) };
    bench.event(unknown, EventKind::Open(Box::new(open)));
    bench.data(unknown, Direction::Out, 0, b"GET /x HTTP/1.1\r\n\r\n");
    bench.data(unknown, Direction::In, 0, OK);
    bench.close(unknown);
    bench.close(7);
    let opaque = "visibility=opaque opaque_reason=tls tls.protocol.version=1.2 server.address=api.test";
    assert_eq!(bench.series("telltale.connections"), rows([(opaque, 1)]));
    let lines = bench.lines.take();
    assert_eq!((lines.len(), lines[0].get("destination")), (1, None));
    assert!(!lines[0].to_string().contains("0.0.0.0"), "{}", lines[0]);
    let requests = bench.series("http.client.request.duration");
    assert!(!requests.keys().any(|key| key.contains("server.")), "{requests:?}");
}

/// What a connection moves is told while it goes on, once.
#[test]
fn bytes_are_told_every_minute() {
    const SECOND: u64 = 1_000_000_000;
    let mut bench = Bench::new(4);
    bench.handshake(7);
    let [client, _] = hellos().map(|hello| hello.len() as u64);
    let sent = |bench: &Bench| {
        let io = bench.series("telltale.connection.io");
        io.iter().find(|(name, _)| name.contains("transmit")).map(|(_, bytes)| *bytes)
    };
    bench.tick(59 * SECOND);
    assert_eq!(sent(&bench), None);
    bench.tick(11 * SECOND);
    assert_eq!(sent(&bench), Some(client));
    bench.gap(7, Direction::Out, client, 1000, GapReason::NotCopied);
    bench.tick(59 * SECOND);
    assert_eq!(sent(&bench), Some(client));
    bench.tick(10 * SECOND);
    assert_eq!(sent(&bench), Some(client + 1000));
    assert!(bench.series("telltale.connections").is_empty() && bench.series("telltale.connection.duration").is_empty());
    bench.gap(7, Direction::Out, client + 1000, 10, GapReason::NotCopied);
    bench.close(7);
    assert_eq!(sent(&bench), Some(client + 1010));
    assert_eq!(bench.series("telltale.connections").into_values().collect::<Vec<_>>(), [1]);
    assert_eq!(bench.series("telltale.connection.duration").len(), 1);
}

/// Only one that is seen from its first byte to its end has a duration.
#[test]
fn of_a_connection_that_is_joined_late_there_is_no_duration() {
    let mut bench = Bench::new(4);
    bench.open(7);
    bench.data(7, Direction::Out, 5000, b"\x17\x03\x03\0\x20abcd");
    bench.close(7);
    bench.open(8);
    bench.data(8, Direction::Out, 0, GET);
    bench.pipeline.finish();
    let opaque = "visibility=opaque opaque_reason=tls server.address=10.0.0.2";
    let plain = "visibility=plain network.protocol.name=http server.address=10.0.0.2";
    assert_eq!(bench.series("telltale.connections"), rows([(opaque, 1), (plain, 1)]));
    assert!(bench.series("telltale.connection.duration").is_empty());
}
