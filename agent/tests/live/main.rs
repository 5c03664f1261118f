//! `telltale run` with real programs on this machine's kernel: every exchange on both ends, exactly once, right.
//!
//! Needs root. Each test captures only what it starts itself (ports, processes and cgroups of its own), so that tests may run
//! side by side.
#![cfg(all(target_os = "linux", feature = "ebpf"))]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/ports.rs"]
mod ports;

mod addresses;
mod attribution;
mod bad_input;
mod capabilities;
mod command;
mod config;
mod detach;
mod endings;
mod live_state;
mod load;
mod messages;
mod outputs;
mod policy;
mod privacy;
mod programs;
mod provider;
mod recordings;
mod scope;
mod translated;
