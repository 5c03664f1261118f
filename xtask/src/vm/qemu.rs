//! One boot in QEMU, without hardware virtualisation: it works anywhere, and its times mean nothing.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use crate::exec::{self, Owned};

/// A machine that has written nothing to its console for so long has failed: each test says that it is done.
const SILENCE: Duration = Duration::from_mins(10);
/// A machine that has not ended by then has failed, whatever it says.
const LIMIT: Duration = Duration::from_mins(45);
/// How often the console is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// The emulated processor: everything that this QEMU can emulate but `cmpxchg16b`. QEMU 7.2 leaves a wrong flags register
/// behind it now and then, and kernels from 6.12 on allocate memory with it: without this, one boot in five panics in
/// `kmem_cache_alloc` or `do_sync_core`.
pub(crate) const PROCESSOR: &str = "max,-cx16";

/// A machine that has not reached its first process by then is booted again: nothing was tested yet.
const START: Duration = Duration::from_mins(4);
/// Boots, at most, until one reaches its first process. On a busy host an emulated timer can be too late for the kernel.
const ATTEMPTS: usize = 3;
/// The mark that the first process leaves.
const STARTED: &str = "@@kernel ";

/// Boots, waits for the machine to end itself, and gives what it wrote to its console.
///
/// `log` receives the console as it comes. A machine that does not end in time, or whose kernel has panicked, is stopped;
/// the log then lacks the end marks that the caller looks for.
pub(crate) fn boot(kernel: &Path, initramfs: &Path, command_line: &str, log: &Path) -> Result<String> {
    for attempt in 1..ATTEMPTS {
        let console = boot_once(kernel, initramfs, command_line, log)?;
        if console.contains(STARTED) {
            return Ok(console);
        }
        println!("  the kernel did not start (attempt {attempt} of {ATTEMPTS}): booting again");
    }
    boot_once(kernel, initramfs, command_line, log)
}

fn boot_once(kernel: &Path, initramfs: &Path, command_line: &str, log: &Path) -> Result<String> {
    let console = File::create(log).with_context(|| format!("creating {}", log.display()))?;
    let mut command = Command::new("qemu-system-x86_64");
    command
        .args(["-accel", "tcg,thread=multi", "-cpu", PROCESSOR, "-m", "1024", "-smp", "2"])
        .args(["-nographic", "-no-reboot", "-net", "none", "-kernel"])
        .arg(kernel)
        .arg("-initrd")
        .arg(initramfs)
        .arg("-append")
        .arg(format!("console=ttyS0 quiet loglevel=3 panic=-1 oops=panic no_timer_check nowatchdog {command_line}"))
        .stdin(Stdio::null())
        .stderr(console.try_clone()?)
        .stdout(console);
    let mut machine = Owned::start(&mut command)?;
    let read = || -> Result<String> { Ok(String::from_utf8_lossy(&fs::read(log)?).replace('\r', "")) };
    let start = Instant::now();
    let (mut written, mut said) = (0, start);
    while exec::wait_for(&mut machine.0, LOOK)?.is_none() {
        // A panic on one core can leave the other one running for ever.
        let (console, elapsed) = (read()?, start.elapsed());
        if console.len() > written {
            (written, said) = (console.len(), Instant::now());
        }
        let silent = said.elapsed() > SILENCE;
        let late = silent || elapsed > LIMIT || (elapsed > START && !console.contains(STARTED));
        if late || console.contains("Kernel panic - not syncing") {
            println!("  stopped after {:.0} s", elapsed.as_secs_f64());
            break;
        }
    }
    drop(machine);
    read()
}
