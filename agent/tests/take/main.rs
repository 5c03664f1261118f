//! Takes the recordings of real traffic that `tests/replay.rs` replays, and writes them into the source tree. Not a test but a
//! tool, `cargo xtask recordings`; it is here since it starts the same programs as the tests do.
//!
//! Needs root. Arguments are the names of the recordings to take; without any, all are.

#[cfg(all(target_os = "linux", feature = "ebpf"))]
#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "what the tests of the running agent share is more than this needs")]
mod common;
#[path = "../common/ports.rs"]
mod ports;

#[cfg(all(target_os = "linux", feature = "ebpf"))]
mod recordings;

fn main() {
    #[cfg(all(target_os = "linux", feature = "ebpf"))]
    recordings::take_all();
}
