//! What each node acknowledges: one Lease for each (`coordination.k8s.io/v1`), whose annotations name the generations that its agent follows.

mod content;
mod notes;
mod reporter;
mod watch;

use std::hash::Hasher as _;

pub use content::{PolicyReport, Report};
pub use notes::{proxies_note, refused_note};
pub use reporter::{NodeReporter, NodeReporterSettings};
pub use watch::{Reported, ReportsWatch};

/// Annotation: `{apiVersion: {namespace/name: [beginning of the uid, generation]}}` of every policy that the node follows.
pub const POLICIES: &str = "telltale.dev/policies";
/// Annotation: what the node says about policies beside that; each text once.
pub const REMARKS: &str = "telltale.dev/remarks";
/// Annotation: how many policies the first one has no room for.
pub const LEFT_OUT: &str = "telltale.dev/policies-left-out";
/// Label of the Leases of nodes, and its value.
pub const LABEL: (&str, &str) = ("telltale.dev/report", "node");
/// Labels of the agents' pods.
pub const AGENT_PODS: &str = "app.kubernetes.io/name=telltale,app.kubernetes.io/component=agent";

/// The name of a node's Lease. Names have at most 253 bytes; that of a node with a very long one ends in a hash of it.
pub fn lease_name(node: &str) -> String {
    const LONGEST: usize = 253;
    let name = format!("telltale-node-{node}");
    if name.len() <= LONGEST {
        return name;
    }
    let mut hasher = siphasher::sip::SipHasher13::new();
    hasher.write(node.as_bytes());
    let hash = format!("-{:016x}", hasher.finish());
    format!("{}{hash}", &name[..name.floor_char_boundary(LONGEST - hash.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lease_of_a_node_has_a_name_that_it_may_have() {
        assert_eq!(lease_name("worker-1.example.com"), "telltale-node-worker-1.example.com");
        let (one, other) = (lease_name(&"a".repeat(253)), lease_name(&format!("{}b", "a".repeat(252))));
        assert_eq!((one.len(), other.len()), (253, 253));
        assert_ne!(one, other);
    }
}
