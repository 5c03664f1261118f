//! The smallest operating system: busybox, and a script as the first process.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    exec,
    image::archive::{copy, within},
    toolchain, vm,
};

const INIT: &str = include_str!("../../../assets/node/init.sh");

/// The program of this machine.
pub(super) fn program() -> Result<PathBuf> {
    toolchain::on_path("busybox").context("busybox is not installed; run `cargo xtask setup`")
}

/// Puts it into an empty folder.
pub(super) fn install(root: &Path) -> Result<()> {
    copy(&program()?, &root.join("bin/busybox"))?;
    for name in exec::output(Command::new(program()?).arg("--list"))?.lines().filter(|name| *name != "busybox") {
        symlink("busybox", root.join("bin").join(name))?;
    }
    // With it, kube-proxy writes the rules of Services.
    let nft = ["/usr/sbin/nft", "/sbin/nft"].map(PathBuf::from).into_iter().find(|path| path.is_file());
    let nft = nft.context("nft is not installed; run `cargo xtask setup`")?;
    copy(&nft, &root.join("usr/local/bin/nft"))?;
    for library in vm::libraries_of(&nft)? {
        copy(Path::new(&library), &within(root, &library))?;
    }
    for folder in ["etc", "sbin"] {
        fs::create_dir_all(root.join(folder))?;
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
    fs::write(root.join("etc/group"), "root:x:0:\n")?;
    fs::write(root.join("etc/os-release"), "ID=telltale\n")?;
    let init = root.join("sbin/init");
    fs::write(&init, INIT)?;
    Ok(fs::set_permissions(init, fs::Permissions::from_mode(0o755))?)
}
