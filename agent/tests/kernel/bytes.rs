//! Every way to move bytes, on every kind of address: content, positions, identity, end.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use agent_common::counter::Counter;
use telltale::capture::{CloseHow, Direction, GapReason, Role, kernel::Backend};

use super::{
    calls::{self, Receive, Send, receive_exactly, receive_to_end, send_all},
    generator::{Generator, Stage},
    pattern::{Pattern, Way},
    session::{Session, each_backend, processes},
};

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The client closes, then the server.
    Fin,
    /// The client's last bytes come with its FIN, then the server sends [`TAIL`] bytes, which the client reads late.
    HalfClose,
    /// The client resets.
    Reset,
}

/// Bytes after a half-close, each way.
const LAST: usize = 1000;
const TAIL: usize = 9000;

/// One connection: in each round the client sends so many bytes and the server answers with twice as many and one.
struct Plan {
    send: Send,
    receive: Receive,
    rounds: &'static [usize],
    end: End,
}

const fn plan(send: Send, receive: Receive, rounds: &'static [usize], end: End) -> Plan {
    Plan { send, receive, rounds, end }
}

const SMALL: &[usize] = &[1, 17, 2047, 2048, 3000];
const LARGE: &[usize] = &[16_384, 16_385, 40_000];

const PLANS: &[Plan] = &[
    plan(Send::Write, Receive::Read, SMALL, End::Fin),
    plan(Send::Write, Receive::Read, LARGE, End::HalfClose),
    plan(Send::Write, Receive::Read, &[200_000], End::Fin),
    plan(Send::Writev(7), Receive::Readv(5), SMALL, End::Fin),
    plan(Send::Writev(1000), Receive::Readv(3000), LARGE, End::HalfClose),
    plan(Send::Send, Receive::Recv, SMALL, End::Reset),
    plan(Send::SendTo, Receive::RecvFrom, SMALL, End::Fin),
    plan(Send::SendMsg(11), Receive::RecvMsg(13), SMALL, End::HalfClose),
    plan(Send::SendMsg(20_000), Receive::RecvMsg(9000), LARGE, End::Fin),
    plan(Send::SendMmsg(50), Receive::RecvMmsg(30), SMALL, End::Fin),
    plan(Send::Bytewise, Receive::Read, &[1, 40, 99], End::Fin),
    plan(Send::Write, Receive::Bytewise, &[1, 40, 99], End::HalfClose),
    plan(Send::Write, Receive::Peek, SMALL, End::Fin),
    plan(Send::Write, Receive::WaitAll, LARGE, End::Fin),
    plan(Send::Write, Receive::Truncate, SMALL, End::Fin),
];

impl Plan {
    /// Bytes of the request and of the response direction.
    fn lengths(&self) -> (u64, u64) {
        let sum: usize = self.rounds.iter().sum();
        let (last, tail) = if self.end == End::HalfClose { (LAST, TAIL) } else { (0, 0) };
        ((sum + last) as u64, (2 * sum + self.rounds.len() + tail) as u64)
    }

    /// What a backend cannot see of it.
    fn expected_gaps(&self, backend: Backend) -> &'static [GapReason] {
        match (self.send, self.receive, backend) {
            (_, Receive::Truncate, _) => &[GapReason::Discarded],
            (Send::SendMmsg(_), ..) | (_, Receive::RecvMmsg(_), _) if backend == Backend::Syscall => {
                &[GapReason::UnknownCall]
            }
            // Where no hook sees a send begin, a reset can come between its bytes and its hook.
            _ if self.end == End::Reset && backend == Backend::Syscall => &[GapReason::Unseen],
            _ => &[],
        }
    }
}

/// How many connections the client makes to each port when it is told to make few.
pub(crate) const FEW: usize = 3;

/// The plans that are carried out: all, or the first few if the arguments end with this word.
fn plans(stage: &Stage) -> &'static [Plan] {
    if stage.arguments.last().is_some_and(|word| word == "few") { &PLANS[..FEW] } else { PLANS }
}

/// Where the server listens: IPv4, IPv6, and both for v4-mapped addresses.
const FAMILIES: [IpAddr; 3] =
    [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];

pub(crate) fn server(stage: &mut Stage) {
    let listeners = FAMILIES.map(|ip| TcpListener::bind((ip, 0)).expect("a port of the loopback"));
    let ports = listeners.iter().map(|listener| listener.local_addr().expect("bound").port().to_string());
    stage.say(&ports.collect::<Vec<_>>().join(" "));
    stage.wait();
    let plans = plans(stage);
    std::thread::scope(|scope| {
        for listener in &listeners {
            scope.spawn(|| {
                for plan in plans {
                    serve(&listener.accept().expect("a client").0, plan);
                }
            });
        }
    });
}

