//! `status` as the API server stores it.

use serde::{Deserialize, Serialize};

use super::Condition;
use crate::policy::{
    attachment::Target,
    model::{KIND, PolicyKey, TargetRef},
};

/// `status` (Gateway API, `PolicyStatus`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyStatus {
    /// One entry for each target, at most [`super::MAX_ANCESTORS`].
    pub ancestors: Vec<AncestorStatus>,
}

/// What a controller says about a policy at one target (Gateway API, `PolicyAncestorStatus`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AncestorStatus {
    /// The target.
    pub ancestor_ref: AncestorRef,
    /// Who says it.
    pub controller_name: String,
    /// What is said: at most one of each type.
    pub conditions: Vec<Condition>,
}

/// A target in a status (Gateway API, `ParentReference`). Group and kind are always written: their defaults there are those of a Gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AncestorRef {
    /// API group; empty for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace, of namespaced kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// Part of it, where the policy names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
}

impl AncestorRef {
    /// What a targetRef names, whether it can be a target or not.
    pub fn of(reference: &TargetRef, policy: &PolicyKey) -> Self {
        let namespace = match Target::of(reference, policy) {
            Ok(Target::Namespace(_)) => None,
            Ok(Target::Gateway(gateway)) => Some(gateway.namespace),
            Err(_) => reference.namespace.clone(),
        };
        Self {
            group: reference.group.clone(),
            kind: reference.kind.clone(),
            namespace,
            name: reference.name.clone(),
            section_name: reference.section_name.clone(),
        }
    }

    /// The policy itself: where it names no target that could be read, it has to be said somewhere.
    pub fn of_policy(policy: &PolicyKey) -> Self {
        Self {
            group: policy.dialect.group().to_owned(),
            kind: KIND.to_owned(),
            namespace: Some(policy.namespace.clone()),
            name: policy.name.clone(),
            section_name: None,
        }
    }
}
