//! `cargo xtask vm`: the kernel matrix.

mod cpio;
mod initramfs;
pub(crate) mod matrix;
pub(crate) mod qemu;
mod report;

use std::{fs, path::PathBuf, time::Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;

pub(crate) use cpio::Archive;
pub(crate) use initramfs::libraries_of;

use self::{
    initramfs::Guest,
    matrix::{ROWS, Row},
};
use crate::{cluster, node::Machine, setup, toolchain, workspace};

/// The integration test of package `telltale` that runs inside.
const TEST: &str = "kernel";

/// `cargo xtask vm [--kernel NAME]... [-- COMMAND...]`
#[derive(Args)]
pub(crate) struct Arguments {
    /// Which rows of the matrix, by name (6.12, 6.12-preempt, ...); the default set if not given
    #[arg(long = "kernel", value_name = "NAME")]
    kernels: Vec<String>,
    /// Only with these backends; those that the row names if not given
    #[arg(long = "backend", value_name = "NAME")]
    backends: Vec<String>,
    /// Run only the tests whose name contains this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Run the tests of a Kubernetes node instead, on one that is such a machine
    #[arg(long)]
    node: Option<Machine>,
    /// Run this in the guest's shell (`telltale` and busybox are there) instead of the tests, and show what it prints
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// The verb.
pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    if let Some(machine) = arguments.node {
        return cluster::test_on(machine);
    }
    setup::ensure(&[setup::Purpose::Vm])?;
    let rows = rows(&arguments.kernels)?;
    if arguments.command.is_empty() {
        return tests(&rows, &arguments.backends, arguments.only.as_deref());
    }
    let programs = programs(&["build", "--package", "telltale"])?;
    for row in rows {
        let script = arguments.command.join(" ");
        let (console, seconds) = boot(row, &programs, &[("command".to_owned(), with_path(&programs, &script))])?;
        let outcome = report::outcome(&console, "command");
        print!("{}", outcome.text);
        let status = outcome.status.map_or_else(|| "did not end".to_owned(), |status| format!("exit status {status}"));
        println!("{}: {status} after {seconds:.0} s", row.name);
        if outcome.status != Some(0) {
            bail!("the command failed on {}", row.name);
        }
    }
    Ok(())
}

/// Runs the kernel tests on the default rows.
pub(crate) fn default_tests() -> Result<()> {
    setup::ensure(&[setup::Purpose::Vm])?;
    tests(&matrix::default_rows().collect::<Vec<_>>(), &[], None)
}

fn rows(names: &[String]) -> Result<Vec<&'static Row>> {
    if names.is_empty() {
        return Ok(matrix::default_rows().collect());
    }
    let known = || ROWS.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
    let row = |name: &String| {
        ROWS.iter().find(|row| row.name == name).with_context(|| format!("no kernel {name}; there are: {}", known()))
    };
    names.iter().map(row).collect()
}

/// Boots each row once, runs the tests once with each backend, and says what failed.
fn tests(rows: &[&Row], backends: &[String], only: Option<&str>) -> Result<()> {
    let mut programs = programs(&["test", "--no-run", "--package", "telltale", "--test", TEST])?;
    programs.push(toolchain::on_path("setpriv").context("setpriv is not installed; run `cargo xtask setup`")?);
    let test = programs
        .iter()
        .find(|file| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("kernel-")))
        .with_context(|| format!("cargo built no test {TEST}"))?;
    let mut failed = 0;
    for row in rows {
        let chosen: Vec<&str> = match backends {
            [] => row.backends.to_vec(),
            names => names.iter().map(String::as_str).collect(),
        };
        if chosen.is_empty() {
            println!("{}: no backend is expected to work there; name one with --backend", row.name);
            continue;
        }
        let scripts: Vec<_> = chosen
            .iter()
            .map(|backend| {
                let filter = only.map(|only| format!(" '{only}'")).unwrap_or_default();
                // Emulated cores are slow and few: tests run one after another, so that each has both.
                let run = format!("{} --test-threads=1{filter}", test.display());
                let variables = format!("export TELLTALE_TEST_VM=1 TELLTALE_TEST_BACKEND={backend}");
                ((*backend).to_owned(), with_path(&programs, &format!("{variables}\n{run}")))
            })
            .collect();
        let (console, seconds) = boot(row, &programs, &scripts)?;
        let release = report::release(&console).unwrap_or("did not boot");
        println!("{} ({release}), {seconds:.0} s", row.name);
        for backend in chosen {
            let outcome = report::outcome(&console, backend);
            let passed = outcome.status == Some(0) && outcome.failed.is_empty() && outcome.passed > 0;
            let verdict = if passed { "PASS" } else { "FAIL" };
            println!("  {verdict} {backend}: {} passed, {} failed", outcome.passed, outcome.failed.len());
            if !passed {
                failed += 1;
                explain(&outcome, row);
            }
        }
    }
    if failed > 0 {
        bail!("{failed} runs of the kernel tests failed");
    }
    Ok(())
}

fn explain(outcome: &report::Outcome, row: &Row) {
    match outcome.status {
        None => println!("    it did not end: the machine died or was stopped"),
        Some(0) if outcome.passed == 0 => println!("    no test ran"),
        Some(status) => println!("    exit status {status}; failed: {}", outcome.failed.join(", ")),
    }
    for line in outcome.text.lines().rev().take(60).collect::<Vec<_>>().into_iter().rev() {
        println!("    | {line}");
    }
    println!("    the whole console: target/vm/{}.log", row.name);
}

fn boot(row: &Row, programs: &[PathBuf], commands: &[(String, String)]) -> Result<(String, f64)> {
    let kernel = setup::kernels::ensure(row.kernel)?;
    let folder = workspace::target().join("vm");
    fs::create_dir_all(&folder)?;
    let initramfs = folder.join(format!("{}.cpio", row.name));
    let modules = setup::kernels::modules(row.kernel)?;
    Guest { programs, commands, modules: &modules }.write(&initramfs)?;
    let start = Instant::now();
    let log = folder.join(format!("{}.log", row.name));
    let console = qemu::boot(&kernel, &initramfs, row.command_line, &log)?;
    fs::remove_file(&initramfs)?;
    Ok((console, start.elapsed().as_secs_f64()))
}

/// Builds and gives the executables of package `telltale` that the arguments name.
fn programs(arguments: &[&str]) -> Result<Vec<PathBuf>> {
    let built = workspace::executables(arguments)?;
    let wanted = |name: &str| name == "telltale" || name == TEST;
    Ok(built.into_iter().filter(|(name, ..)| wanted(name)).map(|(.., file)| file).collect())
}

/// The script with the folders of the programs on its search path.
fn with_path(programs: &[PathBuf], script: &str) -> String {
    let folders: Vec<_> =
        programs.iter().filter_map(|file| file.parent()).map(|folder| folder.display().to_string()).collect();
    format!("export PATH={}:$PATH\n{script}\n", folders.join(":"))
}
