//! Finds the compiler and the linker that build the kernel programs.
//!
//! Read by two programs, so that they cannot disagree: the agent's build script, which uses what is found, and
//! `cargo xtask setup`, which installs what is not.

use std::{
    env,
    ffi::OsStr,
    fmt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The version of `bpf-linker` that `cargo xtask setup` installs; an older or newer one on the search path is used as it is.
pub(crate) const BPF_LINKER_VERSION: &str = "0.13.0";

/// A compiler that has, or can build, `core` for the BPF target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Compiler {
    /// A distribution's compiler with `core` prebuilt for the BPF target, beside whatever rustup manages.
    Packaged {
        /// Its `cargo`.
        cargo: PathBuf,
        /// Its `rustc`.
        rustc: PathBuf,
    },
    /// The nightly toolchain of rustup with the component `rust-src`: `core` is built on the way.
    Nightly {
        /// The `rustup` that runs it.
        rustup: PathBuf,
    },
}

/// What the build lacks, as the person who must mend it needs to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// No compiler for the BPF target.
    Compiler,
    /// No `bpf-linker`.
    Linker,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compiler => f.write_str(
                "no Rust compiler for the BPF target was found. Run `cargo xtask setup`, or install one by hand: \
                 `apt-get install rustc-web cargo-web libstd-rust-web-dev-bpf` (Debian, Ubuntu), or \
                 `rustup toolchain install nightly --component rust-src`",
            ),
            Self::Linker => write!(
                f,
                "bpf-linker was found neither on the search path nor in Cargo's bin folder nor in Telltale's cache. Run \
                 `cargo xtask setup`, or install it by hand: `cargo install bpf-linker --version {BPF_LINKER_VERSION}`"
            ),
        }
    }
}

/// The compiler to use: a packaged one first (nothing to build, always the same), else rustup's nightly.
pub(crate) fn compiler(target: &str) -> Result<Compiler, Missing> {
    let (cargo, rustc) = (PathBuf::from("/usr/bin/cargo"), PathBuf::from("/usr/bin/rustc"));
    let prebuilt = |sysroot: PathBuf| sysroot.join("lib/rustlib").join(target).join("lib").is_dir();
    if cargo.is_file()
        && output(Command::new(&rustc).args(["--print", "sysroot"])).map(PathBuf::from).is_some_and(prebuilt)
    {
        return Ok(Compiler::Packaged { cargo, rustc });
    }
    let rustup = on_path("rustup").or_else(|| existing(cargo_home()?.join("bin/rustup"))).ok_or(Missing::Compiler)?;
    let sources = |sysroot: PathBuf| sysroot.join("lib/rustlib/src/rust/library/core").is_dir();
    if output(Command::new(&rustup).args(["run", "nightly", "rustc", "--print", "sysroot"]))
        .map(PathBuf::from)
        .is_some_and(sources)
    {
        return Ok(Compiler::Nightly { rustup });
    }
    Err(Missing::Compiler)
}

/// The `bpf-linker` to use: the search path, Cargo's bin folder, then the cache that `cargo xtask setup` fills.
pub(crate) fn linker() -> Result<PathBuf, Missing> {
    on_path("bpf-linker")
        .or_else(|| existing(cargo_home()?.join("bin/bpf-linker")))
        .or_else(|| existing(linker_root()?.join("bin/bpf-linker")))
        .ok_or(Missing::Linker)
}

/// Where `cargo xtask setup` installs `bpf-linker`, keyed by version; `None` without a home folder.
pub(crate) fn linker_root() -> Option<PathBuf> {
    Some(cache()?.join(format!("bpf-linker-{BPF_LINKER_VERSION}")))
}

/// The folder for what takes minutes to make and outlives a clone: `$XDG_CACHE_HOME/telltale`, else `~/.cache/telltale`.
pub(crate) fn cache() -> Option<PathBuf> {
    let base = env::var_os("XDG_CACHE_HOME").filter(|path| Path::new(path).is_absolute()).map(PathBuf::from);
    Some(base.or_else(|| Some(home()?.join(".cache")))?.join("telltale"))
}

fn cargo_home() -> Option<PathBuf> {
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(home()?.join(".cargo")))
}

fn home() -> Option<PathBuf> {
    env::var_os("HOME").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The first file of this name on the search path.
pub(crate) fn on_path(name: impl AsRef<OsStr>) -> Option<PathBuf> {
    let name = Path::new(name.as_ref());
    env::split_paths(&env::var_os("PATH")?).find_map(|folder| existing(folder.join(name)))
}

fn existing(file: PathBuf) -> Option<PathBuf> {
    file.is_file().then_some(file)
}

/// What the command prints, if it can be run and succeeds.
fn output(command: &mut Command) -> Option<String> {
    // The outer cargo leads these to its own toolchain; both must be asked about themselves.
    let command = command.env_remove("RUSTUP_TOOLCHAIN").env_remove("LD_LIBRARY_PATH").stderr(Stdio::null());
    let output = command.output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
