use std::{fs::File, path::PathBuf, sync::LazyLock};

use proptest::prelude::*;

use super::*;
use crate::capture::tls::maps::{self, Mapping};

/// The mapping of an address of this process.
fn mapping_of(address: u64) -> Mapping {
    let mapped = maps::of_task(std::process::id()).unwrap();
    mapped.files.into_iter().find(|file| (file.start..file.end).contains(&address)).unwrap()
}

fn own() -> Elf<File> {
    Elf::open(File::open(std::env::current_exe().unwrap()).unwrap()).unwrap()
}

#[test]
fn an_exported_function_is_where_the_linker_put_it() {
    let functions = [
        ("getpid", libc::getpid as *const () as usize),
        ("inotify_add_watch", libc::inotify_add_watch as *const () as usize),
    ];
    for (name, address) in functions {
        let mapping = mapping_of(address as u64);
        let elf = Elf::open(File::open(&mapping.path).unwrap()).unwrap();
        let found = elf.exported(&[name, "no such function", "SSL_read"]).unwrap();
        assert_eq!(found, [Some(address as u64 - mapping.start + mapping.offset), None, None]);
        assert!(elf.is_code(found[0].unwrap()));
        assert!(!elf.is_code(u64::MAX) && !elf.is_code(0));
        assert!(elf.libraries().unwrap().soname.is_some());
    }
}

#[test]
fn a_function_that_is_not_exported_is_in_the_table_of_symbols() {
    let elf = own();
    let mut header = [0; 64];
    read::exact(&elf.file, 0, &mut header).unwrap();
    assert!(elf.has_symbol_table().unwrap());
    let found = elf.in_symbol_table(&["no such function", "_start", "getpid"]).unwrap();
    assert_eq!(found, [None, elf.code_offset(header.u64(24)), None]);
    assert!(found[1].is_some());
}

#[test]
fn what_the_own_program_needs() {
    let elf = own();
    let libraries = elf.libraries().unwrap();
    assert!(libraries.needed.iter().any(|name| name.starts_with(b"libc.so")), "{libraries:?}");
    let interpreter = elf.interpreter().unwrap().unwrap();
    assert!(interpreter.starts_with(b"/lib"), "{interpreter:?}");
    let linker = Elf::open(File::open(PathBuf::from(String::from_utf8(interpreter).unwrap())).unwrap()).unwrap();
    assert!(linker.exported(&["_dl_debug_state"]).unwrap()[0].is_some());
    assert_eq!(linker.interpreter().unwrap(), None);
}

#[test]
fn build_ids_are_read_and_written() {
    let id = BuildId::from_hex("ebeaf2DF").unwrap();
    assert_eq!(id.to_string(), "ebeaf2df");
    for wrong in ["", "abc", "xy", &"00".repeat(MOST_BUILD_ID + 1)] {
        assert_eq!(BuildId::from_hex(wrong), None);
    }
    let note = |kind: u8, name: &[u8; 4], description: &[u8]| {
        [&[4, 0, 0, 0, description.len() as u8, 0, 0, 0, kind, 0, 0, 0][..], name, description].concat()
    };
    let notes = [note(1, b"GNU\0", &[9; 8]), note(3, b"Go\0\0", &[8; 4]), note(3, b"GNU\0", &[1, 2, 3])].concat();
    assert_eq!(build_id(&notes).unwrap().to_string(), "010203");
    assert_eq!(build_id(&notes[..notes.len() - 1]), None);
    assert_eq!(build_id(&[255; 40]), None);
}

#[test]
fn other_files_are_refused() {
    assert!(matches!(Elf::open(&b"#!/bin/sh\n"[..]), Err(ElfError::NotElf)));
    assert!(matches!(Elf::open(&b""[..]), Err(ElfError::NotElf)));
    for (at, value) in [(4, 1), (5, 2), (18, 3)] {
        let mut other = LINKER[..4096].to_vec();
        other[at] = value;
        assert!(matches!(Elf::open(&other[..]), Err(ElfError::OtherMachine)), "{at}");
    }
}

/// A small file that has most parts.
static LINKER: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let interpreter = own().interpreter().unwrap().unwrap();
    std::fs::read(PathBuf::from(String::from_utf8(interpreter).unwrap())).unwrap()
});

fn ask_everything(bytes: &[u8]) {
    let Ok(elf) = Elf::open(bytes) else { return };
    let names = ["_dl_debug_state", "SSL_read", "", "__tls_get_addr"];
    let found = [elf.exported(&names), elf.in_symbol_table(&names)];
    for offset in found.into_iter().flatten().flatten().flatten() {
        assert!(elf.is_code(offset));
    }
    let _ = (elf.build_id(), elf.interpreter(), elf.libraries(), elf.has_symbol_table());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn damage_never_panics(
        changes in prop::collection::vec((0_u8..3, any::<prop::sample::Index>(), any::<u64>(), 0_usize..4), 1..8),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut bytes = LINKER.clone();
        let dynamic = Elf::open(&bytes[..]).unwrap().segments(DYNAMIC).next().unwrap().offset as usize;
        let end = bytes.len();
        for (part, index, value, width) in changes {
            // Where the headers, the hash table and the dynamic section are; what is elsewhere is not looked at.
            let (begin, length) = [(0, 2048), (dynamic, 512), (end - 4096, 4096)][usize::from(part)];
            let at = begin + index.index(length - 8);
            let width = 1 << width;
            bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(end));
        }
        ask_everything(&bytes);
    }

    #[test]
    fn noise_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 64..1024)) {
        bytes[..20].copy_from_slice(&LINKER[..20]);
        bytes[54..56].copy_from_slice(&[56, 0]);
        bytes[56..58].copy_from_slice(&[4, 0]);
        ask_everything(&bytes);
    }
}
