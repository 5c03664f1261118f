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

    /// The ready nodes with what they reported. Both lists are in the same order, so that none is searched: there are many nodes and policies.
    fn ready(&self) -> impl Iterator<Item = (&String, Option<&NodeReports>)> {
        let mut reports = self.reports.iter().peekable();
        self.ready.iter().map(move |node| {
            while reports.next_if(|(reported, _)| *reported < node).is_some() {}
            (node, reports.next_if(|(reported, _)| *reported == node).map(|(_, reports)| reports))
        })
    }

    /// The ready nodes that do not follow this generation of a policy.
    pub(super) fn waiting(&self, policy: &PolicyKey, generation: i64) -> Vec<&String> {
        let mut followed = Shared::default();
        let waiting = self.ready().filter_map(|(node, reports)| {
            let of = reports.and_then(|reports| followed.of(&reports.generations, |of| of.get(policy).copied()));
            of.is_none_or(|of| of < generation).then_some(node)
        });
        waiting.collect()
    }

    /// What ready nodes say about a policy.
    pub(super) fn remarks(&self, policy: &PolicyKey) -> Vec<(&String, &Remarks)> {
        let mut said = Shared::default();
        let said = self
            .ready()
            .filter_map(|(node, reports)| Some((node, said.of(&reports?.remarks, |remarks| remarks.get(policy))?)));
        said.collect()
    }

    /// Whether the report of a node had no room for all policies.
    pub(super) fn is_cut(&self, node: &str) -> bool {
        self.reports.get(node).is_some_and(|reports| reports.left_out > 0)
    }
}

/// What was found in values that nodes share: most share one.
struct Shared<'a, T, V>(Vec<(&'a Arc<T>, V)>);

impl<T, V> Default for Shared<'_, T, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'a, T, V: Copy> Shared<'a, T, V> {
    /// Values that are kept; where nodes share less than that, searching costs more than looking.
    const KEPT: usize = 8;

    fn of(&mut self, value: &'a Arc<T>, look: impl FnOnce(&'a T) -> V) -> V {
        if let Some((_, found)) = self.0.iter().find(|(known, _)| Arc::ptr_eq(known, value)) {
            return *found;
        }
        let found = look(value);
        if self.0.len() < Self::KEPT {
            self.0.push((value, found));
        }
        found
    }
}
