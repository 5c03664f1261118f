//! `telltale policy status`

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::read::{Read, read};
use crate::{
    cli::{Exit, Failure},
    policy::{
        Compiled,
        document::to_yaml,
        status::{MAX_ANCESTORS, NOT_OBSERVED, merge, statuses},
    },
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
    let list = list(&read);
    let text = match args.output {
        StatusFormat::Yaml => to_yaml(&list),
        StatusFormat::Json => format!("{list:#}\n"),
    };
    io::stdout().lock().write_all(text.as_bytes()).context("cannot write the statuses")?;
    Ok(if read.report_problems() { Exit::Failed } else { Exit::Done })
}

/// The policies with their statuses.
fn list(read: &Read) -> Value {
    let Compiled { candidates, objects, resolution, .. } = &read.compiled;
    let statuses = statuses(candidates, objects, resolution, None, NOT_OBSERVED);
    let items = read.policies.iter().zip(statuses).map(|(document, ours)| {
        let mut item = document.value.clone();
        let merged = merge(&document.key, item.get("status"), &ours);
        for ancestor in &merged.left_out {
            tracing::warn!(
                "{document}: the list of {MAX_ANCESTORS} ancestors is full; nothing is said about {} {}",
                ancestor.kind,
                ancestor.name
            );
        }
        if let (Some(status), Some(fields)) = (merged.status, item.as_object_mut()) {
            fields.insert("status".to_owned(), status);
        }
        item
    });
    json!({"apiVersion": "v1", "kind": "List", "items": items.collect::<Vec<_>>()})
}
