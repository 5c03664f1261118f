//! Behaviour of the parser, through [`Connection`](crate::protocol::Connection).

mod bounds;
mod framing;
mod pairing;
mod properties;
