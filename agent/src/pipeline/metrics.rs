//! What the stages of a pipeline count; a supplement to the table of the agent's metrics.

use crate::admin::{SelfMetric, table::Kind};

/// Declares counters: name, unit, labels, help.
macro_rules! counters {
    ($($constant:ident = $name:literal $(($unit:literal))? [$($label:literal),*] $help:literal;)+) => {
        $(
            #[doc = $help]
            pub static $constant: SelfMetric = SelfMetric {
                name: $name,
                unit: counters!(@unit $($unit)?),
                kind: Kind::Counter,
                help: $help,
                labels: &[$($label),*],
            };
        )+
    };
    (@unit) => { None };
    (@unit $unit:literal) => { Some($unit) };
}

counters! {
    EVENTS_WITHOUT_OPEN = "telltale_events_without_open" [] "Events of connections that are not in the table: their open was lost, or they were forgotten.";
    CONNECTIONS_PROTOCOL = "telltale_connections_protocol" ["protocol"] "Connections by what they were found to speak; one that was upgraded counts twice.";
    CONNECTION_BYTES = "telltale_connection" ("bytes") ["protocol", "direction"] "Bytes moved, copied or not, by what the connection is known to speak.";
    WORKLOADS_EVICTED = "telltale_workloads_evicted" [] "Processes forgotten because of a limit; met again, they are looked up again.";
    STREAM_REORDERED = "telltale_stream_reordered" [] "Events that came after an event of a later position.";
    STREAM_LATE_BYTES = "telltale_stream_late" ("bytes") [] "Bytes that came again, or after their place had been given up.";
    STREAM_CUT_SHORT = "telltale_stream_window_cut_short" ["reason"] "Waits for missing bytes that ended without them.";
    STREAM_DATA_BYTES = "telltale_stream_data" ("bytes") [] "Bytes delivered in order.";
    HTTP1_MESSAGES = "telltale_http1_messages" ["kind"] "Heads of HTTP/1 messages that were parsed.";
    HTTP1_HEADS_LOST = "telltale_http1_heads_lost" ["reason"] "Heads of HTTP/1 messages that were cut off or destroyed.";
    HTTP1_SKIPPED_BYTES = "telltale_http1_skipped" ("bytes") [] "Bytes passed over while message boundaries were lost.";
    HTTP1_WAIT_OVERFLOWS = "telltale_http1_wait_overflows" [] "Times that a response waited for its request until the window was full.";
    HTTP1_PIPELINE_OVERFLOWS = "telltale_http1_pipeline_overflows" [] "Times that too many requests waited for their responses.";
    HTTP1_GIVEN_UP = "telltale_http1_given_up" [] "Connections on which no message could be found again.";
    DETECTION_OVERFLOWS = "telltale_protocol_detection_overflows" [] "Connections whose first bytes did not tell what they speak.";
    OPAQUE_BYTES = "telltale_protocol_opaque" ("bytes") [] "Bytes that are not parsed.";
    EXCHANGES_OVERFLOWED = "telltale_exchanges_overflowed" [] "Requests that were not tracked, because too many of one connection waited.";
    UNPAIRED_RESPONSES = "telltale_http1_unpaired_responses" ["reason"] "Responses of which it is not known which request they answer.";
}
