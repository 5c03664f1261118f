//! Proxies of meshes and gateways: which sockets are not observed because the application's own are.
//!
//! An application beside a sidecar, or on a node with ztunnel, has sockets of its own, and those are observed: what it sent and received, before a
//! proxy encrypts it. The sockets of the proxy carry the same requests once more, so they are left out. A proxy that is nobody's sidecar (an ingress
//! Gateway, a waypoint) has sockets that are no application's: those of the outside world, or those that a Gateway's policy asks for.

use std::sync::Arc;

use super::{Directory, PodCgroups, PodIdentity, cgroup::CgroupDirectory};
use crate::policy::{Capture, Plan, Plans};

/// A proxy.
#[derive(Debug, PartialEq, Eq)]
pub struct Proxy {
    /// What it is called.
    pub name: &'static str,
    /// Where it runs.
    pub place: ProxyPlace,
    /// A label that pods have which are nothing but this proxy; a key alone means any value.
    pub label: Option<(&'static str, Option<&'static str>)>,
    /// Names of its containers.
    pub containers: &'static [&'static str],
    /// Names of its processes, at most 15 bytes as the kernel keeps them: known before the API names a container.
    pub executables: &'static [&'static str],
}

/// Where a proxy runs, and so what its sockets carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyPlace {
    /// A container beside the application: its container is out of scope.
    Sidecar,
    /// A pod for all pods of a node, as a `DaemonSet` makes one, with a container of that name: never in scope.
    Node,
    /// A pod between others: in scope only by a policy for its Gateway.
    Waypoint,
    /// A pod at the edge: in scope as any other pod.
    Gateway,
}

/// The proxies that are known. The first row that fits a pod holds.
pub static PROXIES: &[Proxy] = &[
    Proxy {
        name: "Istio ztunnel",
        place: ProxyPlace::Node,
        label: Some(("app", Some("ztunnel"))),
        containers: &["istio-proxy"],
        executables: &["ztunnel"],
    },
    Proxy {
        name: "Istio waypoint",
        place: ProxyPlace::Waypoint,
        label: Some(("gateway.istio.io/managed", Some("istio.io-mesh-controller"))),
        containers: &["istio-proxy"],
        executables: &["envoy", "pilot-agent"],
    },
    Proxy {
        name: "Istio Gateway",
        place: ProxyPlace::Gateway,
        label: Some(("gateway.istio.io/managed", Some("istio.io-gateway-controller"))),
        containers: &["istio-proxy"],
        executables: &["envoy", "pilot-agent"],
    },
    Proxy {
        name: "Gateway of the Gateway API",
        place: ProxyPlace::Gateway,
        label: Some(("gateway.networking.k8s.io/gateway-name", None)),
        containers: &["istio-proxy", "envoy", "agentgateway", "kgateway-proxy", "nginx"],
        executables: &["envoy", "agentgateway", "nginx"],
    },
    Proxy {
        name: "Istio sidecar",
        place: ProxyPlace::Sidecar,
        label: None,
        containers: &["istio-proxy"],
        executables: &["envoy", "pilot-agent"],
    },
    Proxy {
        name: "Linkerd",
        place: ProxyPlace::Sidecar,
        label: None,
        containers: &["linkerd-proxy"],
        executables: &["linkerd2-proxy", "linkerd2-proxy-"],
    },
    Proxy {
        name: "Kuma, Kong Mesh",
        place: ProxyPlace::Sidecar,
        label: None,
        containers: &["kuma-sidecar"],
        executables: &["envoy", "kuma-dp"],
    },
    Proxy {
        name: "Consul",
        place: ProxyPlace::Sidecar,
        label: None,
        containers: &["consul-dataplane", "envoy-sidecar"],
        executables: &["envoy", "consul-dataplan"],
    },
    Proxy {
        name: "Open Service Mesh, App Mesh",
        place: ProxyPlace::Sidecar,
        label: None,
        containers: &["envoy"],
        executables: &["envoy"],
    },
    Proxy { name: "Dapr", place: ProxyPlace::Sidecar, label: None, containers: &["daprd"], executables: &["daprd"] },
];

impl Proxy {
    /// Whether the pod is nothing but this proxy.
    fn is_pod(&self, pod: &PodIdentity) -> bool {
        let is_labelled = self.label.is_some_and(|(key, wanted)| {
            pod.pod.labels.get(key).is_some_and(|value| wanted.is_none_or(|wanted| wanted == value))
        });
        // A label alone would let any pod out of every policy.
        let is_of_node = || {
            let by_daemon_set = pod.pod.owner.as_ref().is_some_and(|(kind, _)| kind == "DaemonSet");
            by_daemon_set && pod.pod.containers.iter().any(|container| self.containers.contains(&&*container.name))
        };
        is_labelled && (self.place != ProxyPlace::Node || is_of_node())
    }

