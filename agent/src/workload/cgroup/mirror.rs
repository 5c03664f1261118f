//! A copy of the part of a tree of cgroups that pods are in.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{
    CgroupDirectory,
    hierarchy::{MAX_DEPTH, MAX_VISITED, subfolders},
    index::{Found, Place, Step},
    path::parse,
};

/// Cgroups of pods that are remembered; those beyond are not known.
pub const MAX_CGROUPS: usize = 65_536;

/// Watches folders for new ones in them.
pub(super) trait Watch {
    /// Names a folder that is watched.
    type Key: Copy + Eq + std::hash::Hash;

    /// Watches a folder; `None` if it is gone or there are too many.
    fn add(&mut self, folder: &Path) -> Option<Self::Key>;
}

/// What a look at the tree changed.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) steps: Vec<Step>,
    /// Cgroups of pods beyond [`MAX_CGROUPS`].
    pub(super) beyond: u64,
}

#[derive(Debug)]
struct Node<K> {
    id: u64,
    watch: Option<K>,
    place: Option<Place>,
}

/// The folders of pods, with all below them, and those that have pods in them.
#[derive(Debug)]
pub(super) struct Mirror<W: Watch> {
    root: PathBuf,
    watch: W,
    nodes: BTreeMap<PathBuf, Node<W::Key>>,
    watched: HashMap<W::Key, PathBuf>,
}

impl<W: Watch> Mirror<W> {
    pub(super) fn new(root: PathBuf, watch: W) -> Self {
        Self { root, watch, nodes: BTreeMap::new(), watched: HashMap::new() }
    }

    pub(super) fn watch_mut(&mut self) -> &mut W {
        &mut self.watch
    }

    /// Looks at the whole tree.
    pub(super) fn look(&mut self) -> Change {
        let mut change = Change::default();
        let mut seen = BTreeSet::new();
        let root = self.root.clone();
        self.visit(&root, &mut change, Some(&mut seen));
        let missing: Vec<PathBuf> = self.nodes.keys().filter(|path| !seen.contains(*path)).cloned().collect();
        for path in missing {
            self.forget(&path, &mut change);
        }
        change
    }

    /// Looks at a folder that is watched, after something happened in it.
    pub(super) fn look_at(&mut self, key: W::Key, change: &mut Change) {
        let Some(folder) = self.watched.get(&key).cloned() else { return };
        let below: BTreeSet<PathBuf> = subfolders(&folder).into_iter().collect();
        let depth = folder.components().count() + 1;
        let known: Vec<PathBuf> = self.below(&folder).filter(|path| path.components().count() == depth).collect();
        for gone in known.iter().filter(|path| !below.contains(*path)) {
            let all: Vec<PathBuf> = std::iter::once(gone.clone()).chain(self.below(gone)).collect();
            for path in all {
                self.forget(&path, change);
            }
        }
        for path in below {
            // One that was removed and made again has another id.
            let same = self.nodes.get(&path).is_some_and(|node| inode(&path) == Some(node.id));
            if !same {
                self.visit(&path, change, None);
            }
        }
    }

    /// What is known below a folder.
    fn below<'a>(&'a self, folder: &'a Path) -> impl Iterator<Item = PathBuf> + 'a {
        use std::ops::Bound::{Excluded, Unbounded};
        let after = self.nodes.range::<Path, _>((Excluded(folder), Unbounded));
        after.map(|(path, _)| path).take_while(move |path| path.starts_with(folder)).cloned()
    }

    fn visit(&mut self, top: &Path, change: &mut Change, mut seen: Option<&mut BTreeSet<PathBuf>>) {
        let mut folders = VecDeque::from([(top.to_owned(), 0)]);
        let mut visited = 0;
        while let Some((folder, depth)) = folders.pop_front() {
            let keep = self.keep(&folder, change);
            if keep && let Some(seen) = seen.as_deref_mut() {
                seen.insert(folder.clone());
            }
            let mut below = subfolders(&folder);
            // Where pods are, more will come: watched first, then listed, so that none comes unseen between.
            if !keep && below.iter().any(|path| self.place(path).is_some()) && self.insert(&folder, None) {
                if let Some(seen) = seen.as_deref_mut() {
                    seen.insert(folder.clone());
                }
                below = subfolders(&folder);
            }
            for path in below {
                visited += 1;
                if visited <= MAX_VISITED && depth < MAX_DEPTH {
                    folders.push_back((path, depth + 1));
                }
            }
        }
    }

