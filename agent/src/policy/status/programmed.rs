//! Whether the nodes do what an accepted policy says.

use std::{collections::BTreeMap, iter};

use jiff::Timestamp;

use super::{
    Nodes, Reason, Remarks,
    condition::condition,
    message::{count, policy_name},
};
use crate::policy::{
    Effect,
    api::status::Condition,
    attachment::{Candidate, Coverage, Target},
};

/// Names that a message gives; the rest is counted.
const MAX_NAMES: usize = 8;

/// What `Programmed` of one target depends on.
pub(super) struct Facts<'a> {
    pub(super) candidates: &'a [Candidate],
    pub(super) candidate: &'a Candidate,
    pub(super) target: &'a Target,
    /// The pods of the target's namespace.
    pub(super) coverage: Option<&'a Coverage>,
    /// Whether those are all that there are.
    pub(super) all_pods: bool,
    pub(super) nodes: &'a Nodes,
    pub(super) refs_resolved: bool,
}

impl Facts<'_> {
    /// `Programmed`
    pub(super) fn programmed(&self, since: Timestamp) -> Condition {
        let (reason, sentences) = self.decide();
        condition(reason, sentences.join(" "), self.candidate.policy.generation, since)
    }

    fn decide(&self) -> (Reason, Vec<String>) {
        let generation = self.candidate.policy.generation;
        let overridden = self.overridden();
        if let Some((true, sentence)) = overridden {
            return (Reason::Overridden, vec![sentence]);
        }
        let key = &self.candidate.policy.key;
        let waiting = self.nodes.waiting(key, generation);
        if self.nodes.ready.is_empty() {
            return (Reason::Reconciling, vec!["No node is ready.".to_owned()]);
        }
        if !waiting.is_empty() {
            let sentence = format!(
                "{} of {} do not follow generation {generation} yet: {}.",
                waiting.len(),
                count(self.nodes.ready.len(), "ready node"),
                names(&waiting)
            );
            let cut: Vec<&String> = waiting.into_iter().filter(|node| self.nodes.is_cut(node)).collect();
            let no_room = format!("There are more policies than a report has room for on {}.", names(&cut));
            return (Reason::Reconciling, iter::once(sentence).chain((!cut.is_empty()).then_some(no_room)).collect());
        }
        let mut sentences = vec![format!("{} follow generation {generation}.", count(self.nodes.ready.len(), "node"))];
        if self.nodes.ready.len() == 1 {
            sentences = vec![format!("1 node follows generation {generation}.")];
        }
        let mut partial = false;
        if let Some((false, sentence)) = overridden {
            partial = true;
            sentences.push(sentence);
        }
        for finding in self.candidate.findings_with(Effect::Partial) {
            partial = true;
            sentences.push(format!("Not done: {finding}."));
        }
        if !self.refs_resolved {
            partial = true;
            sentences.push("Spans are not exported, see ResolvedRefs.".to_owned());
        }
        let remarks = self.nodes.remarks(key);
        let said = |pick: fn(&Remarks) -> &Vec<String>| {
            let mut by_text: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
            for (node, remarks) in &remarks {
                for text in pick(remarks) {
                    by_text.entry(text).or_default().push(node);
                }
            }
            by_text
        };
        for (what, nodes) in said(|remarks| &remarks.cannot) {
            partial = true;
            sentences.push(format!("Cannot be done on {}: {what}.", names(&nodes)));
        }
        for (what, nodes) in said(|remarks| &remarks.notes) {
            sentences.push(format!("On {}: {what}.", names(&nodes)));
        }
        (if partial { Reason::PartiallyProgrammed } else { Reason::Programmed }, sentences)
    }

    /// For a namespace of which pods follow the policy of a Gateway: whether all do, as far as that is known, and that.
    fn overridden(&self) -> Option<(bool, String)> {
        let Target::Namespace(_) = self.target else { return None };
        let coverage = self.coverage.filter(|coverage| !coverage.overridden.is_empty())?;
        let own = &self.candidate.policy.key;
        // A Gateway may follow this same policy, which is no other.
        let others: Vec<(String, usize)> = coverage
            .overridden
            .iter()
            .map(|(policy, pods)| (&self.candidates[policy.0].policy.key, *pods))
            .filter(|(key, _)| *key != own)
            .map(|(key, pods)| (policy_name(key, own), pods))
            .collect();
        let pods: usize = others.iter().map(|(_, pods)| pods).sum();
        if pods == 0 {
            return None;
        }
        let policies: Vec<&String> = others.iter().map(|(name, _)| name).collect();
        let sentence = format!(
            "{pods} of {}{} in {} follow the policy of their Gateway instead: {}.",
            count(coverage.pods, "pod"),
            if self.all_pods { "" } else { " known" },
            self.target,
            names(&policies)
        );
        Some((self.all_pods && pods == coverage.pods, sentence))
    }
}

/// The first names, and how many more there are.
fn names(names: &[&String]) -> String {
    let shown: Vec<&str> = names.iter().take(MAX_NAMES).map(|name| name.as_str()).collect();
    let more = names.len() - shown.len();
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}