    /// The proxy that a pod is, if its labels say that it is one.
    pub fn of_pod(pod: &PodIdentity) -> Option<&'static Self> {
        PROXIES.iter().find(|proxy| proxy.is_pod(pod))
    }

    /// The proxy that a container of this name is beside an application.
    pub fn of_container(name: &str) -> Option<&'static Self> {
        PROXIES.iter().find(|proxy| proxy.place == ProxyPlace::Sidecar && proxy.containers.contains(&name))
    }
}

/// The containers of a pod that are proxies beside an application: none where the pod is a proxy itself, by its label or because all its containers are.
pub fn sidecars(pod: &PodIdentity) -> impl Iterator<Item = (&crate::policy::objects::Container, &'static Proxy)> {
    let is_proxy = |name: &str| Proxy::of_container(name).is_some();
    // What only begins the pod is no application.
    let applications = pod.pod.containers.iter().filter(|container| !is_initialiser(&container.name));
    let all_proxies = applications.clone().all(|container| is_proxy(&container.name));
    let apart = Proxy::of_pod(pod).is_some() || all_proxies;
    let containers = pod.pod.containers.iter().filter(move |_| !apart);
    containers.filter_map(|container| Some((container, Proxy::of_container(&container.name)?)))
}

/// Containers of meshes that run before the others: they have no traffic, and a pod that has no others beside its proxy is no application's.
fn is_initialiser(name: &str) -> bool {
    matches!(name, "istio-init" | "istio-validation" | "linkerd-init" | "linkerd-network-validator" | "kuma-init")
}

/// Whether a process is such a proxy: by the name of its container, or while that is not known by its own.
pub(super) fn is_beside(pod: &PodIdentity, container: Option<&str>, comm: &str) -> bool {
    sidecars(pod).any(|(beside, proxy)| match container {
        Some(container) => beside.name == container,
        None => proxy.executables.contains(&comm),
    })
}

/// The cgroups of a pod that are to be captured, and those below them that are not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// In scope, with all below them.
    pub included: Vec<CgroupDirectory>,
    /// Out of scope, with all below them.
    pub excluded: Vec<CgroupDirectory>,
    /// Something is asked of the pod, and it or a container of it is left out as a proxy. People are told: who writes a pod can make it look like one.
    pub is_proxied: bool,
}

impl Selection {
    /// That of a pod of this directory under the plans that hold.
    pub fn of(pod: &Arc<PodIdentity>, directory: &Directory, plans: &Plans, cgroups: &PodCgroups) -> Self {
        let plan = plans.of(Some(&pod.name));
        if plan.capture == Capture::Nothing {
            return Self::default();
        }
        if !observes(pod, plan, plans) {
            return Self { is_proxied: true, ..Self::default() };
        }
        let mut selection = Self { is_proxied: sidecars(pod).next().is_some(), ..Self::default() };
        // What names another pod's cgroups too brings none into scope: they would be under the wrong plan.
        let own = |uid: &&str| directory.pod_by_uid(uid).is_some_and(|known| Arc::ptr_eq(known, pod));
        for uid in pod.cgroup_uids().filter(own) {
            selection.included.extend(cgroups.pod_directories(uid));
            for (container, _) in sidecars(pod) {
                let Some(id) = &container.id else { continue };
                selection.excluded.extend(cgroups.container_directories(uid, id));
            }
        }
        // A container whose directory is the pod's topmost (there is none of the pod): out of scope is simply not in it.
        let Self { included, excluded, .. } = &mut selection;
        included.retain(|directory| !excluded.contains(directory));
        selection
    }
}

/// Whether a pod is observed at all, as far as it is a proxy.
fn observes(pod: &PodIdentity, plan: &Arc<Plan>, plans: &Plans) -> bool {
    match Proxy::of_pod(pod).map(|proxy| proxy.place) {
        Some(ProxyPlace::Node) => false,
        Some(ProxyPlace::Waypoint) => {
            // Else it is its namespace's, which is about the applications.
            !plans.namespaces.get(&pod.name.namespace).is_some_and(|of_namespace| Arc::ptr_eq(of_namespace, plan))
                && !Arc::ptr_eq(&plans.none, plan)
        }
        Some(ProxyPlace::Gateway | ProxyPlace::Sidecar) | None => true,
    }
}

