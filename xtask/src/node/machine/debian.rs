//! Debian with systemd, whose units start what is the node's.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use anyhow::Result;

use crate::{exec, setup::userland};

const DAEMON: &str = include_str!("../../../assets/node/daemon.service");
const PREPARE: &str = include_str!("../../../assets/node/node-prepare.service");
const CONSOLE: &str = include_str!("../../../assets/node/node-console.service");

/// The daemons: name, when systemd takes it for started, the unit that it comes after.
const DAEMONS: &[(&str, &str, &str)] =
    &[("containerd", "notify", ""), ("kubelet", "exec", "containerd.service"), ("kube-proxy", "exec", "")];

/// Puts it into an empty folder.
pub(super) fn install(root: &Path) -> Result<()> {
    exec::run(Command::new("cp").arg("--archive").arg(userland::ensure()?.join(".")).arg(root))?;
    let units = root.join("etc/systemd/system");
    let wanted = units.join("multi-user.target.wants");
    fs::create_dir_all(&wanted)?;
    fs::write(units.join("node-prepare.service"), PREPARE)?;
    let daemons = DAEMONS.iter().map(|(name, kind, after)| {
        let unit = DAEMON.replace("@NAME@", name).replace("@TYPE@", kind).replace("@AFTER@", after);
        (format!("{name}.service"), unit)
    });
    for (name, unit) in daemons.chain([("node-console.service".to_owned(), CONSOLE.to_owned())]) {
        fs::write(units.join(&name), unit)?;
        symlink(format!("../{name}"), wanted.join(&name))?;
    }
    Ok(())
}
