//! Files of other processes, opened so that nothing waits for whoever made them, and each the same by whatever way it is reached.
//!
//! What a path leads to is up to those who may write there: a FIFO, a device or another file may have taken the place of a library. So a place is first
//! found without opening what is there (`O_PATH`), and only a regular file is opened, by the descriptor of the place: nothing can come in between.

use std::{
    fs::{File, Metadata},
    io::{self, Read as _},
    os::{
        fd::AsRawFd as _,
        unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, OpenHow, ResolveFlag, openat2},
    sys::{
        stat::{major, minor},
        statfs::{OVERLAYFS_SUPER_MAGIC, fstatfs},
    },
};

use super::maps::Mapping;

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
        Place::at(path)?.open()
    }

    /// A path that leads to this very file while it is open, whatever became of the one that it was opened by. The kernel follows it when it attaches
    /// a probe, too.
    pub fn path(&self) -> PathBuf {
        by_descriptor(&self.file)
    }
}

/// Opens a file for reading, if it is a regular one.
///
/// # Errors
/// It is not there, or something else is.
pub fn open(path: &Path) -> io::Result<File> {
    Place::at(path)?.read()
}

/// Where something is that nobody has opened yet.
pub(super) struct Place {
    found: File,
    metadata: Metadata,
}

/// A mount of the whole machine may change a walk that has `..` in it; then it is walked again.
const WALKS: usize = 3;
/// Bytes of a table of mounts that are read: some thousand mounts.
const MOST_MOUNTS: u64 = 1 << 20;

impl Place {
    /// What a path leads to.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        Self::of(File::options().read(true).custom_flags(OFlag::O_PATH.bits()).open(path)?)
    }

    /// What a path leads to for who has this folder as root: links, also absolute ones, cannot lead out of it.
    pub(super) fn below(root: &Path, path: &Path) -> io::Result<Self> {
        let folder = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let root = File::options().read(true).custom_flags(folder.bits()).open(root)?;
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        for _ in 1..WALKS {
            match openat2(&root, path, how) {
                Err(Errno::EAGAIN) => {}
                found => return Self::of(found?.into()),
            }
        }
        Self::of(openat2(&root, path, how)?.into())
    }

    fn of(found: File) -> io::Result<Self> {
        let metadata = found.metadata()?;
        Ok(Self { found, metadata })
    }

    /// Whether it is what a process maps, by the numbers that its mappings have. `mounts` is the process's table of mounts.
    ///
    /// An overlay has other devices than the files below it, and which of them a mapping says depends on the kernel (6.8 has changed it): there
    /// the number of the file alone is compared. Btrfs has a device for each subvolume; mappings and mounts say that of the whole.
    pub(super) fn is(&self, mapping: &Mapping, mounts: &Path) -> bool {
        let device = self.metadata.dev();
        self.metadata.ino() == mapping.inode
            && ((major(device), minor(device)) == (mapping.device.0.into(), mapping.device.1.into())
                || is_overlay(&self.found)
                || self.mounted(mounts) == Some(mapping.device))
    }

    /// The device of the mount that it is on.
    fn mounted(&self, mounts: &Path) -> Option<(u32, u32)> {
        let own = Path::new("/proc/self/fdinfo").join(self.found.as_raw_fd().to_string());
        let own = std::fs::read_to_string(own).ok()?;
        let id = own.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim();
        let mut table = Vec::new();
        File::open(mounts).ok()?.take(MOST_MOUNTS).read_to_end(&mut table).ok()?;
        // proc_pid_mountinfo(5): `36 35 98:0 /mnt1 /mnt2 rw,noatime - ext3 /dev/root rw`
        let mut rows = table.split(|&byte| byte == b'\n').map(|row| row.split(|&byte| byte == b' '));
        let mut row = rows.find_map(|mut row| (row.next()? == id.as_bytes()).then_some(row))?;
        let (major, minor) = std::str::from_utf8(row.nth(1)?).ok()?.split_once(':')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    }

    /// Opens it, if it is a regular file.
    pub(super) fn open(&self) -> io::Result<Opened> {
        let file = self.read()?;
        let metadata = file.metadata()?;
        let stamp = Stamp {
            size: metadata.size(),
            modified: metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec()),
        };
        Ok(Opened { id: id(&file, &metadata, stamp), stamp, file })
    }

    fn read(&self) -> io::Result<File> {
        if !self.metadata.is_file() {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        // Not even a lease that somebody holds on it is waited for.
        let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        File::options().read(true).custom_flags(flags.bits()).open(by_descriptor(&self.found))
    }
}

fn by_descriptor(file: &File) -> PathBuf {
    Path::new("/proc/self/fd").join(file.as_raw_fd().to_string())
}

fn is_overlay(file: &File) -> bool {
    fstatfs(file).is_ok_and(|system| system.filesystem_type() == OVERLAYFS_SUPER_MAGIC)
}

