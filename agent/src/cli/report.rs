//! What was lost, for the end of a run.

use crate::{
    admin::{Health, table},
    capture::{GapReason, recording::RecorderReport},
};

/// Says what became of a recording. True if something is not in it.
pub fn recording(report: &RecorderReport) -> bool {
    if report.error.is_some() || report.lost > 0 {
        // What stopped it was said when it happened.
        tracing::error!("the recording is not whole: {} events are in it, {} are lost", report.events, report.lost);
        return true;
    }
    tracing::info!("{} events recorded, {} bytes", report.events, report.bytes);
    false
}

/// Lines for the summary about what capture and the stages lost; empty if nothing was.
pub fn losses(health: &Health) -> Vec<String> {
    let samples = health.samples();
    let sum = |metric: &'static crate::admin::SelfMetric| -> Vec<(String, u64)> {
        samples
            .iter()
            .filter(|sample| sample.metric == metric && sample.value > 0.0)
            // What nobody asked for is not lost.
            .filter(|sample| !sample.labels.iter().any(|label| label == GapReason::NotCopied.name()))
            .map(|sample| (sample.labels.join(" "), sample.value as u64))
            .collect()
    };
    let rows = [
        (&table::GAP_BYTES, "bytes not seen"),
        (&table::KERNEL_DROPS, "events lost in the kernel"),
        (&table::CONNECTIONS_EVICTED, "connections forgotten, too many at once"),
        (&table::EVENTS_WITHOUT_OPEN, "events of connections that are not known"),
        (&table::EXCHANGES_OVERFLOWED, "pipelined requests beyond the bound"),
        (&table::QUEUE_DROPPED, "entries lost by an output"),
        (&table::EXCHANGES_OWN, "exchanges of Telltale's own exporters, left out"),
    ];
    rows.into_iter()
        .filter_map(|(metric, what)| {
            let parts = sum(metric);
            let total: u64 = parts.iter().map(|(_, count)| count).sum();
            let named: Vec<String> = parts
                .iter()
                .filter(|(reason, _)| !reason.is_empty())
                .map(|(reason, count)| format!("{count} {reason}"))
                .collect();
            match (total, named.is_empty()) {
                (0, _) => None,
                (_, true) => Some(format!("{what}: {total}")),
                (_, false) => Some(format!("{what}: {total} ({})", named.join(", "))),
            }
        })
        .collect()
}
