//! What is inside TLS: which files have functions that plaintext goes through, and which processes execute them.

#[cfg(feature = "ebpf")]
pub mod capability;
pub mod discovery;
pub mod elf;
pub mod examine;
pub mod explain;
pub mod files;
#[cfg(feature = "ebpf")]
pub mod follower;
pub mod linker_cache;
pub mod maps;
pub mod prepare;
pub mod processes;
pub mod targets;
#[cfg(feature = "ebpf")]
pub mod trial;
pub mod turns;