fn serve(stream: &TcpStream, plan: &Plan) {
    stream.set_nodelay(true).expect("an option");
    let pattern = Pattern::of(stream.peer_addr().expect("connected"), Way::Response);
    let mut sent = 0;
    for length in plan.rounds {
        receive_exactly(stream, plan.receive, *length);
        send_all(stream, plan.send, pattern.bytes(sent, 2 * length + 1));
        sent += 2 * *length as u64 + 1;
    }
    match plan.end {
        End::Reset => {
            // The reset is an error here, or the end of the stream.
            let _ = calls::receive(stream, Receive::Read, &mut [0], 0);
        }
        End::Fin => assert_eq!(receive_to_end(stream, plan.receive, 100), 0),
        End::HalfClose => {
            std::thread::sleep(Duration::from_millis(20));
            assert_eq!(receive_to_end(stream, plan.receive, LAST + 1), LAST);
            send_all(stream, plan.send, pattern.bytes(sent, TAIL));
        }
    }
}

pub(crate) fn client(stage: &mut Stage) {
    stage.wait();
    let plans = plans(stage);
    let ports: Vec<u16> = (0..FAMILIES.len()).map(|index| stage.number(index)).collect();
    let connections: Vec<Vec<SocketAddr>> = std::thread::scope(|scope| {
        let clients: Vec<_> = FAMILIES
            .iter()
            .zip(&ports)
            .map(|(ip, port)| {
                // The unspecified address stands for IPv4 to a socket of both families.
                let ip = if ip.is_unspecified() { FAMILIES[0] } else { *ip };
                scope.spawn(move || plans.iter().map(|plan| call(SocketAddr::new(ip, *port), plan)).collect())
            })
            .collect();
        clients.into_iter().map(|client| client.join().expect("a client")).collect()
    });
    for address in connections.iter().flatten() {
        stage.say(&address.to_string());
    }
}

fn call(server: SocketAddr, plan: &Plan) -> SocketAddr {
    let stream = TcpStream::connect(server).expect("the server listens");
    stream.set_nodelay(true).expect("an option");
    let own = stream.local_addr().expect("connected");
    let pattern = Pattern::of(own, Way::Request);
    let mut sent = 0;
    for length in plan.rounds {
        send_all(&stream, plan.send, pattern.bytes(sent, *length));
        sent += *length as u64;
        receive_exactly(&stream, plan.receive, 2 * length + 1);
    }
    match plan.end {
        End::Fin => {}
        End::Reset => calls::reset_on_close(&stream),
        End::HalfClose => {
            // Held back until the FIN takes it along.
            let held = calls::send(&stream, Send::Send, &mut pattern.bytes(sent, LAST), libc::MSG_MORE);
            assert_eq!(held.expect("sent"), LAST);
            stream.shutdown(Shutdown::Write).expect("connected");
            std::thread::sleep(Duration::from_millis(50));
            assert_eq!(receive_to_end(&stream, plan.receive, 4096), TAIL);
        }
    }
    own
}

#[test]
fn every_call_on_every_address() {
    each_backend(|backend| {
        let mut server = Generator::start("bytes_server", "");
        let ports = server.hear();
        let mut client = Generator::start("bytes_client", &ports);
        let session = Session::start(&processes(backend, &[server.pid(), client.pid()]));
        let names = [(client.pid(), client.comm()), (server.pid(), server.comm())];
        server.tell("go");
        client.tell("go");
        let clients: Vec<SocketAddr> =
            (0..FAMILIES.len() * PLANS.len()).map(|_| client.hear().parse().expect("an address")).collect();
        client.finish();
        server.finish();
        let captured = session.finish();

        let ports: Vec<u16> = ports.split(' ').map(|port| port.parse().expect("a port")).collect();

        assert_eq!(captured.connections.len(), 2 * clients.len(), "both ends of each connection, nothing else");
        for (index, address) in clients.iter().enumerate() {
            let (family, plan) = (index / PLANS.len(), &PLANS[index % PLANS.len()]);
            let ends = captured.ends(*address, SocketAddr::new(address.ip(), ports[family]));
            ends.check_bytes();
            ends.check_numbers();
            let (request, response) = plan.lengths();
            ends.check_whole(request, response);
            ends.check_reasons(plan.expected_gaps(backend));
            ends.check_order();
            let how = if plan.end == End::Reset { CloseHow::Reset } else { CloseHow::Fin };
            for (end, (pid, comm)) in [ends.client, ends.server].into_iter().zip(&names) {
                assert_eq!((end.open().pid, &end.open().comm), (*pid, comm));
                assert!(ends.missed || end.closes == [Some(how)], "{:?}/{:?}: {}", plan.send, plan.receive, end.tell());
            }
            if matches!(plan.receive, Receive::Truncate) && !ends.missed {
                let discarded = ends.server.gaps(Direction::In)[&GapReason::Discarded];
                assert_eq!(discarded, request, "what was discarded is a gap");
            }
        }
        let roles = |role| captured.connections.values().filter(|end| end.open().role == Some(role)).count();
        assert_eq!((roles(Role::Client), roles(Role::Server)), (clients.len(), clients.len()));
        println!(
            "{}: {} connections, {} events, {} payload bytes compared",
            backend.name(),
            clients.len(),
            captured.events,
            captured.data_bytes()
        );
        let counted = [Counter::CopiedBytes, Counter::RingFull].map(|kind| captured.counter(kind));
        assert_eq!(counted, [captured.data_bytes(), 0], "the kernel side counts what it copies");
    });
}
