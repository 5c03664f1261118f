//! The agent on a real Kubernetes node, from the shipped manifests: see `xtask/src/cluster.rs`, which starts it and runs these.
//!
//! `TELLTALE_TEST_NODE` names the folder of a running cluster (`cargo xtask cluster up` leaves one in `target/cluster`); without it the tests
//! say that they are skipped. They share the cluster, so they run one after another.

#[path = "../common/kubectl.rs"]
mod kubectl;

mod agents;
mod check;
mod cluster;
mod host_network;
mod inside_tls;
mod nested;
mod observed;
mod pods;
mod policy;
mod traffic;
mod without_node;
