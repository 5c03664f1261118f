//! `/metrics`: the observed traffic and the agent's own health in the formats of Prometheus.

mod exposition;
mod health;
mod server;
mod text;
mod traffic;

pub use exposition::{Exposition, Format};
pub use server::{DEFAULT_ADDRESS, Readiness, ServeError, Server, default_address};
