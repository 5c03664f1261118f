//! What is watched, as data, and the permissions that the agent needs.

use crate::policy::model::{Dialect, GEP_GROUP, KIND, PROPOSAL_GROUP};

/// What a watch is about. The pods of the cluster are two subjects: those of this node, of which all is kept, and those of other nodes, of which
/// only what names a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Subject {
    /// The pods of this node.
    Pods,
    /// Running pods of other nodes.
    Peers,
    Namespaces,
    Nodes,
    Services,
    Gateways,
    Grants,
    Policies(Dialect),
    /// The definition of another subject, without which that cannot be watched.
    Definition(Defined),
}

/// Subjects that exist only where their definition is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Defined {
    Gateways,
    Grants,
    Policies(Dialect),
}

impl Defined {
    pub(super) const ALL: [Self; 4] =
        [Self::Policies(Dialect::Proposal), Self::Policies(Dialect::Gep), Self::Gateways, Self::Grants];

    /// What is watched where it is installed.
    pub(super) const fn subject(self) -> Subject {
        match self {
            Self::Gateways => Subject::Gateways,
            Self::Grants => Subject::Grants,
            Self::Policies(dialect) => Subject::Policies(dialect),
        }
    }

    /// The name of its definition.
    pub(super) fn definition(self) -> String {
        let kind = self.subject().kind();
        format!("{}.{}", kind.plural, kind.group)
    }
}

/// How the API serves objects, and what is kept of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// In metrics and messages.
    pub(super) label: &'static str,
    /// API group; empty is the core group.
    pub(super) group: &'static str,
    /// Versions whose fields that we read mean the same, the best first.
    pub(super) versions: &'static [&'static str],
    /// `kind`
    pub(super) name: &'static str,
    /// The resource in paths and rules.
    pub(super) plural: &'static str,
    /// So many objects are kept; those beyond are counted.
    pub(super) limit: usize,
    /// So many bytes of them, estimated; likewise. Every tenant may make objects, and large ones.
    pub(super) bytes: usize,
}

/// One row for each subject.
macro_rules! kinds {
    ($($constant:ident = $label:literal $group:expr, [$($version:literal),+] $name:expr, $plural:literal, at most $limit:literal, $mib:literal MiB;)+) => {
        $(const $constant: Kind = Kind {
            label: $label,
            group: $group,
            versions: &[$($version),+],
            name: $name,
            plural: $plural,
            limit: $limit,
            bytes: $mib << 20,
        };)+
    };
}

kinds! {
    PODS = "pods" "", ["v1"] "Pod", "pods", at most 2_000, 16 MiB;
    PEERS = "peers" "", ["v1"] "Pod", "pods", at most 50_000, 96 MiB;
    NAMESPACES = "namespaces" "", ["v1"] "Namespace", "namespaces", at most 20_000, 16 MiB;
    NODES = "nodes" "", ["v1"] "Node", "nodes", at most 10_000, 16 MiB;
    SERVICES = "services" "", ["v1"] "Service", "services", at most 20_000, 16 MiB;
    GATEWAYS = "gateways" PROPOSAL_GROUP, ["v1", "v1beta1"] "Gateway", "gateways", at most 5_000, 16 MiB;
    GRANTS = "referencegrants" PROPOSAL_GROUP, ["v1", "v1beta1"] "ReferenceGrant", "referencegrants", at most 5_000, 16 MiB;
    PROPOSAL = "telemetrypolicies.gateway.networking.k8s.io" PROPOSAL_GROUP, ["v1alpha2"] KIND, "telemetrypolicies", at most 10_000, 64 MiB;
    GEP = "telemetrypolicies.gateway.networking.x-k8s.io" GEP_GROUP, ["v1alpha1"] KIND, "telemetrypolicies", at most 10_000, 64 MiB;
    DEFINITIONS = "customresourcedefinitions" "apiextensions.k8s.io", ["v1"] "CustomResourceDefinition", "customresourcedefinitions", at most 1, 1 MiB;
}

