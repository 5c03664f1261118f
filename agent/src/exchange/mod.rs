//! Message parts -> [`Exchange`]: a request paired with its response.

mod assembler;
mod call;
mod content;
pub mod genai;
pub mod mcp;
mod reader;
mod reading;
mod report;

use std::sync::Arc;

pub use assembler::{Asked, Assembler, Counters, MAX_PENDING};
pub use call::Call;
pub use content::{Budget, Content, MAX_CONNECTION_CONTENT, MAX_WORKER_CONTENT, Omission};
pub use report::{OpaqueReason, Report, Visibility};

use crate::{
    capture::{Open, Role, Timestamp},
    protocol::{Head, Headers, Incomplete, Protocol, tls::Hello},
    workload::Workload,
};

/// What all exchanges of a connection share.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Addresses, process, sequence numbers.
    pub open: Open,
    /// Which end the process is: who sent a request is the client (RFC 9110 section 3.3); before the first one, what the socket says.
    pub role: Role,
    /// Whom the process belongs to.
    pub workload: Arc<Workload>,
    /// Whom the other end belongs to, where that is known.
    pub peer: Option<Arc<Workload>>,
    /// What it speaks.
    pub protocol: Protocol,
    /// What the hellos of its TLS say, if it is TLS and they were seen.
    pub hello: Option<Arc<Hello>>,
}

/// One half of an exchange.
#[derive(Clone, Debug)]
pub struct Half {
    /// Start line and fields.
    pub head: Head,
    /// Bytes of content without transfer coding, before content decoding; `None` if it cannot be known.
    pub body_size: Option<u64>,
    /// Trailer fields.
    pub trailers: Headers,
    /// When its last byte moved (so far, if it never ended).
    pub last_byte: Timestamp,
    /// It ended where its framing said (RFC 9112 section 6.3), so that [`Self::last_byte`] and [`Self::body_size`] are those of the whole
    /// message; false while it has not ended. The other half may have been cut all the same.
    pub complete: bool,
    /// Its content, redacted; `None` if it had none, or the policy keeps none.
    pub content: Option<Box<Content>>,
}

/// A request and what came of it, as one end of the connection saw it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The connection it went over.
    pub connection: Arc<Connection>,
    /// The request.
    pub request: Half,
    /// The final response; `None` if none came.
    pub response: Option<Half>,
    /// Why it was not seen whole.
    pub incomplete: Option<Incomplete>,
    /// When nothing more of it could come: end of the response (or of the request, if that is later), or end of the connection.
    pub end: Timestamp,
    /// The connection was closed or reset before it was over: [`Self::end`] is when.
    pub closed: bool,
    /// What it is beyond HTTP, where its plan asks and it is anything.
    pub call: Option<Call>,
    /// Which of the plans of its connection held when it began ([`Assembler::begin_epoch`]).
    pub epoch: u32,
}
