//! The objects of a cluster that policies are resolved against: from files, or from the API server.

use std::{
    collections::{BTreeMap, HashSet},
    net::IpAddr,
    sync::Arc,
};

use jiff::Timestamp;

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
    /// Its labels. Pods of one owner mostly have the same, and share them.
    pub labels: Arc<Labels>,
    /// Its annotations, likewise.
    pub annotations: Arc<Labels>,
    /// `metadata.uid`
    pub uid: Option<String>,
    /// `spec.serviceAccountName`
    pub service_account: Option<String>,
    /// `spec.nodeName`
    pub node: Option<String>,
    /// `status.podIPs`. Empty where it has the network of its node: those addresses are of every such pod there.
    pub addresses: Vec<IpAddr>,
    /// `kind/name` of the controlling owner.
    pub owner: Option<(String, String)>,
    /// Its containers, those of its initialisation and ephemeral ones too. Empty for pods of other nodes.
    pub containers: Vec<Container>,
    /// `spec.hostNetwork`
    pub host_network: bool,
    /// `metadata.creationTimestamp`
    pub created: Option<Timestamp>,
    /// `metadata.deletionTimestamp`: when it will be gone at the latest, of one that is being deleted.
    pub deleted: Option<Timestamp>,
    /// `status.phase`
    pub phase: Phase,
    /// Whether the condition `Ready` is true.
    pub ready: bool,
}

/// How far a pod has come (`status.phase`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Not all containers run yet.
    Pending,
    /// At least one container runs.
    Running,
    /// All containers have ended well and will not start again.
    Succeeded,
    /// All containers have ended, one of them badly.
    Failed,
    /// Nothing is said: of a pod from a file, or one whose node cannot be reached.
    #[default]
    Unknown,
}

impl Phase {
    /// From the API's word.
    pub fn of(word: &str) -> Self {
        match word {
            "Pending" => Self::Pending,
            "Running" => Self::Running,
            "Succeeded" => Self::Succeeded,
            "Failed" => Self::Failed,
            _ => Self::Unknown,
        }
    }

    /// All containers have ended for good: its addresses may be another pod's by now.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// A container of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// The id that its runtime gave it, without `containerd://`; `None` until it was started once.
    pub id: Option<String>,
    /// `image`, as the pod asks for it.
    pub image: Option<String>,
}

impl Container {
    /// `containerID` of a status, without the name of the runtime.
    pub fn id_of(word: &str) -> Option<String> {
        let id = word.split_once("://").map_or(word, |(_, id)| id);
        (!id.is_empty()).then(|| id.to_owned())
    }
}

/// What is known of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// `status.addresses` that are addresses; policies of tenants may not send there.
    pub addresses: Vec<IpAddr>,
    /// `spec.podCIDRs`: where the addresses of its pods are from, if the cluster gives them out by node.
    pub pod_ranges: Vec<AddressRange>,
}

/// What is known of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// `spec.ports[].port`
    pub ports: Vec<u16>,
    /// `spec.clusterIPs`; none of a service without (`None`) and of an `ExternalName`.
    pub addresses: Vec<IpAddr>,
}

/// Addresses with a common prefix (CIDR).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    first: IpAddr,
    bits: u8,
}

impl AddressRange {
    /// From `10.0.0.0/8`; `None` if it is not of that form.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let (first, bits): (IpAddr, u8) = (address.parse().ok()?, bits.parse().ok()?);
        (bits <= if first.is_ipv4() { 32 } else { 128 }).then_some(Self { first, bits })
    }

    /// Whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let differs = |difference: u128, width: u8| self.bits > 0 && difference >> (width - self.bits) != 0;
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(other)) => !differs((first.to_bits() ^ other.to_bits()).into(), 32),
            (IpAddr::V6(first), IpAddr::V6(other)) => !differs(first.to_bits() ^ other.to_bits(), 128),
            _ => false,
        }
    }
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
    pub pods: BTreeMap<ObjectName, Arc<Pod>>,
    /// Whether the running pods of all nodes are among them: only then something may be concluded from those that are not.
    pub all_pods: bool,
    /// Nodes by name.
    pub nodes: BTreeMap<String, Node>,
    /// Services by name.
    pub services: BTreeMap<ObjectName, Service>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_what_has_its_prefix() {
        let holds = |range: &str, address: &str| AddressRange::parse(range).unwrap().contains(address.parse().unwrap());
        for (range, inside, outside) in [
            ("10.244.1.0/24", "10.244.1.255", "10.244.2.0"),
            ("10.244.1.7/32", "10.244.1.7", "10.244.1.6"),
            ("10.0.0.0/8", "::ffff:10.9.9.9", "11.0.0.0"),
            ("fd00:10::/64", "fd00:10::ffff", "fd00:10:0:1::"),
            ("fd00::/128", "fd00::", "10.0.0.1"),
        ] {
            assert!(holds(range, inside), "{range} {inside}");
            assert!(!holds(range, outside), "{range} {outside}");
        }
        assert!(holds("0.0.0.0/0", "255.255.255.255") && holds("::/0", "ffff::") && !holds("0.0.0.0/0", "::"));
        for wrong in ["10.0.0.0", "10.0.0.0/33", "fd00::/129", "a/8", "10.0.0.0/x"] {
            assert_eq!(AddressRange::parse(wrong), None, "{wrong}");
        }
    }
}
