//! `cargo xtask test`: everything that must hold, as a table of steps.

use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;

use crate::{cluster, deny, exec, repository, setup, vm, workspace};

/// `cargo xtask test [STEP]...`
#[derive(Args)]
pub(crate) struct Arguments {
    /// Only these steps, by name; all if not given
    #[arg(value_name = "STEP")]
    steps: Vec<String>,
    /// Name the steps
    #[arg(long)]
    list: bool,
}

/// One thing that is checked.
struct Step {
    name: &'static str,
    what: &'static str,
    check: fn() -> Result<()>,
}

/// In the order that tells of a mistake soonest.
const STEPS: &[Step] = &[
    Step {
        name: "repository",
        what: "no machine's paths, no broken links, no download addresses",
        check: repository::check,
    },
    Step { name: "format", what: "rustfmt", check: || cargo(&["fmt", "--all", "--check"], &[]) },
    Step { name: "licences", what: "deny.toml", check: deny::check },
    Step { name: "lint", what: "clippy on host code", check: lint },
    Step { name: "lint-ebpf", what: "clippy on the kernel programs", check: lint_ebpf },
    Step {
        name: "portable",
        what: "the library and the binary without eBPF",
        check: || cargo(&["clippy", "--package", "telltale", "--no-default-features", "--", "--deny", "warnings"], &[]),
    },
    Step {
        name: "docs",
        what: "rustdoc without warnings",
        check: || cargo(&["doc", "--no-deps", "--document-private-items"], &[("RUSTDOCFLAGS", "--deny warnings")]),
    },
    Step { name: "tests", what: "all tests on this machine's kernel", check: tests },
    Step { name: "node", what: "the agent on a real Kubernetes node", check: cluster::test },
    Step { name: "fuzz", what: "fuzz targets compile", check: fuzz },
    Step { name: "kernels", what: "the kernel tests on stock kernels in QEMU", check: vm::default_tests },
];

/// The verb.
pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    if arguments.list {
        for step in STEPS {
            println!("{:<12} {}", step.name, step.what);
        }
        return Ok(());
    }
    if let Some(unknown) = arguments.steps.iter().find(|name| STEPS.iter().all(|step| step.name != *name)) {
        bail!("no step {unknown}; `cargo xtask test --list` names them");
    }
    let start = Instant::now();
    setup::ensure(&[setup::Purpose::Test])?;
    println!("== setup: done, {}", seconds(start));

    let chosen = |step: &&Step| arguments.steps.is_empty() || arguments.steps.iter().any(|name| name == step.name);
    let mut results = Vec::new();
    for step in STEPS.iter().filter(chosen) {
        println!("== {}: {}", step.name, step.what);
        let begin = Instant::now();
        let result = (step.check)();
        match &result {
            Ok(()) => println!("== {}: ok, {}", step.name, seconds(begin)),
            Err(error) => println!("== {}: FAILED, {}: {error:#}", step.name, seconds(begin)),
        }
        results.push((step.name, result.is_ok(), seconds(begin)));
    }

    println!("\n== all steps, {}", seconds(start));
    for (name, passed, time) in &results {
        println!("{:<6} {name:<12} {time}", if *passed { "ok" } else { "FAILED" });
    }
    let failed = results.iter().filter(|(_, passed, _)| !passed).count();
    println!("{} passed, {failed} failed", results.len() - failed);
    if failed > 0 {
        bail!("a step failed; `cargo xtask test STEP` runs it alone");
    }
    Ok(())
}

fn seconds(since: Instant) -> String {
    format!("{:.0} s", since.elapsed().as_secs_f64())
}

fn cargo(arguments: &[&str], variables: &[(&str, &str)]) -> Result<()> {
    exec::run(workspace::cargo().args(arguments).envs(variables.iter().copied()))
}

/// What is not a test of itself is none of all targets.
fn lint() -> Result<()> {
    cargo(&["clippy", "--all-targets", "--", "--deny", "warnings"], &[])?;
    cargo(&["clippy", "--package", "telltale", "--test", "take", "--", "--deny", "warnings"], &[])
}

/// Two lints are not for kernel programs: a function that is not inlined is a BPF call, with five arguments at most and a
/// frame of its own on a stack of 512 bytes; and a context is handed over by value because the kernel's hooks take it so.
///
/// Other flags than the host's, so another folder. The programs are checked as if for the host, which needs no BPF sysroot: there is no clippy beside a packaged compiler.
fn lint_ebpf() -> Result<()> {
    // As the agent's build script says for which machine the programs are.
    let architecture = format!("bpf_target_arch=\"{}\"", std::env::consts::ARCH);
    cargo(
        &[
            "clippy",
            "--package",
            "agent-ebpf",
            "--target-dir",
            "target/lint-ebpf",
            "--",
            "--allow",
            "clippy::inline_always",
            "--allow",
            "clippy::needless_pass_by_value",
            "--deny",
            "warnings",
            "--cfg",
            &architecture,
            "--check-cfg",
            "cfg(bpf_target_arch, values(any()))",
        ],
        &[("CARGO_PROFILE_DEV_PANIC", "abort"), ("RUSTC_BOOTSTRAP", "1")],
    )
}

/// Where the random numbers of properties begin, so that a failure is of the change that is tested; who writes properties runs them without it.
const PROPERTIES: (&str, &str) = ("PROPTEST_RNG_SEED", "1");

/// Tests find real peers by these variables; without them (a plain `cargo test`) they look on the search path.
fn tests() -> Result<()> {
    let python = setup::python::program("python")?;
    let rotel = setup::python::program("rotel-agent")?;
    // An API server that somebody has and names is as good as ours.
    let kube = match std::env::var_os("KUBEBUILDER_ASSETS").filter(|folder| !folder.is_empty()) {
        Some(folder) => folder.into(),
        None => setup::kube::folder()?,
    };
    exec::run(
        workspace::cargo()
            .args(["test", "--no-fail-fast"])
            .env(PROPERTIES.0, PROPERTIES.1)
            .env("TELLTALE_TEST_PYTHON", python)
            .env("TELLTALE_TEST_ROTEL", rotel)
            .env("TELLTALE_TEST_SDK_PYTHON", setup::python::with_sdks()?)
            .env("TELLTALE_TEST_SDK_NODE", setup::node::folder()?)
            .env("TELLTALE_TEST_TLS_PYTHON", setup::python::with_tls_clients()?)
            .env("TELLTALE_TEST_TLS_LIBRARIES", setup::python::tls_libraries()?)
            .env("TELLTALE_TEST_NODE_RELEASES", setup::node::releases()?)
            .env("TELLTALE_TEST_WGET", setup::wget::program()?)
            .env("TELLTALE_TEST_KUBE", kube),
    )
}

/// The compiler's check needs no nightly; `cargo fuzz run` does.
fn fuzz() -> Result<()> {
    if !workspace::root().join("agent/fuzz/Cargo.toml").is_file() {
        bail!("there is no folder agent/fuzz");
    }
    cargo(&["check", "--manifest-path", "agent/fuzz/Cargo.toml", "--target-dir", "target/fuzz"], &[])
}
