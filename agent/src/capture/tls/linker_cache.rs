//! `/etc/ld.so.cache` -> where the dynamic linker finds libraries by their names.
//!
//! Source: glibc, `sysdeps/generic/dl-cache.h` (the format that `glibc-ld.so.cache1.1` begins).

use std::{
    ffi::OsStr,
    io::{self, Read as _},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

/// Where it is.
pub const PATH: &str = "/etc/ld.so.cache";
const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
/// Bytes of the head, which [`MAGIC`] begins.
const HEAD: usize = 48;
/// Bytes of an entry: flags, name, path, and two numbers that are of no interest here.
const ENTRY: usize = 24;
/// Bytes that are read; that of a desktop has some hundred thousand.
const MOST_BYTES: u64 = 16 << 20;

/// Names of libraries and where they are. Whatever is damaged in it is not there.
#[derive(Clone, Debug, Default)]
pub struct LinkerCache {
    bytes: Vec<u8>,
}

impl LinkerCache {
    /// Reads the file; nothing if it is of another format, as where there is no glibc.
    ///
    /// # Errors
    /// It is not there, or cannot be read.
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(MOST_BYTES).read_to_end(&mut bytes)?;
        Ok(Self::of(&bytes))
    }

    /// The same of bytes. What was written before glibc 2.32 has an older format before this one.
    pub fn of(bytes: &[u8]) -> Self {
        let begin = memchr::memmem::find(bytes, MAGIC);
        Self { bytes: begin.map(|begin| bytes[begin..].to_vec()).unwrap_or_default() }
    }

    /// Each name with a path, in the order in which the linker tries them.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8], PathBuf)> {
        let count = self.number(MAGIC.len()).unwrap_or(0) as usize;
        let entries = self.bytes.get(HEAD..).unwrap_or_default().chunks_exact(ENTRY).take(count);
        let text = |entry: &[u8], at: usize| {
            let offset = u32::from_le_bytes(entry.get(at..at + 4)?.try_into().ok()?) as usize;
            let rest = self.bytes.get(offset..)?;
            rest.get(..memchr::memchr(0, rest)?)
        };
        entries.filter_map(move |entry| Some((text(entry, 4)?, PathBuf::from(OsStr::from_bytes(text(entry, 8)?)))))
    }

    fn number(&self, at: usize) -> Option<u32> {
        Some(u32::from_le_bytes(self.bytes.get(at..at + 4)?.try_into().ok()?))
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// A cache of these names and paths.
    pub(in crate::capture::tls) fn cache(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&(entries.len() as u32).to_le_bytes());
        bytes.resize(HEAD, 0);
        let mut strings = Vec::new();
        for (name, path) in entries {
            let at = HEAD + entries.len() * ENTRY + strings.len();
            bytes.extend_from_slice(&[3, 3, 0, 0]);
            bytes.extend_from_slice(&(at as u32).to_le_bytes());
            bytes.extend_from_slice(&((at + name.len() + 1) as u32).to_le_bytes());
            bytes.extend_from_slice(&[0; 12]);
            strings.extend_from_slice(format!("{name}\0{path}\0").as_bytes());
        }
        [bytes, strings].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::{testing::cache, *};

    #[test]
    fn libraries_are_found_by_name() {
        let own = cache(&[("libssl.so.3", "/lib/libssl.so.3"), ("libz.so.1", "/lib/libz.so.1")]);
        let expected: [(&[u8], PathBuf); 2] =
            [(b"libssl.so.3", "/lib/libssl.so.3".into()), (b"libz.so.1", "/lib/libz.so.1".into())];
        assert_eq!(LinkerCache::of(&own).entries().collect::<Vec<_>>(), expected);
        // After one of the older format.
        let both = [b"ld.so-1.7.0\0\x01\0\0\0garbage".to_vec(), own.clone()].concat();
        assert_eq!(LinkerCache::of(&both).entries().collect::<Vec<_>>(), expected);
        for end in 0..own.len() {
            assert!(LinkerCache::of(&own[..end]).entries().count() < 2, "{end}");
        }
        for at in MAGIC.len()..own.len() {
            let mut damaged = own.clone();
            damaged[at] = 255;
            assert!(LinkerCache::of(&damaged).entries().count() <= 2);
        }
    }
}
