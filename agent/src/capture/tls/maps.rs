//! `/proc/PID/maps` -> the files that a process executes code of.

use std::{
    ffi::OsStr,
    io::{self, BufRead, BufReader, Read},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

/// Files of one process; what Linux programs load is some dozens.
pub const MOST_FILES: usize = 1024;
/// Bytes of the text that are read: some hundred thousand mappings.
const MOST_TEXT: u64 = 16 << 20;

/// Code that is mapped from a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Address of the first byte.
    pub start: u64,
    /// Address after the last.
    pub end: u64,
    /// Where in the file it begins.
    pub offset: u64,
    /// The device of the file, as the text has it: `fd:01`. Not always what `stat` says.
    pub device: (u32, u32),
    /// The file's number on it.
    pub inode: u64,
    /// The file's path as the reader sees it: below the process's root folder where that is another one; what it was, of one that is gone.
    pub path: PathBuf,
    /// The path leads to this file no more.
    pub is_deleted: bool,
}

impl Mapping {
    /// The mapping in `/proc/PID/map_files`, which leads to the very file, whatever became of its path.
    pub fn name(&self) -> String {
        format!("{:x}-{:x}", self.start, self.end)
    }
}

/// What a process executes code of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapped {
    /// The thread that was asked: the process's first, or another one where that is over.
    pub task: u32,
    /// The files, each once, with the mapping that comes first.
    pub files: Vec<Mapping>,
    /// There are more than are looked at.
    pub is_cut: bool,
}

/// Reads the files of the process that this thread, any of its own, belongs to.
///
/// # Errors
/// There is no such thread, or this process may not look at it.
pub fn of_task(task: u32) -> io::Result<Mapped> {
    let path = Path::new("/proc").join(task.to_string()).join("maps");
    Ok(Mapped { task, ..read(std::fs::File::open(path)?)? })
}

/// Reads the text.
///
/// # Errors
/// What the system says: of a process that has just ended it is `ESRCH`.
pub fn read(text: impl Read) -> io::Result<Mapped> {
    let mut reader = BufReader::with_capacity(16 << 10, text.take(MOST_TEXT));
    let (mut found, mut line) = (Mapped::default(), Vec::new());
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            found.is_cut |= reader.get_ref().limit() == 0;
            return Ok(found);
        }
        let Some(mapping) = executable(line.strip_suffix(b"\n").unwrap_or(&line)) else { continue };
        let same = |known: &Mapping| (known.device, known.inode) == (mapping.device, mapping.inode);
        if found.files.iter().any(same) {
            continue;
        }
        if found.files.len() == MOST_FILES {
            found.is_cut = true;
            return Ok(found);
        }
        found.files.push(mapping);
    }
}

/// `7f1-7f2 r-xp 00001000 fd:01 123 /usr/lib/libssl.so.3 (deleted)`; `None` of what is no code, or of no file.
fn executable(line: &[u8]) -> Option<Mapping> {
    let mut rest = line;
    let mut field = || {
        let end = memchr::memchr(b' ', rest).unwrap_or(rest.len());
        let (field, after) = rest.split_at(end);
        rest = after.get(1..).unwrap_or_default();
        std::str::from_utf8(field).ok()
    };
    let (range, rights, offset, device, inode) = (field()?, field()?, field()?, field()?, field()?);
    if rights.as_bytes().get(2) != Some(&b'x') {
        return None;
    }
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    let (start, end) = range.split_once('-')?;
    let (major, minor) = device.split_once(':')?;
    let inode: u64 = inode.parse().ok().filter(|&inode| inode != 0)?;
    let path = rest.trim_ascii_start();
    let (path, is_deleted) = match path.strip_suffix(b" (deleted)") {
        Some(path) => (path, true),
        None => (path, false),
    };
    Some(Mapping {
        start: number(start)?,
        end: number(end)?,
        offset: number(offset)?,
        device: (u32::from_str_radix(major, 16).ok()?, u32::from_str_radix(minor, 16).ok()?),
        inode,
        path: PathBuf::from(OsStr::from_bytes(path)),
        is_deleted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_files_is_found() {
        let text = b"5581-5582 r--p 00000000 fd:01 77                         /usr/bin/a b\n\
            5582-5590 r-xp 00001000 fd:01 77                         /usr/bin/a b\n\
            5590-5591 r-xp 00002000 fd:01 77                         /usr/bin/a b\n\
            7f00-7f10 r-xp 00000000 00:2a 18446744073709551615       /lib/libssl.so.3 (deleted)\n\
            7f10-7f11 rwxp 00000000 00:00 0 \n\
            7ffd-7ffe r-xp 00000000 00:00 0                          [vdso]\n\
            garbage\n\n\
            7f20-7f30 r-xp zz fd:01 5 /x\n";
        let found = read(&text[..]).unwrap();
        let [program, library] = &found.files[..] else { panic!("{found:?}") };
        assert_eq!(program.path, Path::new("/usr/bin/a b"));
        assert_eq!((program.start, program.end, program.offset, program.inode), (0x5582, 0x5590, 0x1000, 77));
        assert_eq!((program.device, program.is_deleted, program.name()), ((0xfd, 1), false, "5582-5590".to_owned()));
        assert_eq!(library.path, Path::new("/lib/libssl.so.3"));
        assert!(library.is_deleted && !found.is_cut);
    }

    #[test]
    fn files_are_bounded() {
        let line = |inode: usize| format!("1-2 r-xp 0 0:1 {inode} /f\n");
        let text: String = (1..=MOST_FILES + 1).map(line).collect();
        let found = read(text.as_bytes()).unwrap();
        assert_eq!(found.files.len(), MOST_FILES);
        assert!(found.is_cut);
        assert!(!read(line(1).repeat(MOST_FILES * 2).as_bytes()).unwrap().is_cut);
    }

    #[test]
    fn the_own_process_executes_itself() {
        let found = of_task(std::process::id()).unwrap();
        let own = std::env::current_exe().unwrap();
        assert!(found.files.iter().any(|file| file.path == own), "{found:?}");
        assert_eq!(of_task(u32::MAX).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
