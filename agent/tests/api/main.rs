//! A real API server: what it makes of our definitions and policies, and what the agent makes of it.
//!
//! Skipped, with a line that says so, where there is no API server to start; see `common/api_server.rs`.

#[path = "../common/api_server.rs"]
mod api_server;
#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "the tests of local runs use the rest")]
mod common;
#[path = "../common/kubectl.rs"]
mod kubectl;
#[path = "../common/ports.rs"]
mod ports;

mod agents;
mod capture;
mod check;
mod definitions;
mod election;
mod gateway_api;
mod harness;
mod reports;
mod status;
mod watches;
