//! What `/metrics` shows: the observed traffic and the agent's own health in the formats of Prometheus.

mod exposition;
mod health;
mod text;
mod traffic;

pub use exposition::{Exposition, Format};
