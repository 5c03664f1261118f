//! What a policy can attach to.

use std::fmt;

use crate::policy::{
    model::{PROPOSAL_GROUP as GATEWAY_GROUP, PolicyKey, TargetRef},
    objects::ObjectName,
};

/// A target of a kind that is supported.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// The pods of a namespace.
    Namespace(String),
    /// The pods of a Gateway.
    Gateway(ObjectName),
}

/// Why a targetRef can select nothing, wherever it is applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetFault {
    /// The policy has errors that are not about its targets.
    #[error("the policy is not valid")]
    Policy,
    /// Neither Namespace nor Gateway.
    #[error(
        "kind {kind} of group {group:?} is not supported; targets are Namespace (group \"\") and Gateway (group \"{GATEWAY_GROUP}\")"
    )]
    Kind {
        /// Its group.
        group: String,
        /// Its kind.
        kind: String,
    },
    /// A part of a target.
    #[error("sectionName {0:?} is not supported; a policy holds for the whole target")]
    SectionName(String),
    /// A namespace inside another one.
    #[error("namespace {namespace:?} beside kind Namespace must be absent or equal to the name {name:?}")]
    NamespaceOfNamespace {
        /// What stands in `namespace`.
        namespace: String,
        /// What stands in `name`.
        name: String,
    },
    /// No `ReferenceGrant` lets the policy into another namespace.
    #[error(
        "no ReferenceGrant in namespace {to:?} permits a TelemetryPolicy of namespace {from:?} to refer to this {kind}; \
         create one there, or move the policy to namespace {to:?}"
    )]
    NotGranted {
        /// Where the policy is.
        from: String,
        /// Where the target is.
        to: String,
        /// The target's kind.
        kind: &'static str,
    },
}

impl Target {
    /// What a targetRef of this policy names.
    ///
    /// # Errors
    /// [`TargetFault`], other than `Policy` and `NotGranted`.
    pub fn of(reference: &TargetRef, policy: &PolicyKey) -> Result<Self, TargetFault> {
        let target = match (reference.group.as_str(), reference.kind.as_str()) {
            ("", "Namespace") => Self::Namespace(reference.name.clone()),
            (GATEWAY_GROUP, "Gateway") => {
                let namespace = reference.namespace.as_ref().unwrap_or(&policy.namespace);
                Self::Gateway(ObjectName::new(namespace, &reference.name))
            }
            (group, kind) => return Err(TargetFault::Kind { group: group.to_owned(), kind: kind.to_owned() }),
        };
        if let Some(section) = &reference.section_name {
            return Err(TargetFault::SectionName(section.clone()));
        }
        match (&target, &reference.namespace) {
            (Self::Namespace(name), Some(namespace)) if namespace != name => {
                Err(TargetFault::NamespaceOfNamespace { namespace: namespace.clone(), name: name.clone() })
            }
            _ => Ok(target),
        }
    }

    /// Its API group.
    pub const fn group(&self) -> &'static str {
        match self {
            Self::Namespace(_) => "",
            Self::Gateway(_) => GATEWAY_GROUP,
        }
    }

    /// Its kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Namespace(_) => "Namespace",
            Self::Gateway(_) => "Gateway",
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Namespace(name) => name,
            Self::Gateway(gateway) => &gateway.name,
        }
    }

    /// The namespace whose pods it selects, and where a grant has to be.
    pub fn namespace(&self) -> &str {
        match self {
            Self::Namespace(name) => name,
            Self::Gateway(gateway) => &gateway.namespace,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace(name) => write!(f, "Namespace {name}"),
            Self::Gateway(gateway) => write!(f, "Gateway {gateway}"),
        }
    }
}
