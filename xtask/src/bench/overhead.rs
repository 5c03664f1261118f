//! What observing costs a server under load: the agent off and on in turns, in one run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result};

use super::{
    agent::{Agent, BpfStatistics, Maps},
    load::{Done, Load, Server},
    machine::{self, Cores},
    read_loop,
};
use crate::{exec, workspace};

/// Turns of each kind. The median of them counts, the spread is shown.
const TURNS: usize = 5;
const SATURATE: Load = Load { connections: 32, seconds: 3, rate: None };
/// Connections that the second figure for memory is taken with: each is seen at the server's end.
const MANY_CONNECTIONS: u32 = 10_000;
/// Of the sustainable rate, as the budget for losses says.
const PACE: f64 = 0.8;
/// How long one turn of the read loop is.
const READ_MILLISECONDS: u64 = 700;

/// A figure of several turns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series(pub(crate) Vec<f64>);

impl Series {
    /// The middle value; 0 of none.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }

    /// The least and the greatest.
    pub(crate) fn range(&self) -> (f64, f64) {
        (self.0.iter().copied().fold(f64::MAX, f64::min), self.0.iter().copied().fold(f64::MIN, f64::max))
    }
}

/// Requests of one load, and what became of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Loss {
    /// Requests a second.
    pub(crate) rate: f64,
    /// Requests that the load generator counted.
    pub(crate) requests: u64,
    /// Exchanges that the agent recorded.
    pub(crate) exchanges: u64,
    /// Records that the kernel programs could not hand over.
    pub(crate) drops: u64,
    /// Bytes that were moved and not seen.
    pub(crate) unseen: u64,
}

/// Everything that is measured.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    pub(crate) cores: Cores,
    pub(crate) machine: String,
    pub(crate) backend: String,
    /// Requests a second: without the agent, with it on the spare core, with it on the server's core.
    pub(crate) off: Series,
    pub(crate) spare: Series,
    pub(crate) same: Series,
    /// Nanoseconds of the agent's own CPU time an exchange.
    pub(crate) agent_cpu: Series,
    /// Nanoseconds in kernel programs an exchange, and their runs an exchange.
    pub(crate) kernel_time: f64,
    pub(crate) kernel_runs: f64,
    /// Nanoseconds a call of the unrelated loop.
    pub(crate) read_off: Series,
    pub(crate) read_on: Series,
    /// Resident bytes: idle, after the load, with many connections.
    pub(crate) idle: u64,
    pub(crate) loaded: u64,
    pub(crate) many: u64,
    pub(crate) connections: u32,
    pub(crate) maps: Maps,
    /// Bytes of the stripped binary.
    pub(crate) binary: u64,
    /// Milliseconds from start to serving metrics, which is after everything is attached.
    pub(crate) start: Series,
    /// At saturation, and at the budget's pace.
    pub(crate) saturated: Loss,
    pub(crate) paced: Loss,
}

/// Measures everything: about two minutes after the build.
pub(crate) fn run(program: Option<&Path>) -> Result<Figures> {
    let root = exec::output(Command::new("id").arg("-u"))?.trim() == "0";
    anyhow::ensure!(root, "capturing needs root: run this as root");
    let program = program.map_or_else(build, |program| Ok(program.to_owned()))?;
    let cores = machine::cores()?;
    let server = Server::start(cores.server)?;
    println!("nginx on core {}, wrk on core {}, the agent on core {}", cores.server, cores.load, cores.spare);

    let mut figures = Figures {
        cores,
        machine: machine::description()?,
        backend: backend(&program)?,
        off: Series::default(),
        spare: Series::default(),
        same: Series::default(),
        agent_cpu: Series::default(),
        kernel_time: 0.0,
        kernel_runs: 0.0,
        read_off: Series::default(),
        read_on: Series::default(),
        idle: 0,
        loaded: 0,
        many: 0,
        connections: MANY_CONNECTIONS,
        maps: Maps::default(),
        binary: stripped(&program)?,
        start: Series::default(),
        saturated: Loss::default(),
        paced: Loss::default(),
    };
    for turn in 1..=TURNS {
        throughput(&mut figures, &server, &program)?;
        println!("turn {turn} of {TURNS}: off, spare core, server's core");
    }
    unrelated(&mut figures, &server, &program)?;
    kernel(&mut figures, &server, &program)?;
    memory(&mut figures, &server, &program)?;
    let pace = Load { connections: 256, seconds: 5, rate: Some(figures.spare.median() * PACE) };
    let agent = Agent::start(&program, cores.spare, server.worker)?;
    figures.paced = observed(&agent, &server, cores, pace)?.0;
    agent.stop()?;
    Ok(figures)
}

