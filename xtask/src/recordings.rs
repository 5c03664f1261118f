//! `cargo xtask recordings`: real programs, recorded and scrubbed into `agent/tests/recordings`.

use anyhow::Result;
use clap::Args;

use crate::{exec, setup, workspace};

/// `cargo xtask recordings [NAME]...`
#[derive(Args)]
pub(crate) struct Arguments {
    /// Only these recordings, by file name without `.jsonl`; all if not given
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// The verb.
pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    setup::ensure(&[setup::Purpose::Test])?;
    exec::run(
        workspace::cargo()
            .args(["test", "--package", "telltale", "--test", "take", "--"])
            .args(&arguments.names)
            .env("TELLTALE_TEST_PYTHON", setup::python::program("python")?),
    )?;
    println!("`cargo test --package telltale --test replay` and `cargo insta review` show what has changed");
    Ok(())
}
