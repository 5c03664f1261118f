//! What is told of a connection.

use std::{sync::Arc, time::Duration};

use super::Connection;
use crate::{capture::Role, protocol::Protocol};

/// How much of a connection could be read (`telltale.connection.visibility`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// It was read as it is.
    Plain,
    /// It is TLS, and was read inside it.
    Decrypted,
    /// It was only counted.
    Opaque(OpaqueReason),
}

/// Why nothing of a connection was read, at its end (`telltale.connection.opaque_reason`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpaqueReason {
    /// It is TLS, or TLS within TLS, and nobody read inside of it.
    Tls,
    /// It is HTTP/2, which is not parsed yet; of a connection of TLS, inside it.
    Http2,
    /// It was upgraded, or is a tunnel.
    Upgraded,
    /// It is none of the protocols that are read.
    Unknown,
}

impl Visibility {
    /// Of a connection that speaks `own`, and inside TLS, if that was read, `inside`.
    pub const fn of(own: Protocol, inside: Option<Protocol>) -> Self {
        match (inside, own) {
            (Some(Protocol::Http1), _) => Self::Decrypted,
            (Some(Protocol::Http2), _) | (None, Protocol::Http2) => Self::Opaque(OpaqueReason::Http2),
            (Some(Protocol::Upgraded), _) | (None, Protocol::Upgraded) => Self::Opaque(OpaqueReason::Upgraded),
            (Some(Protocol::Tls), _) | (None, Protocol::Tls) => Self::Opaque(OpaqueReason::Tls),
            (Some(Protocol::Unknown), _) | (None, Protocol::Unknown) => Self::Opaque(OpaqueReason::Unknown),
            (None, Protocol::Http1) => Self::Plain,
        }
    }

    /// The attribute's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Decrypted => "decrypted",
            Self::Opaque(_) => "opaque",
        }
    }

    /// Why it was not read, if it was not.
    pub const fn reason(self) -> Option<OpaqueReason> {
        match self {
            Self::Opaque(reason) => Some(reason),
            Self::Plain | Self::Decrypted => None,
        }
    }
}

impl OpaqueReason {
    /// The attribute's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Http2 => "http2",
            Self::Upgraded => "upgraded",
            Self::Unknown => "unknown",
        }
    }
}

/// What is told of a connection when it is over; while it goes on, of its bytes.
#[derive(Clone, Debug)]
pub struct Report {
    /// Nothing more comes of it.
    pub over: bool,
    /// Whose, from where to where.
    pub connection: Arc<Connection>,
    /// Which end the process is, as far as socket or traffic tell.
    pub role: Option<Role>,
    /// Whether it is TLS.
    pub tls: bool,
    /// What it speaks; of TLS that was read inside of, what is spoken there.
    pub protocol: Protocol,
    /// What was read of it; `None` if no byte moved.
    pub visibility: Option<Visibility>,
    /// From when it was first seen to its end; `None` unless both were seen.
    pub duration: Option<Duration>,
    /// Bytes that it moved since the last report, read or not, by [`Direction::index`](crate::capture::Direction::index).
    pub bytes: [u64; 2],
}
