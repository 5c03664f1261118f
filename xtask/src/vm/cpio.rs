//! The archive that a kernel unpacks as its first file system (`newc` format; the kernel's
//! Documentation/driver-api/early-userspace/buffer-format.rst).

use std::{
    collections::BTreeSet,
    io::{Result, Write},
    path::{Component, Path},
};

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;

/// Writes an archive, each parent folder before what is in it.
pub(crate) struct Archive<W> {
    to: W,
    inode: u32,
    folders: BTreeSet<String>,
}

impl<W: Write> Archive<W> {
    /// An empty archive.
    pub(crate) fn new(to: W) -> Self {
        Self { to, inode: 0, folders: BTreeSet::new() }
    }

    /// Adds a folder and those above it.
    pub(crate) fn folder(&mut self, path: &str) -> Result<()> {
        let mut name = String::new();
        for part in Path::new(path).components() {
            if let Component::Normal(part) = part {
                if !name.is_empty() {
                    name.push('/');
                }
                name.push_str(&part.to_string_lossy());
                if self.folders.insert(name.clone()) {
                    self.entry(&name, FOLDER, &[])?;
                }
            }
        }
        Ok(())
    }

    /// Adds a file that can be executed.
    pub(crate) fn program(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        if let Some(parent) = Path::new(path).parent() {
            self.folder(&parent.to_string_lossy())?;
        }
        self.entry(path.trim_start_matches('/'), PROGRAM, bytes)
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.entry("TRAILER!!!", 0, &[])?;
        self.to.flush()
    }

    fn entry(&mut self, name: &str, mode: u32, bytes: &[u8]) -> Result<()> {
        self.inode += 1;
        let size = u32::try_from(bytes.len()).map_err(std::io::Error::other)?;
        let links = if mode == FOLDER { 2 } else { 1 };
        // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
        let fields = [self.inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name.len() as u32 + 1, 0];
        write!(self.to, "070701")?;
        for field in fields {
            write!(self.to, "{field:08x}")?;
        }
        write!(self.to, "{name}\0")?;
        self.pad(110 + name.len() + 1)?;
        self.to.write_all(bytes)?;
        self.pad(bytes.len())
    }

    fn pad(&mut self, written: usize) -> Result<()> {
        self.to.write_all(&[0; 3][..written.next_multiple_of(4) - written])
    }
}

#[cfg(test)]
mod tests {
    use super::Archive;

    #[test]
    fn every_header_and_every_body_starts_at_a_multiple_of_four() {
        let mut bytes = Vec::new();
        let mut archive = Archive::new(&mut bytes);
        archive.program("/a/bc/d", b"12345").unwrap();
        archive.program("/a/bc/ef", b"").unwrap();
        archive.finish().unwrap();
        let mut names = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            assert_eq!(&bytes[at..at + 6], b"070701");
            let field = |index: usize| {
                let text = std::str::from_utf8(&bytes[at + 6 + index * 8..][..8]).unwrap();
                usize::from_str_radix(text, 16).unwrap()
            };
            let (size, length) = (field(6), field(11));
            names.push(String::from_utf8(bytes[at + 110..at + 110 + length - 1].to_vec()).unwrap());
            at = (at + 110 + length).next_multiple_of(4) + size.next_multiple_of(4);
        }
        assert_eq!(at, bytes.len());
        assert_eq!(names, ["a", "a/bc", "a/bc/d", "a/bc/ef", "TRAILER!!!"]);
    }
}
