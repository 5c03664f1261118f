//! Which pod a process is in, and what is known of that pod.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::Arc,
};

use crate::policy::objects::{Labels, ObjectName, Objects, Pod};

/// The annotation that names the cgroup of the processes that stand for a pod (`run`, DESIGN section 8).
pub const CGROUP_ANNOTATION: &str = "telltale.dev/cgroup";

/// Annotations that become resource attributes (k8s-attributes convention).
const RESOURCE_ANNOTATION: &str = "resource.opentelemetry.io/";

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
    /// A pod of which nothing but its name is known.
    pub fn unknown(name: ObjectName) -> Self {
        Self { name, ..Self::default() }
    }

    /// What controls the pod: kind and name. Behind a `ReplicaSet` that a Deployment made, that is the Deployment.
    pub fn owner(&self) -> Option<(&str, &str)> {
        let (kind, name) = self.pod.owner.as_ref()?;
        let hash = self.pod.labels.get("pod-template-hash");
        let deployment =
            hash.filter(|_| kind == "ReplicaSet").and_then(|hash| name.strip_suffix(hash.as_str())?.strip_suffix('-'));
        Some(deployment.map_or((kind, name), |name| ("Deployment", name)))
    }

    /// `service.name`: its annotation, else what owns the pod, else the pod.
    pub fn service_name(&self) -> &str {
        (self.pod.annotations.get("resource.opentelemetry.io/service.name").map(String::as_str))
            .or_else(|| self.owner().map(|(_, name)| name))
            .unwrap_or(&self.name.name)
    }

    /// Its resource attributes, without those that all workloads have.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&'static str, String)> {
        let owner = self.owner().and_then(|(kind, name)| Some((owner_key(kind)?, name.to_owned())));
        let annotated = |key: &'static str| {
            let value = self.pod.annotations.get(&format!("{RESOURCE_ANNOTATION}{key}"));
            value.map(|value| (key, value.clone()))
        };
        [("k8s.pod.name", self.name.name.clone())]
            .into_iter()
            .chain(self.pod.uid.clone().map(|uid| ("k8s.pod.uid", uid)))
            .chain(self.pod.node.clone().map(|node| ("k8s.node.name", node)))
            .chain(owner)
            .chain(
                ["service.version", "service.namespace", "deployment.environment.name"]
                    .into_iter()
                    .filter_map(annotated),
            )
    }
}

fn owner_key(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "Deployment" => "k8s.deployment.name",
        "ReplicaSet" => "k8s.replicaset.name",
        "StatefulSet" => "k8s.statefulset.name",
        "DaemonSet" => "k8s.daemonset.name",
        "Job" => "k8s.job.name",
        "CronJob" => "k8s.cronjob.name",
        _ => return None,
    })
}

/// The pods that are known. Immutable.
#[derive(Debug, Default)]
pub struct Pods {
    by_name: BTreeMap<ObjectName, Arc<PodIdentity>>,
    /// `None` where several pods say that they have an address.
    by_address: HashMap<IpAddr, Option<Arc<PodIdentity>>, foldhash::fast::RandomState>,
}

impl Pods {
    /// Those of a cluster.
    pub fn of(objects: &Objects) -> Self {
        let identity = |(name, pod): (&ObjectName, &Arc<Pod>)| {
            let namespace = objects.namespaces.get(&name.namespace);
            let namespace_labels = namespace.map(|namespace| namespace.labels.clone()).unwrap_or_default();
            (name.clone(), Arc::new(PodIdentity { name: name.clone(), pod: Arc::clone(pod), namespace_labels }))
        };
        let by_name: BTreeMap<_, _> = objects.pods.iter().map(identity).collect();
        let mut by_address: HashMap<_, _, foldhash::fast::RandomState> = HashMap::default();
        for pod in by_name.values() {
            for address in pod.pod.addresses.iter().filter(|address| !address.is_loopback()) {
                by_address
                    .entry(address.to_canonical())
                    .and_modify(|known| *known = None)
                    .or_insert_with(|| Some(Arc::clone(pod)));
            }
        }
        Self { by_name, by_address }
    }

    /// The only pod that has this address.
    pub fn at(&self, address: IpAddr) -> Option<&Arc<PodIdentity>> {
        self.by_address.get(&address.to_canonical())?.as_ref()
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<PodIdentity>> {
        self.by_name.values()
    }

    /// The pod of this name.
    pub fn get(&self, name: &ObjectName) -> Option<&Arc<PodIdentity>> {
        self.by_name.get(name)
    }

    /// The directories of [`CGROUP_ANNOTATION`], with their pods.
    pub fn cgroups(&self) -> impl Iterator<Item = (&str, &Arc<PodIdentity>)> {
        self.by_name
            .values()
            .filter_map(|identity| Some((identity.pod.annotations.get(CGROUP_ANNOTATION)?.as_str(), identity)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(owner: (&str, &str), labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> PodIdentity {
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
        PodIdentity {
            name: ObjectName::new("shop", "cart-7d4b9-x2x"),
            pod: Arc::new(Pod {
                labels: map(labels),
                annotations: map(annotations),
                owner: Some((owner.0.to_owned(), owner.1.to_owned())),
                ..Pod::default()
            }),
            namespace_labels: Labels::new(),
        }
    }

    #[test]
    fn an_address_is_of_a_pod_only_if_no_other_has_it() {
        let mut objects = Objects::default();
        for (name, addresses) in [("a", "10.0.0.1 fd00::1"), ("b", "10.0.0.2 10.0.0.9"), ("c", "10.0.0.9 127.0.0.1")] {
            let addresses = addresses.split(' ').map(|address| address.parse().unwrap()).collect();
            objects.pods.insert(ObjectName::new("shop", name), Arc::new(Pod { addresses, ..Pod::default() }));
        }
        let pods = Pods::of(&objects);
        let at = |address: &str| pods.at(address.parse().unwrap()).map(|pod| pod.name.name.as_str());
        assert_eq!([at("10.0.0.1"), at("fd00::1"), at("10.0.0.2")], [Some("a"), Some("a"), Some("b")]);
        assert_eq!(at("::ffff:10.0.0.1"), Some("a"));
        assert_eq!([at("10.0.0.9"), at("127.0.0.1"), at("10.0.0.3")], [None; 3]);
    }

    #[test]
    fn a_service_is_named_by_annotation_then_owner_then_pod() {
        let hash = [("pod-template-hash", "7d4b9")];
        assert_eq!(pod(("ReplicaSet", "cart-7d4b9"), &hash, &[]).service_name(), "cart");
        assert_eq!(pod(("ReplicaSet", "cart-7d4b9"), &[], &[]).service_name(), "cart-7d4b9");
        assert_eq!(pod(("StatefulSet", "db"), &hash, &[]).owner(), Some(("StatefulSet", "db")));
        let annotated = [("resource.opentelemetry.io/service.name", "checkout")];
        assert_eq!(pod(("ReplicaSet", "cart-7d4b9"), &hash, &annotated).service_name(), "checkout");
        assert_eq!(PodIdentity::unknown(ObjectName::new("a", "p")).service_name(), "p");
        let attributes: Vec<_> = pod(("ReplicaSet", "cart-7d4b9"), &hash, &[]).attributes().collect();
        assert!(attributes.contains(&("k8s.deployment.name", "cart".to_owned())), "{attributes:?}");
    }
}
