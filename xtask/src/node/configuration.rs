//! What containerd, kubelet and the CNI plugins of a node read: the same on every kind of node, but for where things are and who makes cgroups.

use std::{fs, path::Path};

use anyhow::Result;

const CONTAINERD: &str = include_str!("../../assets/node/containerd.toml");
const KUBELET: &str = include_str!("../../assets/node/kubelet.yaml");
const BRIDGE: &str = include_str!("../../assets/node/bridge.conflist");

/// Who makes the cgroups of pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Driver {
    /// kubelet and runc themselves
    Cgroupfs,
    /// systemd, which they ask to
    Systemd,
}

/// Where a node finds things, by its own paths.
pub(super) struct Places {
    /// The CNI plugins.
    pub(super) plugins: &'static str,
    /// The folder that [`Places::write`] writes.
    pub(super) files: &'static str,
}

impl Places {
    /// Writes it into this folder, which is called `files` in the node.
    pub(super) fn write(&self, driver: Driver, folder: &Path) -> Result<()> {
        let (name, systemd) = match driver {
            Driver::Cgroupfs => ("cgroupfs", "false"),
            Driver::Systemd => ("systemd", "true"),
        };
        let filled = |text: &str| {
            [("@BIN@", self.plugins), ("@STATE@", self.files), ("@DRIVER@", name), ("@SYSTEMD@", systemd)]
                .iter()
                .fold(text.to_owned(), |text, (mark, value)| text.replace(mark, value))
        };
        for part in ["cni", "pki"] {
            fs::create_dir_all(folder.join(part))?;
        }
        fs::write(folder.join("cni/10-bridge.conflist"), BRIDGE)?;
        fs::write(folder.join("containerd.toml"), filled(CONTAINERD))?;
        fs::write(folder.join("kubelet.yaml"), filled(KUBELET))?;
        // Nothing resolves names in the cluster; an empty file is what says so.
        Ok(fs::write(folder.join("pki/resolv.conf"), "")?)
    }
}
