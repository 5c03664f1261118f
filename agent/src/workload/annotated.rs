//! From the id of a cgroup to the pod whose cgroup it is in (`telltale.dev/cgroup`).

use std::{
    collections::{HashMap, VecDeque},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{CGROUP_ANNOTATION, Directory, PodIdentity};
use crate::policy::objects::{ObjectName, Objects};

/// Cgroups below those of the pods that are remembered; those beyond are not found.
const MAX_CGROUPS: usize = 65_536;

/// Ids of the cgroups of pods and of all below them. An id that is not known makes it look again, since a cgroup may be newer than
/// the last look; ids that are no pod's are remembered too.
#[derive(Debug, Default)]
pub(super) struct CgroupIndex {
    roots: Vec<(PathBuf, Arc<PodIdentity>)>,
    known: HashMap<u64, Option<Arc<PodIdentity>>>,
}

impl CgroupIndex {
    pub(super) fn of(directory: &Directory) -> Self {
        let root = |identity: &Arc<PodIdentity>| {
            let path = identity.pod.annotations.get(CGROUP_ANNOTATION)?;
            Some((PathBuf::from(path), Arc::clone(identity)))
        };
        Self { roots: directory.pods().filter_map(root).collect(), known: HashMap::new() }
    }

    /// The pod of this cgroup.
    pub(super) fn pod(&mut self, id: u64) -> Option<Arc<PodIdentity>> {
        if self.roots.is_empty() {
            return None;
        }
        if let Some(known) = self.known.get(&id) {
            return known.clone();
        }
        if self.known.len() >= MAX_CGROUPS {
            self.known.clear();
        }
        for (root, pod) in &self.roots {
            for id in ids_below(root) {
                self.known.insert(id, Some(Arc::clone(pod)));
            }
        }
        self.known.entry(id).or_default().clone()
    }
}

/// The folders of [`CGROUP_ANNOTATION`], with the pods that they stand for.
pub fn annotated_cgroups(objects: &Objects) -> impl Iterator<Item = (&ObjectName, &Path)> {
    objects.pods.iter().filter_map(|(name, pod)| Some((name, Path::new(pod.annotations.get(CGROUP_ANNOTATION)?))))
}

/// The id of a cgroup directory is its inode number. A directory that is gone has none.
#[cfg(unix)]
fn ids_below(root: &Path) -> Vec<u64> {
    use std::os::unix::fs::MetadataExt as _;

    let mut ids = Vec::new();
    let mut directories = VecDeque::from([root.to_owned()]);
    while let Some(directory) = directories.pop_front()
        && ids.len() < MAX_CGROUPS
    {
        let Ok(metadata) = std::fs::metadata(&directory) else { continue };
        ids.push(metadata.ino());
        let Ok(entries) = std::fs::read_dir(&directory) else { continue };
        let below = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        directories.extend(below.map(|entry| entry.path()));
    }
    ids
}

/// Other systems have no cgroups.
#[cfg(not(unix))]
fn ids_below(_: &Path) -> Vec<u64> {
    let _unused: VecDeque<PathBuf> = VecDeque::new();
    Vec::new()
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;
    use crate::policy::objects::Pod;

    #[test]
    fn a_pod_has_all_cgroups_below_its_own_also_later_ones() {
        let directory = tempfile::tempdir().unwrap();
        let mut objects = Objects::default();
        let annotations = Arc::new([(CGROUP_ANNOTATION.to_owned(), directory.path().display().to_string())].into());
        let pod = Pod { annotations, ..Pod::default() };
        objects.pods.insert(ObjectName::new("a", "p"), Arc::new(pod));
        let mut index = CgroupIndex::of(&Directory::of(&objects));
        let id = |path: &Path| std::fs::metadata(path).unwrap().ino();
        assert_eq!(index.pod(id(directory.path())).unwrap().name, ObjectName::new("a", "p"));
        assert_eq!(index.pod(u64::MAX), None);
        let below = directory.path().join("container/nested");
        std::fs::create_dir_all(&below).unwrap();
        assert!(index.pod(id(&below)).is_some());
        assert_eq!(CgroupIndex::default().pod(1), None);
    }
}
