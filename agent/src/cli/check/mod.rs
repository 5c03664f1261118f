//! `telltale check`: what this machine allows.

mod cluster;
mod process;

use std::io::{self, IsTerminal as _, Write as _};

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};

use super::args::{CheckArgs, CheckFormat};
use crate::{
    capture::{
        kernel::capability::{Report, Status, report},
        tls::capability::capability,
    },
    config::Config,
};

/// Runs it. True if something can be captured, and the API server answers if it is asked; of one process, if it can be read inside TLS.
pub(super) fn check(args: &CheckArgs, config: &Config) -> io::Result<bool> {
    if let Some(pid) = args.pid {
        return check_process(pid, args.output, config);
    }
    let mut report = report(&args.cgroup_root);
    if report.backend.is_some() {
        report.capabilities.push(capability());
    }
    let mut reached = true;
    if args.cluster {
        let rows = cluster::rows(args);
        reached = rows.iter().all(|row| row.status != Status::Fatal);
        report.capabilities.extend(rows);
    }
    let mut out = io::stdout().lock();
    match args.output {
        CheckFormat::Json => {
            serde_json::to_writer_pretty(&mut out, &report)?;
            writeln!(out)?;
        }
        CheckFormat::Text => write!(out, "{}", text(&report))?,
    }
    Ok(report.backend.is_some() && reached)
}

fn check_process(pid: u32, format: CheckFormat, config: &Config) -> io::Result<bool> {
    let report = process::report(pid, &config.tls_targets())?;
    let mut out = io::stdout().lock();
    match format {
        CheckFormat::Json => {
            serde_json::to_writer_pretty(&mut out, &report)?;
            writeln!(out)?;
        }
        CheckFormat::Text => write!(out, "{}", process::text(&report, io::stdout().is_terminal()))?,
    }
    Ok(report.can_be_read())
}

fn text(report: &Report) -> String {
    let colour = io::stdout().is_terminal();
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["CAPABILITY", "RESULT", "TRIED", "FOUND"]);
    for capability in &report.capabilities {
        let (word, tint) = match capability.status {
            Status::Ok => ("ok", Color::Green),
            Status::Missing => ("missing", Color::Yellow),
            Status::Fatal => ("FATAL", Color::Red),
        };
        let result = if colour { Cell::new(word).fg(tint) } else { Cell::new(word) };
        table.add_row([
            Cell::new(&capability.name),
            result,
            Cell::new(&capability.tried),
            Cell::new(&capability.found),
        ]);
    }
    let mut text = format!("kernel {}\n\n{}\n", report.kernel, table.trim_fmt());
    let mends: Vec<String> = report
        .capabilities
        .iter()
        .filter_map(|capability| Some(format!("  {}: {}", capability.name, capability.mend.as_ref()?)))
        .collect();
    if !mends.is_empty() {
        text = text + "\nwhat to do\n" + &mends.join("\n") + "\n";
    }
    let verdict = match report.backend {
        Some(backend) => {
            // As `kube` tells that it is in a pod.
            let is_pod = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
            let who = if is_pod { "The agent" } else { "`telltale run`" };
            format!("{who} will use the backend `{backend}`.")
        }
        None => "Nothing can be captured on this machine; `telltale replay` works everywhere.".to_owned(),
    };
    text + "\n" + &verdict + "\n"
}
