//! One boot in QEMU, without hardware virtualisation: it works anywhere, and its times mean nothing.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::exec::{self, Owned};

/// A machine that has not ended by then has failed.
const LIMIT: Duration = Duration::from_mins(5);

/// Boots, waits for the machine to end itself, and gives what it wrote to its console.
///
/// `log` receives the console as it comes. A machine that does not end in time is stopped; the log then lacks the end
/// marks that the caller looks for.
pub(crate) fn boot(kernel: &Path, initramfs: &Path, command_line: &str, log: &Path) -> Result<String> {
    let console = File::create(log).with_context(|| format!("creating {}", log.display()))?;
    let mut command = Command::new("qemu-system-x86_64");
    command
        .args(["-accel", "tcg,thread=multi", "-cpu", "max", "-m", "1024", "-smp", "2"])
        .args(["-nographic", "-no-reboot", "-net", "none", "-kernel"])
        .arg(kernel)
        .arg("-initrd")
        .arg(initramfs)
        .arg("-append")
        .arg(format!("console=ttyS0 quiet loglevel=3 panic=-1 {command_line}"))
        .stdin(Stdio::null())
        .stderr(console.try_clone()?)
        .stdout(console);
    let mut machine = Owned::start(&mut command)?;
    if exec::wait(&mut machine.0, LIMIT)?.is_none() {
        eprintln!("the machine was stopped after {} s", LIMIT.as_secs());
    }
    Ok(String::from_utf8_lossy(&fs::read(log)?).replace('\r', ""))
}