/// Whether the connections of a pod are read, under the plans that hold ([`Selection::of`] says it for the kernel side).
pub fn is_observed(pod: &PodIdentity, plans: &Plans) -> bool {
    observes(pod, plans.of(Some(&pod.name)), plans)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        capture::Timestamp,
        policy::objects::{Container, ObjectName, Objects, Pod},
    };

    fn pod(labels: &[(&str, &str)], containers: &[&str]) -> (Arc<PodIdentity>, Directory) {
        let container =
            |name: &&str| Container { name: (*name).to_owned(), id: Some(format!("id-{name}")), image: None };
        let pod = Pod {
            labels: Arc::new(labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()),
            uid: Some("u".to_owned()),
            containers: containers.iter().map(container).collect(),
            owner: Some(("DaemonSet".to_owned(), "d".to_owned())),
            ..Pod::default()
        };
        known(pod)
    }

    fn known(pod: Pod) -> (Arc<PodIdentity>, Directory) {
        let name = ObjectName::new("shop", "p");
        let mut objects = Objects::default();
        objects.pods.insert(name.clone(), Arc::new(pod));
        let directory = Directory::of(&objects);
        (Arc::clone(directory.pod(&name).unwrap()), directory)
    }

    fn plan() -> Arc<Plan> {
        Arc::new(Plan::of_signals(true, false, false))
    }

    /// A policy for the namespace, and one for the Gateway of the pod if that is said.
    fn plans(by_gateway: bool) -> Plans {
        let mut plans = Plans { namespaces: [("shop".to_owned(), plan())].into(), ..Plans::default() };
        if by_gateway {
            plans.pods.insert(ObjectName::new("shop", "p"), plan());
        }
        plans
    }

    const GATEWAY: (&str, &str) = ("gateway.networking.k8s.io/gateway-name", "edge");
    const WAYPOINT: (&str, &str) = ("gateway.istio.io/managed", "istio.io-mesh-controller");

    /// Labels, containers, by a policy of its Gateway, what is in scope, what is not.
    type Row = (&'static [(&'static str, &'static str)], &'static [&'static str], bool, bool, &'static [&'static str]);

    const TABLE: &[Row] = &[
        (&[], &["app"], false, true, &[]),
        (&[("app", "web")], &["app", "istio-proxy"], false, true, &["istio-proxy"]),
        (&[], &["istio-init", "istio-proxy", "app"], false, true, &["istio-proxy"]),
        (&[], &["linkerd-init", "linkerd-proxy", "a", "b"], false, true, &["linkerd-proxy"]),
        (&[], &["app", "kuma-sidecar"], false, true, &["kuma-sidecar"]),
        (&[], &["app", "consul-dataplane"], false, true, &["consul-dataplane"]),
        (&[], &["app", "daprd"], false, true, &["daprd"]),
        // A pod of nothing but proxies is nobody's sidecar.
        (&[("istio", "ingressgateway")], &["istio-proxy"], false, true, &[]),
        (&[], &["istio-init", "istio-proxy"], false, true, &[]),
        // By their labels.
        (&[("app", "ztunnel")], &["istio-proxy"], false, false, &[]),
        (&[("app", "ztunnel")], &["istio-proxy"], true, false, &[]),
        (&[("app", "ztunnel")], &["app"], false, true, &[]),
        (&[GATEWAY, WAYPOINT], &["istio-proxy"], false, false, &[]),
        (&[GATEWAY, WAYPOINT], &["istio-proxy"], true, true, &[]),
        (&[GATEWAY], &["istio-proxy"], false, true, &[]),
        (&[GATEWAY], &["envoy", "shutdown-manager"], true, true, &[]),
    ];

    #[test]
    fn each_request_is_observed_once() {
        for (labels, containers, by_gateway, included, excluded) in TABLE {
            let (pod, directory) = pod(labels, containers);
            let ids: Vec<String> = containers.iter().map(|name| format!("id-{name}")).collect();
            let mut places = vec![(1, "u", None)];
            places.extend(ids.iter().zip(2..).map(|(id, number)| (number, "u", Some(id.as_str()))));
            let cgroups = PodCgroups::of(&places);
            let plans = plans(*by_gateway);
            let selection = Selection::of(&pod, &directory, &plans, &cgroups);
            let row = format!("{labels:?} {containers:?} {by_gateway}");
            assert_eq!(
                selection.included.iter().map(|directory| directory.id).collect::<Vec<_>>(),
                if *included { vec![1] } else { vec![] },
                "{row}"
            );
            let names: Vec<_> = selection.excluded.iter().map(|directory| directory.path.clone()).collect();
            let expected: Vec<_> = excluded.iter().map(|name| format!("/podu/id-{name}").into()).collect();
            assert_eq!(names, expected as Vec<std::path::PathBuf>, "{row}");
            assert_eq!(is_observed(&pod, &plans), *included, "{row}");
            assert_eq!(selection.is_proxied, !*included || !excluded.is_empty(), "{row}");
            for name in *containers {
                assert_eq!(is_beside(&pod, Some(name), "x"), excluded.contains(name), "{row}: {name}");
            }
        }
    }

    /// A label is written by the pod's author.
    #[test]
    fn what_no_daemon_set_made_is_no_proxy_of_a_node() {
        let (ztunnel, _) = pod(&[("app", "ztunnel")], &["istio-proxy"]);
        assert!(!is_observed(&ztunnel, &plans(false)));
        for owner in [None, Some(("ReplicaSet".to_owned(), "r".to_owned()))] {
            let (forged, _) = known(Pod { owner, ..(*ztunnel.pod).clone() });
            assert!(is_observed(&forged, &plans(false)));
        }
    }

    #[test]
    fn cgroups_of_another_pod_are_not_selected() {
        const HASH: &str = "0123456789abcdef0123456789abcdef";
        let annotations =
            [PodIdentity::CONFIG_HASH, PodIdentity::CONFIG_MIRROR].map(|key| (key.to_owned(), HASH.to_owned()));
        let mirror = Pod {
            uid: Some("u".to_owned()),
            annotations: Arc::new(annotations.into()),
            owner: Some(("Node".to_owned(), "n1".to_owned())),
            node: Some("n1".to_owned()),
            ..Pod::default()
        };
        let (pod, directory) = known(mirror);
        let cgroups = PodCgroups::of(&[(1, "u", None), (2, HASH, None)]);
        let ids = |directory: &Directory| {
            let selection = Selection::of(&pod, directory, &plans(false), &cgroups);
            selection.included.iter().map(|directory| directory.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(&directory), [1, 2]);
        // Another one says that it has the same.
        let mut objects = Objects::default();
        objects.pods.insert(pod.name.clone(), Arc::clone(&pod.pod));
        let other = Pod { uid: Some("v".to_owned()), ..(*pod.pod).clone() };
        objects.pods.insert(ObjectName::new("shop", "q"), Arc::new(other));
        assert_eq!(ids(&directory.next(&objects, Timestamp(1))), [1]);
    }

    #[test]
    fn without_a_policy_nothing_is_selected() {
        let cgroups = PodCgroups::of(&[(1, "u", None)]);
        let selection = |(pod, directory): &(_, _), plans: &_| Selection::of(pod, directory, plans, &cgroups);
        let app = pod(&[], &["app"]);
        assert_eq!(selection(&app, &Plans::default()), Selection::default());
        // A default policy for all namespaces is none for a Gateway.
        let everywhere = Plans::everywhere(plan());
        let waypoint = selection(&pod(&[GATEWAY, WAYPOINT], &["istio-proxy"]), &everywhere);
        assert_eq!(waypoint, Selection { is_proxied: true, ..Selection::default() });
        assert_eq!(selection(&app, &everywhere).included.len(), 1);
    }

    #[test]
    fn a_process_is_known_before_its_container_is() {
        let (beside, _) = pod(&[], &["app", "istio-proxy"]);
        assert!(is_beside(&beside, None, "envoy") && is_beside(&beside, None, "pilot-agent"));
        assert!(!is_beside(&beside, None, "python3"));
        // An application that is Envoy itself.
        assert!(!is_beside(&beside, Some("app"), "envoy"));
        assert!(!is_beside(&pod(&[], &["app"]).0, None, "envoy"));
        assert!(!is_beside(&pod(&[], &["envoy"]).0, None, "envoy"));
    }

    #[test]
    fn rows_can_be_met() {
        for proxy in PROXIES {
            assert!(!proxy.containers.is_empty() && !proxy.executables.is_empty(), "{}", proxy.name);
            assert!(
                proxy.executables.iter().all(|name| name.len() <= 15),
                "{}: longer than the kernel keeps",
                proxy.name
            );
            assert_eq!(proxy.label.is_none(), proxy.place == ProxyPlace::Sidecar, "{}", proxy.name);
        }
    }
}
