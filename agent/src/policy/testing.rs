//! Policies and clusters for tests.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Finding,
    attachment::Candidate,
    model::{Dialect, FieldPath, KIND, PROPOSAL_GROUP, Policy, PolicyKey, Spec, TargetRef},
    objects::{Namespace, ObjectName, Objects, Pod, ReferenceGrant},
};

/// A targetRef of this kind, with the group that belongs to it.
pub(crate) fn target(kind: &str, name: &str) -> TargetRef {
    TargetRef {
        at: FieldPath::new("spec").field("targetRefs").index(0),
        group: if kind == "Gateway" { PROPOSAL_GROUP.to_owned() } else { String::new() },
        kind: kind.to_owned(),
        name: name.to_owned(),
        namespace: None,
        section_name: None,
    }
}

/// A valid policy of the GEP dialect that asks for nothing, without a timestamp.
pub(crate) fn policy(namespace: &str, name: &str, targets: Vec<TargetRef>) -> Candidate {
    Candidate {
        policy: Policy {
            key: PolicyKey { namespace: namespace.to_owned(), name: name.to_owned(), dialect: Dialect::Gep },
            created: None,
            generation: 1,
            targets,
            spec: Spec::default(),
        },
        findings: Vec::new(),
    }
}

/// With this many seconds since the epoch.
pub(crate) fn created(mut candidate: Candidate, second: i64) -> Candidate {
    candidate.policy.created = Some(jiff::Timestamp::from_second(second).unwrap());
    candidate
}

/// With an error.
pub(crate) fn invalid(mut candidate: Candidate) -> Candidate {
    candidate.findings.push(Finding::invalid(&FieldPath::new("spec"), "is wrong"));
    candidate
}

/// Namespaces `shop` and `ops`; in `shop` a Gateway `edge` with the pod `edge-1`, and the pod `cart-1`.
pub(crate) fn cluster() -> Objects {
    let mut objects = Objects { all_pods: true, ..Objects::default() };
    for name in ["shop", "ops"] {
        objects.namespaces.insert(name.to_owned(), Namespace::default());
    }
    objects.gateways.insert(ObjectName::new("shop", "edge"), BTreeMap::new());
    let labels = BTreeMap::from([(Pod::GATEWAY_NAME.to_owned(), "edge".to_owned())]);
    objects
        .pods
        .insert(ObjectName::new("shop", "edge-1"), Arc::new(Pod { labels: Arc::new(labels), ..Pod::default() }));
    objects.pods.insert(ObjectName::new("shop", "cart-1"), Arc::default());
    objects
}

/// A grant in namespace `to` for policies of one group in namespace `from`.
pub(crate) fn grant(group: &str, from: &str, to: &str, kind: &str, name: Option<&str>) -> ReferenceGrant {
    let to_group = if kind == "Gateway" { PROPOSAL_GROUP } else { "" };
    ReferenceGrant {
        namespace: to.to_owned(),
        from: vec![(group.to_owned(), KIND.to_owned(), from.to_owned())],
        to: vec![(to_group.to_owned(), kind.to_owned(), name.map(str::to_owned))],
    }
}
