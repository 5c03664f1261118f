//! `cargo xtask demo`: a real client that uses a model and a tool, two real servers, and what Telltale sees of them.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    exec::{self, Owned},
    http, setup, workspace,
};

/// The program needs about ten seconds; on a slow machine it gets more.
const LIMIT: Duration = Duration::from_mins(1);

/// Which lines of the metrics are shown: of the observed traffic, only what fits on a screen.
const SHOWN: &[&str] = &[
    "http_client_request_duration_seconds_count",
    "gen_ai_client_token_usage_sum",
    "gen_ai_client_operation_time_to_first_chunk_seconds_sum",
    "mcp_client_operation_duration_seconds_count",
];

/// The verb.
pub(crate) fn main() -> Result<()> {
    setup::ensure(&[setup::Purpose::Demo])?;
    println!("building telltale (the first time takes a minute or two)");
    let built = workspace::executables(&["build", "--package", "telltale"])?;
    let (.., telltale) = built.into_iter().find(|(name, ..)| name == "telltale").context("cargo built no telltale")?;

    let assets = workspace::root().join("xtask/assets/demo");
    let (_servers, shop, model) = servers(&assets)?;
    let scratch = workspace::target().join("demo");
    fs::create_dir_all(&scratch)?;
    // Whoever runs the program (the caller of sudo) must be able to create it.
    let done = scratch.join(format!("done-{}", std::process::id()));
    let metrics = http::free_address()?;

    let mut command = privileged(&telltale)?;
    command.args(["run", "--tree", "--logs", "-", "--metrics-addr", &metrics.to_string(), "--", "python3"]);
    command.arg(assets.join("program.py")).args([&shop, &model]).arg(&done);
    println!("\n$ {}\n", exec::line(&command));
    let mut run = Owned::start(&mut command)?;

    let start = Instant::now();
    while !done.exists() && run.0.try_wait()?.is_none() && start.elapsed() < LIMIT {
        thread::sleep(Duration::from_millis(50));
    }
    // The last access-log lines are on their way.
    thread::sleep(Duration::from_millis(500));
    show_metrics(metrics);
    let status = exec::wait(&mut run.0, LIMIT)?;
    // It is there unless the run failed, which the next line says.
    let _ = fs::remove_file(&done);
    let status = status.context("the program did not end in time")?;
    ensure!(status.success(), "`{}` failed: {status}", exec::line(&command));
    println!("\nNow try it on a program of yours: sudo {} run --logs - -- COMMAND", telltale.display());
    Ok(())
}

/// Starts both servers and gives their ports.
fn servers(assets: &Path) -> Result<(Owned, String, String)> {
    let mut command = Command::new("python3");
    command.arg(assets.join("servers.py")).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut servers = Owned::start(&mut command)?;
    let output = servers.0.stdout.take().context("the servers have no output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).context("reading the servers' ports")?;
    let (shop, model) = line.trim().split_once(' ').context("the servers said no ports")?;
    Ok((servers, shop.to_owned(), model.to_owned()))
}

/// Capturing needs root; `run` starts the program as whoever called sudo.
fn privileged(program: &Path) -> Result<Command> {
    let root = exec::output(Command::new("id").arg("-u"))?.trim() == "0";
    if root {
        return Ok(Command::new(program));
    }
    let mut command = Command::new("sudo");
    command.arg(program);
    Ok(command)
}

fn show_metrics(address: std::net::SocketAddr) {
    println!("\n$ curl http://{address}/metrics   (some of it)\n");
    match http::get(address, "/metrics") {
        Ok(text) => {
            for line in text.lines().filter(|line| SHOWN.iter().any(|name| line.starts_with(name))) {
                println!("{line}");
            }
        }
        Err(error) => println!("{error:#}"),
    }
    println!();
}
