//! Policy files, compiled and resolved: what `validate`, `status` and `explain` begin with.

use std::path::{Path, PathBuf};

use crate::{
    cli::{Failure, config},
    config::Author,
    policy::{
        Compiled, Defaults, Setting,
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

/// Reads files, `-` and folders; with a configuration as an agent would that has it, since its policies are those of tenants.
///
/// # Errors
/// One that cannot be read, or a configuration that is wrong. What is wrong inside of a policy file is for the caller to say.
pub(super) fn read(files: &[PathBuf], config: Option<&Path>) -> Result<Read, Failure> {
    let author = if config.is_some() { Author::Tenant } else { Author::Operator };
    let (path, config) = (config, config::load(config)?);
    let sources = read_sources(files).map_err(anyhow::Error::from)?;
    let documents = Documents::read(&sources);
    let candidates = validation::candidates(&documents);
    // Everything that could be on is looked at, wherever the policy will hold.
    let defaults = Defaults { span_exporter: true, log_sink: true };
    let setting = Setting { defaults, trust: config.trust(author, false) };
    let Documents { policies, objects, problems } = documents;
    setting.trust.reach.set_nodes(objects.nodes.values().flatten().copied());
    let fallback = config::fallback(&config, path, &setting)?;
    let compiled = fallback.compile(candidates, objects, &setting, None);
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
