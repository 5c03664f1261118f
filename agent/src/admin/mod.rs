//! The agent's own health: what it saw, what it lost and why, what it costs.

mod health;
mod log_bridge;
mod process;
mod self_telemetry;
pub mod table;

pub use health::{Counter, Gauge, Health, Sample};
pub use log_bridge::LogBridge;
pub use process::register_process_metrics;
pub use self_telemetry::{SelfTelemetry, SelfTelemetryError};
pub use table::SelfMetric;
