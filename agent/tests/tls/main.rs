//! Real programs over real TLS on loopback, under `telltale run`: every exchange at each end that is covered, exactly once, right.
//!
//! Needs root and `cargo xtask setup --for test`. Each test captures only what it starts itself.
#![cfg(all(target_os = "linux", feature = "ebpf"))]

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "the tests of local runs use the rest")]
mod common;
#[path = "../common/ports.rs"]
mod ports;

mod crashes;
mod files;
mod forks;
mod installed;
mod killed;
mod load;
mod models;
mod page;
mod peers;
mod programs;
mod replaced;
mod summary;
mod transfers;
