//! The agent's own health: what it saw, what it lost and why, what it costs.

mod health;
mod process;
pub mod table;

pub use health::{Counter, Gauge, Health, Sample};
pub use process::register_process_metrics;
pub use table::SelfMetric;
