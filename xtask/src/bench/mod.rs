//! `cargo xtask bench`.
use anyhow::Result;
use clap::Args;
/// `cargo xtask bench`
#[derive(Args)]
pub(crate) struct Arguments {}
/// The verb.
pub(crate) fn main(_a: &Arguments) -> Result<()> {
    anyhow::bail!("the benchmarks are not built yet")
}
