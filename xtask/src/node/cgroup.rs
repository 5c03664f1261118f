//! The cgroups that everything of a cluster is in, whatever hierarchies this machine has: what is in them is ended with them.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};

/// One mounted hierarchy.
struct Hierarchy {
    mount: PathBuf,
    /// The controllers of v1, as mount options; `None` for v2.
    options: Option<String>,
}

/// The cgroups of one cluster.
pub(super) struct Cgroups {
    name: String,
    hierarchies: Vec<Hierarchy>,
}

/// Below the cluster's own: processes that are no part of the node.
const CONTROL: &str = "control";
/// What the node takes for the root.
const NODE: &str = "node";
/// In that, where the node's own daemons are, since a cgroup of v2 has either processes or children.
const DAEMONS: &str = "node/daemons";

impl Cgroups {
    /// Of the cluster of this name, none of them made yet.
    pub(super) fn of(name: &str) -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").context("reading /proc/self/mounts")?;
        let hierarchies: Vec<_> = mounts.lines().filter_map(hierarchy).collect();
        if !hierarchies.iter().any(|hierarchy| hierarchy.options.is_none()) {
            anyhow::bail!("no cgroup2 file system is mounted, so no pod could be observed here");
        }
        Ok(Self { name: name.to_owned(), hierarchies })
    }

    fn path(&self, hierarchy: &Hierarchy, part: &str) -> PathBuf {
        hierarchy.mount.join(&self.name).join(part)
    }

    /// Only v2, at its usual place.
    fn is_pure(&self) -> bool {
        self.hierarchies.iter().all(|hierarchy| hierarchy.options.is_none())
    }

    /// Makes them.
    pub(super) fn make(&self) -> Result<()> {
        for hierarchy in &self.hierarchies {
            let parts: &[&str] = if hierarchy.options.is_none() { &[CONTROL, DAEMONS] } else { &[NODE] };
            for part in parts {
                let path = self.path(hierarchy, part);
                fs::create_dir_all(&path).with_context(|| format!("making the cgroup {}", path.display()))?;
            }
            match &hierarchy.options {
                // A v1 cpuset has nothing at first, and takes no process then.
                Some(options) if options.split(',').any(|option| option == "cpuset") => {
                    for file in ["cpuset.cpus", "cpuset.mems"] {
                        let all = fs::read_to_string(hierarchy.mount.join(file))?;
                        fs::write(self.path(hierarchy, "").join(file), &all)?;
                        fs::write(self.path(hierarchy, NODE).join(file), &all)?;
                    }
                }
                Some(_) => {}
                None => {
                    for path in [hierarchy.mount.clone(), self.path(hierarchy, "")] {
                        let controllers = fs::read_to_string(path.join("cgroup.controllers")).unwrap_or_default();
                        let on: Vec<_> = controllers.split_whitespace().map(|name| format!("+{name}")).collect();
                        // Where the host uses one in v1, or keeps one to itself, there is none to give.
                        let _ = fs::write(path.join("cgroup.subtree_control"), on.join(" "));
                    }
                }
            }
        }
        Ok(())
    }

    /// The files that a process of the control plane writes itself to.
    pub(super) fn control(&self) -> Vec<PathBuf> {
        let v2 = self.hierarchies.iter().filter(|hierarchy| hierarchy.options.is_none());
        v2.map(|hierarchy| self.path(hierarchy, CONTROL).join("cgroup.procs")).collect()
    }

    /// The same for the node: its top, where a new cgroup namespace begins.
    pub(super) fn node(&self) -> Vec<PathBuf> {
        self.hierarchies.iter().map(|hierarchy| self.path(hierarchy, NODE).join("cgroup.procs")).collect()
    }

    /// The same for a daemon of the node.
    pub(super) fn daemons(&self) -> Vec<PathBuf> {
        let part = |hierarchy: &Hierarchy| if hierarchy.options.is_none() { DAEMONS } else { NODE };
        self.hierarchies.iter().map(|hierarchy| self.path(hierarchy, part(hierarchy)).join("cgroup.procs")).collect()
    }

    /// What the node is to mount where, a line each, if that is more than v2 at the usual place.
    pub(super) fn layout(&self) -> Option<String> {
        let line = |hierarchy: &Hierarchy| {
            let name = hierarchy.mount.file_name()?.to_string_lossy().into_owned();
            Some(format!("{name} {}\n", hierarchy.options.as_deref().unwrap_or("v2")))
        };
        (!self.is_pure()).then(|| self.hierarchies.iter().filter_map(line).collect())
    }
}

/// Of a line of `/proc/self/mounts`.
fn hierarchy(line: &str) -> Option<Hierarchy> {
    let fields: Vec<&str> = line.split(' ').collect();
    let (mount, kind, options) = (fields.get(1)?, fields.get(2)?, fields.get(3)?);
    let mount = PathBuf::from(mount);
    match *kind {
        "cgroup2" => Some(Hierarchy { mount, options: None }),
        "cgroup" => {
            const OF_MOUNTS: [&str; 8] =
                ["rw", "ro", "relatime", "noatime", "nosuid", "nodev", "noexec", "clone_children"];
            let own = options.split(',').filter(|option| {
                !OF_MOUNTS.contains(option) && !option.starts_with("release_agent=") && *option != "xattr"
            });
            let options = own.collect::<Vec<_>>().join(",");
            let options = if options.starts_with("name=") { format!("none,{options}") } else { options };
            Some(Hierarchy { mount, options: Some(options) })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_a_hierarchy_by_its_controllers() {
        for (line, options) in [
            ("cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev,noexec,relatime,nsdelegate 0 0", Some(None)),
            ("cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,relatime,cpu,cpuacct 0 0", Some(Some("cpu,cpuacct"))),
            (
                "c /sys/fs/cgroup/systemd cgroup rw,xattr,release_agent=/lib/a,name=systemd 0 0",
                Some(Some("none,name=systemd")),
            ),
            ("tmpfs /sys/fs/cgroup tmpfs ro 0 0", None),
        ] {
            let found = hierarchy(line).map(|hierarchy| hierarchy.options);
            assert_eq!(found, options.map(|options: Option<&str>| options.map(str::to_owned)), "{line}");
        }
    }
}
