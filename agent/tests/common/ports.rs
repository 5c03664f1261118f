//! Ports of loopback for programs that have to be told one.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicU32, Ordering},
};

/// Below those that Linux gives out by itself (`net.ipv4.ip_local_port_range`), so that nobody gets one by chance before the program that it is for.
const FIRST: u16 = 15_000;
const COUNT: u32 = 14_000;

/// A port that nobody listens on, another one each time.
pub(crate) fn free_port() -> u16 {
    static TURN: AtomicU32 = AtomicU32::new(0);
    // Tests of another process begin elsewhere.
    let first = std::process::id().wrapping_mul(61);
    for _ in 0..COUNT {
        let turn = TURN.fetch_add(1, Ordering::Relaxed);
        let offset = u16::try_from(first.wrapping_add(turn) % COUNT).expect("it is less than the count");
        if TcpListener::bind(("127.0.0.1", FIRST + offset)).is_ok() {
            return FIRST + offset;
        }
    }
    panic!("no port of loopback is free");
}
