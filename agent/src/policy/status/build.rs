//! Resolution -> statuses.

use jiff::Timestamp;

use super::{
    CONTROLLER_NAME, MAX_ANCESTORS, Nodes, Reason, ancestor, condition::condition, message, programmed::Facts,
    resolved_refs,
};
use crate::policy::{
    api::status::{ConditionStatus, PolicyAncestorStatus, PolicyStatus},
    attachment::{Candidate, PolicyIndex, Resolution, TargetFault, Verdict},
    objects::Objects,
};

/// What we say about each policy, in the order of the policies.
///
/// Without `nodes` (there is no cluster) `Programmed` is left out. `now` is what a condition gets that was not there before; [`super::merge()`] keeps
/// the time of one that was.
pub fn statuses(
    candidates: &[Candidate],
    objects: &Objects,
    resolution: &Resolution,
    nodes: Option<&Nodes>,
    now: Timestamp,
) -> Vec<PolicyStatus> {
    let coverage = resolution.coverage(objects);
    let mut statuses = Vec::with_capacity(candidates.len());
    for (index, candidate) in candidates.iter().enumerate() {
        let policy = &candidate.policy;
        let refs = resolved_refs::resolved_refs(candidate, objects, now);
        let entry = |ancestor_ref, verdict: &Verdict| {
            let (reason, text) = accepted(candidates, candidate, verdict);
            let mut conditions = vec![condition(reason, text, policy.generation, now)];
            conditions.extend(refs.clone());
            if let (Verdict::Accepted(target), Some(nodes)) = (verdict, nodes) {
                let refs_resolved = refs.as_ref().is_none_or(|refs| refs.status == ConditionStatus::True);
                let coverage = coverage.get(target.namespace());
                let all_pods = objects.all_pods;
                let facts = Facts { candidates, candidate, target, coverage, all_pods, nodes, refs_resolved };
                conditions.push(facts.programmed(now));
            }
            PolicyAncestorStatus { ancestor_ref, controller_name: CONTROLLER_NAME.to_owned(), conditions }
        };
        let mut ancestors: Vec<PolicyAncestorStatus> = Vec::new();
        for (reference, verdict) in policy.targets.iter().zip(resolution.verdicts(PolicyIndex(index))) {
            let ancestor_ref = ancestor::of_target(reference, &policy.key);
            // A target that is named twice has one entry: it is a map by target and controller.
            if ancestors.len() < MAX_ANCESTORS && ancestors.iter().all(|entry| entry.ancestor_ref != ancestor_ref) {
                ancestors.push(entry(ancestor_ref, verdict));
            }
        }
        if ancestors.is_empty() {
            ancestors.push(entry(ancestor::of_policy(&policy.key), &Verdict::Invalid(TargetFault::Policy)));
        }
        statuses.push(PolicyStatus { ancestors });
    }
    statuses
}

/// `Accepted`: its reason and message.
fn accepted(candidates: &[Candidate], candidate: &Candidate, verdict: &Verdict) -> (Reason, String) {
    match verdict {
        Verdict::Accepted(target) => (Reason::Accepted, message::accepted(candidate, target)),
        Verdict::Conflicted { target, winner } => {
            (Reason::Conflicted, message::conflicted(candidates, &candidate.policy.key, *winner, target))
        }
        Verdict::Invalid(fault) => (Reason::Invalid, message::invalid(candidate, fault)),
        Verdict::TargetNotFound(target) => (Reason::TargetNotFound, format!("There is no {target}.")),
    }
}
