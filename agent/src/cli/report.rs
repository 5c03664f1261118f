//! What was lost, for the end of a run.

use std::fmt::Write as _;

use crate::{
    admin::{Health, SelfMetric, table},
    capture::{GapReason, recording::RecorderReport},
};

/// What the names of the programs inside TLS begin with.
const TLS_PROGRAMS: &str = "tls_";

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

/// A line for the summary about what probes inside TLS cost processes that are not observed; `None` if they never ran into one.
pub fn cost_of_others(health: &Health) -> Option<String> {
    let samples = health.samples();
    let of = |metric: &'static SelfMetric| samples.iter().filter(move |sample| sample.metric == metric);
    let calls: f64 = of(&table::TLS_OTHERS).map(|sample| sample.value).sum();
    if calls < 1.0 {
        return None;
    }
    let mut line = format!("calls of TLS libraries by processes out of scope, which ran into probes: {calls}");
    // Only while the kernel keeps statistics; it does not tell whose runs they were.
    let probes = |metric| -> f64 {
        let of_probes =
            of(metric).filter(|sample| sample.labels.iter().any(|program| program.starts_with(TLS_PROGRAMS)));
        of_probes.map(|sample| sample.value).sum()
    };
    let (runs, seconds) = (probes(&table::KERNEL_PROGRAM_RUNS), probes(&table::KERNEL_PROGRAM_TIME));
    if runs >= 1.0 {
        let _ = write!(line, " (its program takes {:.2} us, the trap comes on top)", seconds / runs * 1e6);
    }
    Some(line)
}

/// Lines for the summary about what capture and the stages lost; empty if nothing was.
pub fn losses(health: &Health) -> Vec<String> {
    let samples = health.samples();
    let sum = |metric: &'static SelfMetric| -> Vec<(String, u64)> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::Sample;

    #[test]
    fn what_others_pay_is_told_if_they_do() {
        let told = |samples: &[(&'static SelfMetric, &'static str, f64)]| {
            let (health, samples) = (Health::new(), samples.to_vec());
            health.source(move |sink| {
                for &(metric, label, value) in &samples {
                    let labels = metric.labels.iter().map(|_| label.to_owned()).collect();
                    sink(Sample { metric, labels, value });
                }
            });
            cost_of_others(&health)
        };
        assert_eq!(told(&[]), None);
        assert_eq!(told(&[(&table::TLS_OTHERS, "", 0.0), (&table::TLS_CALLS, "", 9.0)]), None);
        let calls = "calls of TLS libraries by processes out of scope, which ran into probes: 12";
        assert_eq!(told(&[(&table::TLS_OTHERS, "", 12.0)]).as_deref(), Some(calls));
        let with_statistics = told(&[
            (&table::TLS_OTHERS, "", 12.0),
            (&table::KERNEL_PROGRAM_RUNS, "tls_begin", 30.0),
            (&table::KERNEL_PROGRAM_RUNS, "tls_end", 10.0),
            (&table::KERNEL_PROGRAM_TIME, "tls_begin", 9e-6),
            (&table::KERNEL_PROGRAM_TIME, "tls_end", 1e-6),
            (&table::KERNEL_PROGRAM_TIME, "tcp_sendmsg", 5.0),
        ]);
        assert_eq!(with_statistics, Some(format!("{calls} (its program takes 0.25 us, the trap comes on top)")));
    }
}
