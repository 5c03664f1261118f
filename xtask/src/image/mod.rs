//! `cargo xtask image`: the agent as a container image.
//!
//! The image is what `deploy/Dockerfile` says, one static binary and nothing else. It is written as an archive that every engine and
//! containerd can load, without asking any of them, so that it comes out the same on every machine.

pub(crate) mod archive;
mod dockerfile;
mod engine;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;

pub(crate) use archive::archive;

use crate::{setup, workspace};

/// `cargo xtask image`
#[derive(Args)]
pub(crate) struct Arguments {
    /// Build for this target, one with `gnu` or `musl`; this machine's if not given
    #[arg(long, value_name = "TRIPLE")]
    target: Option<String>,
    /// What the image is called
    #[arg(long, value_name = "NAME:TAG", default_value = DEFAULT_NAME)]
    name: String,
    /// Write the archive here
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only write the archive; ask no docker, podman or buildah to load it
    #[arg(long)]
    archive_only: bool,
}

/// The name that the manifests of `deploy/` use.
pub(crate) const DEFAULT_NAME: &str = concat!("telltale:", env!("CARGO_PKG_VERSION"));

/// The verb.
pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    setup::ensure(&[setup::Purpose::Build])?;
    let target = arguments.target.as_deref().unwrap_or(HOST);
    let binary = binary(target, "release")?;
    let architecture = archive::architecture(&binary)?;
    let file = arguments.output.clone().unwrap_or_else(|| {
        workspace::target().join(format!("image/telltale-{}-{architecture}.tar", env!("CARGO_PKG_VERSION")))
    });
    archive(&binary, &arguments.name, &file)?;
    println!("wrote {} ({}, {architecture}, {} bytes)", file.display(), arguments.name, file.metadata()?.len());
    if !arguments.archive_only {
        engine::load(&file)?;
    }
    Ok(())
}

/// The target of this machine's own programs.
#[cfg(target_arch = "aarch64")]
const HOST: &str = "aarch64-unknown-linux-gnu";
#[cfg(not(target_arch = "aarch64"))]
const HOST: &str = "x86_64-unknown-linux-gnu";

/// Builds the agent as a static binary with a profile of Cargo's, and gives the file.
///
/// glibc is linked statically as well as musl is: what it would load at run time are other name services than files and DNS,
/// which no pod has, and conversions of character sets, which the agent does not do.
pub(crate) fn binary(target: &str, profile: &str) -> Result<PathBuf> {
    if !target.contains("-linux-") {
        bail!("the agent captures on Linux; {target} is another system");
    }
    let upper = target.to_uppercase().replace('-', "_");
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--package", "telltale", "--bin", "telltale", "--profile", profile, "--target", target]);
    // Of the target alone: build scripts and the kernel programs are built for this machine or for BPF.
    cargo.env(format!("CARGO_TARGET_{upper}_RUSTFLAGS"), "-Ctarget-feature=+crt-static");
    if let Some(linker) = cross_linker(target) {
        cargo.env(format!("CARGO_TARGET_{upper}_LINKER"), linker);
        cargo.env(format!("CC_{}", target.replace('-', "_")), linker);
    }
    crate::exec::run(&mut cargo).with_context(|| {
        format!("building for {target}; if its standard library is missing: rustup target add {target}")
    })?;
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(workspace::target().join(target).join(folder).join("telltale"))
}

/// The C compiler for another target than this machine's, by Debian's names.
fn cross_linker(target: &str) -> Option<&'static str> {
    match target {
        _ if target == HOST => None,
        "x86_64-unknown-linux-gnu" => Some("x86_64-linux-gnu-gcc"),
        "x86_64-unknown-linux-musl" => Some("musl-gcc"),
        "aarch64-unknown-linux-gnu" => Some("aarch64-linux-gnu-gcc"),
        _ => None,
    }
}

/// `deploy/Dockerfile`.
fn dockerfile() -> Result<dockerfile::Dockerfile> {
    let path = workspace::root().join("deploy/Dockerfile");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    dockerfile::parse(&text).with_context(|| format!("reading {}", path.display()))
}

/// Whether it needs no loader: it names no interpreter.
fn is_static(binary: &Path) -> Result<bool> {
    Ok(crate::vm::libraries_of(binary)?.is_empty())
}
