//! What the agents of a cluster reported.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::policy::model::PolicyKey;

/// What the agents of a cluster reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nodes {
    /// The nodes whose agent is ready.
    pub ready: BTreeSet<String>,
    /// What each node reported.
    pub reports: BTreeMap<String, NodeReports>,
}

/// What the agent of one node says about all policies. Nodes that say the same share it: there are many of both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeReports {
    /// The generation of each policy that it follows.
    pub generations: Arc<BTreeMap<PolicyKey, i64>>,
    /// Of policies about which there is something to say.
    pub remarks: Arc<BTreeMap<PolicyKey, Remarks>>,
    /// Policies for which the report had no room.
    pub left_out: usize,
}

/// What the agent of one node says about one policy beside its generation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remarks {
    /// What of it this node cannot do, each in a few words.
    pub cannot: Vec<String>,
    /// What its author should know, such as lines that a rate limit dropped.
    pub notes: Vec<String>,
}

/// What the agent of one node says about one policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeReport {
    /// The generation that it follows.
    pub generation: i64,
    /// What of it this node cannot do, each in a few words.
    pub cannot: Vec<String>,
    /// What its author should know, such as lines that a rate limit dropped.
    pub notes: Vec<String>,
}

impl Nodes {
    /// Adds what a node says about one policy.
    pub fn add(&mut self, node: &str, policy: PolicyKey, report: NodeReport) {
        let reports = self.reports.entry(node.to_owned()).or_default();
        let NodeReport { generation, cannot, notes } = report;
        if !cannot.is_empty() || !notes.is_empty() {
            Arc::make_mut(&mut reports.remarks).insert(policy.clone(), Remarks { cannot, notes });
        }
        Arc::make_mut(&mut reports.generations).insert(policy, generation);
    }

    /// The generation of a policy that a node follows.
    pub(super) fn generation(&self, node: &str, policy: &PolicyKey) -> Option<i64> {
        self.reports.get(node)?.generations.get(policy).copied()
    }

    /// What ready nodes say about a policy.
    pub(super) fn remarks(&self, policy: &PolicyKey) -> impl Iterator<Item = (&String, &Remarks)> {
        let said = |node| Some((node, self.reports.get(node)?.remarks.get(policy)?));
        self.ready.iter().filter_map(said)
    }

    /// Whether the report of a node had no room for all policies.
    pub(super) fn is_cut(&self, node: &str) -> bool {
        self.reports.get(node).is_some_and(|reports| reports.left_out > 0)
    }
}
