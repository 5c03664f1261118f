//! Files of lines, of access logs and of spans: appended to, and opened again when they were moved away (`SIGHUP`).

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

#[cfg(unix)]
pub use self::directory::LogDirectory;

/// Where a file is.
#[derive(Clone, Debug)]
pub enum Place {
    /// Anywhere: who runs the agent said so.
    Path(PathBuf),
    /// Below a directory, whatever a tenant wrote (POLICY.md section 6).
    #[cfg(unix)]
    Below(Arc<LogDirectory>, PathBuf),
}

impl Place {
    fn open(&self) -> io::Result<File> {
        match self {
            Self::Path(path) => {
                let mut options = OpenOptions::new();
                options.create(true).append(true);
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, MODE);
                options.open(path)
            }
            #[cfg(unix)]
            Self::Below(directory, path) => directory.open_below(path),
        }
    }

    /// The path, as it was given.
    pub fn path(&self) -> &Path {
        match self {
            Self::Path(path) => path,
            #[cfg(unix)]
            Self::Below(_, path) => path,
        }
    }
}

/// Permissions of a new file: lines are for the agent's user and its group.
#[cfg(unix)]
const MODE: u32 = 0o640;

/// Asks files to be opened again. Clones ask the same files.
#[derive(Clone, Debug, Default)]
pub struct Reopen(Arc<AtomicU64>);

impl Reopen {
    /// Each file is opened again before its next line.
    pub fn ask(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    fn asked(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// A file that is opened at its first write, and again when that is asked for. A write to a file that cannot be opened fails, and the next tries again.
#[derive(Debug)]
pub struct LogFile {
    place: Place,
    file: Option<File>,
    reopen: Reopen,
    opened_for: u64,
}

impl LogFile {
    /// A file that is not opened yet.
    pub fn new(place: Place, reopen: Reopen) -> Self {
        Self { place, file: None, opened_for: reopen.asked(), reopen }
    }

    /// The same, opened at once.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(place: Place, reopen: Reopen) -> io::Result<Self> {
        let mut log = Self::new(place, reopen);
        log.file()?;
        Ok(log)
    }

    fn file(&mut self) -> io::Result<&mut File> {
        let asked = self.reopen.asked();
        if asked != self.opened_for {
            self.opened_for = asked;
            self.file = None;
        }
        match &mut self.file {
            Some(file) => Ok(file),
            empty => Ok(empty.insert(self.place.open()?)),
        }
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(unix)]
mod directory {
    use std::{
        fs::File,
        io,
        os::fd::{AsFd as _, OwnedFd},
        path::{Component, Path},
    };

    use nix::{
        errno::Errno,
        fcntl::{OFlag, open, openat},
        sys::stat::{Mode, mkdirat},
    };

    use super::MODE;

    /// The directory that holds every file of a tenant's policy: `--log-dir`.
    #[derive(Debug)]
    pub struct LogDirectory(OwnedFd);

    impl LogDirectory {
        /// Opens it. Links in this path are the operator's own, and are followed.
        ///
        /// # Errors
        /// It is not there, or is no directory.
        pub fn open(path: &Path) -> io::Result<Self> {
            let flags = OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
            Ok(Self(open(path, flags, Mode::empty())?))
        }

        /// Opens a file below it to append to, with the directories above it, each made if it is not there. Component by component, so that neither `..` nor
        /// a link leads out of it, whoever exchanges directories meanwhile.
        pub(super) fn open_below(&self, path: &Path) -> io::Result<File> {
            let wrong = || io::Error::new(io::ErrorKind::InvalidInput, "the path leads out of the log directory");
            let mut names = Vec::new();
            for component in path.components() {
                let Component::Normal(name) = component else { return Err(wrong()) };
                names.push(name);
            }
            let (file, directories) = names.split_last().ok_or_else(wrong)?;
            let mut at = self.0.try_clone()?;
            for directory in directories {
                match mkdirat(&at, *directory, Mode::from_bits_truncate(0o750)) {
                    Ok(()) | Err(Errno::EEXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                let flags = OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                at = openat(&at, *directory, flags, Mode::empty())?;
            }
            // A pipe that nobody reads must not hold the thread: not to block, and then only a file.
            let flags = OFlag::O_WRONLY
                | OFlag::O_APPEND
                | OFlag::O_CREAT
                | OFlag::O_NOFOLLOW
                | OFlag::O_NONBLOCK
                | OFlag::O_CLOEXEC;
            let file = File::from(openat(at.as_fd(), *file, flags, Mode::from_bits_truncate(MODE))?);
            if file.metadata()?.is_file() {
                Ok(file)
            } else {
                Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"))
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use super::*;

    fn below(root: &Path, path: &str) -> LogFile {
        let directory = Arc::new(LogDirectory::open(root).unwrap());
        LogFile::new(Place::Below(directory, path.into()), Reopen::default())
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_again_when_that_is_asked() {
        let root = tempfile::tempdir().unwrap();
        let (path, moved) = (root.path().join("a.log"), root.path().join("a.log.1"));
        let reopen = Reopen::default();
        let mut file = LogFile::new(Place::Path(path.clone()), reopen.clone());
        assert!(!path.exists());
        file.write_all(b"one\n").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777 & !0o640, 0);
        fs::rename(&path, &moved).unwrap();
        file.write_all(b"two\n").unwrap();
        reopen.ask();
        file.write_all(b"three\n").unwrap();
        assert_eq!(fs::read_to_string(&moved).unwrap(), "one\ntwo\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
        drop(file);
        LogFile::new(Place::Path(path.clone()), reopen).write_all(b"four\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\nfour\n");
    }

    #[test]
    fn directories_of_a_tenants_file_are_made() {
        let root = tempfile::tempdir().unwrap();
        below(root.path(), "team/shop/access.log").write_all(b"x\n").unwrap();
        assert_eq!(fs::read_to_string(root.path().join("team/shop/access.log")).unwrap(), "x\n");
    }

    #[test]
    fn a_tenant_gets_neither_out_nor_through_a_link_nor_into_a_pipe() {
        let outside = tempfile::tempdir().unwrap();
        let root = tempfile::tempdir().unwrap();
        let target = outside.path().join("passwd");
        fs::write(&target, "root").unwrap();
        symlink(&target, root.path().join("link.log")).unwrap();
        symlink(outside.path(), root.path().join("linked")).unwrap();
        nix::unistd::mkfifo(&root.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::create_dir(root.path().join("directory")).unwrap();
        let absolute = target.to_str().unwrap();
        let escapes = ["link.log", "linked/passwd", "../x", "a/../../x", "..", "", ".", "pipe", "directory", absolute];
        for path in escapes {
            assert!(below(root.path(), path).write_all(b"x\n").is_err(), "{path}");
        }
        assert_eq!(fs::read_to_string(&target).unwrap(), "root");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    }
}
