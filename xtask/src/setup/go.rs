//! The Go that compiles Kubernetes: distributions have older ones.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context as _, Result, bail};

use crate::{exec, toolchain};

/// The oldest that the modules take, and the one that is had where there is none: Go's own, from the module proxy.
const OLDEST: (u32, u32) = (1, 26);
const NEWER: &str = "1.26.8";

/// The program: the one on the search path if it is new enough, else a newer one, which that one downloads once.
pub(super) fn program() -> Result<&'static Path> {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Ok(found);
    }
    let own = toolchain::on_path("go").context("Go is needed to build Kubernetes; run `cargo xtask setup`")?;
    let said = exec::output(Command::new(&own).arg("version").env("GOTOOLCHAIN", "local"))?;
    let version = version(&said).with_context(|| format!("`go version` says {said:?}"))?;
    let found = if version >= OLDEST { own } else { download(&own)? };
    Ok(FOUND.get_or_init(|| found))
}

/// `go version go1.26.8 linux/amd64` -> (1, 26)
fn version(said: &str) -> Option<(u32, u32)> {
    let mut numbers =
        said.split_whitespace().find_map(|word| word.strip_prefix("go1."))?.split(|c: char| !c.is_ascii_digit());
    Some((1, numbers.next()?.parse().ok()?))
}

/// A toolchain is a module like any other, which every Go that knows modules can download.
fn download(old: &Path) -> Result<PathBuf> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => {
            bail!("there is no Go {NEWER} for {other} to be downloaded; install Go {}.{} or newer", OLDEST.0, OLDEST.1)
        }
    };
    println!(
        "downloading Go {NEWER} into Go's module cache, since the one here is older than {}.{}",
        OLDEST.0, OLDEST.1
    );
    let module = format!("golang.org/toolchain@v0.0.1-go{NEWER}.linux-{architecture}");
    let said = exec::retried(|| {
        exec::output(
            Command::new(old)
                .args(["mod", "download", "-json", &module])
                .current_dir("/")
                .env("GOFLAGS", "-mod=mod")
                .env("GOTOOLCHAIN", "local"),
        )
    })?;
    let said: serde_json::Value = serde_json::from_str(&said).context("reading what `go mod download` says")?;
    let folder = PathBuf::from(said["Dir"].as_str().with_context(|| format!("{module} cannot be downloaded: {said}"))?);
    // A module has no programs, so that none of its files may be executed.
    for programs in ["bin", "pkg/tool"] {
        executable(&folder.join(programs))?;
    }
    Ok(folder.join("bin/go"))
}

fn executable(path: &Path) -> Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            executable(&entry?.path())?;
        }
        return Ok(());
    }
    let may = fs::Permissions::from_mode(0o555);
    fs::set_permissions(path, may).with_context(|| format!("making {} executable", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(version("go version go1.26.8 linux/amd64\n"), Some((1, 26)));
        assert_eq!(version("go version go1.19.8 linux/amd64"), Some((1, 19)));
        assert_eq!(version("go version go1.27rc1 linux/arm64"), Some((1, 27)));
        assert_eq!(version("go: unknown"), None);
    }
}
