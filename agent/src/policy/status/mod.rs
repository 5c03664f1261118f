//! What the elected agent says about each policy (POLICY.md section 2, GEP-713 "Policy status").
//!
//! Pure functions: policies, objects and what nodes reported -> [`PolicyStatus`](super::api::status::PolicyStatus), and that with the status that is there -> what to write.

mod ancestor;
mod build;
mod condition;
mod merge;
mod message;
mod nodes;
mod programmed;
mod resolved_refs;
#[cfg(test)]
mod tests;

pub use build::statuses;
pub use condition::{ACCEPTED, NOT_OBSERVED, PROGRAMMED, RESOLVED_REFS, Reason};
pub use merge::{Merged, merge};
pub use message::policy_name;
pub use nodes::{NodeReport, NodeReports, Nodes, Remarks};
pub use resolved_refs::{RefFault, backend_fault};

/// Our name among the controllers that write into one status.
pub const CONTROLLER_NAME: &str = "telltale.dev/agent";

/// Entries that `status.ancestors` may have, of all controllers (Gateway API, `PolicyStatus`).
pub const MAX_ANCESTORS: usize = 16;
