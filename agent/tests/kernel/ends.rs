//! Checks of whole connections, of which both ends were captured.

use std::net::SocketAddr;

use telltale::capture::{Direction, GapReason, Role};

use super::{
    captured::{Captured, Connection, Piece},
    pattern::{Pattern, Way},
};

/// Reasons of the gaps that runs leave which the kernel left out.
pub(crate) const MISSED: [GapReason; 3] = [GapReason::NoState, GapReason::Unseen, GapReason::Interleaved];

/// The two ends of one connection.
pub(crate) struct Ends<'a> {
    /// The end that connected.
    pub(crate) client: &'a Connection,
    /// The end that accepted.
    pub(crate) server: &'a Connection,
    /// The client's port.
    pub(crate) port: u16,
    /// The kernel left out runs of the programs, so some calls are gaps, and what ends a direction may be missing.
    pub(crate) missed: bool,
}

impl Captured {
    /// The end with this role and these addresses.
    #[track_caller]
    pub(crate) fn end(&self, role: Role, local: SocketAddr, peer: SocketAddr) -> &Connection {
        let found: Vec<_> = self
            .connections
            .values()
            .filter(|connection| {
                connection
                    .opens
                    .first()
                    .is_some_and(|open| open.role == Some(role) && open.local == local && open.peer == peer)
            })
            .collect();
        let known = || self.connections.values().map(Connection::tell).collect::<Vec<_>>().join("\n");
        assert_eq!(found.len(), 1, "one {role:?} end {local} -> {peer} in:\n{}", known());
        found[0]
    }

    /// Both ends of a connection.
    #[track_caller]
    pub(crate) fn ends(&self, client: SocketAddr, server: SocketAddr) -> Ends<'_> {
        Ends {
            client: self.end(Role::Client, client, server),
            server: self.end(Role::Server, server, client),
            port: client.port(),
            missed: self.missed > 0,
        }
    }
}

impl Ends<'_> {
    /// Each end with the directions' content.
    fn sides(&self) -> [(&Connection, Direction, Way); 4] {
        [
            (self.client, Direction::Out, Way::Request),
            (self.server, Direction::In, Way::Request),
            (self.server, Direction::Out, Way::Response),
            (self.client, Direction::In, Way::Response),
        ]
    }

    /// Every byte that was captured is the one of its position.
    #[track_caller]
    pub(crate) fn check_bytes(&self) {
        for (end, direction, way) in self.sides() {
            let pattern = Pattern::new(self.port, way);
            for piece in end.pieces(direction) {
                if let Ok(bytes) = &piece.content
                    && let Some(index) = pattern.first_difference(piece.position, bytes)
                {
                    let at = piece.position + index as u64;
                    panic!("{way:?} {direction:?}: wrong byte at {at}; {}", end.tell());
                }
            }
        }
    }

    /// The two ends know the same initial sequence numbers, and no others.
    #[track_caller]
    pub(crate) fn check_numbers(&self) {
        let (client, server) = (self.client.open(), self.server.open());
        assert!(client.isn_out.is_some() && client.isn_in.is_some(), "initial sequence numbers are known");
        assert_eq!((client.isn_out, client.isn_in), (server.isn_in, server.isn_out), "the ends agree on them");
    }

    /// Every byte from the first to the last is data or a gap with a reason, told of once, at both ends alike.
    #[track_caller]
    pub(crate) fn check_whole(&self, request: u64, response: u64) {
        for (end, direction, way) in self.sides() {
            let length = if way == Way::Request { request } else { response };
            let (first, last) = end.whole(direction);
            let all = (first, last) == (0, length) || self.missed && last <= length;
            assert!(all, "{way:?} {direction:?}: {first} to {last} of {length}; {}", end.tell());
            assert_eq!(end.misplaced, 0, "pieces come between open and close: {}", end.tell());
        }
    }

    /// Only these reasons occur.
    #[track_caller]
    pub(crate) fn check_reasons(&self, allowed: &[GapReason]) {
        for (end, direction, _) in self.sides() {
            for (reason, length) in end.gaps(direction) {
                let missed = self.missed && MISSED.contains(&reason);
                assert!(
                    missed || allowed.contains(&reason),
                    "{direction:?}: {length} bytes {}: {}",
                    reason.name(),
                    end.tell()
                );
            }
        }
    }

    /// No byte was received before it was sent. A send whose begin was left out is timed at its end, which says nothing.
    #[track_caller]
    pub(crate) fn check_order(&self) {
        if self.missed {
            return;
        }
        let pairs = [
            (self.client.pieces(Direction::Out), self.server.pieces(Direction::In)),
            (self.server.pieces(Direction::Out), self.client.pieces(Direction::In)),
        ];
        for (sent, received) in pairs {
            for piece in received {
                // A gap is timed when it is found, which may be at the end of the connection.
                let data = |sent: &&Piece| sent.content.is_ok() && sent.position < piece.end();
                let Some(last) = sent.iter().rfind(data) else { continue };
                assert!(last.time <= piece.time, "received {} ns before it was sent", last.time - piece.time);
            }
        }
    }
}
