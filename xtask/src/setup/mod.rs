//! `cargo xtask setup`: what the build, the tests and the demo need from this machine.

mod apt;
mod go;
pub(crate) mod kernels;
pub(crate) mod kube;
mod linker;
mod needs;
pub(crate) mod node;
pub(crate) mod python;
pub(crate) mod userland;
pub(crate) mod wget;

use std::{fs, fs::File, process::Command};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};

pub(crate) use needs::Purpose;
use needs::{NEEDS, Need};

use crate::{exec, toolchain, vm::matrix, workspace};

/// `cargo xtask setup [--for PURPOSE]...`
#[derive(Args)]
pub(crate) struct Arguments {
    /// Only what this needs; everything if not given
    #[arg(long = "for", value_name = "PURPOSE")]
    purposes: Vec<Purpose>,
}

/// The verb.
pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    let all = Purpose::value_variants();
    ensure(if arguments.purposes.is_empty() { all } else { &arguments.purposes })?;
    println!("set-up is complete");
    Ok(())
}

/// Installs what the purposes need and this machine lacks. Says nothing when nothing is missing.
pub(crate) fn ensure(purposes: &[Purpose]) -> Result<()> {
    let cache = workspace::cache()?;
    fs::create_dir_all(&cache).with_context(|| format!("creating the cache {}", cache.display()))?;
    // Two clones may set up at once; the second one finds everything done.
    let lock = File::create(cache.join("lock")).context("creating the cache's lock")?;
    lock.lock().context("waiting for another set-up to end")?;

    packages(&missing(purposes))?;
    linker::ensure()?;
    compiler()?;
    if purposes.contains(&Purpose::Test) {
        python::ensure()?;
        node::ensure()?;
        wget::ensure()?;
    }
    if purposes.iter().any(|purpose| matches!(purpose, Purpose::Cluster | Purpose::Test)) {
        kube::ensure()?;
    }
    if purposes.iter().any(|purpose| matches!(purpose, Purpose::Vm | Purpose::Test)) {
        for row in matrix::default_rows() {
            kernels::ensure(row.kernel)?;
        }
    }
    Ok(())
}

fn missing(purposes: &[Purpose]) -> Vec<&'static Need> {
    NEEDS.iter().filter(|need| purposes.iter().any(|purpose| need.serves(*purpose)) && !need.is_met()).collect()
}

/// Installs the packages of these needs, or says which they are where that is not ours to do.
fn packages(needs: &[&Need]) -> Result<()> {
    if needs.is_empty() {
        return Ok(());
    }
    for need in needs {
        println!("missing: {} ({}); package {}", need.name, need.why, need.packages.join(" "));
    }
    let names: Vec<_> = needs.iter().flat_map(|need| need.packages).copied().collect();
    if !apt::is_here() {
        bail!(
            "this is not a Debian or Ubuntu machine, so install what the list above names with your own package manager \
             (the names are Debian's), then run this again"
        );
    }
    if !apt::is_root()? {
        bail!("run this as root, or run: sudo apt-get install --no-install-recommends {}", names.join(" "));
    }
    apt::install(&names)?;
    let still: Vec<_> = needs.iter().filter(|need| !need.is_met()).map(|need| need.name).collect();
    // What has no package here may have another source: see `compiler`.
    if still.iter().any(|name| *name != needs::BPF_COMPILER && *name != needs::LLVM) {
        bail!("apt-get succeeded, but still missing: {}", still.join(", "));
    }
    Ok(())
}

/// Makes sure that there is a compiler for the BPF target where the distribution has no package of one: by rustup.
fn compiler() -> Result<()> {
    match toolchain::compiler("bpfel-unknown-none") {
        Ok(_) => Ok(()),
        Err(missing) => {
            let rustup = toolchain::on_path("rustup").with_context(|| missing.to_string())?;
            println!("installing rustup's nightly toolchain with rust-src, since no packaged compiler for BPF is here");
            exec::retried(|| {
                exec::run(
                    Command::new(&rustup)
                        .args(["toolchain", "install", "nightly", "--profile", "minimal"])
                        .args(["--component", "rust-src"]),
                )
            })
            .with_context(|| missing.to_string())
        }
    }
}
