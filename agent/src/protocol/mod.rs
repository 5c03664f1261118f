//! [`Segment`](crate::stream::Segment) -> message parts: framing and parsing of what was observed.

pub mod body;
mod connection;
mod counters;
mod detect;
mod http1;
pub mod media;
mod message;
pub mod secret;
mod stash;
#[cfg(test)]
mod testing;
pub mod tls;

pub use connection::Connection;
pub use counters::Counters;
pub use message::{End, Head, Headers, HttpVersion, Incomplete, MessageSink, Protocol, StartLine};

/// Longest header or trailer section, start line included, that is parsed, in bytes.
pub const MAX_HEAD: usize = 64 * 1024;
/// Most requests of one connection that may wait for their responses.
pub const MAX_PIPELINE: usize = 256;
/// Most bytes that wait behind a response whose request has not come yet.
pub const WAIT_BYTES: usize = 64 * 1024;
/// How long a response waits for its request, in nanoseconds of event time.
pub const WAIT_TIME: u64 = 1_000_000_000;
/// After so many changes of direction without a start line, a connection that may speak HTTP/1 is given up.
pub const MAX_LOST_TURNS: u8 = 64;
