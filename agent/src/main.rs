//! The `telltale` binary: see [`telltale::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    telltale::cli::main(std::env::args_os())
}
