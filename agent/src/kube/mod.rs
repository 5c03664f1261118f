//! What the agent has to do with the API server of its cluster: it watches objects, and one agent of all writes status.
//!
//! [`Watches`] follow what policies and workloads need and give a [`Snapshot`] of it whenever something has changed. Through an outage the last
//! snapshot stays.

mod backoff;
mod client;
mod clock;
mod definition;
mod election;
mod failure;
mod follow;
mod kinds;
mod known;
mod received;
mod report;
mod size;
mod snapshot;
mod status;
mod store;
mod survey;
mod traffic;
mod watches;

pub use client::{ConnectError, Connection, connect};
pub use definition::Definition;
pub use election::{Election, LEASE, Leadership, Timing};
pub use kinds::{PERMISSIONS, Permission};
pub use report::{
    AGENT_PODS, LABEL, LEFT_OUT, NodeReporter, NodeReporterSettings, POLICIES, PolicyReport, REMARKS, Report, Reported,
    ReportsWatch, lease_name, proxies_note, refused_note,
};
pub use snapshot::{PolicyObject, Snapshot};
pub use status::{PolicyObjectRef, StatusWriter};
pub use survey::{Denied, Survey, survey};
pub use watches::{WatchSettings, Watches};
