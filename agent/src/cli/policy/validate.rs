//! `telltale policy validate`

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use anyhow::Context as _;
use clap::Args;

use super::read::read;
use crate::{
    cli::{
        Exit, Failure,
        paint::{Ink, Paint},
    },
    policy::{
        Severity,
        model::{Dialect, KIND},
    },
};

/// `telltale policy validate`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Every finding is one line, `FILE:LINE: error|warning: FIELD: what is wrong; what would be right`, on stdout. Exit code 1 on
errors, with --strict also on warnings.

Examples:
  telltale policy validate policies/
  kubectl get telemetry -A -o yaml | telltale policy validate - --strict")]
pub struct ValidateArgs {
    /// Kubernetes YAML or JSON (- for stdin), or folders of it
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Check them as an agent with this configuration would: as policies of tenants (docs/config.md)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Fail on warnings too
    #[arg(long)]
    pub strict: bool,
}

/// Runs it.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn validate(args: &ValidateArgs, show_summary: bool) -> Result<Exit, Failure> {
    let read = read(&args.files, args.config.as_deref())?;
    let lines = read.remarks();
    let paint = Paint::on(&io::stdout());
    let mut out = io::stdout().lock();
    let mut write = || -> io::Result<()> {
        for line in &lines {
            let severity = match line.severity {
                Severity::Error => paint.ink(Ink::Red, line.severity.word()),
                Severity::Warning => paint.ink(Ink::Yellow, line.severity.word()),
            };
            writeln!(
                out,
                "{}: {severity}: {}",
                paint.ink(Ink::Bold, &format!("{}:{}", line.file, line.line)),
                line.text
            )?;
        }
        out.flush()
    };
    write().context("cannot write the findings")?;
    let errors = lines.iter().filter(|line| line.severity == Severity::Error).count();
    let warnings = lines.len() - errors;
    if read.policies.is_empty() && read.problems.is_empty() {
        let known = Dialect::ALL.map(Dialect::api_version).join(" or ");
        tracing::warn!("no {KIND} of {known} is in the files");
    }
    if show_summary {
        let paint = Paint::on(&io::stderr());
        let colour = |number: usize, noun: &str, ink| {
            let text = count(number, noun);
            if number == 0 { text } else { paint.ink(ink, &text) }
        };
        eprintln!(
            "{}: {}, {}",
            match read.policies.len() {
                1 => "1 policy".to_owned(),
                number => format!("{number} policies"),
            },
            colour(errors, "error", Ink::Red),
            colour(warnings, "warning", Ink::Yellow)
        );
    }
    Ok(if errors > 0 || (args.strict && warnings > 0) { Exit::Failed } else { Exit::Done })
}

/// A number and its noun.
fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
