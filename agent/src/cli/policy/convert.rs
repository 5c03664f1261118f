//! `telltale policy convert`

use super::ConvertArgs;
use crate::cli::{Exit, Failure};

/// Runs it.
pub(super) fn convert(_args: &ConvertArgs) -> Result<Exit, Failure> {
    Err(Failure::Failed(anyhow::anyhow!("this build cannot convert policies")))
}
