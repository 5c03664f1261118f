//! SDKs from Node's package registry, in a folder of the cache.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::PathBuf,
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{exec, workspace};

/// What is wanted.
const PACKAGE: &str = include_str!("../../assets/sdk/package.json");
/// What that came to, with the checksum of each package; a change of it makes a new folder. Where packages come from is not in it.
const LOCK: &str = include_str!("../../assets/sdk/package-lock.json");

/// The folder that has `node_modules`, whether it is there or not. `agent/tests/llm` knows its name.
pub(crate) fn folder() -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    (PACKAGE, LOCK).hash(&mut hasher);
    Ok(workspace::cache()?.join("sdk-node").join(format!("{:016x}", hasher.finish())))
}

/// Makes the folder unless it is complete.
pub(crate) fn ensure() -> Result<()> {
    let folder = folder()?;
    let complete = folder.join("complete");
    if complete.is_file() {
        return Ok(());
    }
    println!("installing the Node packages of xtask/assets/sdk/package-lock.json into the cache");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("package.json"), PACKAGE)?;
    fs::write(folder.join("package-lock.json"), LOCK)?;
    // No package's own scripts are run: none of these needs any.
    exec::run(
        Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
            .current_dir(&folder),
    )?;
    fs::write(&complete, "").with_context(|| format!("marking {} as complete", folder.display()))
}
