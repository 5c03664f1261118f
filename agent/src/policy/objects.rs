//! The objects of a cluster that policies are resolved against: from files, or from the API server.

use std::collections::{BTreeMap, HashSet};

/// Labels or annotations.
pub type Labels = BTreeMap<String, String>;

/// The name of a namespaced object. Ordered by namespace, then name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ObjectName {
    /// From both parts.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl std::fmt::Display for ObjectName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What is known of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespace {
    /// Its labels.
    pub labels: Labels,
}

/// What is known of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Its labels.
    pub labels: Labels,
    /// Its annotations.
    pub annotations: Labels,
    /// `metadata.uid`
    pub uid: Option<String>,
    /// `spec.serviceAccountName`
    pub service_account: Option<String>,
    /// `spec.nodeName`
    pub node: Option<String>,
    /// `status.podIPs`
    pub addresses: Vec<std::net::IpAddr>,
    /// `kind/name` of the controlling owner.
    pub owner: Option<(String, String)>,
}

impl Pod {
    /// The label that the pods of a Gateway carry (GEP-1762).
    pub const GATEWAY_NAME: &'static str = "gateway.networking.k8s.io/gateway-name";

    /// The Gateway that it belongs to, if it does.
    pub fn gateway(&self) -> Option<&str> {
        self.labels.get(Self::GATEWAY_NAME).map(String::as_str)
    }
}

/// A permission to refer to objects of another namespace (Gateway API, `ReferenceGrant`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReferenceGrant {
    /// Where it is, and so whose objects it opens.
    pub namespace: String,
    /// Who may refer: group, kind, namespace.
    pub from: Vec<(String, String, String)>,
    /// To what: group, kind, and one name or all.
    pub to: Vec<(String, String, Option<String>)>,
}

/// What is known of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Objects {
    /// Namespaces by name.
    pub namespaces: BTreeMap<String, Namespace>,
    /// Gateways by name.
    pub gateways: BTreeMap<ObjectName, Labels>,
    /// Pods by name.
    pub pods: BTreeMap<ObjectName, Pod>,
    /// Addresses of nodes by name, to which the policies of tenants may not send.
    pub nodes: BTreeMap<String, Vec<std::net::IpAddr>>,
    /// Services by name, with their ports.
    pub services: BTreeMap<ObjectName, Vec<u16>>,
    /// Permissions.
    pub grants: Vec<ReferenceGrant>,
}

impl Objects {
    /// The namespaces that are known: those given, and those in which an object is, since files often leave out the former.
    pub fn known_namespaces(&self) -> HashSet<&str> {
        let inside = self.pods.keys().chain(self.gateways.keys()).chain(self.services.keys());
        let grants = self.grants.iter().map(|grant| &grant.namespace);
        self.namespaces.keys().chain(inside.map(|name| &name.namespace)).chain(grants).map(String::as_str).collect()
    }
}
