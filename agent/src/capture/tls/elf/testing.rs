//! Small ELF files for tests.

use super::MACHINE;

/// How the symbols of a file are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::capture::tls) enum Kind {
    /// Exported, by the hash table of System V.
    Exports,
    /// In the table of symbols only.
    Symbols,
}

/// A file with these functions, `(name, offset)`, of code that is all of it, and with a build id.
pub(in crate::capture::tls) fn file(kind: Kind, functions: &[(&str, u64)], build: [u8; 4]) -> Vec<u8> {
    const HEADERS: u64 = 64 + 3 * 56;
    let mut strings = vec![0];
    let mut symbols = vec![0; 24];
    for &(name, offset) in functions {
        symbols.extend_from_slice(&(strings.len() as u32).to_le_bytes());
        // STB_GLOBAL, STT_FUNC, in a section
        symbols.extend_from_slice(&[0x12, 0, 1, 0]);
        symbols.extend_from_slice(&offset.to_le_bytes());
        symbols.extend_from_slice(&16_u64.to_le_bytes());
        strings.extend_from_slice(name.as_bytes());
        strings.push(0);
    }
    let count = functions.len() as u32 + 1;
    // One bucket; each symbol leads to the next.
    let mut hash: Vec<u32> = vec![1, count, u32::from(count > 1), 0];
    hash.extend((2..=count).map(|next| if next == count { 0 } else { next }).take(count as usize - 1));
    let note = [&[4, 0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0][..], b"GNU\0", &build].concat();

    let symbols_at = HEADERS;
    let strings_at = symbols_at + symbols.len() as u64;
    let hash_at = (strings_at + strings.len() as u64).next_multiple_of(8);
    let note_at = (hash_at + hash.len() as u64 * 4).next_multiple_of(8);
    let dynamic_at = (note_at + note.len() as u64).next_multiple_of(8);
    let dynamic: [u64; 10] = [4, hash_at, 5, strings_at, 10, strings.len() as u64, 6, symbols_at, 0, 0];
    let dynamic: &[u64] = if kind == Kind::Exports { &dynamic } else { &[] };
    let sections_at = dynamic_at + dynamic.len() as u64 * 8;
    let sections: u16 = if kind == Kind::Symbols { 3 } else { 0 };
    // Some code after all that.
    let size = (sections_at + u64::from(sections) * 64).next_multiple_of(4096) + 4096;

    let mut file = Vec::new();
    file.extend_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    file.extend_from_slice(&3_u16.to_le_bytes());
    file.extend_from_slice(&MACHINE.to_le_bytes());
    file.extend_from_slice(&[0; 12]);
    file.extend_from_slice(&64_u64.to_le_bytes());
    file.extend_from_slice(&sections_at.to_le_bytes());
    for field in [0, 0, 64, 56, 3, 64, sections, 0_u16] {
        file.extend_from_slice(&field.to_le_bytes());
    }
    let segments = [
        (1_u32, 5_u32, 0, size),
        (4, 4, note_at, note.len() as u64),
        (if kind == Kind::Exports { 2 } else { 0 }, 4, dynamic_at, dynamic.len() as u64 * 8),
    ];
    for (kind, flags, at, length) in segments {
        file.extend_from_slice(&kind.to_le_bytes());
        file.extend_from_slice(&flags.to_le_bytes());
        for field in [at, at, at, length, length, 8] {
            file.extend_from_slice(&field.to_le_bytes());
        }
    }
    let mut put = |at: u64, bytes: &[u8]| {
        file.resize(at as usize, 0);
        file.extend_from_slice(bytes);
    };
    put(symbols_at, &symbols);
    put(strings_at, &strings);
    put(hash_at, &hash.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>());
    put(note_at, &note);
    put(dynamic_at, &dynamic.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>());
    if kind == Kind::Symbols {
        put(sections_at + 64, &section(2, symbols_at, symbols.len() as u64, 2));
        put(sections_at + 128, &section(3, strings_at, strings.len() as u64, 0));
    }
    file.resize(size as usize, 0x90);
    file
}

fn section(kind: u32, at: u64, size: u64, link: u32) -> Vec<u8> {
    let mut header = vec![0; 64];
    header[4..8].copy_from_slice(&kind.to_le_bytes());
    header[24..32].copy_from_slice(&at.to_le_bytes());
    header[32..40].copy_from_slice(&size.to_le_bytes());
    header[40..44].copy_from_slice(&link.to_le_bytes());
    header
}
