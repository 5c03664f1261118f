//! Every metric about the agent itself; adding one is adding a row.

/// How values behave over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
}

/// One metric. The Prometheus name is `name` with the unit and, of a counter, `_total` appended.
#[derive(Debug, PartialEq, Eq)]
pub struct SelfMetric {
    /// Name without unit and `_total`.
    pub name: &'static str,
    /// Unit word of Prometheus (`seconds`, `bytes`), if it has one.
    pub unit: Option<&'static str>,
    /// How it behaves.
    pub kind: Kind,
    /// One sentence.
    pub help: &'static str,
    /// Label keys, in the order in which values are given.
    pub labels: &'static [&'static str],
}

/// Declares the metrics and the list of them.
macro_rules! metrics {
    ($($constant:ident = $kind:ident $name:literal $(($unit:literal))? [$($label:literal),*] $help:literal;)+) => {
        $(
            #[doc = $help]
            pub static $constant: SelfMetric = SelfMetric {
                name: $name,
                unit: metrics!(@unit $($unit)?),
                kind: Kind::$kind,
                help: $help,
                labels: &[$($label),*],
            };
        )+

        /// All of them, in the order of exposition.
        pub static ALL: &[&SelfMetric] = &[$(&$constant),+];
    };
    (@unit) => { None };
    (@unit $unit:literal) => { Some($unit) };
}

