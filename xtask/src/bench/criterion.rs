//! Criterion's benchmarks: all of package `telltale`, with quick settings, and the estimates that they leave behind.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{exec, workspace};

/// One benchmark's estimate.
pub(crate) struct Estimate {
    /// Criterion's id: `group/function/value`.
    pub(crate) name: String,
    /// The mean time of one iteration, in nanoseconds.
    pub(crate) nanoseconds: f64,
    /// What one iteration works through, and how much of it.
    pub(crate) throughput: Option<(f64, &'static str)>,
}

/// Runs every benchmark and reads the estimates.
pub(crate) fn run() -> Result<Vec<Estimate>> {
    let metadata = exec::output(workspace::cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("reading cargo's metadata")?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let targets =
        packages.filter(|package| package["name"] == "telltale").filter_map(|package| package["targets"].as_array());
    let benches: Vec<_> = targets
        .flatten()
        .filter(|target| target["kind"][0] == "bench")
        .filter_map(|target| target["name"].as_str())
        .collect();
    let results = workspace::target().join("criterion");
    if results.is_dir() {
        // Estimates of benchmarks that are no more.
        fs::remove_dir_all(&results)?;
    }
    if benches.is_empty() {
        return Ok(Vec::new());
    }
    let mut command = workspace::cargo();
    command.args(["bench", "--package", "telltale"]);
    for bench in benches {
        command.args(["--bench", bench]);
    }
    exec::run(command.args(["--", "--quick", "--noplot"]))?;

    let mut estimates = Vec::new();
    collect(&results, &mut estimates)?;
    estimates.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(estimates)
}

/// Reads each folder `new` that holds a benchmark's description and estimates.
fn collect(folder: &Path, estimates: &mut Vec<Estimate>) -> Result<()> {
    for entry in fs::read_dir(folder)?.filter_map(Result::ok).filter(|entry| entry.path().is_dir()) {
        let folder = entry.path();
        if entry.file_name() != "new" {
            collect(&folder, estimates)?;
            continue;
        }
        let read = |name: &str| -> Result<Value> {
            let file = folder.join(name);
            let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
            serde_json::from_str(&text).with_context(|| format!("reading {}", file.display()))
        };
        let (benchmark, values) = (read("benchmark.json")?, read("estimates.json")?);
        let throughput = &benchmark["throughput"];
        let throughput = [("Elements", "exchanges or items"), ("Bytes", "B"), ("BytesDecimal", "B")]
            .into_iter()
            .find_map(|(key, unit)| Some((throughput[key].as_f64()?, unit)));
        estimates.push(Estimate {
            name: benchmark["full_id"].as_str().unwrap_or_default().to_owned(),
            nanoseconds: values["mean"]["point_estimate"].as_f64().unwrap_or_default(),
            throughput,
        });
    }
    Ok(())
}
