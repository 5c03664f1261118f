//! Bytes that tell where they belong: each is a function of its connection, direction and stream position.

use std::net::SocketAddr;

/// The two directions of a connection, seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the client to the server.
    Request,
    /// From the server to the client.
    Response,
}

/// The content of one direction of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pattern {
    seed: u64,
}

impl Pattern {
    /// Connections are told apart by the client's port.
    pub(crate) const fn new(client_port: u16, way: Way) -> Self {
        Self { seed: (client_port as u64) << 1 | matches!(way, Way::Response) as u64 }
    }

    /// The way out of the client at `local`, or into it.
    pub(crate) const fn of(client: SocketAddr, way: Way) -> Self {
        Self::new(client.port(), way)
    }

    /// The byte at a position (splitmix64 of eight positions at once).
    pub(crate) const fn byte(self, position: u64) -> u8 {
        let mut word = (self.seed << 40 ^ position >> 3).wrapping_add(0x9e37_79b9_7f4a_7c15);
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ word >> 31).to_le_bytes()[(position & 7) as usize]
    }

    /// The bytes from a position on.
    pub(crate) fn bytes(self, position: u64, length: usize) -> Vec<u8> {
        (position..position + length as u64).map(|position| self.byte(position)).collect()
    }

    /// The first byte that is not as it should be, by its index.
    pub(crate) fn first_difference(self, position: u64, bytes: &[u8]) -> Option<usize> {
        (position..).zip(bytes).position(|(position, byte)| self.byte(position) != *byte)
    }
}
