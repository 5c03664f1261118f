//! What the dynamic linker reads: names of libraries, and exported functions by a hash table.

use super::{
    DYNAMIC, Elf, ElfError, MOST_NAME, ReadAt,
    read::{self, Fields},
    symbols::Symbol,
};

/// Entries that are looked at; what linkers write has some dozens.
const MOST_ENTRIES: u64 = 4096;
/// Libraries that one file may need.
const MOST_LIBRARIES: usize = 256;
/// Bytes of names that are searched; a browser has some hundred thousand.
const MOST_STRINGS: u64 = 4 << 20;
/// Steps along a chain of a hash table. Tables are made so that chains are short.
const MOST_STEPS: u32 = 4096;

/// What the dynamic section says; addresses are those in memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Dynamic {
    symbols: Option<u64>,
    strings: Option<u64>,
    /// Bytes of the strings.
    strings_size: Option<u64>,
    hash: Option<u64>,
    gnu_hash: Option<u64>,
    /// Offsets into the strings.
    needed: Vec<u64>,
    soname: Option<u64>,
    rpath: Option<u64>,
    runpath: Option<u64>,
}

/// Names of libraries, and where they are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Libraries {
    /// What this is called (`DT_SONAME`).
    pub soname: Option<Vec<u8>>,
    /// What it needs (`DT_NEEDED`), in order.
    pub needed: Vec<Vec<u8>>,
    /// Folders where those are looked for, `:` between them (`DT_RUNPATH`, else `DT_RPATH`).
    pub path: Option<Vec<u8>>,
}

impl<R: ReadAt> Elf<R> {
    pub(super) fn dynamic(&self) -> Result<Option<Dynamic>, ElfError> {
        let Some(segment) = self.segments(DYNAMIC).next() else { return Ok(None) };
        let count = (segment.size / 16).min(MOST_ENTRIES);
        let mut table = vec![0; count as usize * 16];
        read::exact(&self.file, segment.offset, &mut table)?;
        let mut found = Dynamic::default();
        for entry in table.chunks_exact(16) {
            let value = entry.u64(8);
            match entry.u64(0) {
                0 => break,
                1 if found.needed.len() < MOST_LIBRARIES => found.needed.push(value),
                4 => found.hash = Some(value),
                5 => found.strings = Some(value),
                6 => found.symbols = Some(value),
                10 => found.strings_size = Some(value),
                14 => found.soname = Some(value),
                15 => found.rpath = Some(value),
                29 => found.runpath = Some(value),
                0x6fff_fef5 => found.gnu_hash = Some(value),
                _ => {}
            }
        }
        Ok(Some(found))
    }

    /// Names of libraries; nothing of a static program.
    ///
    /// # Errors
    /// The file is damaged, or cannot be read.
    pub fn libraries(&self) -> Result<Libraries, ElfError> {
        let Some(dynamic) = self.dynamic()? else { return Ok(Libraries::default()) };
        let Some(strings) = dynamic.strings.and_then(|address| self.offset(address)) else {
            return Ok(Libraries::default());
        };
        let text = |at: u64| {
            let offset = strings.checked_add(at).ok_or(ElfError::Malformed("a name"))?;
            read::text(&self.file, offset, MOST_NAME)
        };
        Ok(Libraries {
            soname: dynamic.soname.map(text).transpose()?,
            needed: dynamic.needed.iter().map(|&at| text(at)).collect::<Result<_, _>>()?,
            path: dynamic.runpath.or(dynamic.rpath).map(text).transpose()?,
        })
    }

    /// Whether the linker reads one of these names in the file, or one that ends so: exports and what it has from others. `None` where there is nothing
    /// for the linker, or too much.
    ///
    /// # Errors
    /// The file is damaged, or cannot be read.
    pub fn mentions(&self, names: &[&str]) -> Result<Option<bool>, ElfError> {
        let Some(dynamic) = self.dynamic()? else { return Ok(None) };
        let size = dynamic.strings_size.filter(|&size| size <= MOST_STRINGS);
        let (Some(at), Some(size)) = (dynamic.strings.and_then(|address| self.offset(address)), size) else {
            return Ok(None);
        };
        let mut strings = vec![0; size as usize];
        read::exact(&self.file, at, &mut strings)?;
        let is_there = |name: &&str| memchr::memmem::find(&strings, &[name.as_bytes(), &[0]].concat()).is_some();
        Ok(Some(names.iter().any(is_there)))
    }

    /// Where in the file the functions of these names are that the file exports; `None` for each that it does not.
    ///
    /// # Errors
    /// The file is damaged, or cannot be read.
    pub fn exported(&self, names: &[&str]) -> Result<Vec<Option<u64>>, ElfError> {
        let Some(dynamic) = self.dynamic()? else { return Ok(vec![None; names.len()]) };
        let place = |address: Option<u64>| address.and_then(|address| self.offset(address));
        let (Some(symbols), Some(strings)) = (place(dynamic.symbols), place(dynamic.strings)) else {
            return Ok(vec![None; names.len()]);
        };
        let exports = Exports { elf: self, symbols, strings };
        if let Some(table) = place(dynamic.gnu_hash) {
            let table = GnuHash::read(&self.file, table)?;
            return names.iter().map(|name| exports.by_gnu_hash(&table, name.as_bytes())).collect();
        }
        match place(dynamic.hash) {
            Some(table) => names.iter().map(|name| exports.by_hash(table, name.as_bytes())).collect(),
            None => Ok(vec![None; names.len()]),
        }
    }
}

