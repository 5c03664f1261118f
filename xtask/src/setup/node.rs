//! What comes from Node's package registry, each set in a folder of the cache.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::PathBuf,
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{exec, workspace};

/// A set of packages.
struct Packages {
    /// Folder of the cache that has it, under a name that its content gives.
    folder: &'static str,
    /// What is wanted.
    package: &'static str,
    /// What that came to, with the checksum of each package; a change of it makes a new folder. Where packages come from is not in it.
    lock: &'static str,
    /// Where they are listed, for messages.
    file: &'static str,
}

/// SDKs of language models and of the Model Context Protocol. `agent/tests/llm` and `agent/tests/tls` know folder and file.
const SDKS: Packages = Packages {
    folder: "sdk-node",
    package: include_str!("../../assets/sdk/package.json"),
    lock: include_str!("../../assets/sdk/package-lock.json"),
    file: "xtask/assets/sdk/package-lock.json",
};

/// Releases of Node with other versions of OpenSSL inside. `agent/tests/tls` knows folder and file.
const RELEASES: Packages = Packages {
    folder: "node-releases",
    package: include_str!("../../assets/node-releases/package.json"),
    lock: include_str!("../../assets/node-releases/package-lock.json"),
    file: "xtask/assets/node-releases/package-lock.json",
};

/// The folder that has the SDKs' `node_modules`, whether it is there or not.
pub(crate) fn folder() -> Result<PathBuf> {
    SDKS.path()
}

/// The folder that has the `node_modules` of releases of Node, whether it is there or not.
pub(crate) fn releases() -> Result<PathBuf> {
    RELEASES.path()
}

/// Makes the folders unless they are complete.
pub(crate) fn ensure() -> Result<()> {
    SDKS.ensure()?;
    RELEASES.ensure()
}

impl Packages {
    fn path(&self) -> Result<PathBuf> {
        let mut hasher = DefaultHasher::new();
        (self.package, self.lock).hash(&mut hasher);
        Ok(workspace::cache()?.join(self.folder).join(format!("{:016x}", hasher.finish())))
    }

    /// The packages that this machine must have afterwards: those for another architecture are not among them.
    fn names(&self) -> Result<Vec<String>> {
        let package: serde_json::Value = serde_json::from_str(self.package).context("reading package.json")?;
        let named = |key: &str| package[key].as_object().into_iter().flatten().map(|(name, _)| name.clone());
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "-x64",
            "aarch64" => "-arm64",
            other => other,
        };
        let own = named("optionalDependencies").filter(|name| name.ends_with(architecture));
        Ok(named("dependencies").chain(own).collect())
    }

    fn ensure(&self) -> Result<()> {
        let folder = self.path()?;
        let complete = folder.join("complete");
        if complete.is_file() {
            return Ok(());
        }
        println!("installing the Node packages of {} into the cache", self.file);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("package.json"), self.package)?;
        fs::write(folder.join("package-lock.json"), self.lock)?;
        // No package's own scripts are run: none of these needs any.
        exec::retried(|| {
            exec::run(
                Command::new("npm")
                    .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
                    .current_dir(&folder),
            )?;
            // What is for one machine only is optional, and left out without a word if it does not come.
            let lacking = self.names()?.into_iter().find(|name| !folder.join("node_modules").join(name).is_dir());
            ensure!(lacking.is_none(), "npm did not install {} of {}", lacking.unwrap_or_default(), self.file);
            Ok(())
        })?;
        fs::write(&complete, "").with_context(|| format!("marking {} as complete", folder.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_this_machine_must_come() {
        for packages in [&SDKS, &RELEASES] {
            let names = packages.names().unwrap();
            assert!(names.len() >= 2 && names.iter().all(|name| packages.lock.contains(name)), "{names:?}");
        }
        assert_eq!(RELEASES.names().unwrap().len(), 2);
    }
}
