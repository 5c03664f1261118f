//! Whether what a policy refers to is there.

use jiff::Timestamp;

use super::{Reason, condition::condition};
use crate::policy::{
    api::status::Condition,
    attachment::{BackendKind, Candidate, is_backend_granted},
    model::{BackendRef, PolicyKey},
    objects::{ObjectName, Objects},
};

/// Why nothing can be sent to a receiver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefFault {
    /// It is no Service.
    #[error("kind {kind} of group {group:?} is not supported; a backendRef names a Service (group \"\")")]
    Kind {
        /// Its group.
        group: String,
        /// Its kind.
        kind: String,
    },
    /// It is in another namespace, which grants nothing.
    #[error(
        "no ReferenceGrant in namespace {to:?} permits a TelemetryPolicy of namespace {from:?} to refer to Service {name:?}"
    )]
    NotPermitted {
        /// Where the policy is.
        from: String,
        /// Where the Service is.
        to: String,
        /// Its name.
        name: String,
    },
    /// There is no such Service.
    #[error("there is no Service {0}")]
    NotFound(ObjectName),
    /// It has no such port.
    #[error("Service {service} has no port {port}; it has {}", ports(.known))]
    NoPort {
        /// The Service.
        service: ObjectName,
        /// The port that was asked for.
        port: u16,
        /// The ports that it has.
        known: Vec<u16>,
    },
}

fn ports(known: &[u16]) -> String {
    known.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")
}

impl RefFault {
    const fn reason(&self) -> Reason {
        match self {
            Self::Kind { .. } => Reason::InvalidKind,
            Self::NotPermitted { .. } => Reason::RefNotPermitted,
            Self::NotFound(_) | Self::NoPort { .. } => Reason::BackendNotFound,
        }
    }
}

/// What keeps a policy from sending to this receiver, if something does. Without a permission nothing is said about what is there.
pub fn backend_fault(objects: &Objects, policy: &PolicyKey, backend: &BackendRef) -> Option<RefFault> {
    if BackendKind::of(backend) == BackendKind::Other {
        return Some(RefFault::Kind { group: backend.group.clone(), kind: backend.kind.clone() });
    }
    let service = ObjectName::new(backend.namespace.as_deref().unwrap_or(&policy.namespace), &backend.name);
    if !is_backend_granted(objects, &policy.namespace, backend) {
        return Some(RefFault::NotPermitted {
            from: policy.namespace.clone(),
            to: service.namespace,
            name: service.name,
        });
    }
    let Some(known) = objects.services.get(&service) else { return Some(RefFault::NotFound(service)) };
    let known = &known.ports;
    match backend.port {
        Some(port) if !known.is_empty() && !known.contains(&port) => {
            Some(RefFault::NoPort { service, port, known: known.clone() })
        }
        _ => None,
    }
}

/// The receiver that a policy refers to, if it does.
pub(super) fn backend(candidate: &Candidate) -> Option<&BackendRef> {
    candidate.policy.spec.tracing.as_ref()?.provider.as_ref()?.backend_ref.as_ref()
}

/// `ResolvedRefs`, of a policy that refers to something.
pub(super) fn resolved_refs(candidate: &Candidate, objects: &Objects, since: Timestamp) -> Option<Condition> {
    let backend = backend(candidate)?;
    let policy = &candidate.policy;
    let (reason, text) = match backend_fault(objects, &policy.key, backend) {
        None => {
            let namespace = backend.namespace.as_deref().unwrap_or(&policy.key.namespace);
            (Reason::ResolvedRefs, format!("Service {namespace}/{} is there.", backend.name))
        }
        Some(fault) => {
            let text = format!("{}: {fault}. Spans of this policy are not exported; the rest of it holds.", backend.at);
            (fault.reason(), text)
        }
    };
    Some(condition(reason, text, policy.generation, since))
}
