//! One process with both ends of a connection.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread,
};

use super::{
    calls::{Receive, Send, receive_exactly, send_all},
    captured::Captured,
    ends::Ends,
    generator::{Generator, Stage},
    pattern::{Pattern, Way},
};

/// Both ends, and how many bytes each has sent and received.
pub(crate) struct Pair {
    pub(crate) client: TcpStream,
    pub(crate) server: TcpStream,
    /// By [`Way`]: request, response.
    pub(crate) sent: [u64; 2],
    pub(crate) received: [u64; 2],
}

/// The loopback of IPv4.
pub(crate) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

impl Pair {
    /// Connects.
    pub(crate) fn new(ip: IpAddr) -> Self {
        let listener = TcpListener::bind((ip, 0)).expect("a port");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("a listener");
        Self::of(client, &listener)
    }

    /// A client that has connected, and the other end.
    pub(crate) fn of(client: TcpStream, listener: &TcpListener) -> Self {
        let server = listener.accept().expect("a client").0;
        client.set_nodelay(true).and_then(|()| server.set_nodelay(true)).expect("an option");
        Self { client, server, sent: [0; 2], received: [0; 2] }
    }

    pub(crate) fn addresses(&self) -> (SocketAddr, SocketAddr) {
        (self.client.local_addr().expect("connected"), self.client.peer_addr().expect("connected"))
    }

    /// What goes a way.
    pub(crate) fn pattern(&self, way: Way) -> Pattern {
        Pattern::of(self.addresses().0, way)
    }

    /// The end that sends a way, and the end that receives.
    pub(crate) fn ends(&self, way: Way) -> (&TcpStream, &TcpStream) {
        match way {
            Way::Request => (&self.client, &self.server),
            Way::Response => (&self.server, &self.client),
        }
    }

    /// Sends the next bytes of the pattern. They must fit into the buffers.
    pub(crate) fn send(&mut self, way: Way, how: Send, length: usize) {
        let bytes = self.pattern(way).bytes(self.sent[way as usize], length);
        send_all(self.ends(way).0, how, bytes);
        self.sent[way as usize] += length as u64;
    }

    /// Receives so many bytes.
    pub(crate) fn receive(&mut self, way: Way, how: Receive, length: usize) {
        let position = self.received[way as usize];
        let bytes = receive_exactly(self.ends(way).1, how, length);
        assert_eq!(self.pattern(way).first_difference(position, &bytes), None, "the connection carries the pattern");
        self.received[way as usize] += length as u64;
    }

    /// Sends and receives, each in a thread, so any length fits.
    pub(crate) fn carry(&mut self, way: Way, send: Send, receive: Receive, length: usize) {
        let bytes = self.pattern(way).bytes(self.sent[way as usize], length);
        let (from, to) = self.ends(way);
        thread::scope(|scope| {
            scope.spawn(|| send_all(from, send, bytes));
            receive_exactly(to, receive, length);
        });
        self.sent[way as usize] += length as u64;
        self.received[way as usize] += length as u64;
    }

    /// Says the addresses and the numbers of bytes.
    pub(crate) fn tell(&self, stage: &mut Stage) {
        let (client, server) = self.addresses();
        stage.say(&format!("{client} {server} {} {}", self.sent[0], self.sent[1]));
    }
}

/// What [`Pair::tell`] said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
    /// By [`Way`].
    pub(crate) sent: [u64; 2],
}

impl Told {
    /// Waits for it.
    pub(crate) fn by(generator: &mut Generator) -> Self {
        let line = generator.hear();
        let words: Vec<_> = line.split(' ').collect();
        let address = |index: usize| words[index].parse().expect("an address");
        let number = |index: usize| words[index].parse().expect("a number");
        Self { client: address(0), server: address(1), sent: [number(2), number(3)] }
    }

    /// The captured ends.
    #[track_caller]
    pub(crate) fn ends<'a>(&self, captured: &'a Captured) -> Ends<'a> {
        captured.ends(self.client, self.server)
    }

    /// Both ends were captured whole and right, without a gap.
    #[track_caller]
    pub(crate) fn check(&self, captured: &Captured) {
        let ends = self.ends(captured);
        ends.check_bytes();
        ends.check_numbers();
        ends.check_whole(self.sent[0], self.sent[1]);
        ends.check_reasons(&[]);
    }
}

/// Scenario: an exchange on a connection of its own for each line of the test. With an argument, a copy does it instead.
pub(crate) fn exchanges(stage: &mut Stage) {
    let depth: u32 = if stage.arguments.is_empty() { 0 } else { stage.number(0) };
    loop {
        stage.wait();
        if depth > 0 {
            let mut child = Generator::start("exchanges", &(depth - 1).to_string());
            stage.say(&child.pid().to_string());
            child.tell("go");
            for _ in 0..depth {
                stage.say(&child.hear());
            }
            child.finish();
            continue;
        }
        let mut pair = Pair::new(LOOPBACK);
        pair.send(Way::Request, Send::Write, 100);
        pair.receive(Way::Request, Receive::Read, 100);
        pair.send(Way::Response, Send::Write, 3000);
        pair.receive(Way::Response, Receive::Read, 3000);
        pair.tell(stage);
    }
}

/// Has an exchange made.
pub(crate) fn exchange(generator: &mut Generator) -> Told {
    generator.tell("go");
    Told::by(generator)
}
