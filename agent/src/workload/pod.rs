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

    /// A pod of which nothing but its name is known.
    pub fn unknown(name: ObjectName) -> Self {
        Self { name, ..Self::default() }
    }

    /// What its cgroups may be named by.
    pub fn cgroup_uids(&self) -> impl Iterator<Item = &str> {
        let hash = self.pod.annotations.get(Self::CONFIG_HASH);
        self.pod.uid.iter().chain(hash).map(String::as_str)
    }

    /// The name of its container with this id.
    pub fn container_name(&self, id: &str) -> Option<&str> {
        let found = self.pod.containers.iter().find(|container| container.id.as_deref() == Some(id));
        found.map(|container| container.name.as_str())
    }
}
