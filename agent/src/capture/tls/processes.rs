//! The files of processes, each the same whoever maps it.

use std::{
    fs::{File, Metadata},
    io,
    os::{fd::AsRawFd as _, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, fstatfs};

use super::maps::{self, Mapped, Mapping};

/// Which file it is. Two that are equal are one to the kernel's probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId {
    /// The device; of an overlay, whose every mount has another one, what else tells files of it apart.
    device: u64,
    inode: u64,
}

/// What changes when a file is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    size: u64,
    /// Nanoseconds since the epoch.
    modified: i64,
}

/// A file that was opened.
#[derive(Debug)]
pub struct Opened {
    /// Which.
    pub id: FileId,
    /// What it was like.
    pub stamp: Stamp,
    /// To be read.
    pub file: File,
}

impl Opened {
    /// Opens a file.
    ///
    /// # Errors
    /// It is not there, or is no regular file.
    pub fn at(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        let stamp = Stamp {
            size: metadata.size(),
            modified: metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec()),
        };
        Ok(Self { id: id(&file, &metadata, stamp), stamp, file })
    }

    /// A path that leads to this very file while it is open, whatever became of the one that it was opened by.
    pub fn path(&self) -> PathBuf {
        Path::new("/proc/self/fd").join(self.file.as_raw_fd().to_string())
    }
}

/// On an overlay the number of a file is that of the file below, on whose contents alone the kernel's probes are, while each mount has a device of
/// its own: the containers of an image would each bring the same file once more. So what was written when, and how long it is, stands for the
/// device there.
fn id(file: &File, metadata: &Metadata, stamp: Stamp) -> FileId {
    let is_overlay = fstatfs(file).is_ok_and(|system| system.filesystem_type() == OVERLAYFS_SUPER_MAGIC);
    let device = if is_overlay {
        // Devices are numbers of 32 bits.
        1 << 63 | stamp.modified.cast_unsigned().rotate_left(20) ^ stamp.size
    } else {
        metadata.dev()
    };
    FileId { device, inode: metadata.ino() }
}

/// Where processes are seen.
pub trait Processes {
    /// What a process executes code of.
    ///
    /// # Errors
    /// It is gone, or this process may not look at it.
    fn mapped(&self, pid: u32) -> io::Result<Mapped>;

    /// Opens what is mapped.
    ///
    /// # Errors
    /// It is mapped no more, or cannot be opened.
    fn open(&self, pid: u32, mapping: &Mapping) -> io::Result<Opened>;

    /// When a process was started, as a number that another process of the same id does not have; `None` if there is none.
    fn started(&self, pid: u32) -> Option<u64>;

    /// Whether it can be told who is in scope.
    fn knows_members(&self) -> bool;

    /// The processes in scope, if that can be told.
    fn members(&self) -> Option<Vec<u32>>;
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

impl Processes for System {
    fn mapped(&self, pid: u32) -> io::Result<Mapped> {
        maps::of_process(pid)
    }

    fn open(&self, pid: u32, mapping: &Mapping) -> io::Result<Opened> {
        let process = Path::new("/proc").join(pid.to_string());
        // The very file, also where another is at its path by now. It takes CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE.
        let very = Opened::at(&process.join("map_files").join(mapping.name()));
        let denied = match very {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => error,
            other => return other,
        };
        let Ok(path) = mapping.path.strip_prefix("/") else { return Err(denied) };
        let opened = Opened::at(&process.join("root").join(path))?;
        if opened.id.inode == mapping.inode { Ok(opened) } else { Err(denied) }
    }

    fn started(&self, pid: u32) -> Option<u64> {
        let text = std::fs::read(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
        // The name may hold anything, so what follows its last `)` is counted: the 22nd field (proc_pid_stat(5)).
        let end = memchr::memrchr(b')', &text)?;
        let mut fields = text[end + 1..].split(|&byte| byte == b' ').filter(|field| !field.is_empty());
        let (state, started) = (fields.next()?, fields.nth(18)?);
        // One that nobody has waited for yet executes nothing.
        if state == b"Z" || state == b"X" { None } else { std::str::from_utf8(started).ok()?.parse().ok() }
    }

    fn knows_members(&self) -> bool {
        self.scope != Members::Unknown
    }

    fn members(&self) -> Option<Vec<u32>> {
        let found = match &self.scope {
            Members::Unknown => return None,
            Members::All => all(),
            Members::Cgroups { included, excluded } => of_cgroups(included, excluded),
        };
        let own = std::process::id();
        Some(found.into_iter().filter(|&pid| pid != own).take(MOST_MEMBERS).collect())
    }
}

fn all() -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn of_cgroups(included: &[PathBuf], excluded: &[PathBuf]) -> Vec<u32> {
    let (mut found, mut left, mut seen) = (Vec::new(), included.to_vec(), 0);
    while let Some(folder) = left.pop() {
        if excluded.contains(&folder) {
            continue;
        }
        seen += 1;
        if seen > MOST_CGROUPS || found.len() >= MOST_MEMBERS {
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
    found
}

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
        let members = |scope: Members| System { scope }.members();
        // The folder below is named twice, and another one is gone.
        let included = vec![folder.path().to_owned(), below.clone(), folder.path().join("gone")];
        let excluded = vec![below.join("sidecar")];
        assert_eq!(members(Members::Cgroups { included, excluded }), Some(vec![12, 13, 14]));
        assert_eq!(members(Members::Unknown), None);
        let all = members(Members::All).unwrap();
        assert!(all.contains(&1) && !all.contains(&std::process::id()));
    }
}
