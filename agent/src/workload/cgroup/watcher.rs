//! The thread that keeps the index of cgroups current.

use std::{
    io,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        eventfd::{EfdFlags, EventFd},
        inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor},
    },
};

use super::{
    PodCgroups,
    hierarchy::{Tree, TreeError},
    mirror::{Change, Mirror, Watch},
};
use crate::admin::{Counter, Gauge, Health, table};

/// How often the whole tree is looked at, for what no watch told.
const LOOK: Duration = Duration::from_secs(30);
/// The same where there are too few watches.
const LOOK_WITHOUT_WATCHES: Duration = Duration::from_secs(2);
/// Time in which events collect, so that what comes at once costs one look.
const SETTLE: Duration = Duration::from_millis(2);

/// Why cgroups cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// There is no tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The system refused what the thread needs.
    #[error("cannot watch the cgroups at {root}: {source}")]
    Start {
        /// The tree.
        root: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Watches the cgroups of pods while it lives.
#[derive(Debug)]
pub struct CgroupWatcher {
    index: Arc<PodCgroups>,
    tree: Tree,
    wake: Arc<EventFd>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl CgroupWatcher {
    /// Finds the hierarchy with the pods at `root` or below it ([`Tree::find`]), looks at it once, and watches it from then on.
    ///
    /// # Errors
    /// There is no cgroup file system, or the system refuses a thread. Where it only refuses watches, the tree is looked at again and again.
    pub fn start(root: &Path, health: &Arc<Health>) -> Result<Self, WatchError> {
        let tree = Tree::find(root)?;
        let failed = |source: io::Error| WatchError::Start { root: tree.root.clone(), source };
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC);
        if let Err(error) = &inotify {
            tracing::warn!(
                "cgroups are looked at every {LOOK_WITHOUT_WATCHES:?}: {error} (fs.inotify.max_user_instances)"
            );
        }
        let wake = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC);
        let wake = Arc::new(wake.map_err(|errno| failed(errno.into()))?);
        let (index, stop) = (Arc::<PodCgroups>::default(), Arc::new(AtomicBool::new(false)));
        let watches = Watches {
            inotify: inotify.ok(),
            refused: false,
            refusals: health.shared_counter(&table::CGROUP_WATCHES_REFUSED, &[]),
        };
        let mut worker = Worker {
            mirror: Mirror::new(tree.root.clone(), watches),
            index: Arc::clone(&index),
            wake: Arc::clone(&wake),
            stop: Arc::clone(&stop),
            known: health.shared_gauge(&table::CGROUPS, &[]),
            beyond: health.shared_counter(&table::CGROUPS_BEYOND, &[]),
            looks: health.shared_counter(&table::CGROUP_LOOKS, &[]),
        };
        worker.look();
        let thread = std::thread::Builder::new().name("telltale-cgroups".to_owned());
        let heartbeat = health.liveness().silent("watch of cgroups");
        let run = move || {
            let _heartbeat = heartbeat;
            worker.run();
        };
        let thread = thread.spawn(run).map_err(failed)?;
        Ok(Self { index, tree, wake, stop, thread: Some(thread) })
    }

    /// What it knows.
    pub const fn index(&self) -> &Arc<PodCgroups> {
        &self.index
    }

    /// The tree that it watches.
    pub const fn tree(&self) -> &Tree {
        &self.tree
    }
}

impl Drop for CgroupWatcher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // It can only fail if it was told so often already that it wakes anyway.
        let _ = self.wake.write(1);
        if let Some(thread) = self.thread.take() {
            // A panic there was told of there.
            let _ = thread.join();
        }
    }
}

struct Watches {
    inotify: Option<Inotify>,
    /// Whether the system refused one since the last whole look.
    refused: bool,
    refusals: Counter,
}

impl Watch for Watches {
    type Key = WatchDescriptor;

    fn add(&mut self, folder: &Path) -> Option<WatchDescriptor> {
        let flags = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_ONLYDIR;
        match self.inotify.as_ref()?.add_watch(folder, flags) {
            Ok(key) => Some(key),
            Err(Errno::ENOENT) => None,
            Err(error) => {
                if self.refusals.get() == 0 {
                    tracing::warn!("cannot watch {}: {error} (fs.inotify.max_user_watches)", folder.display());
                }
                self.refusals.add(1);
                self.refused = true;
                None
            }
        }
    }
}

struct Worker {
    mirror: Mirror<Watches>,
    index: Arc<PodCgroups>,
    wake: Arc<EventFd>,
    stop: Arc<AtomicBool>,
    known: Gauge,
    beyond: Counter,
    looks: Counter,
}

impl Worker {
    fn run(&mut self) {
        while !self.stop.load(Ordering::Acquire) {
            if self.wait() {
                self.read();
            } else {
                self.look();
            }
        }
    }