    /// Whether the folder is of the mirror for what it is called, and then puts it in.
    fn keep(&mut self, folder: &Path, change: &mut Change) -> bool {
        let place = self.place(folder);
        // Where the kubelet makes its cgroups, also before there is a pod.
        let expects_pods = || {
            let relative = folder.strip_prefix(&self.root).ok().and_then(Path::to_str).unwrap_or_default();
            relative.contains("kubepods") || relative.contains("kubelet")
        };
        let Some(place) = place else {
            return (folder == self.root || expects_pods()) && self.insert(folder, None);
        };
        let Some(id) = inode(folder) else { return false };
        let known = self.nodes.get(folder).filter(|node| node.id == id);
        if known.is_some_and(|node| node.watch.is_some()) {
            return true;
        }
        let is_new = known.is_none();
        if is_new && self.nodes.len() >= MAX_CGROUPS {
            change.beyond += 1;
            return false;
        }
        if is_new && self.nodes.contains_key(folder) {
            self.forget(folder, change);
        }
        if !self.insert(folder, Some(place.clone())) {
            return false;
        }
        if is_new {
            let above = folder.parent().and_then(|above| self.place(above));
            let directory = CgroupDirectory { path: folder.to_owned(), id };
            change.steps.push(Step::Found(Found { directory, place, above }));
        }
        true
    }

    /// Puts a folder into the mirror, watched if that can be; false if it is gone.
    fn insert(&mut self, folder: &Path, place: Option<Place>) -> bool {
        let Some(id) = inode(folder) else { return false };
        if self.nodes.get(folder).is_some_and(|node| node.id == id && node.watch.is_some()) {
            return true;
        }
        let watch = self.watch.add(folder);
        if let Some(key) = watch {
            self.watched.insert(key, folder.to_owned());
        }
        self.nodes.insert(folder.to_owned(), Node { id, watch, place });
        true
    }

    fn forget(&mut self, folder: &Path, change: &mut Change) {
        let Some(node) = self.nodes.remove(folder) else { return };
        // The system ends the watch with the folder. One made anew since may have its key already.
        if let Some(key) = node.watch
            && self.watched.get(&key).is_some_and(|path| path == folder)
        {
            self.watched.remove(&key);
        }
        if let Some(place) = node.place {
            let directory = CgroupDirectory { path: folder.to_owned(), id: node.id };
            change.steps.push(Step::Gone(directory, place.pod));
        }
    }

    fn place(&self, folder: &Path) -> Option<Place> {
        let relative = folder.strip_prefix(&self.root).ok()?;
        let found = parse(relative.to_str()?)?;
        Some(Place { pod: found.uid.into(), container: found.container.map(Into::into) })
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.nodes.len()
    }
}

