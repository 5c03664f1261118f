//! Process, cgroup, address -> [`Workload`].

mod annotated;
pub mod cgroup;
mod directory;
pub mod mesh;
mod naming;
mod pod;
mod process;
mod registry;
mod store;

use std::{borrow::Cow, sync::Arc};

pub use annotated::annotated_cgroups;
pub use cgroup::PodCgroups;
pub use directory::Directory;
pub use naming::Naming;
pub use pod::{CGROUP_ANNOTATION, PodIdentity};
pub use registry::{Attribution, Counters, Local, Missing, Peer, Registry, Source};
pub use store::DirectoryStore;

/// A resource attribute: its OpenTelemetry key and its value.
pub type ResourceAttribute = (Cow<'static, str>, String);

/// Whom a process belongs to: the source of resource attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// `service.name`: of a local process its command.
    pub service_name: String,
    /// `k8s.namespace.name`; absent for a local process.
    pub namespace: Option<String>,
    /// Every other resource attribute, sorted by key.
    pub attributes: Vec<ResourceAttribute>,
    /// The pod, if it is one.
    pub pod: Option<Arc<PodIdentity>>,
    /// What it is.
    pub kind: WorkloadKind,
}

/// What a workload is. Services and nodes are only ever the other end of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WorkloadKind {
    /// A process of no pod.
    #[default]
    Process,
    /// A pod.
    Pod,
    /// A service, by its cluster address.
    Service,
    /// A node, by one of its addresses.
    Node,
}
