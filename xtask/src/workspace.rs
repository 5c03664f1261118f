//! Where things are, and Cargo on this workspace.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{exec, toolchain};

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    // Of this build, not of the caller's folder: `cargo xtask` works from any folder of the clone.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// Cargo's output folder.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The cache that outlives a clone.
pub(crate) fn cache() -> Result<PathBuf> {
    toolchain::cache().context("neither XDG_CACHE_HOME nor HOME is set, so there is no place for the cache")
}

/// Cargo on this workspace, without what the `cargo run` that started this task put into the environment.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_PRIMARY_"].iter().any(|start| text.starts_with(start))
        {
            command.env_remove(name);
        }
    }
    command.env_remove("OUT_DIR").env_remove("LD_LIBRARY_PATH");
    command
}

/// Builds with the given arguments and gives the executables: (target's name, kind such as `bin` or `test`, file).
pub(crate) fn executables(arguments: &[&str]) -> Result<Vec<(String, String, PathBuf)>> {
    let mut command = cargo();
    command.args(arguments).arg("--message-format=json-render-diagnostics").stderr(std::process::Stdio::inherit());
    let messages = exec::captured(&mut command)?;
    anyhow::ensure!(messages.status.success(), "`{}` failed: {}", exec::line(&command), messages.status);
    let text = String::from_utf8_lossy(&messages.stdout).into_owned();
    let artifacts = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    Ok(artifacts
        .filter_map(|message| {
            let file = message["executable"].as_str()?;
            let name = message["target"]["name"].as_str()?;
            let kind = message["target"]["kind"][0].as_str()?;
            Some((name.to_owned(), kind.to_owned(), PathBuf::from(file)))
        })
        .collect())
}