impl Subject {
    /// How the API serves it.
    pub(super) const fn kind(self) -> &'static Kind {
        match self {
            Self::Pods => &PODS,
            Self::Peers => &PEERS,
            Self::Namespaces => &NAMESPACES,
            Self::Nodes => &NODES,
            Self::Services => &SERVICES,
            Self::Gateways => &GATEWAYS,
            Self::Grants => &GRANTS,
            Self::Policies(Dialect::Proposal) => &PROPOSAL,
            Self::Policies(Dialect::Gep) => &GEP,
            Self::Definition(_) => &DEFINITIONS,
        }
    }

    /// In metrics and messages.
    pub(super) const fn label(self) -> &'static str {
        self.kind().label
    }

    /// The field selector of its watch.
    pub(super) fn fields(self, node: &str) -> Option<String> {
        match self {
            Self::Pods => Some(format!("spec.nodeName={node}")),
            // One that has no node yet has no address; one that is over has none any more.
            Self::Peers => {
                Some(format!("spec.nodeName!={node},spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed"))
            }
            Self::Definition(defined) => Some(format!("metadata.name={}", defined.definition())),
            _ => None,
        }
    }
}

/// A permission that the agent's service account needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// API group; empty is the core group.
    pub group: &'static str,
    /// Resource, with its subresource.
    pub resource: &'static str,
    /// What it does there.
    pub verbs: &'static [&'static str],
    /// The only names for which it needs this; empty is all.
    pub names: &'static [&'static str],
    /// In all of the cluster (a `ClusterRole`), or only in the namespace of the installation (a `Role`).
    pub cluster: bool,
    /// What for.
    pub why: &'static str,
}

const WATCH: &[&str] = &["list", "watch"];

