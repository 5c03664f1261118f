//! Builds the kernel programs (package `agent-ebpf`) for the BPF target, for the agent to embed.
//!
//! Cargo cannot express "this binary needs that binary of another target, built by another compiler", so the build
//! script runs a second cargo, shielded from the first one's environment, with a target folder of its own.

#[path = "build/toolchain.rs"]
mod toolchain;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use toolchain::Compiler;

/// The object's name, as built and as embedded from `OUT_DIR`.
const OBJECT: &str = "telltale-ebpf";

/// What of the workspace the object depends on.
const SOURCES: &[&str] = &[
    "agent-ebpf/src",
    "agent-ebpf/Cargo.toml",
    "agent-common/src",
    "agent-common/Cargo.toml",
    "Cargo.toml",
    "Cargo.lock",
];

/// Variables with these beginnings steer the outer build and would steer the inner one wrongly.
const FOREIGN: &[&str] =
    &["CARGO_", "RUST", "DEP_", "CLIPPY_", "LD_LIBRARY_PATH", "TARGET", "HOST", "PROFILE", "OPT_LEVEL"];

/// Of those, what is about the user's machine rather than about the outer build.
const KEPT: &[&str] = &[
    "CARGO_HOME",
    "CARGO_NET_",
    "CARGO_HTTP_",
    "CARGO_REGISTR",
    "CARGO_SOURCE_",
    "CARGO_MAKEFLAGS",
    "CARGO_TERM_",
    "RUSTUP_HOME",
];

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build/toolchain.rs");
    let linux = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    if !linux || env::var_os("CARGO_FEATURE_EBPF").is_none() {
        return ExitCode::SUCCESS;
    }
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("cargo::error={message}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let workspace = manifest.parent().ok_or("the agent's package must be a folder of the workspace")?;
    let out = PathBuf::from(variable("OUT_DIR")?);
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", workspace.join(source).display());
    }

    // The object has the byte order of the machine that it is loaded on.
    let target = match variable("CARGO_CFG_TARGET_ENDIAN")?.as_str() {
        "big" => "bpfeb-unknown-none",
        _ => "bpfel-unknown-none",
    };
    let compiler = toolchain::compiler(target).map_err(|missing| missing.to_string())?;
    let linker = toolchain::linker().map_err(|missing| missing.to_string())?;

    let folder = out.join("ebpf-target");
    let mut cargo = cargo(&compiler);
    cargo
        .current_dir(workspace)
        .args(["build", "--release", "--package", "agent-ebpf", "--bin", OBJECT, "--target", target, "--target-dir"])
        .arg(&folder)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(&variable("CARGO_CFG_TARGET_ARCH")?, &linker).join("\x1f"))
        // The workspace's release profile is the agent's. Line information and types are what BTF is made from.
        .env("CARGO_PROFILE_RELEASE_DEBUG", "2")
        .env("CARGO_PROFILE_RELEASE_STRIP", "none")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_PANIC", "abort")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3");
    let status =
        cargo.status().map_err(|error| format!("running {} failed: {error}", cargo.get_program().display()))?;
    if !status.success() {
        return Err(format!(
            "building the kernel programs failed ({status}); the compiler's messages are in this script's output"
        ));
    }
    let built = folder.join(target).join("release").join(OBJECT);
    copy(&built, &out.join(OBJECT))
}

/// The cargo of the inner build, with the outer build's variables taken away.
fn cargo(compiler: &Compiler) -> Command {
    let mut command = match compiler {
        Compiler::Packaged { cargo, .. } => Command::new(cargo),
        Compiler::Nightly { rustup } => Command::new(rustup),
    };
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let any = |beginnings: &[&str]| beginnings.iter().any(|beginning| text.starts_with(beginning));
        if any(FOREIGN) && !any(KEPT) {
            command.env_remove(name);
        }
    }
    match compiler {
        Compiler::Packaged { rustc, .. } => {
            // aya-ebpf needs features that are not stable; the packaged compiler is a stable one.
            command.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
        }
        Compiler::Nightly { .. } => {
            command.args(["run", "nightly", "cargo", "-Zbuild-std=core"]);
        }
    }
    command
}

/// The compiler's flags for an agent that runs on `arch`.
fn flags(arch: &str, linker: &Path) -> Vec<String> {
    vec![
        format!("--cfg=bpf_target_arch=\"{arch}\""),
        // `pt_regs` differs by architecture; these are what aya-ebpf knows.
        "--check-cfg=cfg(bpf_target_arch, values(\"aarch64\", \"arm\", \"loongarch64\", \"mips\", \"powerpc64\", \
         \"riscv64\", \"s390x\", \"x86_64\"))"
            .to_owned(),
        "-Cdebuginfo=2".to_owned(),
        format!("-Clinker={}", linker.display()),
        "-Clink-arg=--btf".to_owned(),
    ]
}

/// Copies only what differs, so that an unchanged object does not make the agent compile again.
fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let object = fs::read(from).map_err(|error| format!("reading the object {} failed: {error}", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == object) {
        return Ok(());
    }
    fs::write(to, object).map_err(|error| format!("writing {} failed: {error}", to.display()))
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("cargo sets {name} for build scripts, but: {error}"))
}
