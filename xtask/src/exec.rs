//! Running other programs, with errors that name what was run.

use std::{
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

/// How often a child is asked whether it has ended.
const POLL: Duration = Duration::from_millis(20);

/// The command as one would type it, for messages.
pub(crate) fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// Runs a command with this terminal's output; fails unless it succeeds.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("running `{}`", line(command)))?;
    if !status.success() {
        bail!("`{}` failed: {status}", line(command));
    }
    Ok(())
}

/// Runs a command and gives what it printed; fails, with what it said, unless it succeeds.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = captured(command)?;
    if !output.status.success() {
        bail!("`{}` failed: {}\n{}", line(command), output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command and gives its output, whether it succeeds or not.
pub(crate) fn captured(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).output().with_context(|| format!("running `{}`", line(command)))
}

/// Pauses between attempts to download something, in seconds.
const PAUSES: [u64; 4] = [5, 15, 30, 60];

/// Repeats what downloads something, after a pause, until it succeeds or has failed five times: one answer that does not come should
/// not end the whole.
pub(crate) fn retried<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    for pause in PAUSES {
        match attempt() {
            Ok(done) => return Ok(done),
            Err(error) => eprintln!("{error:#}\ntrying again in {pause} s"),
        }
        thread::sleep(Duration::from_secs(pause));
    }
    attempt()
}

/// Waits for a child; `None` if it has not ended in time.
pub(crate) fn wait_for(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

/// Waits for a child; `None`, with the child killed, if it has not ended in time.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let status = wait_for(child, limit)?;
    if status.is_none() {
        child.kill()?;
        child.wait()?;
    }
    Ok(status)
}

/// A child that does not outlive the task, whatever way the task ends.
pub(crate) struct Owned(pub(crate) Child);

impl Owned {
    /// Starts it; fails with the command's name.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        command.spawn().map(Self).with_context(|| format!("running `{}`", line(command)))
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // Nothing to report to: either it has ended already, or this ends it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
