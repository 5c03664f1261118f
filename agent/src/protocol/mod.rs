//! [`Segment`](crate::stream::Segment) -> message parts: framing and parsing of what was observed.

pub mod http1;
mod message;
pub mod secret;

pub use message::{End, Head, Headers, HttpVersion, Incomplete, MessageSink, Protocol, StartLine};
