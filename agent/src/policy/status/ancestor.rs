//! The target of a policy, as a status names it.

use crate::policy::{
    api::status::AncestorReference,
    attachment::Target,
    model::{KIND, PolicyKey, TargetRef},
};

/// What a targetRef names, whether it can be a target or not. Group and kind are always written: their defaults there are those of a Gateway.
pub(super) fn of_target(reference: &TargetRef, policy: &PolicyKey) -> AncestorReference {
    let namespace = match Target::of(reference, policy) {
        Ok(Target::Namespace(_)) => None,
        Ok(Target::Gateway(gateway)) => Some(gateway.namespace),
        Err(_) => reference.namespace.clone(),
    };
    AncestorReference {
        group: reference.group.clone(),
        kind: reference.kind.clone(),
        namespace,
        name: reference.name.clone(),
        section_name: reference.section_name.clone(),
        port: None,
    }
}

/// The policy itself: where it names no target that could be read, it has to be said somewhere.
pub(super) fn of_policy(policy: &PolicyKey) -> AncestorReference {
    AncestorReference {
        group: policy.dialect.group().to_owned(),
        kind: KIND.to_owned(),
        namespace: Some(policy.namespace.clone()),
        name: policy.name.clone(),
        section_name: None,
        port: None,
    }
}
