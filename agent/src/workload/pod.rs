//! What is known of a pod.

use std::sync::Arc;

use crate::policy::objects::{Labels, ObjectName, Pod};

/// The annotation that names the cgroup of the processes that stand for a pod (`run`, DESIGN section 8).
pub const CGROUP_ANNOTATION: &str = "telltale.dev/cgroup";

/// What is known of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodIdentity {
    /// Its name.
    pub name: ObjectName,
    /// Its labels, annotations, owner, addresses.
    pub pod: Arc<Pod>,
    /// The labels of its namespace.
    pub namespace_labels: Labels,
}

impl PodIdentity {
    /// The annotation with the hash of a static pod's manifest: its cgroups are named by that, the API's mirror of it has another UID.
    pub const CONFIG_HASH: &'static str = "kubernetes.io/config.hash";
    /// The annotation that makes a pod the mirror of a static one. The kubelet gives it the same value.
    pub const CONFIG_MIRROR: &'static str = "kubernetes.io/config.mirror";

    /// A pod of which nothing but its name is known.
    pub fn unknown(name: ObjectName) -> Self {
        Self { name, ..Self::default() }
    }

    /// What its cgroups may be named by: its UID, and of a mirror the hash.
    pub fn cgroup_uids(&self) -> impl Iterator<Item = &str> {
        self.pod.uid.as_deref().into_iter().chain(self.static_hash())
    }

    /// The hash that the cgroups of the static pod are named by of which this is the mirror, as its kubelet makes one: hash and mirror agree, and
    /// the node that it is bound to owns it. Annotations alone say nothing: the author of any pod writes them, and a hash names cgroups.
    pub(super) fn static_hash(&self) -> Option<&str> {
        let annotation = |name| self.pod.annotations.get(name).map(String::as_str);
        let hash = annotation(Self::CONFIG_HASH).filter(|hash| annotation(Self::CONFIG_MIRROR) == Some(hash))?;
        let (kind, owner) = self.pod.owner.as_ref()?;
        let by_its_node = kind == "Node" && self.pod.node.as_ref() == Some(owner);
        // Of an MD5, and so never what another pod's UID looks like.
        let digits = hash.len() == 32 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (by_its_node && digits).then_some(hash)
    }

    /// The name of its container with this id.
    pub fn container_name(&self, id: &str) -> Option<&str> {
        let found = self.pod.containers.iter().find(|container| container.id.as_deref() == Some(id));
        found.map(|container| container.name.as_str())
    }
}
