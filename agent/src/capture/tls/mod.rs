//! What is inside TLS: which files have functions that plaintext goes through, and which processes execute them.

pub mod elf;
pub mod maps;
