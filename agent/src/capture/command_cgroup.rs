//! A cgroup v2 of its own for a COMMAND, so that whatever it starts is in scope, daemons included.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

/// A cgroup that is removed when this is dropped; processes that are still in it go back to where it was made.
#[derive(Debug)]
pub struct CommandCgroup {
    path: PathBuf,
    parent: PathBuf,
}

/// Why no cgroup could be made.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// There is no v2 hierarchy.
    #[error("no cgroup v2 file system is mounted")]
    NotMounted,
    /// It could not be made.
    #[error("cannot make {path}: {source}")]
    Create {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl CommandCgroup {
    /// Makes a cgroup below that of this process.
    pub fn create() -> Result<Self, CgroupError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let mount = v2_mount().ok_or(CgroupError::NotMounted)?;
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
        let parent = mount.join(own);
        let name = format!("telltale-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = parent.join(name);
        fs::create_dir(&path).map_err(|source| CgroupError::Create { path: path.clone(), source })?;
        Ok(Self { path, parent })
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file that a process writes `0` to in order to enter.
    pub fn processes_file(&self) -> PathBuf {
        self.path.join("cgroup.procs")
    }
}

impl Drop for CommandCgroup {
    fn drop(&mut self) {
        for process in fs::read_to_string(self.processes_file()).unwrap_or_default().lines() {
            // A process that ends meanwhile needs no moving.
            let _ = fs::write(self.parent.join("cgroup.procs"), process);
        }
        // A cgroup with a process in the middle of its exit stays for a moment.
        for _ in 0..200 {
            if fs::remove_dir(&self.path).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        tracing::warn!("cannot remove {}: remove it by hand once it is empty", self.path.display());
    }
}

fn v2_mount() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    mounts.lines().find_map(|line| {
        let (own, rest) = line.split_once(" - ")?;
        // Field 4 is the root of the mount: only a mount of the whole hierarchy has the paths of /proc/self/cgroup.
        let mut fields = own.split(' ').skip(3);
        let (root, mount_point) = (fields.next()?, fields.next()?);
        (rest.starts_with("cgroup2 ") && root == "/").then(|| PathBuf::from(mount_point))
    })
}
