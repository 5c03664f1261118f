//! What is to be said about policies before any part of them is compiled, and about their targets after they are resolved.

use std::collections::HashMap;

use super::{
    Finding,
    attachment::{Candidate, PolicyIndex, Resolution, TargetFault, Verdict},
    document::{Document, Documents},
    model::{FieldPath, Policy, PolicyKey, Spec},
};

/// The policies of documents, in their order, with what their schema says; [`super::Compiled`] adds what the compilers of their parts say.
///
/// A policy that cannot be read has its name and those of its targets that can be made out, asks for nothing, and is invalid. So are two with one
/// name: a cluster has one, and files do not say which.
pub fn candidates(documents: &Documents) -> Vec<Candidate> {
    let mut times: HashMap<&PolicyKey, usize> = HashMap::new();
    for document in &documents.policies {
        *times.entry(&document.key).or_default() += 1;
    }
    let candidate = |document: &Document| {
        let mut findings = document.findings.clone();
        let times = times[&document.key];
        if times > 1 {
            let problem = format!("{} is defined {times} times", document.key);
            let at = FieldPath::new("metadata").field("name");
            findings.push(Finding::invalid(&at, problem).instead("a cluster has one policy of a name"));
        }
        Candidate { policy: document.policy.clone().unwrap_or_else(|| unreadable(document)), findings }
    };
    documents.policies.iter().map(|document| candidate(document)).collect()
}

/// The targetRefs that can hold nowhere. They leave the others of their policy as they are.
pub fn target_findings(candidate: &Candidate, resolution: &Resolution, index: PolicyIndex) -> Vec<Finding> {
    let targets = candidate.policy.targets.iter().zip(resolution.verdicts(index));
    targets
        .filter_map(|(reference, verdict)| match verdict {
            Verdict::Invalid(TargetFault::Policy) => None,
            Verdict::Invalid(fault) => Some(Finding::invalid(&reference.at, fault.to_string())),
            _ => None,
        })
        .collect()
}

fn unreadable(document: &Document) -> Policy {
    Policy {
        key: document.key.clone(),
        created: document.created,
        generation: document.generation,
        targets: document.targets.clone(),
        spec: Spec::default(),
    }
}
