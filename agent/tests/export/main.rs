//! What leaves the agent, taken by real receivers: `rotel` for OTLP, Prometheus and promtool for metrics.

#[path = "../common/ports.rs"]
mod ports;

mod logs;
mod metrics;
mod otlp;
mod peers;
mod prometheus;
mod providers;
mod receiver;
mod sample;
mod self_telemetry;
mod span_file;
mod tls;
