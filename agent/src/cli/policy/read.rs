//! Policy files, compiled and resolved: what `validate`, `status` and `explain` begin with.

use std::path::{Path, PathBuf};

use crate::{
    cli::{Failure, config},
    config::Author,
    policy::{
        Checked, Defaults, Setting,
        document::{Documents, read_sources},
    },
};

/// Reads files, `-` and folders; with a configuration as an agent would that has it, since its policies are those of tenants.
///
/// # Errors
/// One that cannot be read, or a configuration that is wrong. What is wrong inside of a policy file is for the caller to say.
pub(super) fn read(files: &[PathBuf], config: Option<&Path>) -> Result<Checked, Failure> {
    let author = if config.is_some() { Author::Tenant } else { Author::Operator };
    let (path, config) = (config, config::load(config)?);
    let sources = read_sources(files).map_err(anyhow::Error::from)?;
    let documents = Documents::read(&sources);
    // Everything that could be on is looked at, wherever the policy will hold.
    let defaults = Defaults::EVERYTHING;
    let setting = Setting { defaults, trust: config.trust(author, false) };
    setting.trust.reach.set_nodes(documents.objects.nodes.values().flat_map(|node| &node.addresses).copied());
    let fallback = config::fallback(&config, path, &setting)?;
    Ok(Checked::of(&sources, documents, &setting, &fallback))
}

/// Says what could not be read, one line each. True if there was something.
pub(super) fn report_problems(read: &Checked) -> bool {
    for problem in &read.problems {
        tracing::error!("{problem}");
    }
    !read.problems.is_empty()
}