/// The id of a cgroup is the inode number of its folder.
fn inode(folder: &Path) -> Option<u64> {
    std::fs::metadata(folder).ok().map(|metadata| metadata.ino())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::workload::cgroup::PodCgroups;

    const UID: &str = "2f1c6b8e-9d1f-4a54-8a53-0c6c3b8f1d2e";
    const ID: &str = "4f9d1e8c7b6a5f4e3d2c1b0a99887766554433221100ffeeddccbbaa00112233";

    /// Remembers what is watched.
    #[derive(Default)]
    struct Fake {
        folders: Vec<PathBuf>,
        most: usize,
    }

    impl Watch for Fake {
        type Key = usize;

        fn add(&mut self, folder: &Path) -> Option<usize> {
            (self.folders.len() < self.most).then(|| {
                self.folders.push(folder.to_owned());
                self.folders.len() - 1
            })
        }
    }

    fn mirror(root: &Path, most: usize) -> (Mirror<Fake>, PodCgroups) {
        (Mirror::new(root.to_owned(), Fake { most, ..Fake::default() }), PodCgroups::default())
    }

    fn apply(index: &PodCgroups, change: Change) -> u64 {
        index.update(change.steps);
        change.beyond
    }

    #[test]
    fn what_comes_and_goes_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("kubepods/burstable")).unwrap();
        fs::create_dir_all(root.join("system.slice/nginx.service")).unwrap();
        let (mut mirror, index) = mirror(root, 100);
        apply(&index, mirror.look());
        assert!(index.is_empty());
        let expected = [root, &root.join("kubepods"), &root.join("kubepods/burstable")];
        assert_eq!(mirror.watch.folders, expected, "where pods are expected");
        let pod = root.join("kubepods/burstable").join(format!("pod{UID}"));
        let container = pod.join(ID);
        fs::create_dir_all(container.join("nested")).unwrap();
        let at = |mirror: &Mirror<Fake>, path: &Path| mirror.watch.folders.iter().position(|folder| folder == path);
        // A look at one folder, as an event asks for it.
        let mut change = Change::default();
        let key = at(&mirror, &root.join("kubepods/burstable")).unwrap();
        mirror.look_at(key, &mut change);
        apply(&index, change);
        assert_eq!(index.len(), 3);
        assert_eq!(index.pod_directories(UID), [CgroupDirectory { id: inode(&pod).unwrap(), path: pod.clone() }]);
        let directories = index.container_directories(UID, ID);
        assert_eq!(directories, [CgroupDirectory { id: inode(&container).unwrap(), path: container.clone() }]);
        let nested = index.place(inode(&container.join("nested")).unwrap()).unwrap();
        assert_eq!((&*nested.pod, nested.container.as_deref()), (UID, Some(ID)));
        let deeper = container.join("nested/deeper");
        fs::create_dir(&deeper).unwrap();
        let mut change = Change::default();
        let key = at(&mirror, &container.join("nested")).unwrap();
        mirror.look_at(key, &mut change);
        apply(&index, change);
        assert_eq!(index.len(), 4);
        fs::remove_dir_all(&pod).unwrap();
        let mut change = Change::default();
        let key = at(&mirror, &root.join("kubepods/burstable")).unwrap();
        mirror.look_at(key, &mut change);
        apply(&index, change);
        assert!(index.is_empty() && index.pod_directories(UID).is_empty());
        assert_eq!(mirror.len(), 3, "the root, kubepods, burstable");
    }

    #[test]
    fn without_watches_a_look_finds_everything() {
        let folder = tempfile::tempdir().unwrap();
        let pod = folder.path().join(format!("kubepods/pod{UID}"));
        fs::create_dir_all(pod.join(ID)).unwrap();
        let (mut mirror, index) = mirror(folder.path(), 1);
        apply(&index, mirror.look());
        assert_eq!(index.len(), 2);
        let generation = index.generation();
        apply(&index, mirror.look());
        assert_eq!(index.generation(), generation, "nothing is new");
        fs::remove_dir(pod.join(ID)).unwrap();
        apply(&index, mirror.look());
        assert_eq!(index.len(), 1);
    }

    #[test]
    fn one_made_again_has_its_new_id() {
        let folder = tempfile::tempdir().unwrap();
        let pod = folder.path().join(format!("kubepods/pod{UID}"));
        fs::create_dir_all(&pod).unwrap();
        let (mut mirror, index) = mirror(folder.path(), 100);
        apply(&index, mirror.look());
        // Held under another name, so that its number is not given again.
        fs::rename(&pod, folder.path().join("held")).unwrap();
        fs::create_dir(&pod).unwrap();
        let mut change = Change::default();
        let kubepods = folder.path().join("kubepods");
        let key = mirror.watch.folders.iter().position(|path| *path == kubepods).unwrap();
        mirror.look_at(key, &mut change);
        apply(&index, change);
        assert_eq!(index.pod_directories(UID), [CgroupDirectory { id: inode(&pod).unwrap(), path: pod.clone() }]);
        assert_eq!(index.len(), 1);
    }

    /// A kubelet with another cgroup driver than its runtime: no folder is the pod's, each container's is beside the others.
    #[test]
    fn a_pod_without_a_folder_of_its_own_has_those_of_its_containers() {
        let folder = tempfile::tempdir().unwrap();
        let slice = format!("kubepods-burstable-pod{}.slice", UID.replace('-', "_"));
        let service = folder.path().join("system.slice/containerd.service");
        let other = "b".repeat(64);
        for id in [ID, &other] {
            fs::create_dir_all(service.join(format!("{slice}:cri-containerd:{id}"))).unwrap();
        }
        let (mut mirror, index) = mirror(folder.path(), 100);
        apply(&index, mirror.look());
        assert_eq!(index.pod_directories(UID).len(), 2);
        assert_eq!(index.container_directories(UID, ID).len(), 1);
    }
}
