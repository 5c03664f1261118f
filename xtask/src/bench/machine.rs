//! The machine that figures are taken on, described so that another reader can tell what they mean.

use std::{fs, thread};

use anyhow::{Context as _, Result};

/// Which core does what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    /// The observed server, alone.
    pub(crate) server: usize,
    /// The load.
    pub(crate) load: usize,
    /// The agent, where it must not share with the server.
    pub(crate) spare: usize,
    /// How many there are.
    pub(crate) count: usize,
}

/// The cores of this machine; with two of them the agent's spare core is the one that makes the load.
pub(crate) fn cores() -> Result<Cores> {
    let count = thread::available_parallelism().context("counting the cores")?.get();
    anyhow::ensure!(count >= 2, "the benchmark needs two cores: one for the server, one for the load");
    Ok(Cores { server: 0, load: 1, spare: if count > 2 { 2 } else { 1 }, count })
}

/// One line: cores, kernel, memory.
pub(crate) fn description() -> Result<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").context("reading the kernel's release")?;
    // What follows the numbers names a build, not a kernel.
    let version = release.split(|c: char| !c.is_ascii_digit() && c != '.').next().unwrap_or_default().to_owned();
    let memory = fs::read_to_string("/proc/meminfo").context("reading the memory's size")?;
    let kibibytes = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"));
    let gibibytes = kibibytes.and_then(|text| text.parse::<u64>().ok()).unwrap_or_default().div_ceil(1 << 20);
    Ok(format!("{} cores, {gibibytes} GiB of memory, Linux {version}, {}", cores()?.count, std::env::consts::ARCH))
}
