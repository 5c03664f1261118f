//! `telltale crds`

use std::io::{self, Write as _};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::{
    cli::{Exit, Failure},
    policy::{api, document::to_yaml, model::Dialect},
};

/// `telltale crds`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  telltale crds | kubectl apply --server-side -f -")]
pub struct CrdsArgs {
    /// How to write them
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = CrdsFormat::Yaml)]
    pub output: CrdsFormat,
}

/// How definitions are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CrdsFormat {
    /// YAML documents.
    Yaml,
    /// One JSON `List`.
    Json,
}

/// Prints the definitions of both dialects.
pub(in crate::cli) fn crds(args: &CrdsArgs) -> Result<Exit, Failure> {
    let text = match args.output {
        CrdsFormat::Yaml => Dialect::ALL.map(|dialect| to_yaml(api::definition(dialect))).join("---\n"),
        CrdsFormat::Json => {
            let items = Dialect::ALL.map(api::definition);
            format!("{:#}\n", json!({"apiVersion": "v1", "kind": "List", "items": items}))
        }
    };
    io::stdout().lock().write_all(text.as_bytes()).context("cannot write the definitions")?;
    Ok(Exit::Done)
}
