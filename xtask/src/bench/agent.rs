//! The agent under measurement: its own CPU time, its kernel programs' time, its memory.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    exec::{self, Owned},
    http,
};

/// Start-up takes less than this or has failed.
const LIMIT: Duration = Duration::from_secs(10);

/// A count that has not changed for this long is final.
const QUIET: Duration = Duration::from_secs(1);

/// A running `telltale run`.
pub(crate) struct Agent {
    process: Owned,
    metrics: SocketAddr,
    /// From its start until it served its metrics.
    pub(crate) start: Duration,
}

/// The kernel programs' counters: only with `kernel.bpf_stats_enabled`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Programs {
    /// Time in all programs.
    pub(crate) nanoseconds: u64,
    /// Runs of all programs.
    pub(crate) runs: u64,
}

/// Kernel memory of the maps, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Maps {
    /// What does not depend on the number of CPUs.
    pub(crate) fixed: u64,
    /// What each possible CPU adds.
    pub(crate) per_cpu: u64,
}

impl Agent {
    /// Starts it on that core, in scope of one process, and waits until it serves its metrics.
    pub(crate) fn start(program: &Path, core: usize, observed: u32) -> Result<Self> {
        let metrics = http::free_address()?;
        let mut command = Command::new("taskset");
        command
            .args(["-c", &core.to_string()])
            .arg(program)
            .args(["--quiet", "run", "--pid", &observed.to_string(), "--logs", "/dev/null"])
            .args(["--metrics-addr", &metrics.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let begin = Instant::now();
        let mut process = Owned::start(&mut command)?;
        while http::get(metrics, "/metrics").is_err() {
            if let Some(status) = process.0.try_wait()? {
                bail!("`{}` ended: {status}", exec::line(&command));
            }
            if begin.elapsed() > LIMIT {
                bail!("`{}` serves no metrics", exec::line(&command));
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(Self { process, metrics, start: begin.elapsed() })
    }

    /// Ends it as a user would, so that it detaches.
    pub(crate) fn stop(mut self) -> Result<()> {
        exec::run(Command::new("kill").args(["-TERM", &self.process.0.id().to_string()]))?;
        exec::wait(&mut self.process.0, LIMIT)?.context("the agent did not end")?;
        Ok(())
    }

    /// CPU time that its own threads have used.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = fs::read_to_string(self.proc("stat"))?;
        // After the command's name, which can hold anything: fields 3 and on; utime and stime are 14 and 15 (proc(5)).
        let fields: Vec<_> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks =
            |index: usize| fields.get(index - 3).and_then(|field| field.parse::<u64>().ok()).unwrap_or_default();
        let a_second: u64 = exec::output(Command::new("getconf").arg("CLK_TCK"))?.trim().parse()?;
        Ok(Duration::from_secs_f64((ticks(14) + ticks(15)) as f64 / a_second as f64))
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        let status = fs::read_to_string(self.proc("status"))?;
        let kibibytes =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
        Ok(kibibytes.unwrap_or(0_u64) * 1024)
    }

    /// The sum of all series of a metric of its own; 0 where it has none yet.
    pub(crate) fn metric(&self, name: &str) -> Result<u64> {
        let text = http::get(self.metrics, "/metrics")?;
        let series =
            text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
        // Counters of whole things, which the exposition may write as `12` or `12.0`.
        Ok(series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).map(|value| value as u64).sum())
    }

    /// Waits until the number of exchanges no longer changes, and gives it.
    pub(crate) fn settled_exchanges(&self) -> Result<u64> {
        let mut last = self.metric("telltale_exchanges_total")?;
        let (begin, mut change) = (Instant::now(), Instant::now());
        while change.elapsed() < QUIET && begin.elapsed() < LIMIT {
            thread::sleep(Duration::from_millis(100));
            let now = self.metric("telltale_exchanges_total")?;
            if now != last {
                (last, change) = (now, Instant::now());
            }
        }
        Ok(last)
    }

    /// The counters of every kernel program that it holds.
    pub(crate) fn programs(&self) -> Result<Programs> {
        let mut sum = Programs::default();
        for program in self.held("prog_id")?.values() {
            sum.nanoseconds += program.get("run_time_ns").copied().unwrap_or_default();
            sum.runs += program.get("run_cnt").copied().unwrap_or_default();
        }
        Ok(sum)
    }

    /// The memory of every map that it holds.
    pub(crate) fn maps(&self) -> Result<Maps> {
        // Map types (linux/bpf.h): PERCPU_HASH, PERCPU_ARRAY, LRU_PERCPU_HASH, PERCPU_CGROUP_STORAGE.
        const PER_CPU: [u64; 4] = [5, 6, 10, 21];
        let possible = possible_cpus()?;
        let mut sum = Maps::default();
        for map in self.held("map_id")?.values() {
            let bytes = map.get("memlock").copied().unwrap_or_default();
            if map.get("map_type").is_some_and(|kind| PER_CPU.contains(kind)) {
                sum.per_cpu += bytes / possible;
            } else {
                sum.fixed += bytes;
            }
        }
        Ok(sum)
    }

    /// The numbers in `fdinfo` of every kernel object that has this key, once each.
    fn held(&self, key: &str) -> Result<BTreeMap<u64, BTreeMap<String, u64>>> {
        let mut objects = BTreeMap::new();
        for entry in fs::read_dir(self.proc("fdinfo"))?.filter_map(Result::ok) {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            let pairs = text.lines().filter_map(|line| line.split_once(':'));
            let numbers: BTreeMap<_, _> =
                pairs.filter_map(|(key, value)| Some((key.to_owned(), value.trim().parse().ok()?))).collect();
            // A link names its program too, but has no counters of it.
            if let Some(id) = numbers.get(key).copied().filter(|_| !numbers.contains_key("link_id")) {
                objects.insert(id, numbers);
            }
        }
        Ok(objects)
    }

    fn proc(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.process.0.id()))
    }
}

fn possible_cpus() -> Result<u64> {
    let range = fs::read_to_string("/sys/devices/system/cpu/possible").context("reading the possible CPUs")?;
    // `0-15`, or `0`.
    let last = range.trim().rsplit(['-', ',']).next().and_then(|last| last.parse::<u64>().ok());
    Ok(last.context("reading the possible CPUs")? + 1)
}

/// While it lives, the kernel counts the time of its BPF programs.
pub(crate) struct BpfStatistics {
    before: String,
}

const STATISTICS: &str = "/proc/sys/kernel/bpf_stats_enabled";

impl BpfStatistics {
    /// Turns counting on.
    pub(crate) fn enable() -> Result<Self> {
        let before = fs::read_to_string(STATISTICS).with_context(|| format!("reading {STATISTICS}"))?;
        fs::write(STATISTICS, "1").with_context(|| format!("writing {STATISTICS}; run this as root"))?;
        Ok(Self { before })
    }
}

impl Drop for BpfStatistics {
    fn drop(&mut self) {
        if let Err(error) = fs::write(STATISTICS, self.before.trim()) {
            eprintln!("set {STATISTICS} back to {} by hand: {error}", self.before.trim());
        }
    }
}
