//! The labels of Istio's standard metrics.
//!
//! What a passive observer cannot know is `unknown`: principals and clusters, and, since the proxy of a mesh may encrypt what a pod sends in plaintext,
//! `connection_security_policy`.

use std::borrow::Cow;

use super::label::{Label, Own};
use crate::policy::attribute::{Key, Subject, Value};

/// Istio's word for what is not known.
pub(super) const UNKNOWN: &str = "unknown";

/// A label whose value follows a rule of Istio's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IstioLabel {
    /// `source` or `destination`: which end reports.
    Reporter,
    /// Host of the service: what the request addresses, without port (Istio falls back to `Host` too).
    Service,
    /// Its name: the first label of a cluster name, else the host.
    ServiceName,
    /// Its namespace: the second label of a cluster name, else that of the workload.
    ServiceNamespace,
    /// `http` or `grpc`.
    Protocol,
}

/// Names, values and Istio's words where there is no value, in Istio's order.
const LABELS: &[(&str, Own, Option<&str>)] = &[
    ("reporter", Own::Istio(IstioLabel::Reporter), Some(UNKNOWN)),
    ("source_workload", Own::Key(Key::SourceWorkload), Some(UNKNOWN)),
    ("source_canonical_service", Own::Key(Key::SourceCanonicalService), Some(UNKNOWN)),
    ("source_canonical_revision", Own::Key(Key::SourceCanonicalRevision), Some(UNKNOWN)),
    ("source_workload_namespace", Own::Key(Key::SourceNamespace), Some(UNKNOWN)),
    ("source_principal", Own::Nothing, Some(UNKNOWN)),
    ("source_app", Own::Key(Key::SourceApp), Some(UNKNOWN)),
    ("source_version", Own::Key(Key::SourceVersion), Some(UNKNOWN)),
    ("source_cluster", Own::Nothing, Some(UNKNOWN)),
    ("destination_workload", Own::Key(Key::DestinationWorkload), Some(UNKNOWN)),
    ("destination_workload_namespace", Own::Key(Key::DestinationNamespace), Some(UNKNOWN)),
    ("destination_principal", Own::Nothing, Some(UNKNOWN)),
    ("destination_app", Own::Key(Key::DestinationApp), Some(UNKNOWN)),
    ("destination_version", Own::Key(Key::DestinationVersion), Some(UNKNOWN)),
    ("destination_service", Own::Istio(IstioLabel::Service), Some(UNKNOWN)),
    ("destination_canonical_service", Own::Key(Key::DestinationCanonicalService), Some(UNKNOWN)),
    ("destination_canonical_revision", Own::Key(Key::DestinationCanonicalRevision), Some(UNKNOWN)),
    ("destination_service_name", Own::Istio(IstioLabel::ServiceName), Some(UNKNOWN)),
    ("destination_service_namespace", Own::Istio(IstioLabel::ServiceNamespace), Some(UNKNOWN)),
    ("destination_cluster", Own::Nothing, Some(UNKNOWN)),
    ("request_protocol", Own::Istio(IstioLabel::Protocol), Some(UNKNOWN)),
    ("response_code", Own::Key(Key::ResponseCode), Some(UNKNOWN)),
    // Empty where it is not gRPC, and to Prometheus an empty label is one that is not there.
    ("grpc_response_status", Own::Key(Key::GrpcStatus), None),
    ("response_flags", Own::Nothing, Some("-")),
    ("connection_security_policy", Own::Nothing, Some(UNKNOWN)),
];

/// The labels of every instrument of the profile.
pub(super) fn labels() -> Vec<Label> {
    LABELS.iter().map(|&(name, own, default)| Label::own(name, own, default)).collect()
}

impl IstioLabel {
    /// The value for an exchange. Always text, as Istio has it.
    pub(super) fn value(self, subject: &dyn Subject) -> Option<Value<'_>> {
        match self {
            Self::Reporter => match text(subject, Key::Reporter)?.as_ref() {
                "client" => Some(Value::from("source")),
                "server" => Some(Value::from("destination")),
                _ => None,
            },
            Self::Service => text(subject, Key::ServerAddress).map(Value::Text),
            Self::ServiceName => {
                let host = text(subject, Key::ServerAddress)?;
                let name = cluster_name(&host).map(|(name, _)| name.to_owned());
                Some(Value::Text(name.map_or(host, Cow::Owned)))
            }
            Self::ServiceNamespace => {
                let host = text(subject, Key::ServerAddress);
                let namespace =
                    host.as_deref().and_then(cluster_name).map(|(_, namespace)| Cow::Owned(namespace.to_owned()));
                namespace.or_else(|| text(subject, Key::DestinationNamespace)).map(Value::Text)
            }
            Self::Protocol => {
                Some(Value::from(if subject.key(Key::RpcSystemName).is_some() { "grpc" } else { "http" }))
            }
        }
    }
}

fn text(subject: &dyn Subject, key: Key) -> Option<Cow<'_, str>> {
    subject.key(key).map(Value::into_text)
}

/// Name and namespace of a Service's name in a cluster: `name.namespace.svc` and whatever follows.
fn cluster_name(host: &str) -> Option<(&str, &str)> {
    let mut parts = host.split('.');
    let (name, namespace) = (parts.next()?, parts.next()?);
    (parts.next() == Some("svc") && !name.is_empty() && !namespace.is_empty()).then_some((name, namespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_names() {
        assert_eq!(cluster_name("cart.shop.svc.cluster.local"), Some(("cart", "shop")));
        assert_eq!(cluster_name("cart.shop.svc"), Some(("cart", "shop")));
        for other in ["cart.shop", "cart", "shop.example.com", ".a.svc", ""] {
            assert_eq!(cluster_name(other), None);
        }
    }
}
