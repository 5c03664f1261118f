//! `cargo xtask demo`.
use anyhow::Result;
/// The verb.
pub(crate) fn main() -> Result<()> {
    anyhow::bail!("the demo is not built yet")
}
