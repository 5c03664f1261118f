//! What the agent has to do with the API server of its cluster: it watches objects, and one agent of all writes status.

mod client;
mod traffic;

pub use client::{ConnectError, Connection, connect};
