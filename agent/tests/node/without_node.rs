//! A Node that is deleted, as that of a machine that was taken away: what its agent left goes too.

use std::sync::OnceLock;

use crate::{
    agents::{INSTALLED, Outside},
    cluster::Cluster,
};

/// What reported for the Node.
static LEASE: OnceLock<String> = OnceLock::new();

/// Has it reported, then takes it away. That is before the first test, since the cluster needs a minute until it is sure.
pub(crate) fn begin(cluster: &Cluster) {
    LEASE.get_or_init(|| {
        // The node's own agent is elected: this one is not waited for.
        let holder =
            ["get", "lease/telltale-status", "--namespace", INSTALLED, "--output=jsonpath={.spec.holderIdentity}"];
        cluster.kubectl.until(&holder, |holder| holder.starts_with("telltale-"));
        let mut agent = Outside::start(cluster, "gone");
        agent.kill();
        let owner = "--output=jsonpath={.metadata.ownerReferences[*].kind} {.metadata.ownerReferences[*].name}";
        let owner = cluster.kubectl.run(&["get", &agent.lease(), "--namespace", INSTALLED, owner]);
        assert_eq!(owner, format!("Pod {}", agent.name));
        cluster.kubectl.run(&["delete", "node", &agent.name]);
        agent.lease()
    });
}

#[test]
fn the_report_of_a_node_goes_with_it() {
    let Some(cluster) = Cluster::named() else { return };
    let lease = LEASE.get().expect("it was begun");
    // The pod of a Node that is no more is deleted by the cluster, and so is what the pod owns.
    cluster.kubectl.until(&["get", lease, "--namespace", INSTALLED], |said| said.contains("NotFound"));
}
