//! The agent's own health: what it saw, what it lost and why, what it costs; and the servers that show it.

mod address;
mod health;
pub mod live;
mod liveness;
mod log_bridge;
mod observed;
mod process;
mod readiness;
mod self_telemetry;
mod server;
pub mod table;

pub use address::{ADMIN_ADDRESS, METRICS_ADDRESS, default_metrics_address};
pub use health::{Counter, Gauge, Health, Sample};
pub use liveness::{Heartbeat, Liveness};
pub use log_bridge::LogBridge;
pub use process::register_process_metrics;
pub use readiness::{Gate, Readiness};
pub use self_telemetry::{SelfTelemetry, SelfTelemetryError};
pub use server::{Routes, ServeError, Server};
pub use table::SelfMetric;
