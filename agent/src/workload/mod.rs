//! Process, cgroup, address -> [`Workload`].

mod annotated;
pub mod cgroup;
mod pod;
mod process;
mod registry;

use std::sync::Arc;

pub use pod::{CGROUP_ANNOTATION, PodIdentity, Pods};
pub use registry::{Counters, Registry, Source};

/// Whom a process belongs to: the source of resource attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// `service.name`: of a local process its command.
    pub service_name: String,
    /// `k8s.namespace.name`; absent for a local process.
    pub namespace: Option<String>,
    /// Every other resource attribute, by its OpenTelemetry key, sorted by key.
    pub attributes: Vec<(&'static str, String)>,
    /// The pod, if it is one.
    pub pod: Option<Arc<PodIdentity>>,
}

impl Workload {
    /// A pod as a whole, whichever of its processes.
    pub fn of_pod(pod: &Arc<PodIdentity>) -> Self {
        let mut attributes: Vec<_> = pod.attributes().collect();
        attributes.sort_unstable_by_key(|(key, _)| *key);
        Self {
            service_name: pod.service_name().to_owned(),
            namespace: Some(pod.name.namespace.clone()),
            attributes,
            pod: Some(Arc::clone(pod)),
        }
    }
}
