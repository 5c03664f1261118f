//! Exchanges as they go over the wire, and what is read of them.

mod content;
mod harness;
mod json_rpc;
mod revisions;
mod segmentation;
mod streams;
mod traps;
