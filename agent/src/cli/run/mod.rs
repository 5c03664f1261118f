//! `telltale run`: capture on this machine.

mod follow;
mod launch;
mod session;

pub(super) use launch::launch;

use super::{
    args::RunArgs,
    config,
    exit::{Exit, Failure},
};

/// Telltale itself failed, where 1 could be COMMAND's own code.
const TELLTALE_FAILED: u8 = 125;

/// Runs the verb.
///
/// # Errors
/// No scope or flags that do not go together; outputs that cannot be opened; a kernel that cannot be captured from.
pub(super) fn run(args: &RunArgs, show_summary: bool) -> Result<Exit, Failure> {
    if !args.has_scope() && args.policy.is_empty() {
        return Err(Failure::Usage(
            "nothing to capture: give --pid, --cgroup, --port or --all, or a COMMAND after `--` (see telltale run --help)"
                .into(),
        ));
    }
    let config = config::load(args.live.config.as_deref());
    let session = config.and_then(|config| session::Session::start(args, &config, show_summary));
    let result = session.and_then(session::Session::finish);
    match result {
        Err(Failure::Failed(error)) if !args.command.is_empty() => {
            Err(Failure::Command { code: TELLTALE_FAILED, error })
        }
        other => other,
    }
}
