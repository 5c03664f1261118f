//! What a pod is called: the resource attributes of the Kubernetes conventions (OpenTelemetry, `k8s-attributes`).

use std::borrow::Cow;

use super::{PodIdentity, ResourceAttribute, Workload, WorkloadKind};
use crate::policy::objects::{Container, Pod};

/// Annotations that become resource attributes.
const ANNOTATION: &str = "resource.opentelemetry.io/";

/// Attributes of annotations that one pod may have, and the bytes of a value: what is beyond is left out.
const MAX_ANNOTATED: usize = 32;
const MAX_VALUE: usize = 1024;

/// Beginnings of keys that only the cluster or the agent says: a pod's author cannot make it another one.
const OWN: [&str; 8] = ["k8s.", "container.", "host.", "process.", "os.", "telemetry.", "telltale.", "otel."];

/// Keys of attributes that rules decide.
const RULED: [&str; 4] = ["service.name", "service.namespace", "service.version", "service.instance.id"];

/// How services are named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Naming {
    /// The labels `app.kubernetes.io/instance`, `name` and `version` name a service. The convention has it that this is asked for.
    pub well_known_labels: bool,
}

impl PodIdentity {
    /// The value of an annotation that says an attribute.
    fn annotated(&self, key: &str) -> Option<&str> {
        self.pod.annotations.get(&format!("{ANNOTATION}{key}")).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// `service.name`: its annotation, else the well-known labels if those count, else what owns the pod, else the pod.
    pub fn service_name(&self, naming: Naming) -> &str {
        let label = |name: &str| {
            let value = self.pod.labels.get(name).filter(|_| naming.well_known_labels)?;
            (!value.is_empty()).then_some(value.as_str())
        };
        (self.annotated("service.name"))
            .or_else(|| label("app.kubernetes.io/instance"))
            .or_else(|| label("app.kubernetes.io/name"))
            .or_else(|| Some(self.owner()?.1))
            .unwrap_or(&self.name.name)
    }

    fn service_version(&self, container: Option<&Container>, naming: Naming) -> Option<String> {
        let label = || self.pod.labels.get("app.kubernetes.io/version").filter(|_| naming.well_known_labels);
        (self.annotated("service.version").map(str::to_owned))
            .or_else(|| label().cloned())
            .or_else(|| Some(Image::of(container?.image.as_deref()?).version()?.to_owned()))
    }

    /// Its resource attributes but for `service.name` and the namespace, which all workloads have.
    fn attributes(&self, container: Option<&str>, naming: Naming) -> Vec<ResourceAttribute> {
        let known = container.and_then(|name| self.pod.containers.iter().find(|known| known.name == name));
        let namespace = self.annotated("service.namespace").unwrap_or(&self.name.namespace);
        let instance = self.annotated("service.instance.id").map(str::to_owned).or_else(|| {
            let container = container?;
            Some(format!("{}.{}.{container}", self.name.namespace, self.name.name))
        });
        let image = known.and_then(|container| container.image.as_deref()).map(|image| Image::of(image).name);
        let mut attributes: Vec<(&'static str, Option<String>)> = vec![
            ("k8s.pod.name", Some(self.name.name.clone())),
            ("k8s.pod.uid", self.pod.uid.clone()),
            ("k8s.node.name", self.pod.node.clone()),
            ("telltale.k8s.service_account.name", self.pod.service_account.clone()),
            ("k8s.container.name", container.map(str::to_owned)),
            ("container.id", known.and_then(|container| container.id.clone())),
            ("container.image.name", image.map(str::to_owned)),
            ("service.namespace", Some(namespace.to_owned())),
            ("service.version", self.service_version(known, naming)),
            ("service.instance.id", instance),
        ];
        attributes.extend(self.owners().filter_map(|(kind, name)| Some((owner_key(kind)?, Some(name.to_owned())))));
        let said = attributes.into_iter().filter_map(|(key, value)| Some((Cow::Borrowed(key), value?)));
        let mut all: Vec<ResourceAttribute> = said.collect();
        let annotated = self.pod.annotations.iter().filter_map(|(name, value)| {
            let key = name.strip_prefix(ANNOTATION)?;
            // A key without a namespace is none of the conventions, and may mean something to a receiver (`job`, `instance`).
            let foreign = key.contains('.') && !OWN.iter().any(|own| key.starts_with(own)) && !RULED.contains(&key);
            (foreign && !value.is_empty() && value.len() <= MAX_VALUE)
                .then(|| (Cow::Owned(key.to_owned()), value.clone()))
        });
        all.extend(annotated.take(MAX_ANNOTATED));
        all
    }

    /// What controls the pod, and what controls that, as far as names tell: kind and name, the nearest first.
    pub fn owners(&self) -> impl Iterator<Item = (&str, &str)> {
        let first = self.pod.owner.as_ref().map(|(kind, name)| (kind.as_str(), name.as_str()));
        let second = first.and_then(|(kind, name)| match kind {
            "ReplicaSet" => {
                let hash = self.pod.labels.get("pod-template-hash")?;
                Some(("Deployment", name.strip_suffix(hash.as_str())?.strip_suffix('-')?))
            }
            "Job" => Some(("CronJob", cron_job(name, &self.pod)?)),
            _ => None,
        });
        first.into_iter().chain(second)
    }

    /// What controls the pod in the end: the Deployment behind a `ReplicaSet`, the `CronJob` behind a Job.
    pub fn owner(&self) -> Option<(&str, &str)> {
        self.owners().last()
    }
}

/// The `CronJob` of a Job, which it names after itself and the minute, since 1970, that the Job was due.
fn cron_job<'a>(name: &'a str, pod: &Pod) -> Option<&'a str> {
    /// The Job may begin late, but no week (the controller gives up long before).
    const LATEST: i64 = 7 * 24 * 60;
    let (cron_job, minute) = name.rsplit_once('-')?;
    let is_minute = minute.len() == 8 && minute.bytes().all(|digit| digit.is_ascii_digit());
    let minute: i64 = minute.parse().ok().filter(|_| is_minute && !cron_job.is_empty())?;
    let fits = pod.created.is_none_or(|created| (-1..LATEST).contains(&(created.as_second() / 60 - minute)));
    fits.then_some(cron_job)
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

