//! `telltale agent`: capture on a node of a cluster.

mod controller;
mod node_side;
mod policies;
mod session;

use super::{
    args::AgentArgs,
    config,
    exit::{Exit, Failure},
};

/// Runs the verb.
///
/// # Errors
/// No API server is named; outputs that cannot be opened; a flag or the configuration is wrong. A kernel that cannot be captured from is no error: what
/// policies ask for and this node cannot do is in their status.
pub(super) fn agent(args: &AgentArgs) -> Result<Exit, Failure> {
    let config = config::load(args.live.config.as_deref())?;
    session::Session::start(args, &config)?.finish()
}
