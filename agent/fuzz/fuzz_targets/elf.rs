//! Any bytes as an ELF file: no panic, no endless loop, and functions only where there is code.
#![no_main]

use libfuzzer_sys::fuzz_target;
use telltale::capture::tls::elf::Elf;

const NAMES: [&str; 4] = ["SSL_read", "SSL_write", "_dl_debug_state", ""];

fuzz_target!(|data: &[u8]| {
    let Ok(elf) = Elf::open(data) else { return };
    for offset in [elf.exported(&NAMES), elf.in_symbol_table(&NAMES)].into_iter().flatten().flatten().flatten() {
        assert!(elf.is_code(offset));
    }
    let _ = (elf.build_id(), elf.interpreter(), elf.libraries(), elf.has_symbol_table());
});
