//! What became of every targetRef, and which policy each pod follows.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Candidate, PolicyIndex, Target, TargetFault, grant::Grants, precedence::precedence};
use crate::policy::{
    model::PolicyKey,
    objects::{ObjectName, Objects, Pod},
};

/// What became of one targetRef.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The policy holds for this target.
    Accepted(Target),
    /// Another policy holds for this target.
    Conflicted {
        /// The target.
        target: Target,
        /// The policy that holds.
        winner: PolicyIndex,
    },
    /// It can hold for no target that is written so.
    Invalid(TargetFault),
    /// There is no such object.
    TargetNotFound(Target),
}

/// Where policies hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolution {
    verdicts: Vec<Vec<Verdict>>,
    winners: HashMap<Target, PolicyIndex>,
    first_valid: Option<PolicyIndex>,
}

/// The pods of a namespace, as its policy sees them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Pods that are known and not over.
    pub pods: usize,
    /// How many of them follow which Gateway's policy instead.
    pub overridden: BTreeMap<PolicyIndex, usize>,
}

impl Coverage {
    /// How many pods follow a Gateway's policy.
    pub fn overridden_pods(&self) -> usize {
        self.overridden.values().sum()
    }
}

impl Resolution {
    /// Decides each targetRef of each policy by itself: among the valid policies that name a target that exists and that they may name, the first in
    /// order of precedence holds.
    pub fn new(candidates: &[Candidate], objects: &Objects) -> Self {
        let grants = Grants::new(objects);
        let namespaces = objects.known_namespaces();
        let mut order: Vec<usize> = (0..candidates.len()).collect();
        order.sort_by(|a, b| precedence(&candidates[*a].policy, &candidates[*b].policy));

        let mut verdicts = vec![Vec::new(); candidates.len()];
        let mut winners = HashMap::new();
        let mut first_valid = None;
        // In order of precedence, so that whoever comes first to a target has it.
        for index in order.into_iter().map(PolicyIndex) {
            let candidate = &candidates[index.0];
            let valid = candidate.is_valid();
            if valid {
                first_valid.get_or_insert(index);
            }
            let key = &candidate.policy.key;
            verdicts[index.0] = candidate
                .policy
                .targets
                .iter()
                .map(|reference| {
                    if !valid {
                        return Verdict::Invalid(TargetFault::Policy);
                    }
                    match Target::of(reference, key)
                        .and_then(|target| reach(target, key, objects, &namespaces, &grants))
                    {
                        Err(fault) => Verdict::Invalid(fault),
                        Ok((target, false)) => Verdict::TargetNotFound(target),
                        Ok((target, true)) => match *winners.entry(target.clone()).or_insert(index) {
                            winner if winner == index => Verdict::Accepted(target),
                            winner => Verdict::Conflicted { target, winner },
                        },
                    }
                })
                .collect();
        }
        Self { verdicts, winners, first_valid }
    }

    /// What became of the targetRefs of a policy, in their order.
    pub fn verdicts(&self, policy: PolicyIndex) -> &[Verdict] {
        self.verdicts.get(policy.0).map_or(&[], Vec::as_slice)
    }

    /// The policy that holds for a target, if there is one.
    pub fn policy_of(&self, target: &Target) -> Option<PolicyIndex> {
        self.winners.get(target).copied()
    }

    /// The policy that ordinary pods of a namespace follow.
    pub fn policy_of_namespace(&self, namespace: &str) -> Option<PolicyIndex> {
        self.policy_of(&Target::Namespace(namespace.to_owned()))
    }

    /// Every namespace for which a policy holds.
    pub fn namespaces(&self) -> impl Iterator<Item = (&str, PolicyIndex)> {
        self.winners.iter().filter_map(|(target, policy)| match target {
            Target::Namespace(name) => Some((name.as_str(), *policy)),
            Target::Gateway(_) => None,
        })
    }

    /// The policy that the pods of a Gateway follow instead of their namespace's.
    pub fn policy_of_gateway(&self, gateway: &ObjectName) -> Option<PolicyIndex> {
        self.policy_of(&Target::Gateway(gateway.clone()))
    }

    /// The policy that a pod follows: whole that of its Gateway, else that of its namespace. A pod that is not among the objects is taken for an
    /// ordinary one.
    pub fn policy_of_pod(&self, objects: &Objects, name: &ObjectName) -> Option<PolicyIndex> {
        self.gateway_policy_of_pod(name, objects.pods.get(name).map(|pod| &**pod))
            .or_else(|| self.policy_of_namespace(&name.namespace))
    }

    /// The policy that a pod follows because it belongs to a Gateway.
    pub(super) fn gateway_policy_of_pod(&self, name: &ObjectName, pod: Option<&Pod>) -> Option<PolicyIndex> {
        let gateway = pod?.gateway()?;
        self.policy_of_gateway(&ObjectName::new(&name.namespace, gateway))
    }

    /// What local processes follow: the first of the valid policies, whatever their targets (DESIGN section 8).
    pub fn first_valid(&self) -> Option<PolicyIndex> {
        self.first_valid
    }

    /// For each namespace that has pods: how many, and how many of them follow the policy of a Gateway.
    pub fn coverage<'a>(&self, objects: &'a Objects) -> HashMap<&'a str, Coverage> {
        let mut coverage: HashMap<_, Coverage> = HashMap::new();
        for (name, pod) in objects.pods.iter().filter(|(_, pod)| !pod.phase.is_over()) {
            let namespace = coverage.entry(name.namespace.as_str()).or_default();
            namespace.pods += 1;
            if let Some(policy) = self.gateway_policy_of_pod(name, Some(pod)) {
                *namespace.overridden.entry(policy).or_default() += 1;
            }
        }
        coverage
    }
}

/// Whether a target may be named by the policy and is there.
///
/// Without a grant nothing is said about the objects of another namespace, only whether there is such a namespace: a tenant cannot probe.
fn reach(
    target: Target,
    policy: &PolicyKey,
    objects: &Objects,
    namespaces: &HashSet<&str>,
    grants: &Grants<'_>,
) -> Result<(Target, bool), TargetFault> {
    if !namespaces.contains(target.namespace()) {
        return Ok((target, false));
    }
    if !grants.allow(&policy.namespace, &target) {
        return Err(TargetFault::NotGranted {
            from: policy.namespace.clone(),
            to: target.namespace().to_owned(),
            kind: target.kind(),
        });
    }
    let exists = match &target {
        Target::Namespace(_) => true,
        Target::Gateway(gateway) => objects.gateways.contains_key(gateway),
    };
    Ok((target, exists))
}
