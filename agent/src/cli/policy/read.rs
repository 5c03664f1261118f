//! Policy files, compiled and resolved: what `validate`, `status` and `explain` begin with.

use std::path::PathBuf;

use crate::{
    cli::Failure,
    policy::{
        Compiled, Defaults, Setting, Trust,
        document::{Document, Documents, Problem, read_sources},
        validation,
    },
};

/// What policy files hold, and what became of it.
pub(super) struct Read {
    /// The files, in the order in which they were read.
    pub(super) files: Vec<String>,
    /// Their policies.
    pub(super) policies: Vec<Document>,
    /// What could not be read.
    pub(super) problems: Vec<Problem>,
    /// One candidate for each of `policies`, in the same order.
    pub(super) compiled: Compiled,
}

/// Reads files, `-` and folders.
///
/// # Errors
/// One that cannot be read. What is wrong inside of one is for the caller to say.
pub(super) fn read(files: &[PathBuf]) -> Result<Read, Failure> {
    let sources = read_sources(files).map_err(anyhow::Error::from)?;
    let documents = Documents::read(&sources);
    let candidates = validation::candidates(&documents);
    // Everything that could be on is looked at, wherever the policy will hold.
    let setting = Setting { defaults: Defaults { span_exporter: true, log_sink: true }, trust: Trust::own() };
    let Documents { policies, objects, problems } = documents;
    let compiled = Compiled::new(candidates, objects, &setting, None);
    Ok(Read { files: sources.into_iter().map(|source| source.name).collect(), policies, problems, compiled })
}

impl Read {
    /// Says what could not be read, one line each. True if there was something.
    pub(super) fn report_problems(&self) -> bool {
        for problem in &self.problems {
            tracing::error!("{problem}");
        }
        !self.problems.is_empty()
    }
}
