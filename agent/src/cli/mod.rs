//! The command line: one module a verb.

#[cfg(all(feature = "ebpf", target_os = "linux"))]
mod agent;
pub mod args;
#[cfg(all(feature = "ebpf", target_os = "linux"))]
mod capturing;
#[cfg(all(feature = "ebpf", target_os = "linux"))]
mod check;
mod config;
mod exit;
#[cfg(all(feature = "ebpf", target_os = "linux"))]
mod health;
mod logging;
pub mod outputs;
mod paint;
mod policies;
pub mod policy;
mod replay;
pub mod report;
#[cfg(all(feature = "ebpf", target_os = "linux"))]
mod run;
#[cfg(all(feature = "ebpf", target_os = "linux"))]
mod signals;
mod usage;

use std::{ffi::OsString, process::ExitCode};

use args::{Cli, Verb};
use clap::Parser as _;
pub use exit::{Exit, Failure};

/// Runs the command line and says how the process ends (DESIGN section 8): 0 done, 1 it failed, 2 wrong usage; `run` has more.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return usage::report(&error),
    };
    logging::start(cli.verbose, cli.quiet);
    let show_summary = !cli.quiet;
    let result = match cli.verb {
        Verb::Replay(args) => replay::replay(&args, show_summary),
        Verb::Policy(args) => policy::policy(&args, show_summary),
        Verb::Crds(args) => policy::crds(&args),
        #[cfg(all(feature = "ebpf", target_os = "linux"))]
        Verb::Run(args) => run::run(&args, show_summary),
        #[cfg(all(feature = "ebpf", target_os = "linux"))]
        Verb::Agent(args) => agent::agent(&args),
        #[cfg(all(feature = "ebpf", target_os = "linux"))]
        Verb::Launch(args) => Err(run::launch(&args)),
        #[cfg(all(feature = "ebpf", target_os = "linux"))]
        Verb::Check(args) => config::load(args.config.as_deref()).and_then(|config| {
            check::check(&args, &config)
                .map(|is_well| if is_well { Exit::Done } else { Exit::Failed })
                .map_err(|error| Failure::Failed(anyhow::Error::from(error).context("cannot make the report")))
        }),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => failure.report(),
    }
}
