//! `bpf-linker`, built once a machine into the cache.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result};

use super::needs::LLVM_PREFIX;
use crate::{exec, toolchain};

/// Builds it unless one is there already. Takes about a minute on two cores.
pub(crate) fn ensure() -> Result<()> {
    if toolchain::linker().is_ok() {
        return Ok(());
    }
    let root = toolchain::linker_root().context("HOME is not set, so there is no place for bpf-linker")?;
    println!("building bpf-linker {} (about a minute)", toolchain::BPF_LINKER_VERSION);
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["install", "bpf-linker", "--quiet", "--locked", "--version", toolchain::BPF_LINKER_VERSION, "--root"]);
    cargo.arg(&root);
    // Its LLVM must not be older than the compiler's. Elsewhere than on Debian it brings its own.
    if Path::new(LLVM_PREFIX).join("bin/llvm-config").is_file() {
        cargo.env("LLVM_PREFIX", LLVM_PREFIX).args(["--no-default-features", "--features", "llvm-22"]);
    }
    exec::retried(|| exec::run(&mut cargo))
}