/// Probes are on the file below an overlay, of which the overlay shows the number, and each mount has a device of its own: the containers of an
/// image would each bring the same file once more. A container that changes a file, or only its owner, gets a copy of its own, which still has the
/// number of the file that it was copied from, and its size and time of change. When it was made tells them apart, and stays as long as it lives.
/// So that stands for the device there, and where a file system does not keep it all that it has instead.
fn id(file: &File, metadata: &Metadata, stamp: Stamp) -> FileId {
    let device = if is_overlay(file) {
        let made = metadata.created().ok().and_then(|made| made.duration_since(UNIX_EPOCH).ok());
        let told_apart = if let Some(made) = made {
            made.as_nanos() as u64
        } else {
            let changed = metadata.ctime().saturating_mul(1_000_000_000).saturating_add(metadata.ctime_nsec());
            changed.cast_unsigned() ^ stamp.modified.cast_unsigned().rotate_left(20) ^ stamp.size
        };
        // Devices are numbers of 32 bits.
        1 << 63 | told_apart
    } else {
        metadata.dev()
    };
    FileId { device, inode: metadata.ino() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use nix::{sys::stat::Mode, unistd::mkfifo};

    use super::*;

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let (fifo, link, file) = (folder.path().join("fifo"), folder.path().join("link"), folder.path().join("file"));
        mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        symlink(&fifo, &link).unwrap();
        std::fs::write(&file, "text").unwrap();
        for other in [&fifo, &link, Path::new("/dev/null"), folder.path()] {
            // With nobody at its other end a FIFO would be waited for.
            assert_eq!(Opened::at(other).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{}", other.display());
            open(other).unwrap_err();
        }
        let opened = Opened::at(&file).unwrap();
        std::fs::rename(&fifo, &file).unwrap();
        assert_eq!(std::fs::read(opened.path()).unwrap(), b"text");
        assert_eq!(Opened::at(&opened.path()).unwrap().id, opened.id);
    }

    /// A mount of an overlay on one lower folder.
    struct Overlay {
        mount: PathBuf,
    }

    impl Overlay {
        /// Nothing where it may not be mounted.
        fn new(folder: &Path, name: &str) -> Option<Self> {
            let own = ["upper", "work", "mount"].map(|part| folder.join(format!("{name}-{part}")));
            for path in &own {
                std::fs::create_dir(path).unwrap();
            }
            let [upper, work, mount] = own;
            let lower = folder.join("lower");
            let options =
                format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
            let mut command = std::process::Command::new("mount");
            command.args(["-t", "overlay", "overlay", "-o", &options]).arg(&mount);
            let is_mounted = command.stderr(std::process::Stdio::null()).status().is_ok_and(|status| status.success());
            is_mounted.then_some(Self { mount })
        }

        fn id(&self) -> FileId {
            Opened::at(&self.mount.join("libssl.so")).unwrap().id
        }
    }

    impl Drop for Overlay {
        fn drop(&mut self) {
            let _ = std::process::Command::new("umount").arg("-l").arg(&self.mount).status();
        }
    }

    #[test]
    fn copies_of_a_file_of_an_overlay_are_files_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let lower = folder.path().join("lower");
        std::fs::create_dir(&lower).unwrap();
        std::fs::write(lower.join("libssl.so"), "text").unwrap();
        let mount = |name: &str| Overlay::new(folder.path(), name);
        let (Some(first), Some(second), Some(third)) = (mount("first"), mount("second"), mount("third")) else {
            return eprintln!("skipped: an overlay cannot be mounted here");
        };
        let shared = first.id();
        assert_eq!([second.id(), third.id()], [shared; 2]);
        // As an entrypoint does it that gives its files to another user: size and time of change stay.
        let change = |overlay: &Overlay, mode: u32| {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(overlay.mount.join("libssl.so"), mode).unwrap();
        };
        change(&first, 0o700);
        let copy = first.id();
        // Clocks of file systems tick some hundred times a second.
        std::thread::sleep(std::time::Duration::from_millis(20));
        change(&second, 0o700);
        assert!(copy != shared && copy != second.id() && second.id() != shared);
        assert_eq!(third.id(), shared);
        // The copy is the same whatever else is done to it.
        change(&first, 0o755);
        assert_eq!(first.id(), copy);
    }

    #[test]
    fn the_device_of_a_mount_is_known() {
        let place = Place::at(Path::new("/proc/version")).unwrap();
        let device = place.metadata.dev();
        let expected = (major(device) as u32, minor(device) as u32);
        assert_eq!(place.mounted(Path::new("/proc/self/mountinfo")), Some(expected));
        assert_eq!(place.mounted(Path::new("/proc/self/status")), None);
    }

    #[test]
    fn links_lead_nowhere_out_of_a_root() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(folder.path().join("secret"), "outside").unwrap();
        std::fs::write(root.join("inside"), "inside").unwrap();
        let read = |link: &str, to: &Path| {
            symlink(to, root.join(link)).unwrap();
            let opened = Place::below(&root, Path::new(link)).and_then(|place| place.open());
            opened.map(|opened| std::fs::read(opened.path()).unwrap())
        };
        read("absolute", &folder.path().join("secret")).unwrap_err();
        read("relative", Path::new("../secret")).unwrap_err();
        read("magic", Path::new("/proc/self/root")).unwrap_err();
        assert_eq!(read("own", Path::new("/../inside")).unwrap(), b"inside");
    }
}
