//! `telltale policy convert`

use std::io::{self, Write as _};

use anyhow::Context as _;

use super::ConvertArgs;
use crate::{
    cli::{Exit, Failure},
    policy::{
        convert,
        document::{read_sources, to_yaml},
    },
};

/// Prints the policies on stdout and what is to be said about them on stderr.
pub(super) fn convert(args: &ConvertArgs) -> Result<Exit, Failure> {
    let sources = read_sources(&args.files).map_err(anyhow::Error::from)?;
    let conversion = convert::convert(&sources);
    for problem in &conversion.problems {
        eprintln!("{}:{}: error: {}", problem.file, problem.line, problem.problem);
    }
    for remark in &conversion.remarks {
        let word = if remark.is_error { "error" } else { "warning" };
        eprintln!("{}:{}: {word}: {}", remark.file, remark.line, remark.finding);
    }
    let text = conversion.objects.iter().map(to_yaml).collect::<Vec<_>>().join("---\n");
    io::stdout().lock().write_all(text.as_bytes()).context("cannot write the policies")?;
    Ok(if conversion.has_errors() { Exit::Failed } else { Exit::Done })
}