/// All permissions that the agent needs. The shipped roles say the same, which a test compares.
pub const PERMISSIONS: &[Permission] = &[
    Permission {
        group: "",
        resource: "pods",
        verbs: WATCH,
        names: &[],
        cluster: true,
        why: "which pod a process belongs to, and which pod has the address of a peer",
    },
    Permission {
        group: "",
        resource: "namespaces",
        verbs: WATCH,
        names: &[],
        cluster: true,
        why: "targets of policies, and attributes from labels of namespaces",
    },
    Permission {
        group: "",
        resource: "nodes",
        verbs: WATCH,
        names: &[],
        cluster: true,
        why: "peers that are nodes, and addresses that policies may not send to",
    },
    Permission {
        group: "",
        resource: "services",
        verbs: WATCH,
        names: &[],
        cluster: true,
        why: "peers that are reached by a cluster address, and receivers that policies refer to",
    },
    Permission {
        group: PROPOSAL_GROUP,
        resource: "gateways",
        verbs: WATCH,
        names: &[],
        cluster: true,
        why: "targets of policies",
    },
    Permission {
        group: PROPOSAL_GROUP,
        resource: "referencegrants",
        verbs: WATCH,
        names: &[],
        cluster: true,
        why: "permission to refer to another namespace",
    },
    Permission {
        group: PROPOSAL_GROUP,
        resource: "telemetrypolicies",
        verbs: &["get", "list", "watch"],
        names: &[],
        cluster: true,
        why: "policies of the proposal's dialect; `get` after a conflict",
    },
    Permission {
        group: GEP_GROUP,
        resource: "telemetrypolicies",
        verbs: &["get", "list", "watch"],
        names: &[],
        cluster: true,
        why: "policies of the dialect of GEP-4768; `get` after a conflict",
    },
    Permission {
        group: "apiextensions.k8s.io",
        resource: "customresourcedefinitions",
        verbs: WATCH,
        names: &[
            "telemetrypolicies.gateway.networking.k8s.io",
            "telemetrypolicies.gateway.networking.x-k8s.io",
            "gateways.gateway.networking.k8s.io",
            "referencegrants.gateway.networking.k8s.io",
        ],
        cluster: true,
        why: "which kinds are installed, in which versions, and which fields of policies they drop",
    },
    Permission {
        group: PROPOSAL_GROUP,
        resource: "telemetrypolicies/status",
        verbs: &["update"],
        names: &[],
        cluster: true,
        why: "status, by the elected agent",
    },
    Permission {
        group: GEP_GROUP,
        resource: "telemetrypolicies/status",
        verbs: &["update"],
        names: &[],
        cluster: true,
        why: "status, by the elected agent",
    },
    Permission {
        group: "events.k8s.io",
        resource: "events",
        verbs: &["create"],
        names: &[],
        cluster: true,
        why: "on a policy whose status has no room for our entry",
    },
    Permission {
        group: "coordination.k8s.io",
        resource: "leases",
        verbs: &["create", "get", "list", "update", "watch"],
        names: &[],
        cluster: false,
        why: "which agent is elected, and which policies each node has put in force",
    },
    Permission {
        group: "",
        resource: "pods",
        verbs: &["get"],
        names: &[],
        cluster: false,
        why: "the own pod, which owns the Lease of its node",
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn everything_that_is_watched_is_permitted() {
        let fixed = [Subject::Pods, Subject::Peers, Subject::Namespaces, Subject::Nodes, Subject::Services];
        let defined = Defined::ALL.into_iter().flat_map(|defined| [defined.subject(), Subject::Definition(defined)]);
        for subject in fixed.into_iter().chain(defined) {
            let kind = subject.kind();
            let permitted = PERMISSIONS.iter().find(|row| row.group == kind.group && row.resource == kind.plural);
            assert!(
                permitted.is_some_and(|row| WATCH.iter().all(|verb| row.verbs.contains(verb)) && row.cluster),
                "{subject:?}"
            );
        }
        let definitions: Vec<_> = Defined::ALL.into_iter().map(Defined::definition).collect();
        let named = PERMISSIONS.iter().find(|row| !row.names.is_empty()).unwrap();
        assert_eq!(named.names.to_vec(), definitions);
    }

    /// What a role of the shipped manifests grants: group, resource, verb, name.
    fn granted(file: &str) -> BTreeSet<[String; 4]> {
        let path = format!("{}/../deploy/kustomize/agent/{file}", env!("CARGO_MANIFEST_DIR"));
        let source = crate::policy::document::read_source(std::path::Path::new(&path)).unwrap();
        let role = crate::policy::document::Plain::read(&source).unwrap().value();
        let words = |rule: &Value, key: &str| -> Vec<String> {
            rule[key].as_array().into_iter().flatten().map(|word| word.as_str().unwrap().to_owned()).collect()
        };
        let mut all = BTreeSet::new();
        for rule in role["rules"].as_array().unwrap() {
            let mut names = words(rule, "resourceNames");
            if names.is_empty() {
                names.push(String::new());
            }
            for group in words(rule, "apiGroups") {
                for resource in words(rule, "resources") {
                    for verb in words(rule, "verbs") {
                        let row = |name: &String| [group.clone(), resource.clone(), verb.clone(), name.clone()];
                        all.extend(names.iter().map(row));
                    }
                }
            }
        }
        all
    }

    #[test]
    fn the_shipped_roles_grant_this_and_nothing_else() {
        for (file, cluster) in [("cluster-role.yaml", true), ("role.yaml", false)] {
            let mut needed = BTreeSet::new();
            for row in PERMISSIONS.iter().filter(|row| row.cluster == cluster) {
                let names = if row.names.is_empty() { &[""][..] } else { row.names };
                for verb in row.verbs {
                    needed.extend(names.iter().map(|name| [row.group, row.resource, verb, name].map(str::to_owned)));
                }
            }
            assert_eq!(granted(file), needed, "{file}");
        }
    }

    #[test]
    fn policies_are_watched_in_the_version_of_their_dialect() {
        for dialect in Dialect::ALL {
            let kind = Subject::Policies(dialect).kind();
            assert_eq!(format!("{}/{}", kind.group, kind.versions[0]), dialect.api_version());
        }
    }
}
