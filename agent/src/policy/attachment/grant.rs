//! Who may refer to objects of another namespace (Gateway API, `ReferenceGrant`).

use std::collections::HashMap;

use super::Target;
use crate::policy::{
    model::{BackendRef, GEP_GROUP, KIND, PROPOSAL_GROUP},
    objects::{Objects, ReferenceGrant},
};

/// The grants of a cluster by namespace.
pub(super) struct Grants<'a>(HashMap<&'a str, Vec<&'a ReferenceGrant>>);

impl<'a> Grants<'a> {
    pub(super) fn new(objects: &'a Objects) -> Self {
        let mut grants: HashMap<_, Vec<_>> = HashMap::new();
        for grant in &objects.grants {
            grants.entry(grant.namespace.as_str()).or_default().push(grant);
        }
        Self(grants)
    }

    /// Whether policies of namespace `from` may attach to this target.
    pub(super) fn allow(&self, from: &str, target: &Target) -> bool {
        from == target.namespace()
            || self.0.get(target.namespace()).is_some_and(|grants| {
                grants.iter().any(|grant| opens(grant, from, target.group(), target.kind(), target.name()))
            })
    }
}

/// What a `backendRef` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendKind {
    /// A Service of the core group.
    Service,
    /// Something that this agent cannot send to.
    Other,
}

impl BackendKind {
    /// Of a reference.
    pub fn of(reference: &BackendRef) -> Self {
        match (reference.group.as_str(), reference.kind.as_str()) {
            ("", "Service") => Self::Service,
            _ => Self::Other,
        }
    }
}

/// Whether policies of namespace `from` may name this receiver.
pub fn is_backend_granted(objects: &Objects, from: &str, reference: &BackendRef) -> bool {
    let namespace = reference.namespace.as_deref().unwrap_or(from);
    namespace == from
        || objects.grants.iter().any(|grant| {
            grant.namespace == namespace && opens(grant, from, &reference.group, &reference.kind, &reference.name)
        })
}

/// Whether a grant lets policies of either API group, in namespace `from`, refer to such an object of the grant's own namespace.
fn opens(grant: &ReferenceGrant, from: &str, group: &str, kind: &str, name: &str) -> bool {
    let is_from = |(group, kind, namespace): &(String, String, String)| {
        (group == PROPOSAL_GROUP || group == GEP_GROUP) && kind == KIND && namespace == from
    };
    let is_to = |(to_group, to_kind, to_name): &(String, String, Option<String>)| {
        to_group == group && to_kind == kind && to_name.as_deref().is_none_or(|only| only == name)
    };
    grant.from.iter().any(is_from) && grant.to.iter().any(is_to)
}
