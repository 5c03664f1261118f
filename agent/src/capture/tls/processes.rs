//! Processes: which files they execute code of, and which of them are in scope.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    files::{Opened, Place},
    maps::{self, Mapped, Mapping},
};
use crate::capture::process::{self, other_tasks};

/// Where processes are seen.
pub trait Processes {
    /// What a process executes code of.
    ///
    /// # Errors
    /// It is gone, or this process may not look at it.
    fn mapped(&self, pid: u32) -> io::Result<Mapped>;

    /// Opens what is mapped by a thread, [`Mapped::task`].
    ///
    /// # Errors
    /// It is mapped no more, or cannot be opened.
    fn open(&self, task: u32, mapping: &Mapping) -> io::Result<Opened>;

    /// When a process was started, as a number that another process of the same id does not have; `None` if there is none.
    fn started(&self, pid: u32) -> Option<u64>;

    /// Whether it can be told who is in scope.
    fn knows_members(&self) -> bool;

    /// The processes in scope, if that can be told.
    fn members(&self) -> Option<Scoped>;
}

/// The processes in scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scoped {
    /// Their ids.
    pub processes: Vec<u32>,
    /// There are more than are looked at.
    pub is_cut: bool,
}

/// The processes of this machine.
#[derive(Clone, Debug, Default)]
pub struct System {
    /// Those of them in scope.
    pub scope: Members,
}

/// Who is in scope, as far as it can be asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Members {
    /// Only the kernel knows.
    #[default]
    Unknown,
    /// Everybody but the agent.
    All,
    /// Who is in these folders of cgroups, or in those below.
    Cgroups {
        /// The folders.
        included: Vec<PathBuf>,
        /// Those below them that do not belong to it.
        excluded: Vec<PathBuf>,
    },
}

/// Processes that are looked at in one go.
const MOST_MEMBERS: usize = 65_536;
/// Folders of cgroups that are looked at in one go.
const MOST_CGROUPS: usize = 16_384;
/// Threads that are asked what a process maps whose first one is over.
const MOST_TASKS: usize = 16;

impl Processes for System {
    fn mapped(&self, pid: u32) -> io::Result<Mapped> {
        let mapped = maps::of_task(pid);
        if mapped.as_ref().is_ok_and(|mapped| !mapped.files.is_empty()) {
            return mapped;
        }
        // The first thread may be over, and have nothing mapped, while others go on.
        let mut others = other_tasks(pid).take(MOST_TASKS).filter_map(|task| maps::of_task(task).ok());
        others.find(|mapped| !mapped.files.is_empty()).map_or(mapped, Ok)
    }

    fn open(&self, task: u32, mapping: &Mapping) -> io::Result<Opened> {
        let process = Path::new("/proc").join(task.to_string());
        // The very file, also where another is at its path by now. It takes CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE.
        match Place::at(&process.join("map_files").join(mapping.name())) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => by_path(&process, mapping)?.ok_or(error),
            very => very?.open(),
        }
    }

    fn started(&self, pid: u32) -> Option<u64> {
        process::started(pid)
    }

    fn knows_members(&self) -> bool {
        self.scope != Members::Unknown
    }

    fn members(&self) -> Option<Scoped> {
        let mut found = match &self.scope {
            Members::Unknown => return None,
            Members::All => all(),
            Members::Cgroups { included, excluded } => of_cgroups(included, excluded),
        };
        let own = std::process::id();
        found.processes.retain(|&pid| pid != own);
        found.is_cut |= found.processes.len() > MOST_MEMBERS;
        found.processes.truncate(MOST_MEMBERS);
        Some(found)
    }
}

/// What is at the path of a mapping, if that is still the file that is mapped.
fn by_path(process: &Path, mapping: &Mapping) -> io::Result<Option<Opened>> {
    let root = process.join("root");
    // Both paths are as this process sees them, whatever root that one has given itself (chroot(2)).
    let seen = std::fs::read_link(&root)?;
    let Ok(path) = mapping.path.strip_prefix(&seen) else { return Ok(None) };
    if mapping.is_deleted {
        return Ok(None);
    }
    let place = Place::below(&root, path)?;
    if place.is(mapping, &process.join("mountinfo")) { place.open().map(Some) } else { Ok(None) }
}

fn all() -> Scoped {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    Scoped { processes, is_cut: false }
}

fn of_cgroups(included: &[PathBuf], excluded: &[PathBuf]) -> Scoped {
    let (mut found, mut left, mut seen, mut is_cut) = (Vec::new(), included.to_vec(), 0, false);
    while let Some(folder) = left.pop() {
        if excluded.contains(&folder) {
            continue;
        }
        seen += 1;
        if seen > MOST_CGROUPS || found.len() >= MOST_MEMBERS {
            is_cut = true;
            break;
        }
        // One of threads says EOPNOTSUPP: its processes are those of the folder above.
        let text = std::fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        found.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()).filter(|&pid| pid != 0));
        let below = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        left.extend(below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()));
    }
    found.sort_unstable();
    found.dedup();
    Scoped { processes: found, is_cut }
}

#[cfg(test)]
mod hostile;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_the_same_by_every_way() {
        let pid = std::process::id();
        let own = std::env::current_exe().unwrap();
        let system = System::default();
        let mapped = system.mapped(pid).unwrap();
        let mapping = mapped.files.iter().find(|file| file.path == own).unwrap();
        let (by_map, by_path) = (system.open(pid, mapping).unwrap(), Opened::at(&own).unwrap());
        assert_eq!((by_map.id, by_map.stamp), (by_path.id, by_path.stamp));
        assert_eq!(Opened::at(&by_map.path()).unwrap().id, by_path.id);
        let other = mapped.files.iter().find(|file| file.inode != mapping.inode).unwrap();
        assert_ne!(system.open(pid, other).unwrap().id, by_path.id);
        let nowhere = Mapping { start: 1, end: 2, path: "/nowhere".into(), ..mapping.clone() };
        system.open(pid, &nowhere).unwrap_err();
        Opened::at(Path::new("/proc")).unwrap_err();
    }

    #[test]
    fn a_process_has_a_start_while_it_lives() {
        let system = System::default();
        let own = system.started(std::process::id()).unwrap();
        assert_eq!(system.started(std::process::id()), Some(own));
        let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let started = system.started(child.id()).unwrap();
        assert!(started >= own);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(system.started(child.id()), None);
    }

    #[test]
    fn members_are_those_of_the_cgroups_below() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("pod/container");
        std::fs::create_dir_all(&below).unwrap();
        std::fs::write(folder.path().join("cgroup.procs"), "12\n0\n13\n").unwrap();
        std::fs::create_dir(below.join("sidecar")).unwrap();
        std::fs::write(below.join("sidecar/cgroup.procs"), "15\n").unwrap();
        std::fs::write(below.join("cgroup.procs"), format!("14\n13\n{}\n", std::process::id())).unwrap();
        let members = |scope: Members| {
            let found = System { scope }.members();
            assert!(!found.as_ref().is_some_and(|found| found.is_cut));
            found.map(|found| found.processes)
        };
        // The folder below is named twice, and another one is gone.
        let included = vec![folder.path().to_owned(), below.clone(), folder.path().join("gone")];
        let excluded = vec![below.join("sidecar")];
        assert_eq!(members(Members::Cgroups { included, excluded }), Some(vec![12, 13, 14]));
        assert_eq!(members(Members::Unknown), None);
        let all = members(Members::All).unwrap();
        assert!(all.contains(&1) && !all.contains(&std::process::id()));
    }
}
