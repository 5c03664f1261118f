//! The handshake of a TLS connection, as far as it is in clear: `ClientHello` and `ServerHello` (RFC 8446 section 4.1, RFC 5246 section 7.4.1).
//!
//! What follows is ciphertext and is not read. Nothing here guesses: a hello that is malformed, too long or not seen whole says nothing.

mod hello;
mod lane;
mod record;
#[cfg(test)]
mod tests;

pub use self::record::begins;
use self::{
    hello::{ClientHello, Message},
    lane::Lane,
};
use crate::{capture::Direction, stream::Segment};

/// Longest hello that is read, in bytes. Those with keys that withstand quantum computers are below 2 KiB; RFC 8446 allows 16 MiB.
pub const MAX_HELLO: usize = 16 * 1024;
/// Most application protocols of an offer that are kept.
pub const MAX_OFFERED: usize = 16;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// SSL 3.0 (RFC 6101).
    Ssl3,
    /// TLS 1.0 (RFC 2246).
    Tls10,
    /// TLS 1.1 (RFC 4346).
    Tls11,
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

impl Version {
    /// From the wire; `None` for what is none of these, GREASE (RFC 8701) among it.
    const fn of(wire: u16) -> Option<Self> {
        Some(match wire {
            0x0300 => Self::Ssl3,
            0x0301 => Self::Tls10,
            0x0302 => Self::Tls11,
            0x0303 => Self::Tls12,
            0x0304 => Self::Tls13,
            _ => return None,
        })
    }

    /// The value of `tls.protocol.name` (semconv registry, TLS).
    pub const fn protocol(self) -> &'static str {
        if matches!(self, Self::Ssl3) { "ssl" } else { "tls" }
    }

    /// The value of `tls.protocol.version` (semconv registry, TLS).
    pub const fn number(self) -> &'static str {
        match self {
            Self::Ssl3 => "3",
            Self::Tls10 => "1.0",
            Self::Tls11 => "1.1",
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }
}

/// What the beginning of a TLS connection says in clear.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// The name that the client asks for (RFC 6066 section 3), in lower case; with Encrypted Client Hello that of the outer one.
    pub server_name: Option<Box<str>>,
    /// Application protocols that the client offers (RFC 7301), in its order, without GREASE; at most [`MAX_OFFERED`].
    pub offered: Vec<Box<str>>,
    /// The one that the server chose, where it says so in clear: before TLS 1.3.
    pub chosen: Option<Box<str>>,
    /// The version that the server chose.
    pub version: Option<Version>,
}

/// Reads the hellos of both directions. Any segmentation of the same bytes gives the same.
#[derive(Debug, Default)]
pub(super) struct Handshake {
    lanes: [Lane; 2],
    client: Option<Direction>,
    hello: Hello,
    told: bool,
}

impl Handshake {
    /// The next piece of a direction.
    pub(super) fn segment(&mut self, direction: Direction, segment: Segment<'_>) {
        let message = match segment {
            Segment::Data { bytes, .. } => self.lanes[direction.index()].data(bytes),
            Segment::Gap { .. } => {
                self.lanes[direction.index()].give_up();
                None
            }
        };
        match message {
            Some(Message::Client(ClientHello { server_name, offered })) if self.client != Some(direction.reverse()) => {
                self.client = Some(direction);
                self.hello = Hello { server_name, offered, ..std::mem::take(&mut self.hello) };
            }
            Some(Message::Server(server)) if self.client != Some(direction) => {
                self.client = Some(direction.reverse());
                self.hello =
                    Hello { version: server.version, chosen: server.chosen, ..std::mem::take(&mut self.hello) };
            }
            // None, or of the same kind as that of the other end, which is no handshake.
            _ => return,
        }
        self.told = false;
    }

    /// Which way the client sends, as far as a hello has told.
    pub(super) const fn client(&self) -> Option<Direction> {
        self.client
    }

    /// What is known, if that is more than at the last call.
    pub(super) fn take(&mut self) -> Option<Hello> {
        let more = self.client.is_some() && !std::mem::replace(&mut self.told, true);
        more.then(|| self.hello.clone())
    }

    /// Whether nothing more is read of a direction.
    pub(super) const fn is_over(&self, direction: Direction) -> bool {
        self.lanes[direction.index()].is_over()
    }

    /// Bytes that are kept.
    #[cfg(test)]
    pub(super) fn retained(&self) -> usize {
        self.lanes.iter().map(Lane::retained).sum()
    }
}
