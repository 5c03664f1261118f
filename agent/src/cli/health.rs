//! What the kernel side counts, among the metrics about the agent.

use agent_common::counter::Counter;

use crate::{
    admin::{
        Health, Sample,
        table::{self, SelfMetric},
    },
    capture::kernel::{Capture, CaptureError, KernelCounters},
};

/// Which metric shows which counter.
const ROWS: &[(Counter, &SelfMetric, &[&str])] = &[
    (Counter::Records, &table::KERNEL_RECORDS, &[]),
    (Counter::CopiedBytes, &table::KERNEL_COPIED, &[]),
    (Counter::RingFull, &table::KERNEL_DROPS, &["ring_full"]),
    (Counter::RingFullBytes, &table::KERNEL_DROPPED_BYTES, &[]),
    (Counter::SocketState, &table::KERNEL_DROPS, &["socket_state"]),
    (Counter::ThreadState, &table::KERNEL_DROPS, &["thread_state"]),
    (Counter::ProcessTable, &table::KERNEL_DROPS, &["process_table"]),
    (Counter::CgroupDepth, &table::KERNEL_DROPS, &["cgroup_depth"]),
    (Counter::TlsObjects, &table::KERNEL_DROPS, &["tls_object"]),
    (Counter::TlsNoSocket, &table::TLS_ELSEWHERE, &[]),
    (Counter::NoticesLost, &table::KERNEL_DROPS, &["notice"]),
    (Counter::TlsCalls, &table::TLS_CALLS, &[]),
    (Counter::TlsOthers, &table::TLS_OTHERS, &[]),
    (Counter::TlsBound, &table::TLS_OBJECTS, &["proven"]),
    (Counter::TlsUnbound, &table::TLS_OBJECTS, &["unknown"]),
    (Counter::KernelTls, &table::NOT_COVERED, &["ktls"]),
    (Counter::Mptcp, &table::NOT_COVERED, &["mptcp"]),
    (Counter::Sockmap, &table::NOT_COVERED, &["sockmap"]),
];

/// Adds the counters of a capture; they are read at every scrape.
pub(super) fn register(health: &Health, capture: &Capture) -> Result<(), CaptureError> {
    let counters = capture.counters()?;
    let backend = capture.backend().name();
    let map_memory = capture.map_memory();
    health.source(move |sink| {
        sink(sample(&table::BACKEND, &[backend], 1.0));
        sink(sample(&table::KERNEL_MAP_MEMORY, &[], map_memory as f64));
        from_kernel(&counters, sink);
    });
    Ok(())
}

fn from_kernel(counters: &KernelCounters, sink: &mut dyn FnMut(Sample)) {
    for (counter, metric, labels) in ROWS {
        // A map that cannot be read shows nothing rather than a zero.
        if let Ok(value) = counters.plain(*counter) {
            sink(sample(metric, labels, value as f64));
        }
    }
    for cost in counters.programs() {
        let program = cost.program.as_str();
        sink(sample(&table::KERNEL_RECURSION_MISSES, &[program], cost.recursion_misses as f64));
        sink(sample(&table::KERNEL_PROGRAM_RUNS, &[program], cost.runs as f64));
        sink(sample(&table::KERNEL_PROGRAM_TIME, &[program], cost.time.as_secs_f64()));
    }
}

fn sample(metric: &'static SelfMetric, labels: &[&str], value: f64) -> Sample {
    Sample { metric, labels: labels.iter().map(|&label| label.to_owned()).collect(), value }
}
