//! Connections older than the capture.

use std::net::{IpAddr, Ipv6Addr, Shutdown};

use telltale::capture::Direction;

use super::{
    calls::{Receive, Send, set_option},
    generator::{Generator, Stage},
    pair::{LOOPBACK, Pair, Told},
    pattern::Way,
    session::{Session, each_backend, processes},
};

/// What happened before the capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Past {
    Nothing,
    Exchange,
    /// The server has more to receive.
    Unread,
    /// The client has more to send than the server takes.
    Unsent,
    /// Millions of bytes, both ways.
    Long,
    /// The server has sent its FIN, which the client has not come to.
    ServerDone,
    /// The client has sent its FIN, which the server has come to.
    ClientDone,
}

const PASTS: [Past; 7] =
    [Past::Nothing, Past::Exchange, Past::Unread, Past::Unsent, Past::Long, Past::ServerDone, Past::ClientDone];

const FAMILIES: [IpAddr; 2] = [LOOPBACK, IpAddr::V6(Ipv6Addr::LOCALHOST)];

fn past(what: Past, ip: IpAddr) -> Pair {
    let mut pair = Pair::new(ip);
    if what != Past::Nothing {
        pair.send(Way::Request, Send::Write, 100);
        pair.receive(Way::Request, Receive::Read, 100);
        pair.send(Way::Response, Send::Write, 201);
        pair.receive(Way::Response, Receive::Read, 201);
    }
    match what {
        Past::Nothing | Past::Exchange => {}
        Past::Unread => {
            pair.send(Way::Request, Send::Write, 5000);
            pair.receive(Way::Request, Receive::Read, 1000);
        }
        Past::Unsent => {
            set_option(&pair.client, libc::SOL_SOCKET, libc::SO_SNDBUF, &1_000_000_i32);
            set_option(&pair.server, libc::SOL_SOCKET, libc::SO_RCVBUF, &4096_i32);
            pair.send(Way::Request, Send::Write, 150_000);
        }
        Past::Long => {
            pair.carry(Way::Request, Send::Write, Receive::Read, 2_000_000);
            pair.carry(Way::Response, Send::Write, Receive::Read, 1_000_003);
        }
        Past::ServerDone => {
            pair.send(Way::Response, Send::Write, 300);
            pair.server.shutdown(Shutdown::Write).expect("connected");
        }
        Past::ClientDone => {
            pair.client.shutdown(Shutdown::Write).expect("connected");
            let end = super::calls::receive(&pair.server, Receive::Read, &mut [0; 10], 0);
            assert_eq!(end.expect("an end"), 0);
        }
    }
    pair
}

pub(crate) fn connections(stage: &mut Stage) {
    let mut pairs = Vec::new();
    for ip in FAMILIES {
        for what in PASTS {
            let pair = past(what, ip);
            pair.tell(stage);
            stage.say(&format!("{} {}", pair.received[0], pair.received[1]));
            pairs.push((what, pair));
        }
    }
    stage.wait();
    for (what, pair) in &mut pairs {
        if *what != Past::ClientDone {
            pair.send(Way::Request, Send::Write, 777);
        }
        if *what != Past::ServerDone {
            pair.send(Way::Response, Send::Writev(100), 999);
        }
        for way in [Way::Request, Way::Response] {
            let left = (pair.sent[way as usize] - pair.received[way as usize]) as usize;
            pair.receive(way, Receive::Read, left);
        }
        pair.tell(stage);
    }
}

#[test]
fn older_connections_are_joined_at_their_true_position() {
    each_backend(|backend| {
        let mut generator = Generator::start("late_connections", "");
        let before: Vec<(Told, [u64; 2])> = (0..FAMILIES.len() * PASTS.len())
            .map(|_| {
                let told = Told::by(&mut generator);
                let line = generator.hear();
                let received: Vec<u64> = line.split(' ').map(|word| word.parse().expect("a number")).collect();
                (told, [received[0], received[1]])
            })
            .collect();
        let session = Session::start(&processes(backend, &[generator.pid()]));
        generator.tell("go");
        let after: Vec<Told> = before.iter().map(|_| Told::by(&mut generator)).collect();
        generator.finish();
        let captured = session.finish();
        assert_eq!(captured.connections.len(), 2 * before.len(), "both ends of each connection, nothing else");
        for ((before, received), after) in before.iter().zip(&after) {
            let ends = after.ends(&captured);
            ends.check_bytes();
            ends.check_numbers();
            ends.check_reasons(&[]);
            let expected = |from: u64, to: u64| if from == to { (0, 0) } else { (from, to) };
            for (end, direction, from, to) in [
                (ends.client, Direction::Out, before.sent[0], after.sent[0]),
                (ends.server, Direction::In, received[0], after.sent[0]),
                (ends.server, Direction::Out, before.sent[1], after.sent[1]),
                (ends.client, Direction::In, received[1], after.sent[1]),
            ] {
                assert_eq!(end.whole(direction), expected(from, to), "{direction:?}: {}", end.tell());
            }
        }
        println!(
            "{}: {} connections joined late, {} payload bytes",
            backend.name(),
            before.len(),
            captured.data_bytes()
        );
    });
}
