//! Which pod and container a cgroup is of, by its id.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    path::PathBuf,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::watch;

/// Cgroups that are gone and still known, the latest: events of their tasks may come after them.
const MAX_GONE: usize = 4096;

/// Of which pod and container a cgroup is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// UID of the pod, as [`PodPath::uid`](super::PodPath::uid).
    pub pod: Arc<str>,
    /// Id of the container, if it is of one.
    pub container: Option<Arc<str>>,
}

/// The folder of a cgroup.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CgroupDirectory {
    /// Where.
    pub path: PathBuf,
    /// The id that the kernel side knows it by: its inode number.
    pub id: u64,
}

/// The cgroups of the pods of this machine, as far as they are known. Shared: a thread that watches the tree fills it
/// ([`CgroupWatcher`](super::CgroupWatcher)), all others ask it.
#[derive(Debug)]
pub struct PodCgroups {
    state: RwLock<State>,
    generation: AtomicU64,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    places: HashMap<u64, Place, foldhash::fast::RandomState>,
    /// By the folder's path, so that what is listed is in order.
    pods: HashMap<Arc<str>, BTreeMap<PathBuf, Top>>,
    gone: VecDeque<u64>,
}

/// The topmost folder of a pod, or of a container.
#[derive(Debug)]
struct Top {
    id: u64,
    of_pod: bool,
    container: Option<Arc<str>>,
}

/// A cgroup that was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) directory: CgroupDirectory,
    pub(super) place: Place,
    /// What the folder above it is of.
    pub(super) above: Option<Place>,
}

/// What happened to a cgroup.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Found(Found),
    /// It is gone, and was of this pod.
    Gone(CgroupDirectory, Arc<str>),
}

impl Default for PodCgroups {
    fn default() -> Self {
        let (changes, _) = watch::channel(0);
        Self { state: RwLock::default(), generation: AtomicU64::new(0), changes }
    }
}

impl PodCgroups {
    /// Of which pod and container the cgroup of this id is.
    pub fn place(&self, id: u64) -> Option<Place> {
        self.read().places.get(&id).cloned()
    }

    /// The folders that hold all of a pod and nothing else: one, where kubelet and runtime agree on the cgroup driver.
    pub fn pod_directories(&self, uid: &str) -> Vec<CgroupDirectory> {
        self.tops(uid, |top| top.of_pod)
    }

    /// The folders that hold all of a container and nothing else.
    pub fn container_directories(&self, uid: &str, container: &str) -> Vec<CgroupDirectory> {
        self.tops(uid, |top| top.container.as_deref() == Some(container))
    }

    /// Changes with every change.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Tells of changes: the value is the generation.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// How many cgroups of pods are there.
    pub fn len(&self) -> usize {
        let state = self.read();
        state.places.len() - state.gone.len()
    }

    /// How many pods have cgroups.
    pub fn pods(&self) -> usize {
        self.read().pods.len()
    }

    /// Whether no pod has a cgroup.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn tops(&self, uid: &str, wanted: impl Fn(&Top) -> bool) -> Vec<CgroupDirectory> {
        let state = self.read();
        let all = state.pods.get(uid).into_iter().flatten();
        all.filter(|(_, top)| wanted(top))
            .map(|(path, top)| CgroupDirectory { path: path.clone(), id: top.id })
            .collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what happened, in its order: what was found may be gone again, and what is gone come again.
    pub(super) fn update(&self, steps: Vec<Step>) {
        if steps.is_empty() {
            return;
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        for step in steps {
            match step {
                Step::Found(found) => state.insert(found),
                Step::Gone(directory, pod) => state.remove(&directory, &pod),
            }
        }
        drop(state);
        let generation = self.generation.fetch_add(1, Ordering::Release) + 1;
        self.changes.send_replace(generation);
    }

    /// For tests: these cgroups are there.
    #[cfg(test)]
    pub(crate) fn of(places: &[(u64, &str, Option<&str>)]) -> Arc<Self> {
        let index = Self::default();
        let found = places.iter().map(|(id, pod, container)| {
            let place = Place { pod: (*pod).into(), container: container.map(Into::into) };
            let above = container.map(|_| Place { pod: (*pod).into(), container: None });
            let path = PathBuf::from(format!("/pod{pod}/{}", container.unwrap_or_default()));
            Step::Found(Found { directory: CgroupDirectory { path, id: *id }, place, above })
        });
        index.update(found.collect());
        Arc::new(index)
    }
}

impl State {
    fn insert(&mut self, Found { directory, place, above }: Found) {
        let of_pod = above.as_ref().is_none_or(|above| above.pod != place.pod);
        let new_container = above.as_ref().is_none_or(|above| above.container != place.container);
        let container = place.container.clone().filter(|_| new_container);
        if of_pod || container.is_some() {
            let top = Top { id: directory.id, of_pod, container };
            self.pods.entry(Arc::clone(&place.pod)).or_default().insert(directory.path, top);
        }
        if self.places.insert(directory.id, place).is_some() {
            // It was thought to be gone.
            self.gone.retain(|id| *id != directory.id);
        }
    }

    fn remove(&mut self, directory: &CgroupDirectory, pod: &str) {
        if let Some(tops) = self.pods.get_mut(pod) {
            if tops.get(&directory.path).is_some_and(|top| top.id == directory.id) {
                tops.remove(&directory.path);
            }
            if tops.is_empty() {
                self.pods.remove(pod);
            }
        }
        if !self.places.contains_key(&directory.id) {
            return;
        }
        self.gone.push_back(directory.id);
        if self.gone.len() > MAX_GONE
            && let Some(oldest) = self.gone.pop_front()
        {
            self.places.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_is_still_known_for_a_while_but_no_directory() {
        let index = PodCgroups::of(&[(1, "p", None), (2, "p", Some("c"))]);
        let directory = |id: u64, path: &str| CgroupDirectory { path: path.into(), id };
        assert_eq!(index.pod_directories("p"), [directory(1, "/podp/")]);
        assert_eq!(index.container_directories("p", "c"), [directory(2, "/podp/c")]);
        assert_eq!(index.len(), 2);
        let before = index.generation();
        let gone = |id, path, pod: &str| Step::Gone(directory(id, path), pod.into());
        index.update(vec![gone(2, "/podp/c", "p"), gone(1, "/podp/", "p")]);
        assert!(index.generation() > before && *index.changes().borrow() == index.generation());
        assert!(index.pod_directories("p").is_empty() && index.container_directories("p", "c").is_empty());
        assert_eq!(index.place(2).unwrap().container.as_deref(), Some("c"));
        assert!(index.is_empty());
        for id in 0..MAX_GONE as u64 {
            let place = Place { pod: "q".into(), container: None };
            let found = Found { directory: directory(100 + id, "/q"), place, above: None };
            // Both in one look: it came and went.
            index.update(vec![Step::Found(found), gone(100 + id, "/q", "q")]);
            assert!(index.is_empty() && index.pod_directories("q").is_empty());
        }
        assert_eq!((index.place(1), index.place(2)), (None, None));
        assert_eq!(index.read().places.len(), MAX_GONE);
    }
}
