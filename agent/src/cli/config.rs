//! `--config`: what is said on the command line of what is wrong in it.

use std::{io, path::Path, sync::Arc};

use anyhow::{Context as _, anyhow};

use super::{
    exit::Failure,
    paint::{Ink, Paint},
};
use crate::{
    config::Config,
    policy::{
        Fallback, Setting,
        document::{Problem, read_source},
    },
    protocol::secret,
    telemetry::cost::Prices,
};

/// Reads the file, if there is one, and makes secret what it says is. To be called once, before anything else is read.
///
/// # Errors
/// It cannot be read, or something is wrong in it, which is said in full before.
pub(super) fn load(path: Option<&Path>) -> Result<Config, Failure> {
    let Some(path) = path else { return Ok(Config::default()) };
    let source = read_source(path).context("--config")?;
    let config = Config::read(&source).map_err(|error| refused(&source.name, &error.0))?;
    secret::extend(config.secrets()).context("--config")?;
    Ok(config)
}

/// What holds where policies say nothing.
///
/// # Errors
/// The configuration says what it may not, which is said in full before.
pub(super) fn fallback(config: &Config, path: Option<&Path>, setting: &Setting) -> Result<Fallback, Failure> {
    let name = || path.map_or_else(String::new, |path| path.display().to_string());
    let (fallback, warnings) = config.fallback(setting).map_err(|problems| refused(&name(), &problems))?;
    for problem in warnings {
        tracing::warn!("{problem}");
    }
    Ok(fallback)
}

/// The prices that the configuration names, if it does.
///
/// # Errors
/// The file cannot be read, or is in no format that is known.
pub(super) fn prices(config: &Config) -> Result<Option<Arc<Prices>>, Failure> {
    let Some(path) = config.price_file() else { return Ok(None) };
    let prices = Prices::read(path).with_context(|| format!("--config: prices.file {}", path.display()))?;
    tracing::debug!("prices of {} models", prices.models());
    Ok(Some(Arc::new(prices)))
}

/// Says every problem, one line each: `FILE:LINE: error: FIELD: what is wrong; what would be right`.
fn refused(name: &str, problems: &[Problem]) -> Failure {
    let paint = Paint::on(&io::stderr());
    for Problem { file, line, problem, remedy } in problems {
        let place = paint.ink(Ink::Bold, &format!("{file}:{line}"));
        let remedy = remedy.as_ref().map(|remedy| format!("; {remedy}")).unwrap_or_default();
        eprintln!("{place}: {}: {problem}{remedy}", paint.ink(Ink::Red, "error"));
    }
    let errors = if problems.len() == 1 { "1 error".to_owned() } else { format!("{} errors", problems.len()) };
    anyhow!("--config {name} has {errors}").into()
}
