//! One ELF file: what it is called, what it needs, and where in it functions are.
//!
//! Only the parts that are asked for are read, so that a program of 100 MB costs a few pages: names of exported functions are looked up in the hash table
//! that the dynamic linker uses. Whatever the file says is checked before it is used; nothing in it makes this panic, loop or take much memory.
//! Source: System V ABI (gABI), chapters 4 and 5; the GNU hash table is as binutils writes it.

mod dynamic;
mod read;
mod symbols;
#[cfg(test)]
pub(in crate::capture::tls) mod testing;
#[cfg(test)]
mod tests;

pub use read::ReadAt;

use self::read::Fields;

/// Program headers that are looked at; what linkers write has a dozen.
const MOST_SEGMENTS: u16 = 256;
/// Bytes of a name in the file.
const MOST_NAME: usize = 4096;
/// Bytes of all notes.
const MOST_NOTES: u64 = 64 << 10;
/// Bytes of a build id; linkers write 20, of SHA-1.
const MOST_BUILD_ID: usize = 64;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// It has another magic number.
    #[error("is no ELF file")]
    NotElf,
    /// It is for other machines, or of 32 bits.
    #[error("is of another architecture than this machine")]
    OtherMachine,
    /// It says something that cannot be.
    #[error("is damaged: {0}")]
    Malformed(&'static str),
    /// The system refused.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
}

/// `PT_*` of a program header.
const LOAD: u32 = 1;
const DYNAMIC: u32 = 2;
const INTERPRETER: u32 = 3;
const NOTE: u32 = 4;
/// `PF_X`
const EXECUTABLE: u32 = 1;
/// `NT_GNU_BUILD_ID`
const GNU_BUILD_ID: u32 = 3;

/// `e_machine` of the machine that this runs on; 0 stands for one that is not supported.
const MACHINE: u16 = if cfg!(target_arch = "x86_64") {
    62
} else if cfg!(target_arch = "aarch64") {
    183
} else {
    0
};

/// A part of the file that is mapped as one.
#[derive(Clone, Copy, Debug)]
struct Segment {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    size: u64,
}

/// The identity that the linker gave to what it wrote.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BuildId(Box<[u8]>);

impl BuildId {
    /// From hexadecimal digits, as `readelf -n` and `file` print them.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits: Option<Vec<u8>> = text.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect();
        let digits = digits?;
        let is_whole = !digits.is_empty() && digits.len().is_multiple_of(2) && digits.len() / 2 <= MOST_BUILD_ID;
        is_whole.then(|| Self(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()))
    }
}

impl std::fmt::Display for BuildId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl std::fmt::Debug for BuildId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "BuildId({self})")
    }
}

/// An ELF file of this machine's architecture.
#[derive(Debug)]
pub struct Elf<R> {
    file: R,
    segments: Vec<Segment>,
    /// Where the section headers are, and how many.
    sections: (u64, u16),
}

impl<R: ReadAt> Elf<R> {
    /// Reads the headers.
    ///
    /// # Errors
    /// It is no such file.
    pub fn open(file: R) -> Result<Self, ElfError> {
        let mut header = [0; 64];
        let got = read::some(&file, 0, &mut header)?;
        if got < header.len() || !header.starts_with(b"\x7fELF") {
            return Err(ElfError::NotElf);
        }
        // ELFCLASS64, ELFDATA2LSB
        if header[4] != 2 || header[5] != 1 || header.u16(18) != MACHINE {
            return Err(ElfError::OtherMachine);
        }
        let (at, size, count) = (header.u64(32), header.u16(54), header.u16(56));
        if count > MOST_SEGMENTS || (count > 0 && size != 56) {
            return Err(ElfError::Malformed("program headers"));
        }
        let mut table = vec![0; usize::from(count) * 56];
        read::exact(&file, at, &mut table)?;
        let segments = table.chunks_exact(56).map(|entry| Segment {
            kind: entry.u32(0),
            flags: entry.u32(4),
            offset: entry.u64(8),
            address: entry.u64(16),
            size: entry.u64(32),
        });
        let sections = if header.u16(58) == 64 { (header.u64(40), header.u16(60)) } else { (0, 0) };
        Ok(Self { segments: segments.collect(), sections, file })
    }

    fn segments(&self, kind: u32) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(move |segment| segment.kind == kind)
    }

    /// Where in the file that is which stands at `address` in memory: below 2^63, as all that is in a file.
    fn offset(&self, address: u64) -> Option<u64> {
        self.segments(LOAD).find(|segment| segment.holds(address))?.offset_of(address)
    }

    /// The same of code.
    fn code_offset(&self, address: u64) -> Option<u64> {
        let mut code = self.segments(LOAD).filter(|segment| segment.flags & EXECUTABLE != 0);
        code.find(|segment| segment.holds(address))?.offset_of(address)
    }

    /// Whether at `offset` of the file there is code.
    pub fn is_code(&self, offset: u64) -> bool {
        let mut code = self.segments(LOAD).filter(|segment| segment.flags & EXECUTABLE != 0);
        code.any(|segment| offset.checked_sub(segment.offset).is_some_and(|within| within < segment.size))
    }

    /// The build id, if the file has one.
    ///
    /// # Errors
    /// The file cannot be read. Notes that are damaged are none.
    pub fn build_id(&self) -> Result<Option<BuildId>, ElfError> {
        for segment in self.segments(NOTE).filter(|segment| segment.size <= MOST_NOTES) {
            let mut notes = vec![0; segment.size as usize];
            if read::some(&self.file, segment.offset, &mut notes)? < notes.len() {
                continue;
            }
            if let Some(found) = build_id(&notes) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The program that loads this one: the dynamic linker. `None` of a library or a static program.
    ///
    /// # Errors
    /// The file is damaged, or cannot be read.
    pub fn interpreter(&self) -> Result<Option<Vec<u8>>, ElfError> {
        let Some(segment) = self.segments(INTERPRETER).next() else { return Ok(None) };
        read::text(&self.file, segment.offset, MOST_NAME).map(Some)
    }
}

impl Segment {
    fn holds(&self, address: u64) -> bool {
        address.checked_sub(self.address).is_some_and(|within| within < self.size)
    }

    fn offset_of(&self, address: u64) -> Option<u64> {
        let offset = self.offset.checked_add(address - self.address)?;
        i64::try_from(offset).is_ok().then_some(offset)
    }
}

/// Finds the build id among notes: name size, description size, kind, name, description, each padded to 4 bytes.
fn build_id(mut notes: &[u8]) -> Option<BuildId> {
    while notes.len() >= 12 {
        let (name, description, kind) = (notes.u32(0) as usize, notes.u32(4) as usize, notes.u32(8));
        let begin = 12_usize.checked_add(name.checked_next_multiple_of(4)?)?;
        let end = begin.checked_add(description)?;
        let found = notes.get(begin..end)?;
        if kind == GNU_BUILD_ID && notes.get(12..12 + name) == Some(b"GNU\0") && found.len() <= MOST_BUILD_ID {
            return Some(BuildId(found.into()));
        }
        notes = notes.get(end.checked_next_multiple_of(4)?..)?;
    }
    None
}
