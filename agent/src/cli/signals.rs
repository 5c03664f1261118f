//! Signals, with and without a COMMAND.

use std::{
    future::Future,
    io::{self, IsTerminal as _},
};

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

    /// Waits for one that ends the run. `reopen` has log files opened again, and says whether there are any: then a hangup means a rotation, unless there is
    /// a terminal that can hang up.
    pub(super) async fn any(&mut self, reopen: impl Fn() -> bool) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return,
                _ = self.quit.recv() => return,
                _ = self.terminate.recv() => return,
                _ = self.hangup.recv() => {
                    if !reopen() || io::stdin().is_terminal() {
                        return;
                    }
                }
            }
        }
    }

    /// Waits for COMMAND. What the terminal sends (interrupt, quit) reaches COMMAND without us, and it decides; what is sent to
    /// us alone is handed on. A hangup also has log files opened again.
    pub(super) async fn while_command<T>(
        &mut self,
        process: u32,
        ended: impl Future<Output = T>,
        reopen: impl Fn() -> bool,
    ) -> T {
        tokio::pin!(ended);
        loop {
            let forward = tokio::select! {
                result = &mut ended => return result,
                _ = self.interrupt.recv() => continue,
                _ = self.quit.recv() => continue,
                _ = self.terminate.recv() => signal::Signal::SIGTERM,
                _ = self.hangup.recv() => {
                    reopen();
                    signal::Signal::SIGHUP
                }
            };
            // It may have ended just now, which is what is waited for.
            let _ = kill(Pid::from_raw(process.cast_signed()), forward);
        }
    }
}
