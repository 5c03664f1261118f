//! `cargo xtask bench`: figures against the budgets of the design, as ratios taken in one run.

mod agent;
mod criterion;
mod load;
mod machine;
mod overhead;
mod read_loop;
mod report;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::setup;

/// `cargo xtask bench [micro|overhead]`
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// Criterion's benchmarks of the stages
    Micro,
    /// A real server under load, with the agent off and on in turns
    Overhead {
        /// Measure this `telltale` instead of building one
        #[arg(long, value_name = "FILE")]
        program: Option<PathBuf>,
    },
    /// Read one byte at a time for a while and print the nanoseconds a call took
    #[command(hide = true)]
    ReadLoop {
        /// For how long.
        milliseconds: u64,
    },
}

/// The verb. All figures together are written to `docs/performance.md`; a part is only printed.
pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    if let Some(What::ReadLoop { milliseconds }) = arguments.what {
        return read_loop::main(milliseconds);
    }
    setup::ensure(&[setup::Purpose::Bench])?;
    match &arguments.what {
        Some(What::Micro) => print!("{}", report::micro(&criterion::run()?)),
        Some(What::Overhead { program }) => print!("{}", report::overhead(&overhead::run(program.as_deref())?)),
        _ => report::publish(&criterion::run()?, &overhead::run(None)?)?,
    }
    Ok(())
}
