//! Project automation: `cargo xtask <verb>`.
//!
//! Every verb does the set-up that it needs, so that each is the first command one can run in a fresh clone.

mod bench;
mod cluster;
mod demo;
mod deny;
mod exec;
mod http;
mod image;
mod node;
mod recordings;
mod repository;
mod setup;
mod test;
#[path = "../../agent/build/toolchain.rs"]
mod toolchain;
mod vm;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Sets up, demonstrates, tests and measures Telltale")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Install what is missing on this machine; seconds when nothing is
    Setup(setup::Arguments),
    /// Watch a small client and its servers for half a minute
    Demo,
    /// Check everything: format, lints, licences, all tests, the kernel matrix
    Test(test::Arguments),
    /// Boot real kernels in QEMU and run the kernel tests inside
    Vm(vm::Arguments),
    /// Measure; writes docs/performance.md
    Bench(bench::Arguments),
    /// Take the recordings of real traffic anew that the replay tests use; as root
    Recordings(recordings::Arguments),
    /// Start a Kubernetes cluster of one node here, with traffic that the agent observes, and leave it running
    Cluster(cluster::Arguments),
    /// Build the agent as a container image
    Image(image::Arguments),
    /// Check the licences and sources of all dependencies against deny.toml
    Deny,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Setup(arguments) => setup::main(&arguments),
        Verb::Demo => demo::main(),
        Verb::Test(arguments) => test::main(&arguments),
        Verb::Vm(arguments) => vm::main(&arguments),
        Verb::Bench(arguments) => bench::main(&arguments),
        Verb::Recordings(arguments) => recordings::main(&arguments),
        Verb::Cluster(arguments) => cluster::main(&arguments),
        Verb::Image(arguments) => image::main(&arguments),
        Verb::Deny => setup::ensure(&[setup::Purpose::Test]).and_then(|()| deny::check()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
