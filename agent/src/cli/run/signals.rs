//! Signals, with and without a COMMAND.

use std::{future::Future, io};

use nix::{
    sys::signal::{self, kill},
    unistd::Pid,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that concern a run, caught from when this is made: from then on none of them kills the agent.
pub(super) struct Signals {
    interrupt: Signal,
    quit: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Catches them. Must be called within a runtime.
    pub(super) fn catch() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one that ends the run.
    pub(super) async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.quit.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }

    /// Waits for COMMAND. What the terminal sends (interrupt, quit) reaches COMMAND without us, and it decides; what is sent to
    /// us alone is handed on.
    pub(super) async fn while_command<T>(&mut self, process: u32, ended: impl Future<Output = T>) -> T {
        tokio::pin!(ended);
        loop {
            let forward = tokio::select! {
                result = &mut ended => return result,
                _ = self.interrupt.recv() => continue,
                _ = self.quit.recv() => continue,
                _ = self.terminate.recv() => signal::Signal::SIGTERM,
                _ = self.hangup.recv() => signal::Signal::SIGHUP,
            };
            // It may have ended just now, which is what is waited for.
            let _ = kill(Pid::from_raw(process.cast_signed()), forward);
        }
    }
}