/// The profile of `cargo bench`, so that the dependencies are built once for both; the code is the release build's.
fn build() -> Result<PathBuf> {
    let built = workspace::executables(&["build", "--profile", "bench", "--package", "telltale"])?;
    let (.., program) = built.into_iter().find(|(name, ..)| name == "telltale").context("cargo built no telltale")?;
    Ok(program)
}

/// One turn of each kind.
fn throughput(figures: &mut Figures, server: &Server, program: &Path) -> Result<()> {
    let cores = figures.cores;
    figures.off.0.push(SATURATE.run(server, cores.load)?.rate);

    let agent = Agent::start(program, cores.spare, server.worker)?;
    figures.start.0.push(agent.start.as_secs_f64() * 1e3);
    let (loss, cpu) = observed(&agent, server, cores, SATURATE)?;
    figures.spare.0.push(loss.rate);
    figures.agent_cpu.0.push(cpu.as_secs_f64() * 1e9 / loss.exchanges.max(1) as f64);
    figures.saturated = loss;
    agent.stop()?;

    let agent = Agent::start(program, cores.server, server.worker)?;
    figures.same.0.push(observed(&agent, server, cores, SATURATE)?.0.rate);
    agent.stop()
}

/// Runs a load while the agent watches: what became of the requests, and the agent's CPU time for them.
fn observed(agent: &Agent, server: &Server, cores: Cores, load: Load) -> Result<(Loss, Duration)> {
    let before = (agent.cpu()?, agent.settled_exchanges()?);
    let Done { requests, rate } = load.run(server, cores.load)?;
    let exchanges = agent.settled_exchanges()? - before.1;
    let cpu = agent.cpu()?.saturating_sub(before.0);
    let loss = Loss {
        rate,
        requests,
        exchanges,
        drops: agent.metric("telltale_kernel_drops_total")?,
        unseen: agent.metric("telltale_gap_bytes_total")?,
    };
    Ok((loss, cpu))
}

/// The unrelated loop, on the core that neither the server nor the waiting agent uses.
fn unrelated(figures: &mut Figures, server: &Server, program: &Path) -> Result<()> {
    for _ in 0..TURNS {
        figures.read_off.0.push(read_loop::measure(figures.cores.load, READ_MILLISECONDS)?);
        let agent = Agent::start(program, figures.cores.server, server.worker)?;
        figures.read_on.0.push(read_loop::measure(figures.cores.load, READ_MILLISECONDS)?);
        agent.stop()?;
    }
    Ok(())
}

/// The kernel's own count of the programs' time; counting costs a little of its own.
fn kernel(figures: &mut Figures, server: &Server, program: &Path) -> Result<()> {
    let _counting = BpfStatistics::enable()?;
    let agent = Agent::start(program, figures.cores.spare, server.worker)?;
    let before = agent.programs()?;
    let (loss, _) = observed(&agent, server, figures.cores, SATURATE)?;
    let after = agent.programs()?;
    let exchanges = loss.exchanges.max(1) as f64;
    figures.kernel_time = (after.nanoseconds - before.nanoseconds) as f64 / exchanges;
    figures.kernel_runs = (after.runs - before.runs) as f64 / exchanges;
    agent.stop()
}

fn memory(figures: &mut Figures, server: &Server, program: &Path) -> Result<()> {
    let agent = Agent::start(program, figures.cores.spare, server.worker)?;
    std::thread::sleep(Duration::from_secs(1));
    figures.idle = agent.resident()?;
    figures.maps = agent.maps()?;
    observed(&agent, server, figures.cores, SATURATE)?;
    figures.loaded = agent.resident()?;
    let many = Load { connections: MANY_CONNECTIONS, seconds: 6, rate: None };
    observed(&agent, server, figures.cores, many)?;
    figures.many = agent.resident()?;
    agent.stop()
}

fn stripped(program: &Path) -> Result<u64> {
    let copy = workspace::target().join("bench/telltale.stripped");
    if let Some(folder) = copy.parent() {
        fs::create_dir_all(folder)?;
    }
    exec::output(Command::new("strip").arg("-o").arg(&copy).arg(program))?;
    Ok(fs::metadata(&copy)?.len())
}

/// The backend that this host gets, as `telltale check` names it.
fn backend(program: &Path) -> Result<String> {
    let report = exec::captured(Command::new(program).args(["check", "-o", "json"]))?;
    let report: serde_json::Value =
        serde_json::from_slice(&report.stdout).context("reading `telltale check -o json`")?;
    Ok(report["backend"].as_str().unwrap_or("unknown").to_owned())
}

#[cfg(test)]
mod tests {
    use super::Series;

    #[test]
    fn the_median_is_the_middle_value() {
        let series = Series(vec![3.0, 1.0, 2.0]);
        assert!((series.median() - 2.0).abs() < f64::EPSILON);
        assert_eq!(series.range(), (1.0, 3.0));
    }
}
