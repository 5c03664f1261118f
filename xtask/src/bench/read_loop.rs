//! A program that has nothing to do with the network: it reads one byte at a time. What the `syscall` backend's tracepoints
//! cost it is what they cost every program on the node.

use std::{
    fs::File,
    io::Read as _,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use crate::exec;

/// Calls between two looks at the clock.
const BATCH: u32 = 4096;

/// Reads for that long and prints the nanoseconds that one call took.
pub(crate) fn main(milliseconds: u64) -> Result<()> {
    let mut zero = File::open("/dev/zero").context("opening /dev/zero")?;
    let mut byte = [0];
    let (start, mut calls) = (Instant::now(), 0_u64);
    while start.elapsed() < Duration::from_millis(milliseconds) {
        for _ in 0..BATCH {
            zero.read_exact(&mut byte)?;
        }
        calls += u64::from(BATCH);
    }
    println!("{:.2}", start.elapsed().as_secs_f64() * 1e9 / calls as f64);
    Ok(())
}

/// Runs the loop as a process of its own on that core.
pub(crate) fn measure(core: usize, milliseconds: u64) -> Result<f64> {
    let task = std::env::current_exe().context("finding this program")?;
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(task).args(["bench", "read-loop", &milliseconds.to_string()]);
    exec::output(&mut command)?.trim().parse().context("reading what the read loop printed")
}
