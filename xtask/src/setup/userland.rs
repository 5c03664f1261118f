//! Debian with systemd, in the cache: what a node that is a virtual machine has around its kernel.

use std::{fs, path::PathBuf, process::Command, time::Instant};

use anyhow::{Context as _, Result};

use super::apt;
use crate::{exec, workspace};

/// Debian 13.
const SUITE: &str = "trixie";
/// Beside what every Debian has: the init system, and what scripts and kube-proxy call.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,kmod,iproute2,nftables";
/// What nobody reads there.
const LEFT_OUT: &[&str] =
    &["var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info"];
/// Beside the files: of what they were made.
const RECIPE: &str = "recipe";

/// The folder that is its root; made once, from Debian's packages.
pub(crate) fn ensure() -> Result<PathBuf> {
    let folder = workspace::cache()?.join("userland");
    let (root, recipe) = (folder.join(SUITE), format!("{SUITE} {PACKAGES}\n"));
    if root.is_dir() && fs::read_to_string(folder.join(RECIPE)).is_ok_and(|made| made == recipe) {
        return Ok(root);
    }
    println!("making a userland of Debian's packages ({SUITE}) in the cache, once (a minute)");
    let (start, partial) = (Instant::now(), folder.join("partial"));
    for old in [&root, &partial] {
        if old.exists() {
            fs::remove_dir_all(old).with_context(|| format!("removing {}", old.display()))?;
        }
    }
    fs::create_dir_all(&folder)?;
    let mut bootstrap = Command::new("debootstrap");
    // Root of another Linux may not have it in its search path.
    bootstrap.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    bootstrap.args(["--variant=minbase", &format!("--include={PACKAGES}"), SUITE]).arg(&partial);
    bootstrap.arg(apt::archive("debian")?);
    exec::retried(|| exec::output(&mut bootstrap)).context("making a userland of Debian's packages")?;
    for path in LEFT_OUT.iter().map(|path| partial.join(path)).filter(|path| path.exists()) {
        fs::remove_dir_all(path)?;
    }
    // The rename is what makes it count.
    fs::write(folder.join(RECIPE), recipe)?;
    fs::rename(&partial, &root)?;
    println!("made it in {:.0} s", start.elapsed().as_secs_f64());
    Ok(root)
}
