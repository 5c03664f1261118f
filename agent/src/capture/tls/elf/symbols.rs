//! The table of all symbols, which programs have that were not stripped: for functions that are not exported.

use memchr::memmem::Finder;

use super::{
    Elf, ElfError, ReadAt,
    read::{self, Fields},
};

/// `SHT_SYMTAB`
const SYMBOL_TABLE: u32 = 2;
/// Bytes of either table that are read; in a larger one nothing is found.
const MOST_BYTES: u64 = 64 << 20;
/// How much is read at once.
const PART: usize = 64 << 10;

/// A symbol.
pub(super) struct Symbol {
    /// Where among the strings its name is.
    pub(super) name: u32,
    info: u8,
    section: u16,
    pub(super) address: u64,
}

impl Symbol {
    /// Bytes in the file.
    pub(super) const SIZE: usize = 24;

    pub(super) fn of(entry: &[u8]) -> Self {
        Self { name: entry.u32(0), info: entry[4], section: entry.u16(6), address: entry.u64(8) }
    }

    /// Whether it is a function of this file (`STT_FUNC`, not `SHN_UNDEF`).
    pub(super) fn is_function(&self) -> bool {
        self.info & 15 == 2 && self.section != 0
    }
}

/// Where a table is.
struct Section {
    kind: u32,
    offset: u64,
    size: u64,
    /// Index of the section that it belongs to.
    link: u32,
}

impl<R: ReadAt> Elf<R> {
    /// As [`Self::exported`], of all functions: both tables are read whole, so it takes some milliseconds for each ten megabytes.
    ///
    /// # Errors
    /// The file is damaged, or cannot be read.
    pub fn in_symbol_table(&self, names: &[&str]) -> Result<Vec<Option<u64>>, ElfError> {
        let mut found = vec![None; names.len()];
        let Some((symbols, strings)) = self.symbol_table()? else { return Ok(found) };
        let places = self.names_at(&strings, names)?;
        if places.is_empty() {
            return Ok(found);
        }
        let mut part = vec![0; PART / Symbol::SIZE * Symbol::SIZE];
        let mut at = 0;
        while at < symbols.size {
            let length = (symbols.size - at).min(part.len() as u64) as usize;
            let part = &mut part[..length];
            read::exact(&self.file, symbols.offset.saturating_add(at), part)?;
            for symbol in part.chunks_exact(Symbol::SIZE).map(Symbol::of).filter(Symbol::is_function) {
                if let Ok(index) = places.binary_search_by_key(&symbol.name, |&(at, _)| at) {
                    let place = &mut found[places[index].1];
                    *place = place.or_else(|| self.code_offset(symbol.address));
                }
            }
            at += length as u64;
        }
        Ok(found)
    }

    /// Whether the file has such a table.
    ///
    /// # Errors
    /// The file is damaged, or cannot be read.
    pub fn has_symbol_table(&self) -> Result<bool, ElfError> {
        Ok(self.symbol_table()?.is_some())
    }

    /// The symbols and their names.
    fn symbol_table(&self) -> Result<Option<(Section, Section)>, ElfError> {
        let (at, count) = self.sections;
        let mut headers = vec![0; usize::from(count) * 64];
        if read::some(&self.file, at, &mut headers)? < headers.len() {
            // What is executed does not need them: tools leave nonsense there.
            return Ok(None);
        }
        let section = |header: &[u8]| Section {
            kind: header.u32(4),
            offset: header.u64(24),
            size: header.u64(32),
            link: header.u32(40),
        };
        let mut sections = headers.chunks_exact(64).map(section);
        let Some(symbols) = sections.find(|section| section.kind == SYMBOL_TABLE) else { return Ok(None) };
        let Some(strings) = headers.chunks_exact(64).nth(symbols.link as usize).map(section) else { return Ok(None) };
        let fits = symbols.size <= MOST_BYTES && strings.size <= MOST_BYTES;
        Ok(fits.then_some((symbols, strings)))
    }

    /// Every place among the strings where one of the names is, or ends, by place: names may share their ends.
    fn names_at(&self, strings: &Section, names: &[&str]) -> Result<Vec<(u32, usize)>, ElfError> {
        /// Places that are kept, against files that repeat a name without end.
        const MOST_PLACES: usize = 4096;
        let ended: Vec<Vec<u8>> = names.iter().map(|name| [name.as_bytes(), &[0]].concat()).collect();
        let finders: Vec<Finder<'_>> = ended.iter().map(Finder::new).collect();
        let overlap = ended.iter().map(Vec::len).max().unwrap_or(1) - 1;
        let mut places = Vec::new();
        let mut part = vec![0; PART + overlap];
        let mut at = 0;
        while at < strings.size {
            let length = (strings.size - at).min(part.len() as u64) as usize;
            let part = &mut part[..length];
            read::exact(&self.file, strings.offset.saturating_add(at), part)?;
            for (index, finder) in finders.iter().enumerate() {
                // What begins in the overlap is found with the next part.
                let own = finder.find_iter(part).take_while(|&place| place < PART);
                let room = MOST_PLACES.saturating_sub(places.len());
                places.extend(own.take(room).map(|place| ((at + place as u64) as u32, index)));
            }
            at += PART as u64;
        }
        places.sort_unstable();
        Ok(places)
    }
}
