//! The figures as tables, against the budgets.

use std::{fmt::Write as _, fs};

use anyhow::{Context as _, Result};

use super::{
    criterion::Estimate,
    overhead::{Figures, Loss, Series},
};
use crate::workspace;

const MEBIBYTE: f64 = 1024.0 * 1024.0;
/// CPUs that the budget for maps is given for.
const BUDGET_CPUS: f64 = 16.0;

/// One line of the table.
struct Line {
    what: &'static str,
    measured: String,
    budget: &'static str,
    /// Whether the budget holds; `None` where there is none, or where this is not what it is given for.
    holds: Option<bool>,
}

impl Line {
    fn shown(what: &'static str, measured: String) -> Self {
        Self { what, measured, budget: "", holds: None }
    }

    fn held(what: &'static str, measured: String, budget: &'static str, holds: bool) -> Self {
        Self { what, measured, budget, holds: Some(holds) }
    }
}

/// Writes `docs/performance.md` and prints it.
pub(crate) fn publish(micro_figures: &[Estimate], figures: &Figures) -> Result<()> {
    let text = format!("{}\n{}\n{}", introduction(figures), overhead(figures), micro(micro_figures));
    print!("{text}");
    let file = workspace::root().join("docs/performance.md");
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&file, text).with_context(|| format!("writing {}", file.display()))
}

fn introduction(figures: &Figures) -> String {
    let spare = if figures.cores.count > 2 {
        "The spare core is one that neither the server nor the load uses."
    } else {
        "With two cores, the spare core is the one that also makes the load."
    };
    format!(
        "# Performance\n\n\
         Written by `cargo xtask bench`, which takes every figure again. Ratios are of one run: the agent off and on in turns.\n\n\
         - Machine: {}.\n\
         - Capture backend: `{}`, scope: nginx's one worker, by process id. Metrics on, access log off.\n\
         - Server: nginx, one worker, alone on a core, 100 bytes a response. Load: wrk, one thread, 32 connections with keep-alive,\n  \
           on a core of its own. {spare}\n\
         - Medians; in brackets the least and the greatest turn.\n",
        figures.machine, figures.backend,
    )
}

/// The table of the real server.
pub(crate) fn overhead(figures: &Figures) -> String {
    let mut text =
        "## A real server under load\n\n| what | measured | budget | holds |\n|---|---|---|---|\n".to_owned();
    for Line { what, measured, budget, holds } in [speed(figures), size(figures), losses(figures)].into_iter().flatten()
    {
        let holds = holds.map_or("", |holds| if holds { "yes" } else { "no" });
        let _ = writeln!(text, "| {what} | {measured} | {budget} | {holds} |");
    }
    text
}

/// What it costs the server and the node.
fn speed(figures: &Figures) -> Vec<Line> {
    let off = figures.off.median();
    let lost = |on: f64| (1.0 - on / off) * 100.0;
    let (spare, same) = (lost(figures.spare.median()), lost(figures.same.median()));
    let cpu = (figures.agent_cpu.median() + figures.kernel_time) / 1e3;
    let slower = (figures.read_on.median() / figures.read_off.median() - 1.0) * 100.0;
    let (least, greatest) = figures.agent_cpu.range();
    let agent = format!("{:.2} us ({:.2} to {:.2})", figures.agent_cpu.median() / 1e3, least / 1e3, greatest / 1e3);
    let kernel = format!("{:.2} us in {:.1} runs", figures.kernel_time / 1e3, figures.kernel_runs);
    let (read_off, read_on) = (figures.read_off.median(), figures.read_on.median());
    vec![
        Line::shown("requests, agent off", rates(&figures.off)),
        Line::shown("requests, agent on the spare core", rates(&figures.spare)),
        Line::shown("requests, agent on the server's core", rates(&figures.same)),
        Line::held("throughput lost, spare core", format!("{spare:.1} %"), "3 %", spare <= 3.0),
        Line::held("throughput lost, same core", format!("{same:.1} %"), "10 %", same <= 10.0),
        Line::shown("agent's own CPU an exchange", agent),
        Line::shown("kernel programs an exchange (`bpf_stats`)", kernel),
        Line::held("both together", format!("{cpu:.2} us"), "3 us", cpu <= 3.0),
        Line::shown(
            "an unrelated `read()` of one byte",
            format!("{read_off:.0} ns, with the agent {read_on:.0} ns ({slower:+.1} %)"),
        ),
    ]
}

/// What it takes of the node's memory, and how soon it is there.
fn size(figures: &Figures) -> Vec<Line> {
    let maps = figures.maps;
    let all_maps = maps.fixed as f64 + maps.per_cpu as f64 * BUDGET_CPUS;
    let formula = format!(
        "{:.1} MiB = {} + 16 x {:.2} MiB",
        all_maps / MEBIBYTE,
        mebibytes(maps.fixed),
        maps.per_cpu as f64 / MEBIBYTE
    );
    let start = figures.start.median();
    let many = format!("{} ({} connections, no pods)", mebibytes(figures.many), figures.connections);
    vec![
        Line::held("resident memory, idle", mebibytes(figures.idle), "25 MB", figures.idle <= 25_000_000),
        Line::shown("resident memory after saturation", mebibytes(figures.loaded)),
        Line::held("resident memory, many connections", many, "64 MB", figures.many <= 64_000_000),
        Line::held("kernel memory of all maps, 16 possible CPUs", formula, "24 MB", all_maps <= 24e6),
        Line::held("stripped binary", mebibytes(figures.binary), "20 MB", figures.binary <= 20_000_000),
        Line::held("start until capturing", format!("{start:.0} ms"), "1 s", start <= 1000.0),
    ]
}

/// What it did not see.
fn losses(figures: &Figures) -> Vec<Line> {
    // The load generator does not count requests that its end cut off, so there can be more exchanges than requests.
    let missing = |loss: Loss| loss.requests.saturating_sub(loss.exchanges);
    let lost = |loss: Loss| {
        format!(
            "{} of {} requests at {:.0}/s; {} kernel drops, {} bytes not seen",
            missing(loss),
            loss.requests,
            loss.rate,
            loss.drops,
            loss.unseen
        )
    };
    let paced = figures.paced;
    vec![
        Line::held(
            "lost at 80 % of the sustainable rate",
            lost(paced),
            "0",
            paced.drops + paced.unseen + missing(paced) == 0,
        ),
        Line::shown("lost at saturation", lost(figures.saturated)),
    ]
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / MEBIBYTE)
}

fn rates(series: &Series) -> String {
    let (least, greatest) = series.range();
    format!("{:.0}/s ({least:.0} to {greatest:.0})", series.median())
}

/// The table of Criterion's estimates.
pub(crate) fn micro(estimates: &[Estimate]) -> String {
    let mut text =
        "## Stages alone\n\nCriterion, quick settings, one core.\n\n| benchmark | time | throughput |\n|---|---|---|\n"
            .to_owned();
    for estimate in estimates {
        let throughput = estimate.throughput.map(|(amount, unit)| {
            let rate = amount / estimate.nanoseconds * 1e9;
            if unit == "B" {
                format!("{:.0} MiB/s", rate / MEBIBYTE)
            } else {
                format!("{:.0} thousand {unit}/s", rate / 1e3)
            }
        });
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            estimate.name,
            time(estimate.nanoseconds),
            throughput.unwrap_or_default()
        );
    }
    text
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        n if n < 1e3 => format!("{n:.0} ns"),
        n if n < 1e6 => format!("{:.2} us", n / 1e3),
        n => format!("{:.2} ms", n / 1e6),
    }
}
