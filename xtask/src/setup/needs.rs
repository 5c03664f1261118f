//! What is needed from the machine, for what: a table. Adding a need is adding a row.

use std::path::Path;

use clap::ValueEnum;

use crate::toolchain;

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Purpose {
    /// Compile the agent with its kernel programs.
    Build,
    /// Watch the demo.
    Demo,
    /// Run the kernel matrix.
    Vm,
    /// Run a Kubernetes cluster of one node.
    Cluster,
    /// Run every test.
    Test,
    /// Measure.
    Bench,
}

/// One thing the machine must have.
pub(crate) struct Need {
    /// What it is called in messages.
    pub(crate) name: &'static str,
    /// What it is for.
    pub(crate) why: &'static str,
    /// Debian's packages of it.
    pub(crate) packages: &'static [&'static str],
    /// Which purposes need it.
    purposes: &'static [Purpose],
    found: Found,
}

/// How to see that it is there.
enum Found {
    /// A program of this name is on the search path or where Debian puts programs for root.
    Program(&'static str),
    /// A compiler for the BPF target is there.
    BpfCompiler,
    /// `bpf-linker` is there, or the LLVM that it is built with.
    LinkerOrLlvm,
    /// Python can make virtual environments.
    PythonVenv,
    /// The library of this name is there, with what it takes to build with it.
    Library(&'static str),
}

/// The name of the need that rustup can meet as well.
pub(crate) const BPF_COMPILER: &str = "a Rust compiler for the BPF target";
/// The name of the need that `bpf-linker`'s own LLVM can meet as well.
pub(crate) const LLVM: &str = "LLVM 22";
/// Where Debian puts the LLVM that `bpf-linker` is built with.
pub(crate) const LLVM_PREFIX: &str = "/usr/lib/llvm-22";

use Purpose::{Bench, Build, Cluster, Demo, Test, Vm};
const ALWAYS: &[Purpose] = &[Build, Demo, Vm, Cluster, Test, Bench];

pub(crate) const NEEDS: &[Need] = &[
    need("a C compiler", "links host programs", &["gcc", "libc6-dev"], ALWAYS, Found::Program("cc")),
    need(
        BPF_COMPILER,
        "compiles the kernel programs",
        &["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf"],
        ALWAYS,
        Found::BpfCompiler,
    ),
    need(LLVM, "bpf-linker is built with it", &["llvm-22-dev", "g++"], ALWAYS, Found::LinkerOrLlvm),
    need("Python 3", "runs the demo's programs", &["python3"], &[Demo, Cluster, Test], Found::Program("python3")),
    need("Python's venv", "holds the peers from PyPI", &["python3-venv"], &[Test], Found::PythonVenv),
    need("QEMU", "boots other kernels", &["qemu-system-x86"], &[Vm, Test], Found::Program("qemu-system-x86_64")),
    need(
        "debootstrap",
        "makes the userland of a node with systemd",
        &["debootstrap"],
        &[Vm],
        Found::Program("debootstrap"),
    ),
    need("xz", "unpacks the modules of those kernels", &["xz-utils"], &[Vm, Test], Found::Program("xz")),
    need("setpriv", "takes capabilities away", &["util-linux"], &[Vm, Test], Found::Program("setpriv")),
    need("busybox", "is a userspace", &["busybox-static"], &[Vm, Cluster, Test], Found::Program("busybox")),
    need("strip", "makes file systems small", &["binutils"], &[Vm, Cluster, Test], Found::Program("strip")),
    need("curl", "is a real client", &["curl"], &[Test], Found::Program("curl")),
    need("OpenSSL", "is what wget is built with", &["libssl-dev"], &[Test], Found::Library("libssl")),
    need("make", "builds it", &["make"], &[Test], Found::Program("make")),
    need("sudo", "runs what run starts as its caller", &["sudo"], &[Test], Found::Program("sudo")),
    need("Node.js", "is a real client and server", &["nodejs"], &[Test], Found::Program("node")),
    need("npm", "installs the SDKs for Node.js", &["npm"], &[Test], Found::Program("npm")),
    need("Go", "is a real client, and compiles Kubernetes", &["golang-go"], &[Cluster, Test], Found::Program("go")),
    need("libseccomp", "is a part of runc", &["libseccomp-dev"], &[Cluster, Test], Found::Library("libseccomp")),
    need("pkg-config", "finds it", &["pkg-config"], &[Cluster, Test], Found::Program("pkg-config")),
    need("unshare", "makes a node's namespaces", &["util-linux"], &[Cluster, Test], Found::Program("unshare")),
    need("nginx", "is a real server", &["nginx-light"], &[Test, Bench], Found::Program("nginx")),
    need("Prometheus", "scrapes the agent", &["prometheus"], &[Test], Found::Program("promtool")),
    need("ss", "shows sockets", &["iproute2"], &[Test], Found::Program("ss")),
    need("mkfs.ext4", "makes a node's disk", &["e2fsprogs"], &[Cluster, Test], Found::Program("mkfs.ext4")),
    need("ip", "makes network namespaces", &["iproute2"], &[Cluster, Test], Found::Program("ip")),
    need("nft", "translates addresses", &["nftables"], &[Cluster, Test], Found::Program("nft")),
    need("systemd-analyze", "reads the unit of a bare node", &["systemd"], &[Test], Found::Program("systemd-analyze")),
    need("wrk", "makes load", &["wrk"], &[Bench], Found::Program("wrk")),
    need("taskset", "binds programs to cores", &["util-linux"], &[Bench], Found::Program("taskset")),
];

const fn need(
    name: &'static str,
    why: &'static str,
    packages: &'static [&'static str],
    purposes: &'static [Purpose],
    found: Found,
) -> Need {
    Need { name, why, packages, purposes, found }
}

impl Need {
    /// This purpose needs it.
    pub(crate) fn serves(&self, purpose: Purpose) -> bool {
        self.purposes.contains(&purpose)
    }

    /// The machine has it.
    pub(crate) fn is_met(&self) -> bool {
        match self.found {
            Found::Program(name) => {
                toolchain::on_path(name).is_some()
                    || ["/usr/sbin", "/sbin"].iter().any(|folder| Path::new(folder).join(name).is_file())
            }
            Found::BpfCompiler => toolchain::compiler("bpfel-unknown-none").is_ok(),
            Found::LinkerOrLlvm => {
                toolchain::linker().is_ok() || Path::new(LLVM_PREFIX).join("bin/llvm-config").is_file()
            }
            Found::Library(name) => std::process::Command::new("pkg-config")
                .args(["--exists", name])
                .status()
                .is_ok_and(|status| status.success()),
            Found::PythonVenv => std::process::Command::new("python3")
                .args(["-c", "import venv, ensurepip"])
                .output()
                .is_ok_and(|output| output.status.success()),
        }
    }
}
