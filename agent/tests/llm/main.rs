//! SDKs of language models and of the Model Context Protocol, as people use them, under `telltale run`: every call at both ends, exactly once, and what is told
//! of it is what the wire said.
//!
//! The servers are of the wire format (`programs/*_api.py`), or of the SDKs themselves (`programs/server_mcp.*`); the clients check what the SDK made of each
//! answer, so that the format is the one that SDKs read. Needs root and `cargo xtask setup --for test`. Each test captures only what it starts itself.
#![cfg(all(target_os = "linux", feature = "ebpf"))]

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "the tests of local runs use the rest")]
mod common;
#[path = "../common/ports.rs"]
mod ports;

mod agent;
mod anthropic;
mod clock;
mod llama;
mod mcp;
mod node;
mod openai;
mod others;
mod peers;
mod told;
