//! A policy that asks to hold somewhere.

use crate::policy::{Effect, Finding, model::Policy};

/// The place of a policy in the list that was resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyIndex(pub usize);

/// A policy with what is to be said about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The policy.
    pub policy: Policy,
    /// What its schema and the compilers of its parts found.
    pub findings: Vec<Finding>,
}

impl Candidate {
    /// Whether no finding makes it invalid. An invalid policy holds nowhere and shadows nothing.
    pub fn is_valid(&self) -> bool {
        self.findings.iter().all(|finding| finding.effect != Effect::Invalid)
    }

    /// The findings that have this effect.
    pub fn findings_with(&self, effect: Effect) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.effect == effect)
    }
}
