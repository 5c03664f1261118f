//! `telltale policy status`

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::read::{read, report_problems};
use crate::{
    cli::{Exit, Failure},
    policy::{document::to_yaml, status::MAX_ANCESTORS},
};

/// `telltale policy status`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
The policies of the files as a List, each with the status that the elected agent would write. The other objects of the files
stand for the cluster. What nodes report is not known here: there is no Programmed, and times are 1970-01-01T00:00:00Z.

Examples:
  telltale policy status policies/ cluster.yaml
  kubectl get telemetry,namespaces,gateways,pods,services,referencegrants -A -o yaml | telltale policy status - -o json")]
pub struct StatusArgs {
    /// Kubernetes YAML or JSON (- for stdin), or folders of it
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Give the statuses that an agent with this configuration would: to policies of tenants (docs/config.md)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How to write it
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = StatusFormat::Yaml)]
    pub output: StatusFormat,
}

/// How statuses are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StatusFormat {
    /// YAML.
    Yaml,
    /// JSON.
    Json,
}

/// Runs it.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn status(args: &StatusArgs) -> Result<Exit, Failure> {
    let read = read(&args.files, args.config.as_deref())?;
    let statuses = read.statuses(None);
    for (policy, ancestor) in &statuses.left_out {
        tracing::warn!(
            "{}: the list of {MAX_ANCESTORS} ancestors is full; nothing is said about {} {}",
            read.policies[*policy],
            ancestor.kind,
            ancestor.name
        );
    }
    let list = statuses.list;
    let text = match args.output {
        StatusFormat::Yaml => to_yaml(&list),
        StatusFormat::Json => format!("{list:#}\n"),
    };
    io::stdout().lock().write_all(text.as_bytes()).context("cannot write the statuses")?;
    Ok(if report_problems(&read) { Exit::Failed } else { Exit::Done })
}
