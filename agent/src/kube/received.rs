//! Objects as they come from the API server: whole ones as JSON, and of pods of other nodes no more than names a peer.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Resource,
    core::{ApiResource, DynamicResourceScope},
};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::policy::objects::{Labels, ObjectName, Phase, Pod};

/// What a watch can give.
pub(super) enum Received {
    Whole(Value),
    Peer(Box<Pod>),
}

/// A type that a watch reads.
pub(super) trait Readable: Resource<DynamicType = ApiResource> {
    /// Its name, with an empty namespace if it is of the cluster, and the rest.
    fn open(self) -> (ObjectName, Received);
}

fn name_of(metadata: &ObjectMeta) -> ObjectName {
    ObjectName::new(metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}

/// An object as JSON, without `managedFields`, which is often its larger half.
#[derive(Clone, Debug)]
pub(super) struct Whole {
    metadata: ObjectMeta,
    value: Value,
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        let fields = &mut value["metadata"];
        if let Some(fields) = fields.as_object_mut() {
            fields.remove("managedFields");
        }
        let text = |key: &str| fields[key].as_str().map(str::to_owned);
        let metadata = ObjectMeta {
            name: text("name"),
            namespace: text("namespace"),
            resource_version: text("resourceVersion"),
            ..ObjectMeta::default()
        };
        Ok(Self { metadata, value })
    }
}

impl Readable for Whole {
    fn open(self) -> (ObjectName, Received) {
        (name_of(&self.metadata), Received::Whole(self.value))
    }
}

/// A pod of another node.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    metadata: ObjectMeta,
    pod: Pod,
}

#[derive(Deserialize)]
struct Slim {
    metadata: SlimMetadata,
    #[serde(default)]
    spec: SlimSpec,
    #[serde(default)]
    status: SlimStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SlimMetadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
    uid: Option<String>,
    resource_version: Option<String>,
    creation_timestamp: Option<jiff::Timestamp>,
    deletion_timestamp: Option<jiff::Timestamp>,
    labels: Option<Labels>,
    annotations: Option<Labels>,
    #[serde(default)]
    owner_references: Vec<SlimOwner>,
}

#[derive(Deserialize)]
struct SlimOwner {
    kind: String,
    name: String,
    #[serde(default)]
    controller: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SlimSpec {
    node_name: Option<String>,
    service_account_name: Option<String>,
    host_network: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SlimStatus {
    phase: String,
    #[serde(rename = "podIPs")]
    addresses: Vec<SlimAddress>,
    conditions: Vec<SlimCondition>,
}

#[derive(Deserialize)]
struct SlimAddress {
    #[serde(default)]
    ip: String,
}

#[derive(Deserialize)]
struct SlimCondition {
    r#type: String,
    status: String,
}

/// Annotations of peers that become attributes of theirs (k8s-attributes convention).
const KEPT_ANNOTATIONS: &str = "resource.opentelemetry.io/";

impl<'de> Deserialize<'de> for Peer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Slim { metadata, spec, status } = Slim::deserialize(deserializer)?;
        let addresses = status.addresses.iter().filter(|_| !spec.host_network);
        let addresses = addresses.filter_map(|entry| entry.ip.parse().ok()).collect();
        let mut annotations = metadata.annotations.unwrap_or_default();
        annotations.retain(|key, _| key.starts_with(KEPT_ANNOTATIONS));
        let pod = Pod {
            labels: metadata.labels.unwrap_or_default().into(),
            annotations: annotations.into(),
            uid: metadata.uid,
            service_account: spec.service_account_name.filter(|name| !name.is_empty()),
            node: spec.node_name.filter(|name| !name.is_empty()),
            addresses,
            owner: (metadata.owner_references.into_iter())
                .find(|owner| owner.controller)
                .map(|owner| (owner.kind, owner.name)),
            containers: Vec::new(),
            host_network: spec.host_network,
            created: metadata.creation_timestamp,
            deleted: metadata.deletion_timestamp,
            phase: Phase::of(&status.phase),
            ready: status.conditions.iter().any(|condition| condition.r#type == "Ready" && condition.status == "True"),
        };
        let metadata = ObjectMeta {
            name: Some(metadata.name),
            namespace: Some(metadata.namespace),
            resource_version: metadata.resource_version,
            ..ObjectMeta::default()
        };
        Ok(Self { metadata, pod })
    }
}

impl Readable for Peer {
    fn open(self) -> (ObjectName, Received) {
        (name_of(&self.metadata), Received::Peer(Box::new(self.pod)))
    }
}

/// What kube's client asks of a type: where its objects are comes at run time, from [`super::kinds`].
macro_rules! resource {
    ($type:ty) => {
        impl Resource for $type {
            type DynamicType = ApiResource;
            type Scope = DynamicResourceScope;

            fn kind(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
                resource.kind.as_str().into()
            }

            fn group(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
                resource.group.as_str().into()
            }

            fn version(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
                resource.version.as_str().into()
            }

            fn plural(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
                resource.plural.as_str().into()
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

resource!(Whole);
resource!(Peer);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::policy::document::cluster;

    #[test]
    fn a_peer_is_read_as_the_whole_pod_is_but_for_what_is_left_out() {
        let object = json!({
            "metadata": {
                "name": "p", "namespace": "n", "uid": "u", "resourceVersion": "7", "managedFields": [{"manager": "m"}],
                "creationTimestamp": "2026-01-02T03:04:05Z", "labels": {"app": "a"},
                "annotations": {"resource.opentelemetry.io/service.name": "s", "note": "words"},
                "ownerReferences": [{"kind": "Node", "name": "x"}, {"kind": "ReplicaSet", "name": "r", "controller": true}],
            },
            "spec": {"nodeName": "n2", "serviceAccountName": "sa", "containers": [{"name": "c", "image": "i"}]},
            "status": {
                "phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
                "conditions": [{"type": "Ready", "status": "True", "lastProbeTime": null}],
            },
        });
        let (name, Received::Peer(peer)) = Peer::deserialize(&object).unwrap().open() else { panic!("a peer") };
        let mut whole = cluster::pod(&object);
        assert_eq!(name, ObjectName::new("n", "p"));
        assert!(!whole.containers.is_empty() && whole.annotations.len() == 2);
        whole.containers.clear();
        Arc::make_mut(&mut whole.annotations).remove("note");
        assert_eq!(*peer, whole);
        let host = json!({"metadata": {"name": "h"}, "spec": {"hostNetwork": true}, "status": {"podIPs": [{"ip": "10.0.0.9"}]}});
        let (_, Received::Peer(host)) = Peer::deserialize(host).unwrap().open() else { panic!("a peer") };
        assert!(host.host_network && host.addresses.is_empty());
    }

    #[test]
    fn a_whole_object_loses_only_who_manages_its_fields() {
        let object = json!({"metadata": {"name": "p", "managedFields": [1]}, "spec": {"a": [1]}});
        let whole = Whole::deserialize(object).unwrap();
        assert_eq!(whole.meta().name.as_deref(), Some("p"));
        let (name, Received::Whole(value)) = whole.open() else { panic!("a whole object") };
        assert_eq!(
            (name.to_string(), value),
            ("/p".to_owned(), json!({"metadata": {"name": "p"}, "spec": {"a": [1]}}))
        );
    }
}
