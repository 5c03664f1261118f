//! What a compiled operator reads of an exchange.

use std::sync::Arc;

use super::time::TimeFormat;
use crate::policy::{
    Capture,
    attribute::{Key, Program},
};

/// Which moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The first byte of the request.
    Start,
    /// When the exchange was over: then its line is written.
    End,
}

/// A point of an exchange, by what moved then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The first byte of the request: Envoy's `DS_RX_BEG`, `US_TX_BEG`.
    RequestFirst,
    /// Its last byte: `DS_RX_END`, `US_TX_END`.
    RequestLast,
    /// The first byte of the response: `US_RX_BEG`, `DS_TX_BEG`.
    ResponseFirst,
    /// Its last byte: `US_RX_END`, `DS_TX_END`.
    ResponseLast,
}

/// One end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The client.
    Source,
    /// The server.
    Destination,
}

/// What of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressPart {
    /// `ip:port`, `[ip]:port`.
    Whole,
    /// The IP address; with a prefix length the network in CIDR notation.
    Host {
        /// Bits, at most 128. Longer than the address has is as long as it has.
        prefix: Option<u8>,
    },
    /// The port.
    Port,
}

/// Which header section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// The request's.
    Request,
    /// The response's.
    Response,
    /// The response's trailer section.
    Trailer,
}

/// How a gRPC status is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrpcStatusStyle {
    /// `InvalidArgument`
    Camel,
    /// `INVALID_ARGUMENT`
    Snake,
}

/// What is read.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// The same for every exchange.
    Constant(Box<str>),
    /// The value of a key.
    Key(Key),
    /// A header field by its lower-case name.
    Header(Section, Box<str>),
    /// What another source gives, up to its first `?`.
    WithoutQuery(Box<Source>),
    /// A moment.
    Time(Moment, TimeFormat),
    /// Time from one point to another, in units of so many nanoseconds.
    Between {
        /// From.
        from: Point,
        /// To.
        to: Point,
        /// Nanoseconds in a unit.
        unit: u64,
    },
    /// An address.
    Address(End, AddressPart),
    /// A gRPC status by name.
    GrpcStatus(GrpcStatusStyle),
    /// The first parameter of this name in the query, percent-decoded.
    QueryParameter(Box<str>),
    /// The query, percent-decoded.
    DecodedQuery,
    /// A CEL expression.
    Cel(Expression),
    /// A UUID of this exchange: the same whenever it is recorded again.
    UniqueId,
}

/// A compiled CEL expression. Two are equal if they were written alike.
#[derive(Clone, Debug)]
pub struct Expression {
    text: Box<str>,
    /// What is evaluated.
    pub program: Arc<Program>,
}

impl Expression {
    pub(super) fn new(text: &str, program: Program) -> Self {
        Self { text: text.into(), program: Arc::new(program) }
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Source {
    /// What must be captured for it.
    pub(super) fn needs(&self) -> Capture {
        match self {
            Self::Key(key) => key.row().asks(),
            Self::WithoutQuery(source) => source.needs(),
            Self::Cel(expression) => expression.program.needs(),
            Self::Constant(_) => Capture::Nothing,
            _ => Capture::Heads,
        }
    }
}