metrics! {
    EVENTS = Counter "telltale_events" ["kind"] "Events read from the capture backend or the recording.";
    EVENT_BYTES = Counter "telltale_event" ("bytes") ["direction"] "Payload bytes copied, by direction seen from the process.";
    GAPS = Counter "telltale_gaps" ["reason"] "Stretches of bytes that were moved and not seen.";
    GAP_BYTES = Counter "telltale_gap" ("bytes") ["reason"] "Bytes that were moved and not seen.";
    CONNECTIONS_OPENED = Counter "telltale_connections_opened" [] "Connections first seen; what is inside the TLS of one, where it is read, is another.";
    CONNECTIONS_CLOSED = Counter "telltale_connections_closed" [] "Connections whose end was seen.";
    CONNECTIONS_EVICTED = Counter "telltale_connections_evicted" ["reason"] "Connections forgotten before their end, because of a limit.";
    CONNECTIONS_TRACKED = Gauge "telltale_connections_tracked" [] "Connections now in the tables.";
    PARSE_FAILURES = Counter "telltale_parse_failures" ["protocol", "reason"] "Messages that could not be parsed.";
    RESYNCHRONISATIONS = Counter "telltale_resynchronisations" ["protocol"] "Times that a parser found the next message after it had lost its place.";
    EVENTS_WITHOUT_OPEN = Counter "telltale_events_without_open" [] "Events of connections that are not in the table: their open was lost, or they were forgotten.";
    CONNECTIONS_PROTOCOL = Counter "telltale_connections_protocol" ["protocol"] "Connections by what they were found to speak; one that was upgraded counts twice, as does one of TLS that is read inside.";
    CONNECTION_BYTES = Counter "telltale_connection" ("bytes") ["protocol", "direction"] "Bytes moved, copied or not, by what the connection is known to speak; those inside TLS beside those of its records.";
    WORKLOADS_EVICTED = Counter "telltale_workloads_evicted" [] "Processes forgotten because of a limit; met again, they are looked up again.";
    ATTRIBUTION_WAITING = Gauge "telltale_attribution_waiting" [] "Exchanges that are over and wait until it is known whose they are.";
    ATTRIBUTION_LATE = Counter "telltale_attribution_late" [] "Exchanges of which it became known whose they are while they waited.";
    ATTRIBUTION_GIVEN_UP = Counter "telltale_attribution_given_up" ["reason"] "Exchanges that waited in vain: too long (time), or until others needed their place (room).";
    DIRECTORY_FORGOTTEN = Counter "telltale_directory_forgotten" [] "Former pods of addresses that were forgotten because of a limit.";
    CGROUPS = Gauge "telltale_cgroups" [] "Cgroups of pods that are known.";
    CGROUPS_BEYOND = Counter "telltale_cgroups_beyond_limit" [] "Cgroups of pods that are not remembered, because of a limit.";
    CGROUP_LOOKS = Counter "telltale_cgroup_looks" [] "Times that the whole tree of cgroups was looked at.";
    CGROUP_WATCHES_REFUSED = Counter "telltale_cgroup_watches_refused" [] "Folders of cgroups that the system does not let be watched: the sysctl `fs.inotify.max_user_watches` is too low.";
    STREAM_REORDERED = Counter "telltale_stream_reordered" [] "Events that came after an event of a later position.";
    STREAM_LATE_BYTES = Counter "telltale_stream_late" ("bytes") [] "Bytes that came again, or after their place had been given up.";
    STREAM_CUT_SHORT = Counter "telltale_stream_window_cut_short" ["reason"] "Waits for missing bytes that ended without them.";
    STREAM_DATA_BYTES = Counter "telltale_stream_data" ("bytes") [] "Bytes delivered in order.";
    HTTP1_MESSAGES = Counter "telltale_http1_messages" ["kind"] "Heads of HTTP/1 messages that were parsed.";
    HTTP1_HEADS_LOST = Counter "telltale_http1_heads_lost" ["reason"] "Heads of HTTP/1 messages that were cut off or destroyed.";
    HTTP1_SKIPPED_BYTES = Counter "telltale_http1_skipped" ("bytes") [] "Bytes passed over while message boundaries were lost.";
    HTTP1_WAIT_OVERFLOWS = Counter "telltale_http1_wait_overflows" [] "Times that a response waited for its request until the window was full.";
    HTTP1_PIPELINE_OVERFLOWS = Counter "telltale_http1_pipeline_overflows" [] "Times that too many requests waited for their responses.";
    HTTP1_GIVEN_UP = Counter "telltale_http1_given_up" [] "Connections on which no message could be found again.";
    DETECTION_OVERFLOWS = Counter "telltale_protocol_detection_overflows" [] "Connections whose first bytes did not tell what they speak.";
    OPAQUE_BYTES = Counter "telltale_protocol_opaque" ("bytes") [] "Bytes that are not parsed.";
    EXCHANGES_OVERFLOWED = Counter "telltale_exchanges_overflowed" [] "Requests that were not tracked, because too many of one connection waited.";
    CONTENT_CUT_BYTES = Counter "telltale_content_cut" ("bytes") ["reason"] "Bytes of content that a policy asks for and that were not kept.";
    CONTENT_WITHHELD = Counter "telltale_content_withheld" ["reason"] "Contents of messages that a policy asks for and that are not given out.";
    BODY_ITEMS = Counter "telltale_body_items" ["kind"] "Documents, elements, lines, events and messages that content was taken apart into for calls of language models and MCP.";
    BODY_UNREADABLE = Counter "telltale_body_unreadable" ["reason"] "Contents that may have been such a call and are of no form that is read.";
    BODY_CUT = Counter "telltale_body_cut" ["reason"] "Contents of which something could not be read.";
    MCP_ANSWERS = Counter "telltale_mcp_answers" ["result"] "Answers of MCP that came over another connection than their request: `joined` to it, `unasked` for in time, or beyond the `limit` of those that are kept.";
    MCP_UNANSWERED = Counter "telltale_mcp_unanswered" ["reason"] "Exchanges of MCP that waited for such an answer and were recorded without.";
    MCP_SESSIONS_FORGOTTEN = Counter "telltale_mcp_sessions_forgotten" [] "Sessions of MCP that were forgotten since too many are remembered.";
    MCP_MESSAGES_BEYOND = Counter "telltale_mcp_messages_beyond" [] "Messages of MCP and JSON-RPC that were not kept since their exchange had too many.";
    UNPAIRED_RESPONSES = Counter "telltale_http1_unpaired_responses" ["reason"] "Responses of which it is not known which request they answer.";
    EXCHANGES = Counter "telltale_exchanges" [] "Exchanges recorded.";
    EXCHANGES_INCOMPLETE = Counter "telltale_exchanges_incomplete" ["reason"] "Exchanges recorded that were not seen whole.";
    EXCHANGES_OWN = Counter "telltale_exchanges_own" [] "Exchanges of Telltale exporters, which are never turned into telemetry.";
    CALLS_WITHOUT_PRICE = Counter "telltale_gen_ai_calls_without_price" [] "Calls of language models that say their tokens, and whose model has no price in the file of prices.";
    EVALUATION_FAULTS = Counter "telltale_policy_evaluation_faults" [] "Evaluations of expressions in policies that failed: the attribute was left out, or the filter said no.";
    RESULTS_CUT = Counter "telltale_policy_results_cut" [] "Values of expressions in policies of which the end was cut off, because they were too long.";
    SERIES = Gauge "telltale_metric_series" [] "Series of observed traffic, overflow series not counted.";
    SERIES_OVERFLOWED = Counter "telltale_metric_series_overflowed" [] "Exchanges recorded in an overflow series because of the cardinality limit.";
    LABELS_CUT = Counter "telltale_metric_labels_cut" [] "Values of labels of which the end was cut off, because they were too long.";
    SESSIONS_UNMEASURED = Counter "telltale_mcp_sessions_unmeasured" [] "Sessions of MCP that have no duration, because too many were open.";
    QUEUE_LENGTH = Gauge "telltale_queue_length" ["queue"] "Entries now in a queue.";
    QUEUE_CAPACITY = Gauge "telltale_queue_capacity" ["queue"] "Entries that a queue can hold.";
    QUEUE_DROPPED = Counter "telltale_queue_dropped" ["queue", "reason"] "Entries that a queue or its sink lost.";
    EXPORTED = Counter "telltale_exported" ["sink"] "Spans or lines handed over to a sink.";
    EXPORT_FAILURES = Counter "telltale_export_failures" ["sink", "reason"] "Attempts to export that failed, retried ones included.";
    EXPORT_REJECTED = Counter "telltale_export_rejected" ["sink"] "Spans that a receiver rejected (partial success).";
    BACKEND = Gauge "telltale_capture_backend" ["backend"] "1 for the capture backend in use.";
    KERNEL_RECORDS = Counter "telltale_kernel_records" [] "Records that the kernel programs handed over.";
    KERNEL_COPIED = Counter "telltale_kernel_copied" ("bytes") [] "Payload bytes that the kernel programs copied.";
    KERNEL_DROPS = Counter "telltale_kernel_drops" ["reason"] "Records that the kernel programs could not hand over.";
    KERNEL_DROPPED_BYTES = Counter "telltale_kernel_dropped" ("bytes") [] "Stream bytes of records that a full ring refused.";
    TLS_CALLS = Counter "telltale_tls_calls" [] "Calls of TLS libraries that moved plaintext of processes in scope.";
    TLS_OTHERS = Counter "telltale_tls_calls_of_others" [] "Calls of TLS libraries by processes that are not in scope: they share the file of a library with one that is, and pay for the probe in it.";
    TLS_ELSEWHERE = Counter "telltale_tls_calls_elsewhere" [] "Calls of TLS libraries that are not told of, because it is not proven that they are of a connection with a port in scope.";
    TLS_OBJECTS = Counter "telltale_tls_objects" ["socket"] "Connections inside TLS that were seen, by whether their socket was proven.";
    TLS_FILES = Gauge "telltale_tls_files" [] "Files with probes: TLS libraries, programs with one inside, dynamic linkers.";
    TLS_FILES_ATTACHED = Counter "telltale_tls_files_attached" [] "Times that probes were put into a file, since the first process in scope executed it.";
    TLS_FILES_DETACHED = Counter "telltale_tls_files_detached" [] "Times that probes were taken out of a file, since no process in scope executed it any more.";
    TLS_FILES_EVICTED = Counter "telltale_tls_files_evicted" [] "Times that a file lost its probes to make room for those of another one, since no process is known that executes it.";
    TLS_REFUSED = Counter "telltale_tls_refused" ["reason"] "Files without the probes that they should have, and processes that are not known: the system said no (attach), the file is damaged (read), too many files (files) or processes (processes).";
    TLS_PROCESSES = Gauge "telltale_tls_processes" [] "Processes that execute files with probes.";
    TLS_LOOKS = Counter "telltale_tls_looks" ["cause"] "Times that a process was looked at for TLS libraries, by what told of it.";
    KERNEL_MAP_MEMORY = Gauge "telltale_kernel_map_memory" ("bytes") [] "Kernel memory of the maps; storage of sockets and threads is not in it.";
    KERNEL_PROGRAM_RUNS = Counter "telltale_kernel_program_runs" ["program"] "Runs of a kernel program, while BPF statistics are enabled.";
    KERNEL_PROGRAM_TIME = Counter "telltale_kernel_program" ("seconds") ["program"] "Time in a kernel program, while BPF statistics are enabled.";
    SKIPS_REFUSED = Counter "telltale_skip_positions_refused" [] "Times that the kernel's table of what need not be copied was full; it is copied then.";
    TLS_REJOINED = Counter "telltale_tls_rejoined" [] "Connections inside TLS that were joined in the middle although something inside the same socket was known: the kernel's tables hold 16384, or another process goes on with the connection.";
    TLS_SOCKETS_EVICTED = Counter "telltale_tls_sockets_evicted" [] "Sockets that were forgotten because too many may carry TLS at once; what was inside theirs ended early.";
    NOT_COVERED = Counter "telltale_sockets_not_covered" ["kind"] "Sockets whose bytes cannot be seen.";
    KERNEL_RECURSION_MISSES = Counter "telltale_kernel_recursion_misses" ["program"] "Runs that the kernel skipped because the program was already running on that CPU.";
    KUBERNETES_EVENTS = Counter "telltale_kubernetes_events" ["kind"] "Objects that the API server told of, in lists and afterwards.";
    KUBERNETES_LISTS = Counter "telltale_kubernetes_lists" ["kind"] "Times that all objects of a kind were asked for, the first time included.";
    KUBERNETES_ERRORS = Counter "telltale_kubernetes_errors" ["kind", "reason"] "Lists and watches that failed; they are tried again.";
    KUBERNETES_OBJECTS = Gauge "telltale_kubernetes_objects" ["kind"] "Objects of the cluster that are known.";
    KUBERNETES_OBJECT_BYTES = Gauge "telltale_kubernetes_object_memory" ("bytes") ["kind"] "Memory of the objects that are known, estimated.";
    KUBERNETES_REFUSED = Counter "telltale_kubernetes_objects_refused" ["kind"] "Times that an object was not kept, because too many of its kind are, or they are too large.";
    POLICY_FIELDS_PRUNED = Gauge "telltale_policy_fields_pruned" ["dialect"] "Fields of policies that the installed definition of the dialect drops.";
    KUBERNETES_RECEIVED = Counter "telltale_kubernetes_received" ("bytes") [] "Bytes that the API server sent, without HTTP's own and before encryption.";
    KUBERNETES_CONTACT_AGE = Gauge "telltale_kubernetes_contact_age" ("seconds") [] "Time since the API server last sent something; about a minute at most while all is well.";
    KUBERNETES_WRITES = Counter "telltale_kubernetes_writes" ["what"] "Objects written to the API server: leases of the election, reports of this node, statuses of policies, events.";
    KUBERNETES_WRITE_FAILURES = Counter "telltale_kubernetes_write_failures" ["what", "reason"] "Writes to the API server that failed, those that were tried again included.";
    KUBERNETES_LEADER = Gauge "telltale_kubernetes_leader" [] "1 while this agent is the elected one, which writes the status of policies.";
    SELECTED_PODS = Gauge "telltale_selected_pods" [] "Pods of this node that are captured, since a policy asks for something of them.";
    CPU = Counter "telltale_process_cpu" ("seconds") ["mode"] "CPU time of the agent.";
    MEMORY = Gauge "telltale_process_resident_memory" ("bytes") [] "Resident memory of the agent.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_carry_the_prefix() {
        let mut names: Vec<_> = ALL.iter().map(|metric| metric.name).collect();
        assert!(names.iter().all(|name| name.starts_with("telltale_")));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}