/// The parts of a reference to an image: `registry:5000/shop/cart:1.2@sha256:...`.
struct Image<'a> {
    name: &'a str,
    /// `tag@digest`, the digest or the tag.
    version: Option<&'a str>,
}

impl<'a> Image<'a> {
    fn of(reference: &'a str) -> Self {
        let path = reference.rfind('/').map_or(0, |slash| slash + 1);
        let end = reference[path..].find([':', '@']).map(|at| path + at);
        match end {
            Some(end) => Self { name: &reference[..end], version: Some(&reference[end + 1..]) },
            None => Self { name: reference, version: None },
        }
    }

    fn version(&self) -> Option<&'a str> {
        self.version.filter(|version| !version.is_empty())
    }
}

impl Workload {
    /// A pod, as far as it is known which of its containers.
    pub(crate) fn of_pod(pod: &std::sync::Arc<PodIdentity>, container: Option<&str>, naming: Naming) -> Self {
        let mut attributes = pod.attributes(container, naming);
        attributes.sort_unstable();
        Self {
            service_name: pod.service_name(naming).to_owned(),
            namespace: Some(pod.name.namespace.clone()),
            attributes,
            pod: Some(std::sync::Arc::clone(pod)),
            kind: WorkloadKind::Pod,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::policy::objects::{Labels, ObjectName};

    const LABELS: Naming = Naming { well_known_labels: true };

    fn pod(owner: (&str, &str), labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> PodIdentity {
        let map = |pairs: &[(&str, &str)]| Arc::new(pairs.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect());
        let container = |name: &str, image: &str| Container {
            name: name.to_owned(),
            id: Some(format!("id-{name}")),
            image: Some(image.to_owned()),
        };
        PodIdentity {
            name: ObjectName::new("shop", "cart-7d4b9-x2x"),
            pod: Arc::new(Pod {
                labels: map(labels),
                annotations: map(annotations),
                owner: (!owner.0.is_empty()).then(|| (owner.0.to_owned(), owner.1.to_owned())),
                containers: vec![container("app", "registry:5000/shop/cart:1.2"), container("side", "side")],
                service_account: Some("robot".to_owned()),
                created: Some("2026-01-02T03:04:05Z".parse().unwrap()),
                ..Pod::default()
            }),
            namespace_labels: Labels::new(),
        }
    }

    fn value<'a>(workload: &'a Workload, key: &str) -> Option<&'a str> {
        workload.attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    #[test]
    fn a_service_is_named_by_annotation_then_label_then_owner_then_pod() {
        let hash = [("pod-template-hash", "7d4b9")];
        let name = |owner, labels: &[_], annotations: &[_], naming| {
            pod(owner, labels, annotations).service_name(naming).to_owned()
        };
        let none = Naming::default();
        assert_eq!(name(("ReplicaSet", "cart-7d4b9"), &hash, &[], none), "cart");
        assert_eq!(name(("ReplicaSet", "cart-7d4b9"), &[], &[], none), "cart-7d4b9");
        assert_eq!(name(("StatefulSet", "db"), &hash, &[], none), "db");
        assert_eq!(name(("", ""), &[], &[], none), "cart-7d4b9-x2x");
        let annotated = [("resource.opentelemetry.io/service.name", "checkout")];
        let both = [("app.kubernetes.io/name", "n"), ("app.kubernetes.io/instance", "i")];
        assert_eq!(name(("DaemonSet", "d"), &both, &annotated, LABELS), "checkout");
        assert_eq!(name(("DaemonSet", "d"), &both, &[], LABELS), "i");
        assert_eq!(name(("DaemonSet", "d"), &both[..1], &[], LABELS), "n");
        assert_eq!(name(("DaemonSet", "d"), &both, &[], none), "d", "labels count only where asked for");
        assert_eq!(PodIdentity::unknown(ObjectName::new("a", "p")).service_name(none), "p");
    }

    #[test]
    fn the_owners_are_told_up_to_the_last_that_names_tell() {
        // 2026-01-02T03:04 is minute 29455384 since 1970.
        for (owner, labels, expected) in [
            (("ReplicaSet", "cart-7d4b9"), vec![("pod-template-hash", "7d4b9")], vec!["ReplicaSet", "Deployment"]),
            (("ReplicaSet", "cart"), vec![], vec!["ReplicaSet"]),
            (("StatefulSet", "db"), vec![], vec!["StatefulSet"]),
            (("DaemonSet", "log"), vec![], vec!["DaemonSet"]),
            (("Job", "report-29455384"), vec![], vec!["Job", "CronJob"]),
            (("Job", "report-29455380"), vec![], vec!["Job", "CronJob"]),
            (("Job", "report-12345678"), vec![], vec!["Job"]),
            (("Job", "report-29999999"), vec![], vec!["Job"]),
            (("Job", "report-1"), vec![], vec!["Job"]),
            (("Job", "-29455384"), vec![], vec!["Job"]),
            (("", ""), vec![], vec![]),
        ] {
            let pod = pod(owner, &labels, &[]);
            assert_eq!(pod.owners().map(|(kind, _)| kind).collect::<Vec<_>>(), expected, "{owner:?}");
        }
        let job = pod(("Job", "report-29455384"), &[], &[]);
        let workload = Workload::of_pod(&Arc::new(job), None, Naming::default());
        assert_eq!(workload.service_name, "report");
        assert_eq!(value(&workload, "k8s.cronjob.name"), Some("report"));
        assert_eq!(value(&workload, "k8s.job.name"), Some("report-29455384"));
    }

    #[test]
    fn the_attributes_of_the_conventions() {
        let labels = [("app.kubernetes.io/version", "v7")];
        let owned = Arc::new(pod(("StatefulSet", "db"), &labels, &[]));
        let of = |container, naming| Workload::of_pod(&owned, container, naming);
        let workload = of(Some("app"), Naming::default());
        for (key, expected) in [
            ("k8s.pod.name", Some("cart-7d4b9-x2x")),
            ("k8s.container.name", Some("app")),
            ("container.id", Some("id-app")),
            ("container.image.name", Some("registry:5000/shop/cart")),
            ("telltale.k8s.service_account.name", Some("robot")),
            ("k8s.statefulset.name", Some("db")),
            ("service.namespace", Some("shop")),
            ("service.version", Some("1.2")),
            ("service.instance.id", Some("shop.cart-7d4b9-x2x.app")),
            ("k8s.pod.uid", None),
        ] {
            assert_eq!(value(&workload, key), expected, "{key}");
        }
        assert!(workload.attributes.is_sorted());
        assert_eq!(value(&of(Some("app"), LABELS), "service.version"), Some("v7"));
        let side = of(Some("side"), Naming::default());
        assert_eq!((value(&side, "service.version"), value(&side, "container.image.name")), (None, Some("side")));
        let unknown = of(None, Naming::default());
        for key in ["k8s.container.name", "container.id", "service.instance.id", "service.version"] {
            assert_eq!(value(&unknown, key), None, "{key}");
        }
    }

    #[test]
    fn annotations_are_attributes_but_make_no_pod_another() {
        let annotations = [
            ("resource.opentelemetry.io/service.namespace", "retail"),
            ("resource.opentelemetry.io/service.version", "2"),
            ("resource.opentelemetry.io/service.instance.id", "mine"),
            ("resource.opentelemetry.io/deployment.environment.name", "prod"),
            ("resource.opentelemetry.io/team.owner", "red"),
            ("resource.opentelemetry.io/k8s.pod.name", "other"),
            ("resource.opentelemetry.io/k8s.namespace.name", "other"),
            ("resource.opentelemetry.io/process.pid", "1"),
            ("resource.opentelemetry.io/job", "other"),
            ("resource.opentelemetry.io/empty.value", ""),
            ("other.io/a.b", "no"),
        ];
        let pod = Arc::new(pod(("StatefulSet", "db"), &[], &annotations));
        let workload = Workload::of_pod(&pod, Some("app"), Naming::default());
        for (key, expected) in [
            ("service.namespace", Some("retail")),
            ("service.version", Some("2")),
            ("service.instance.id", Some("mine")),
            ("deployment.environment.name", Some("prod")),
            ("team.owner", Some("red")),
            ("k8s.pod.name", Some("cart-7d4b9-x2x")),
            ("k8s.namespace.name", None),
            ("process.pid", None),
            ("job", None),
            ("empty.value", None),
            ("a.b", None),
        ] {
            assert_eq!(value(&workload, key), expected, "{key}");
        }
        let keys: std::collections::BTreeSet<_> = workload.attributes.iter().map(|(key, _)| key).collect();
        assert_eq!(keys.len(), workload.attributes.len(), "each once");
        assert_eq!(workload.namespace.as_deref(), Some("shop"), "of the cluster");
    }

    #[test]
    fn what_annotations_say_is_bounded() {
        let mut one = pod(("", ""), &[], &[]);
        let annotations = Arc::make_mut(&mut Arc::make_mut(&mut one.pod).annotations);
        for number in 0..100 {
            annotations.insert(format!("{ANNOTATION}a.b{number}"), "x".to_owned());
        }
        annotations.insert(format!("{ANNOTATION}a.a"), "x".repeat(MAX_VALUE + 1));
        let workload = Workload::of_pod(&Arc::new(one), None, Naming::default());
        assert_eq!(workload.attributes.iter().filter(|(key, _)| key.starts_with("a.")).count(), MAX_ANNOTATED);
        assert_eq!(value(&workload, "a.a"), None);
    }

    #[test]
    fn a_reference_to_an_image_has_a_version_where_it_says_one() {
        for (reference, name, version) in [
            ("cart", "cart", None),
            ("cart:1", "cart", Some("1")),
            ("registry:5000/cart", "registry:5000/cart", None),
            ("registry:5000/a/cart:1", "registry:5000/a/cart", Some("1")),
            ("cart@sha256:ab", "cart", Some("sha256:ab")),
            ("r/cart:1@sha256:ab", "r/cart", Some("1@sha256:ab")),
            ("cart:", "cart", None),
            ("", "", None),
        ] {
            let image = Image::of(reference);
            assert_eq!((image.name, image.version()), (name, version), "{reference}");
        }
    }
}
