//! `telltale policy`: what a policy file says, before anything runs.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Exit, Failure};

mod convert;
mod crds;

pub use crds::CrdsArgs;
pub(super) use crds::crds;

/// `telltale policy`
#[derive(Clone, Debug, Args)]
pub struct PolicyArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: PolicyVerb,
}

/// The verbs of `telltale policy`.
#[derive(Clone, Debug, Subcommand)]
pub enum PolicyVerb {
    /// Print policies of the proposal's dialect, or of older drafts, in the dialect of GEP-4768
    Convert(ConvertArgs),
}

/// `telltale policy convert`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Comments are not kept; metadata is. A policy that is already in the dialect of GEP-4768 comes out as it is.

Examples:
  telltale policy convert seed.yaml > gep.yaml
  telltale policy convert policies/")]
pub struct ConvertArgs {
    /// Kubernetes YAML or JSON, or folders of it
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

/// Runs it.
pub(super) fn policy(args: &PolicyArgs) -> Result<Exit, Failure> {
    match &args.verb {
        PolicyVerb::Convert(args) => convert::convert(args),
    }
}
