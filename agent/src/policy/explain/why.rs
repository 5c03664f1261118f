//! Why a policy holds somewhere, or does not.

use crate::policy::{
    Effect,
    attachment::{Candidate, PolicyIndex, Resolution, Standing, Subject, Target, Verdict, precedence},
    model::{Policy, PolicyKey},
    status::policy_name,
};

/// Targets that are named; the rest is counted.
const MAX_TARGETS: usize = 4;

/// A sentence without a full stop.
pub(super) fn why(
    candidates: &[Candidate],
    resolution: &Resolution,
    subject: &Subject,
    index: PolicyIndex,
    standing: &Standing,
) -> String {
    let candidate = &candidates[index.0];
    let key = &candidate.policy.key;
    match standing {
        Standing::Applies(target @ Target::Gateway(_)) => {
            format!("the pod belongs to {target}, and this is the policy of that Gateway")
        }
        Standing::Applies(target) => format!("it is the policy of {target}"),
        Standing::Conflicted { target, winner } => {
            let winner = &candidates[winner.0].policy;
            format!(
                "{target} has the policy {}, {}",
                policy_name(&winner.key, key),
                advantage(winner, &candidate.policy)
            )
        }
        Standing::Overridden { by, gateway } => {
            let by = policy_name(&candidates[by.0].policy.key, key);
            format!("the pod belongs to {gateway}, which has its own policy {by}")
        }
        Standing::Invalid => {
            let first = candidate.findings_with(Effect::Invalid).next().map_or_else(String::new, ToString::to_string);
            match candidate.findings_with(Effect::Invalid).count() {
                0 | 1 => format!("it is not valid: {first}"),
                count => format!("it is not valid: {first} (and {} more)", count - 1),
            }
        }
        Standing::Missing(target) => format!("its target {target} is not there"),
        Standing::BadTarget(fault) => fault.to_string(),
        Standing::Elsewhere => elsewhere(&candidate.policy, resolution.verdicts(index), subject),
    }
}

/// Why the default policy holds, or does not.
pub(super) fn default(candidates: &[Candidate], subject: &Subject, followed: Option<PolicyIndex>) -> String {
    match followed {
        None => format!("no policy is accepted for Namespace {}", subject.namespace()),
        Some(policy) => format!("{} does", candidates[policy.0].policy.key),
    }
}

/// What the winner has before the loser (POLICY.md section 2).
fn advantage(winner: &Policy, loser: &Policy) -> String {
    debug_assert!(precedence(winner, loser).is_le());
    match (winner.created, loser.created) {
        (Some(first), Some(second)) if first != second => format!("which is older ({first}, this one {second})"),
        (Some(first), None) => format!("which is older ({first}, this one has no creationTimestamp)"),
        _ if same_name(&winner.key, &loser.key) => "whose apiVersion comes first".to_owned(),
        _ => "which is as old and comes first by namespace/name".to_owned(),
    }
}

fn same_name(a: &PolicyKey, b: &PolicyKey) -> bool {
    (&a.namespace, &a.name) == (&b.namespace, &b.name)
}

fn elsewhere(policy: &Policy, verdicts: &[Verdict], subject: &Subject) -> String {
    let mut targets: Vec<String> = policy
        .targets
        .iter()
        .map(|reference| {
            Target::of(reference, &policy.key)
                .map_or_else(|_| format!("{} {}", reference.kind, reference.name), |target| target.to_string())
        })
        .collect();
    targets.dedup();
    let of_this_namespace = |verdict: &Verdict| matches!(verdict, Verdict::Accepted(Target::Gateway(gateway)) if gateway.namespace == subject.namespace());
    let more = targets.len().saturating_sub(MAX_TARGETS);
    targets.truncate(MAX_TARGETS);
    let mut named = targets.join(", ");
    if more > 0 {
        named = format!("{named} and {more} more");
    }
    match subject {
        _ if targets.is_empty() => "it names no target".to_owned(),
        Subject::Namespace(_) if verdicts.iter().any(of_this_namespace) => {
            format!("it is for {named} only; pods of that Gateway follow it instead of the namespace's")
        }
        _ => format!("it is for {named}"),
    }
}
