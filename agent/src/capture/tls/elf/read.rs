//! Reading at places of a file.

use std::{fs::File, io};

use super::ElfError;

/// What can be read at any place: a file, or bytes.
pub trait ReadAt {
    /// Reads at most `buffer` bytes from `offset` on and says how many; none means that it ends there.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

impl ReadAt for File {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        // What is beyond is not in any file.
        if i64::try_from(offset).is_err() {
            return Ok(0);
        }
        std::os::unix::fs::FileExt::read_at(self, buffer, offset)
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

impl<R: ReadAt + ?Sized> ReadAt for &R {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        (**self).read_at(offset, buffer)
    }
}

/// Reads until the buffer is full or the file ends, and says how much.
pub(super) fn some(file: &impl ReadAt, offset: u64, buffer: &mut [u8]) -> Result<usize, ElfError> {
    let mut filled = 0;
    while filled < buffer.len() {
        let Some(at) = offset.checked_add(filled as u64) else { break };
        match file.read_at(at, &mut buffer[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}

/// Fills the buffer.
pub(super) fn exact(file: &impl ReadAt, offset: u64, buffer: &mut [u8]) -> Result<(), ElfError> {
    let filled = some(file, offset, buffer)?;
    if filled == buffer.len() { Ok(()) } else { Err(ElfError::Malformed("it ends early")) }
}

/// The bytes from `offset` to a zero byte, at most so many.
pub(super) fn text(file: &impl ReadAt, offset: u64, most: usize) -> Result<Vec<u8>, ElfError> {
    let mut found = Vec::new();
    let mut part = [0; 256];
    while found.len() < most {
        let at = offset.checked_add(found.len() as u64).ok_or(ElfError::Malformed("a name"))?;
        let filled = some(file, at, &mut part)?;
        if let Some(end) = memchr::memchr(0, &part[..filled]) {
            found.extend_from_slice(&part[..end]);
            return Ok(found);
        }
        if filled < part.len() {
            break;
        }
        found.extend_from_slice(&part);
    }
    Err(ElfError::Malformed("a name without end"))
}

pub(super) fn read_u32(file: &impl ReadAt, offset: u64) -> Result<u32, ElfError> {
    let mut bytes = [0; 4];
    exact(file, offset, &mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

/// Numbers at places of a structure that was read whole.
pub(super) trait Fields {
    fn u16(&self, at: usize) -> u16;
    fn u32(&self, at: usize) -> u32;
    fn u64(&self, at: usize) -> u64;
}

impl Fields for [u8] {
    fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes([self[at], self[at + 1]])
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from(self.u16(at)) | u32::from(self.u16(at + 2)) << 16
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from(self.u32(at)) | u64::from(self.u32(at + 4)) << 32
    }
}
