//! Telltale: captures the HTTP of selected processes, in plaintext and inside TLS, and turns it into metrics, spans and access logs.
//!
//! The modules are the data path, in order; each knows the type before it and the type after it:
//! [`capture`] -> [`stream`] -> [`protocol`] -> [`exchange`] -> [`telemetry`] -> [`export`].

pub mod admin;
pub mod capture;
pub mod cli;
pub mod config;
pub mod exchange;
pub mod export;
pub mod kube;
mod percent;
pub mod pipeline;
pub mod policy;
pub mod protocol;
pub mod stream;
pub mod telemetry;
pub mod workload;
