//! Finds, below a mount of cgroups, the hierarchy that the pods are in.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::path::parse;
use crate::capture::Hierarchy;

/// A hierarchy of cgroups, as it is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The folder that stands for its root, or that the pods are below.
    pub root: PathBuf,
    /// Which hierarchy.
    pub hierarchy: Hierarchy,
}

/// Why there is no tree to look at.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// The folder cannot be read.
    #[error(
        "cannot read the cgroups at {root}: {source}; in a pod mount the host's /sys/fs/cgroup and name it with --cgroup-root"
    )]
    Unreadable {
        /// The folder.
        root: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no cgroup file system.
    #[error(
        "there is no cgroup file system at {root} or right below it; in a pod mount the host's /sys/fs/cgroup and name it with --cgroup-root"
    )]
    None {
        /// The folder.
        root: PathBuf,
    },
}

/// Controllers of version 1 by which pods are found, in order of preference: those that every container runtime puts containers in.
const CONTROLLERS: [&str; 7] = ["pids", "memory", "freezer", "devices", "cpuset", "blkio", "cpu"];

/// Levels below a root that are searched for pods: a node in a container has its own below those of the container.
pub(super) const MAX_DEPTH: usize = 32;

/// The most folders that a search visits.
pub(super) const MAX_VISITED: usize = 65_536;

impl Tree {
    /// The hierarchy at `root`, or the one below it that has pods: that of version 2 if any is in it (a machine with both mounts it at `unified`),
    /// else one of version 1. Where there are no pods yet, it is one of version 1, since no runtime leaves that out where it is mounted.
    ///
    /// # Errors
    /// The folder cannot be read, or nothing there is a cgroup file system.
    pub fn find(root: &Path) -> Result<Self, TreeError> {
        let unreadable = |source| TreeError::Unreadable { root: root.into(), source };
        if let Some(hierarchy) = Hierarchy::of(root).map_err(unreadable)? {
            return Ok(Self { root: root.into(), hierarchy });
        }
        let mut found: Vec<Self> = fs::read_dir(root)
            .map_err(unreadable)?
            .flatten()
            .filter_map(|entry| {
                let path = entry.path();
                let hierarchy = Hierarchy::of(&path).ok()??;
                Some(Self { root: path, hierarchy })
            })
            .collect();
        found.sort_by_key(Self::preference);
        let with_pods = found.iter().position(|tree| holds_pods(&tree.root));
        let is_v1 = |tree: &Self| tree.hierarchy != Hierarchy::Unified;
        let chosen = with_pods.or_else(|| found.iter().position(is_v1)).unwrap_or_default();
        (chosen < found.len()).then(|| found.swap_remove(chosen)).ok_or_else(|| TreeError::None { root: root.into() })
    }

    /// Lower is better.
    fn preference(&self) -> usize {
        match &self.hierarchy {
            Hierarchy::Unified => 0,
            Hierarchy::Controller(name) => {
                let known = CONTROLLERS.iter().position(|controller| controller == name);
                1 + known.unwrap_or(CONTROLLERS.len())
            }
        }
    }
}

/// Whether a pod has a cgroup below this folder.
fn holds_pods(root: &Path) -> bool {
    let mut folders = std::collections::VecDeque::from([(root.to_owned(), 0)]);
    let mut visited = 0;
    while let Some((folder, depth)) = folders.pop_front() {
        for below in subfolders(&folder) {
            if below.file_name().and_then(|name| parse(name.to_str()?)).is_some() {
                return true;
            }
            visited += 1;
            if visited < MAX_VISITED && depth < MAX_DEPTH {
                folders.push_back((below, depth + 1));
            }
        }
    }
    false
}

/// The folders in a folder; none if it is gone.
pub(super) fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_cgroups_is_an_error_that_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("unified")).unwrap();
        let error = Tree::find(folder.path()).unwrap_err();
        assert!(matches!(error, TreeError::None { .. }), "{error}");
        let error = Tree::find(&folder.path().join("absent")).unwrap_err().to_string();
        assert!(error.contains("--cgroup-root") && error.contains("absent"), "{error}");
    }

    #[test]
    fn pods_are_found_at_any_depth() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("docker/x/kubelet/kubepods/burstable")).unwrap();
        assert!(!holds_pods(folder.path()));
        let pod = "docker/x/kubelet/kubepods/burstable/pod2f1c6b8e-9d1f-4a54-8a53-0c6c3b8f1d2e";
        fs::create_dir(folder.path().join(pod)).unwrap();
        assert!(holds_pods(folder.path()));
    }

    #[test]
    fn version_two_comes_first_then_the_controllers_in_their_order() {
        let tree = |hierarchy| Tree { root: PathBuf::new(), hierarchy };
        let controller = |name: &str| tree(Hierarchy::Controller(name.to_owned()));
        let mut trees = [controller("net_cls"), controller("memory"), tree(Hierarchy::Unified), controller("pids")];
        trees.sort_by_key(Tree::preference);
        let names = trees.map(|tree| tree.hierarchy.to_string());
        assert_eq!(names, ["cgroup v2", "cgroup v1 (pids)", "cgroup v1 (memory)", "cgroup v1 (net_cls)"]);
    }
}
