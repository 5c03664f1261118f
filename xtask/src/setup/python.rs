//! Peers from the Python package index (clients, a telemetry receiver) in a virtual environment of their own.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{exec, workspace};

/// The packages and their versions; a change of it makes a new environment.
const REQUIREMENTS: &str = include_str!("../../assets/requirements.txt");

/// The environment's folder, whether it is there or not.
pub(crate) fn folder() -> Result<PathBuf> {
    let version = exec::output(Command::new("python3").arg("--version"))?;
    let mut hasher = DefaultHasher::new();
    (REQUIREMENTS, version.trim()).hash(&mut hasher);
    Ok(workspace::cache()?.join("py").join(format!("{:016x}", hasher.finish())))
}

/// A program of the environment: `python`, `rotel-agent`, ...
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    Ok(folder()?.join("bin").join(name))
}

/// Makes the environment unless it is complete.
pub(crate) fn ensure() -> Result<()> {
    let folder = folder()?;
    let complete = folder.join("complete");
    if complete.is_file() {
        return Ok(());
    }
    println!("installing the Python packages of xtask/assets/requirements.txt into the cache");
    if folder.exists() {
        // Left by a set-up that did not end; scripts in it hold their own path, so it is made again in its place.
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let requirements = folder.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS)?;
    exec::run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    exec::run(
        Command::new(folder.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
            .arg(&requirements),
    )?;
    // A program in a package's own folder; the tests look for it where programs are.
    let rotel = exec::output(
        Command::new(folder.join("bin/python"))
            .args(["-c", "import os, rotel; print(os.path.dirname(rotel.__file__))"]),
    )?;
    std::os::unix::fs::symlink(Path::new(rotel.trim()).join("rotel-agent"), folder.join("bin/rotel-agent"))?;
    fs::write(&complete, "").with_context(|| format!("marking {} as complete", folder.display()))
}
