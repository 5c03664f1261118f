//! `telltale policy`: what a policy file says, before anything runs.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Exit, Failure};

mod agent;
mod convert;
mod crds;
mod explain;
mod read;
mod status;
mod validate;

pub use crds::CrdsArgs;
pub(super) use crds::crds;
pub use explain::ExplainArgs;
pub use status::StatusArgs;
pub use validate::ValidateArgs;

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
    /// Check policies, one line for each finding
    Validate(ValidateArgs),
    /// Print policies with the status that they would get
    Status(StatusArgs),
    /// Show which policy holds for a pod or a namespace, why not the others, and what will come out
    Explain(ExplainArgs),
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
pub(super) fn policy(args: &PolicyArgs, show_summary: bool) -> Result<Exit, Failure> {
    match &args.verb {
        PolicyVerb::Validate(args) => validate::validate(args, show_summary),
        PolicyVerb::Status(args) => status::status(args),
        PolicyVerb::Explain(args) => explain::explain(args),
        PolicyVerb::Convert(args) => convert::convert(args),
    }
}
