//! Sentences of conditions.

use std::fmt::Write as _;

use crate::policy::{
    Effect, Finding,
    attachment::{Candidate, PolicyIndex, Target, TargetFault},
    model::PolicyKey,
};

/// Findings that a message names; `validate` names all.
const MAX_FINDINGS: usize = 16;

/// What a policy is called towards the author of another: with its `apiVersion` if the names are equal.
pub fn policy_name(policy: &PolicyKey, towards: &PolicyKey) -> String {
    if (&policy.namespace, &policy.name) == (&towards.namespace, &towards.name) {
        format!("{policy} of {}", policy.dialect.api_version())
    } else {
        policy.to_string()
    }
}

/// `Accepted` True: where the policy holds, what of it is not done, and what else its author should know.
pub(super) fn accepted(candidate: &Candidate, target: &Target) -> String {
    let mut message = format!("Holds for the pods of {target}.");
    list(&mut message, " Not done: ", candidate.findings_with(Effect::Partial));
    list(&mut message, " Note: ", candidate.findings_with(Effect::Message));
    message
}

/// `Conflicted`
pub(super) fn conflicted(candidates: &[Candidate], policy: &PolicyKey, winner: PolicyIndex, target: &Target) -> String {
    let winner = &candidates[winner.0].policy;
    let created = winner.created.map_or_else(String::new, |time| format!(" (created {time})"));
    format!(
        "{target} already has the policy {}{created}. The oldest policy of a target holds, then the first by namespace/name, then by apiVersion.",
        policy_name(&winner.key, policy)
    )
}

/// `Invalid`
pub(super) fn invalid(candidate: &Candidate, fault: &TargetFault) -> String {
    match fault {
        TargetFault::Policy => {
            let mut message = String::new();
            list(&mut message, "The policy is not valid: ", candidate.findings_with(Effect::Invalid));
            message
        }
        fault => sentence(&fault.to_string()),
    }
}

/// A title and findings, each as a sentence.
fn list<'a>(message: &mut String, title: &str, findings: impl Iterator<Item = &'a Finding>) {
    let findings: Vec<String> = findings.map(ToString::to_string).collect();
    if findings.is_empty() {
        return;
    }
    message.push_str(title);
    message.push_str(&findings[..findings.len().min(MAX_FINDINGS)].join(". "));
    if let Some(more) = findings.len().checked_sub(MAX_FINDINGS).filter(|more| *more > 0) {
        let _ = write!(message, ". And {more} more");
    }
    message.push('.');
}

/// With a capital letter and a full stop.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str()),
        None => String::new(),
    }
}

/// A number and its noun.
pub(super) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
