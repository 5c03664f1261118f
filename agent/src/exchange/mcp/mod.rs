//! Messages of JSON-RPC 2.0, and of the Model Context Protocol over it (revisions 2024-11-05 to 2026-07-28).

mod bounded;
mod correlate;
mod draft;
mod header;
mod method;
mod pairing;
mod reader;
mod session;
#[cfg(test)]
mod tests;
mod text;
mod waiting;

pub use correlate::{Correlator, Counters as CorrelatorCounters, Link, MAX_ANSWERS, MAX_SESSIONS, MAX_WAIT};
pub(in crate::exchange) use reader::recognise;
pub use waiting::{Elsewhere, MAX_WAITING, MAX_WAITING_CONTENT, Waiting};

use crate::capture::Timestamp;

/// Most messages of one exchange that are kept; the rest are counted in [`Messages::beyond`].
pub const MAX_MESSAGES: usize = 64;
/// Most of them that are notifications: of progress there may be any number, and a request that comes after them matters more.
pub const MAX_NOTIFICATIONS: usize = MAX_MESSAGES / 2;
/// Longest name, id or URI that is kept, in bytes; a longer one is cut between characters.
pub const MAX_NAME: usize = 256;

/// Whether this is the name of a method of MCP, in any revision. What else a caller writes is bounded by nothing.
pub fn is_method(name: &str) -> bool {
    method::find(name).is_some()
}

/// Whether a revision of MCP is one by its form, which is a date.
pub fn is_revision(version: &str) -> bool {
    version.len() == 10
        && version
            .bytes()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() })
}

/// The messages of one exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// In the order in which they began: those of the request, then those that the server sent on the response's stream.
    pub messages: Vec<Message>,
    /// The request was a batch.
    pub batch: bool,
    /// Messages beyond [`MAX_MESSAGES`] or [`MAX_NOTIFICATIONS`].
    pub beyond: u64,
    /// Revision of MCP (`mcp.protocol.version`).
    pub protocol_version: Option<Box<str>>,
    /// Session (`mcp.session.id`).
    pub session_id: Option<Box<str>>,
    /// What the exchange does to its session.
    pub session: Option<SessionEvent>,
    /// Content was cut, lost or beyond a bound: what is here was complete before that, more may be missing.
    pub cut: bool,
    /// What of it may be answered over other connections.
    pub elsewhere: Option<Box<Elsewhere>>,
}

/// What an exchange does to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// It begins.
    Begins,
    /// It ends as the client asks.
    Ends,
    /// The server no longer knows it.
    Expired,
    /// It began and ended with the exchange: the stream of the transport of 2024-11-05, which lasts as long as its session.
    Whole,
}

/// A request with its answer, or a notification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "what a message says, each apart from the others")]
pub struct Message {
    /// Method as sent.
    pub method: Box<str>,
    /// The server sent it to the client.
    pub from_server: bool,
    /// It wants no answer.
    pub notification: bool,
    /// Id of the request, as text (`jsonrpc.request.id`).
    pub id: Option<Box<str>>,
    /// Version of JSON-RPC, where it is not 2.0.
    pub jsonrpc: Option<Box<str>>,
    /// Tool that is called.
    pub tool: Option<Box<str>>,
    /// Prompt that is asked for.
    pub prompt: Option<Box<str>>,
    /// URI of the resource.
    pub resource: Option<Box<str>>,
    /// Name and version of the client, where the message says them.
    pub client: Option<Party>,
    /// Name and version of the server, where the answer says them.
    pub server: Option<Party>,
    /// `params._meta.traceparent` (W3C Trace Context, also where the spelling is not valid).
    pub traceparent: Option<Box<str>>,
    /// `params._meta.tracestate`.
    pub tracestate: Option<Box<str>>,
    /// The answer came, or its beginning: a result or an error. Only with [`Self::end`] is it certain what it says.
    pub answered: bool,
    /// The error that answered it.
    pub error: Option<RpcError>,
    /// The tool answered that it failed (`result.isError`).
    pub tool_error: bool,
    /// Kind of result, where it says one: `complete`, `input_required` or `task` (`result.resultType`; a result that holds a task is a `task`).
    pub result_type: Option<Box<str>>,
    /// Arguments of the tool that is called, as JSON, where the policy keeps content.
    pub arguments: Option<Box<str>>,
    /// What the tool gave, as JSON, where the policy keeps content and it came over the same connection.
    pub result: Option<Box<str>>,
    /// When its first byte moved; of a message inside a stream or batch, when it was complete.
    pub start: Timestamp,
    /// When the last byte of its answer moved; of a notification, its own. `None` if that was not seen.
    pub end: Option<Timestamp>,
}

/// Program at an end of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Party {
    /// Name.
    pub name: Option<Box<str>>,
    /// Version.
    pub version: Option<Box<str>>,
}

/// An error of JSON-RPC (section 5.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RpcError {
    /// Code; 0, which the protocol does not define, if the answer has none that is a whole number.
    pub code: i64,
    /// Message, cut to [`MAX_NAME`].
    pub message: Box<str>,
}