/// Head of a GNU hash table.
struct GnuHash {
    at: u64,
    buckets: u32,
    /// Index of the first symbol in the table.
    first: u32,
    bloom: u32,
    shift: u32,
}

impl GnuHash {
    fn read(file: &impl ReadAt, at: u64) -> Result<Self, ElfError> {
        let mut head = [0; 16];
        read::exact(file, at, &mut head)?;
        let table = Self { at, buckets: head.u32(0), first: head.u32(4), bloom: head.u32(8), shift: head.u32(12) };
        if table.buckets == 0 || table.bloom == 0 { Err(ElfError::Malformed("hash table")) } else { Ok(table) }
    }

    fn bucket(&self, index: u32) -> u64 {
        // No sum of these can overflow: offsets in files are below 2^63.
        self.at + 16 + u64::from(self.bloom) * 8 + u64::from(index) * 4
    }
}

struct Exports<'a, R> {
    elf: &'a Elf<R>,
    symbols: u64,
    strings: u64,
}

impl<R: ReadAt> Exports<'_, R> {
    fn by_gnu_hash(&self, table: &GnuHash, name: &[u8]) -> Result<Option<u64>, ElfError> {
        let file = &self.elf.file;
        let hash = gnu_hash(name);
        let mut word = [0; 8];
        read::exact(file, table.at + 16 + u64::from(hash / 64 % table.bloom) * 8, &mut word)?;
        let second = hash.checked_shr(table.shift).unwrap_or(0);
        let bits = 1_u64 << (hash % 64) | 1 << (second % 64);
        if word.u64(0) & bits != bits {
            return Ok(None);
        }
        let start = read::read_u32(file, table.bucket(hash % table.buckets))?;
        let chains = table.bucket(table.buckets);
        let Some(mut index) = start.checked_sub(table.first).filter(|_| start != 0) else { return Ok(None) };
        for _ in 0..MOST_STEPS {
            let link = read::read_u32(file, chains + u64::from(index) * 4)?;
            if link | 1 == hash | 1
                && let Some(symbol) = self.symbol(u64::from(index) + u64::from(table.first), name)?
            {
                return Ok(Some(symbol));
            }
            if link & 1 == 1 {
                return Ok(None);
            }
            index = index.checked_add(1).ok_or(ElfError::Malformed("hash table"))?;
        }
        Err(ElfError::Malformed("hash table"))
    }

    /// By the table that linkers wrote before.
    fn by_hash(&self, at: u64, name: &[u8]) -> Result<Option<u64>, ElfError> {
        let file = &self.elf.file;
        let mut head = [0; 8];
        read::exact(file, at, &mut head)?;
        let buckets = head.u32(0);
        if buckets == 0 {
            return Err(ElfError::Malformed("hash table"));
        }
        let at = at + 8;
        let mut index = read::read_u32(file, at + u64::from(sysv_hash(name) % buckets) * 4)?;
        for _ in 0..MOST_STEPS {
            if index == 0 {
                return Ok(None);
            }
            if let Some(symbol) = self.symbol(u64::from(index), name)? {
                return Ok(Some(symbol));
            }
            index = read::read_u32(file, at + (u64::from(buckets) + u64::from(index)) * 4)?;
        }
        Err(ElfError::Malformed("hash table"))
    }

    /// The symbol of this index, if it is a function of this name that is defined here.
    fn symbol(&self, index: u64, name: &[u8]) -> Result<Option<u64>, ElfError> {
        let mut entry = [0; Symbol::SIZE];
        let at = index.checked_mul(Symbol::SIZE as u64).and_then(|at| at.checked_add(self.symbols));
        read::exact(&self.elf.file, at.ok_or(ElfError::Malformed("symbols"))?, &mut entry)?;
        let symbol = Symbol::of(&entry);
        if !symbol.is_function() {
            return Ok(None);
        }
        let mut own = vec![0; name.len() + 1];
        let at = self.strings + u64::from(symbol.name);
        let is_whole = read::some(&self.elf.file, at, &mut own)? == own.len();
        let is_it = is_whole && own.ends_with(&[0]) && own[..name.len()] == *name;
        Ok(if is_it { self.elf.code_offset(symbol.address) } else { None })
    }
}

fn gnu_hash(name: &[u8]) -> u32 {
    name.iter().fold(5381, |hash: u32, &byte| hash.wrapping_mul(33).wrapping_add(u32::from(byte)))
}

fn sysv_hash(name: &[u8]) -> u32 {
    name.iter().fold(0, |hash: u32, &byte| {
        let hash = (hash << 4).wrapping_add(u32::from(byte));
        let high = hash & 0xf000_0000;
        (hash ^ high >> 24) & !high
    })
}
