//! How a policy stands to a pod or a namespace: whether it holds there, and if not, why.

use super::{Candidate, PolicyIndex, Resolution, Target, TargetFault, Verdict};
use crate::policy::objects::{ObjectName, Objects};

/// For whom it is asked which policy holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A pod.
    Pod(ObjectName),
    /// The ordinary pods of a namespace.
    Namespace(String),
}

impl Subject {
    /// Its namespace.
    pub fn namespace(&self) -> &str {
        match self {
            Self::Pod(pod) => &pod.namespace,
            Self::Namespace(name) => name,
        }
    }
}

/// How a policy stands to a subject. The later says more: of several targetRefs the one with the greatest counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// None of its targets selects it.
    Elsewhere,
    /// A target is not one that can be.
    BadTarget(TargetFault),
    /// The target that would select it is not there.
    Missing(Target),
    /// It would select it if it had no errors.
    Invalid,
    /// Another policy holds for the target.
    Conflicted {
        /// The target.
        target: Target,
        /// That policy.
        winner: PolicyIndex,
    },
    /// It holds for the namespace, but the pod belongs to a Gateway that has its own policy.
    Overridden {
        /// That policy.
        by: PolicyIndex,
        /// That Gateway.
        gateway: Target,
    },
    /// It holds.
    Applies(Target),
}

impl Standing {
    fn rank(&self) -> u8 {
        match self {
            Self::Elsewhere => 0,
            Self::BadTarget(_) => 1,
            Self::Missing(_) => 2,
            Self::Invalid => 3,
            Self::Conflicted { .. } => 4,
            Self::Overridden { .. } => 5,
            Self::Applies(_) => 6,
        }
    }
}

impl Resolution {
    /// The policy that a subject follows.
    pub fn policy_of_subject(&self, objects: &Objects, subject: &Subject) -> Option<PolicyIndex> {
        match subject {
            Subject::Pod(pod) => self.policy_of_pod(objects, pod),
            Subject::Namespace(name) => self.policy_of_namespace(name),
        }
    }

    /// How a policy stands to a subject.
    pub fn standing(
        &self,
        candidates: &[Candidate],
        objects: &Objects,
        subject: &Subject,
        policy: PolicyIndex,
    ) -> Standing {
        let namespace = Target::Namespace(subject.namespace().to_owned());
        let gateway = match subject {
            Subject::Pod(pod) => objects.pods.get(pod).and_then(|known| known.gateway()),
            Subject::Namespace(_) => None,
        }
        .map(|name| Target::Gateway(ObjectName::new(subject.namespace(), name)));
        let selects = |target: &Target| *target == namespace || Some(target) == gateway.as_ref();

        let key = &candidates[policy.0].policy.key;
        let references = &candidates[policy.0].policy.targets;
        let standings = references.iter().zip(self.verdicts(policy)).map(|(reference, verdict)| match verdict {
            Verdict::Accepted(target) if selects(target) => match &gateway {
                Some(gateway) if target != gateway => match self.policy_of(gateway) {
                    Some(by) => Standing::Overridden { by, gateway: gateway.clone() },
                    None => Standing::Applies(target.clone()),
                },
                _ => Standing::Applies(target.clone()),
            },
            Verdict::Conflicted { target, winner } if selects(target) => {
                Standing::Conflicted { target: target.clone(), winner: *winner }
            }
            Verdict::TargetNotFound(target) if selects(target) => Standing::Missing(target.clone()),
            Verdict::Invalid(TargetFault::Policy) => match Target::of(reference, key) {
                Ok(target) if selects(&target) => Standing::Invalid,
                _ => Standing::Elsewhere,
            },
            Verdict::Invalid(fault @ TargetFault::NotGranted { .. }) => match Target::of(reference, key) {
                Ok(target) if selects(&target) => Standing::BadTarget(fault.clone()),
                _ => Standing::Elsewhere,
            },
            Verdict::Invalid(fault) => Standing::BadTarget(fault.clone()),
            _ => Standing::Elsewhere,
        });
        standings.max_by_key(Standing::rank).unwrap_or(Standing::Elsewhere)
    }
}