    /// Waits for an event; false if it is time to look at everything.
    fn wait(&mut self) -> bool {
        let watches = self.mirror.watch_mut();
        let blind = watches.inotify.is_none() || watches.refused;
        let timeout = if blind { LOOK_WITHOUT_WATCHES } else { LOOK };
        let mut fds = vec![PollFd::new(self.wake.as_fd(), PollFlags::POLLIN)];
        fds.extend(watches.inotify.as_ref().map(|inotify| PollFd::new(inotify.as_fd(), PollFlags::POLLIN)));
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, timeout) {
            Ok(ready) => ready > 0,
            Err(Errno::EINTR) => true,
            Err(error) => {
                tracing::error!("cannot wait for changes of cgroups: {error}");
                std::thread::sleep(LOOK_WITHOUT_WATCHES);
                false
            }
        }
    }

    fn read(&mut self) {
        std::thread::sleep(SETTLE);
        let mut keys = Vec::new();
        let mut lost = false;
        while let Some(inotify) = &self.mirror.watch_mut().inotify
            && let Ok(events) = inotify.read_events()
        {
            for event in events {
                lost |= event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW);
                if !keys.contains(&event.wd) {
                    keys.push(event.wd);
                }
            }
        }
        if lost {
            return self.look();
        }
        let mut change = Change::default();
        for key in keys {
            self.mirror.look_at(key, &mut change);
        }
        self.apply(change);
    }

    fn look(&mut self) {
        self.looks.add(1);
        self.mirror.watch_mut().refused = false;
        let change = self.mirror.look();
        self.apply(change);
    }

    fn apply(&self, change: Change) {
        if change.beyond > 0 && self.beyond.get() == 0 {
            tracing::warn!("there are more cgroups of pods than are remembered ({})", super::MAX_CGROUPS);
        }
        self.beyond.add(change.beyond);
        self.index.update(change.steps);
        self.known.set(self.index.len() as i64);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const UID: &str = "2f1c6b8e-9d1f-4a54-8a53-0c6c3b8f1d2e";
    const ID: &str = "4f9d1e8c7b6a5f4e3d2c1b0a99887766554433221100ffeeddccbbaa00112233";

    /// A cgroup that is removed in the end, with those below.
    struct Cgroup(PathBuf);

    impl Cgroup {
        /// `None` where none can be made.
        fn make() -> Option<Self> {
            let mounts = fs::read_to_string("/proc/mounts").ok()?;
            let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"))?;
            let path = Path::new(mount.split(' ').nth(1)?).join(format!("telltale-unit-{}", std::process::id()));
            fs::create_dir(&path).ok().map(|()| Self(path))
        }
    }

    impl Drop for Cgroup {
        fn drop(&mut self) {
            fn remove(folder: &Path) {
                for below in super::super::hierarchy::subfolders(folder) {
                    remove(&below);
                }
                let _ = fs::remove_dir(folder);
            }
            remove(&self.0);
        }
    }

    /// The real file system tells of its folders, and no look at everything is needed.
    #[test]
    fn cgroups_of_pods_are_known_as_they_come_and_go() {
        let Some(root) = Cgroup::make() else { return eprintln!("skipped: no cgroup v2 can be made here") };
        let kubepods = root.0.join("kubepods.slice");
        fs::create_dir(&kubepods).unwrap();
        let health = Health::new();
        let watcher = CgroupWatcher::start(&root.0, &health).unwrap();
        assert_eq!(watcher.tree(), &Tree { root: root.0.clone(), hierarchy: crate::capture::Hierarchy::Unified });
        let index = Arc::clone(watcher.index());
        let mut changes = index.changes();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut until = |what: &dyn Fn() -> bool| {
            let waiting = async {
                while !what() {
                    changes.changed().await.unwrap();
                }
            };
            runtime.block_on(async { tokio::time::timeout(Duration::from_mins(1), waiting).await }).expect("a change");
        };
        let pod = kubepods.join(format!("kubepods-pod{}.slice", UID.replace('-', "_")));
        fs::create_dir(&pod).unwrap();
        until(&|| index.pod_directories(UID).len() == 1);
        let container = pod.join(format!("cri-containerd-{ID}.scope"));
        fs::create_dir_all(container.join("a/b")).unwrap();
        until(&|| index.len() == 4);
        assert_eq!(index.container_directories(UID, ID)[0].path, container);
        for folder in [container.join("a/b"), container.join("a"), container, pod] {
            fs::remove_dir(folder).unwrap();
        }
        until(&|| index.is_empty());
        assert_eq!(health.value(&table::CGROUP_LOOKS, &[]), 1, "the first, and then only events");
        drop(watcher);
    }
}
