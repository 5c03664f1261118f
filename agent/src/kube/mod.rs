//! What the agent has to do with the API server of its cluster: it watches objects, and one agent of all writes status.

mod backoff;
mod client;
mod clock;
mod election;
mod failure;
mod known;
mod report;
mod status;
mod traffic;

pub use client::{ConnectError, Connection, connect};
pub use election::{Election, LEASE, Leadership, Timing};
pub use report::{
    AGENT_PODS, LABEL, LEFT_OUT, NodeReporter, NodeReporterSettings, POLICIES, PolicyReport, REMARKS, Report, Reported,
    ReportsWatch, lease_name, refused_note,
};
pub use status::{PolicyObjectRef, StatusWriter};
