//! Remembers whom a process belongs to.

use std::{collections::VecDeque, net::IpAddr, sync::Arc};

use foldhash::HashMap;

use super::{
    Directory, DirectoryStore, PodCgroups, PodIdentity, Workload,
    annotated::CgroupIndex,
    cgroup::{Place, parse},
    mesh, process,
};
use crate::{
    capture::{Open, Timestamp},
    policy::objects::{ObjectName, Objects},
};

/// Where facts about a process come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Only the events: a replay reads nothing of the machine it runs on.
    Events,
    /// Also `/proc` of this machine, and its name.
    System,
}

/// What attribution knows the cluster by.
#[derive(Clone, Debug, Default)]
pub struct Attribution {
    /// Who is in the cluster.
    pub directory: Arc<DirectoryStore>,
    /// Which cgroups are of which pods. Absent outside a cluster, where pods are those that a recording or an annotation names.
    pub cgroups: Option<Arc<PodCgroups>>,
    /// `host.name`, where it is not what this process is told: a container has a name of its own.
    pub host: Option<Arc<str>>,
}

impl Attribution {
    /// Of objects that do not come from a cluster.
    pub fn of(objects: &Objects) -> Self {
        Self { directory: DirectoryStore::new(Directory::of(objects)), cgroups: None, host: None }
    }

    /// Changes whenever more may be known.
    pub fn generation(&self) -> u64 {
        // Both only rise.
        self.directory.generation() + self.cgroups.as_ref().map_or(0, |cgroups| cgroups.generation())
    }

    /// Whether what is not known yet may be known soon, because a cluster tells of it.
    pub const fn is_live(&self) -> bool {
        self.cgroups.is_some()
    }
}

/// What the bound of the registry cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Processes that were forgotten to make room; met again, they are looked up again.
    pub evicted: u64,
}

/// What is not known of the own end of a connection and may be soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Nothing.
    Nothing,
    /// Which pod it is of.
    Pod,
    /// Which container of its pod: the API tells of ids a moment after a container began.
    Container,
}

/// The own end of a connection.
#[derive(Clone, Debug)]
pub struct Local {
    /// Whom it belongs to.
    pub workload: Arc<Workload>,
    /// What may still come to be known.
    pub missing: Missing,
    /// It is a proxy beside an application whose own connections are observed ([`mesh`]).
    pub is_proxy: bool,
}

/// The other end of a connection.
#[derive(Clone, Debug)]
pub enum Peer {
    /// Whom it belongs to.
    Known(Arc<Workload>),
    /// Nobody that is known; if addresses like this are given to pods, it may come to be known soon.
    Unknown {
        /// That is so.
        may_come: bool,
    },
}

impl Peer {
    /// Whom it belongs to, if that is known.
    pub fn workload(&self) -> Option<&Arc<Workload>> {
        match self {
            Self::Known(workload) => Some(workload),
            Self::Unknown { .. } => None,
        }
    }
}

/// What makes two connections be of one process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    pid: u32,
    comm: String,
    service: Option<String>,
    pod: Option<ObjectName>,
    container: Option<String>,
}

/// Processes by id and name, at most `limit` of them; the oldest goes first.
#[derive(Debug)]
pub struct Registry {
    source: Source,
    /// `host.name`, where the source is this machine.
    host: Option<String>,
    limit: usize,
    attribution: Attribution,
    generation: u64,
    directory: Arc<Directory>,
    annotated: CgroupIndex,
    known: HashMap<Key, Arc<Workload>>,
    order: VecDeque<Key>,
    counters: Counters,
}

impl Registry {
    /// An empty registry that remembers at most `limit` processes.
    pub fn new(source: Source, attribution: Attribution, limit: usize) -> Self {
        let named = || attribution.host.as_deref().map(str::to_owned).or_else(host_name);
        let host = if source == Source::System { named() } else { None };
        let (generation, directory) = attribution.directory.current();
        Self {
            source,
            host,
            limit: limit.max(1),
            annotated: annotated(&attribution, &directory),
            attribution,
            generation,
            directory,
            known: HashMap::default(),
            order: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Takes over the directory that holds now, if it changed.
    pub fn follow(&mut self) {
        if self.attribution.directory.generation() == self.generation {
            return;
        }
        (self.generation, self.directory) = self.attribution.directory.current();
        self.annotated = annotated(&self.attribution, &self.directory);
    }

    /// What attribution knows the cluster by.
    pub const fn attribution(&self) -> &Attribution {
        &self.attribution
    }

    /// Whom the process at the local end belongs to. The same process gives the same `Arc`, as long as nothing changed of its pod.
    pub fn workload(&mut self, open: &Open) -> Arc<Workload> {
        self.local(open).workload
    }

    /// The same, and what is still missing.
    pub fn local(&mut self, open: &Open) -> Local {
        self.follow();
        let named = open.pod.as_deref().and_then(|pod| pod.split_once('/'));
        let mut missing = Missing::Nothing;
        let mut container = open.container.clone();
        let pod = if let Some((namespace, name)) = named {
            let name = ObjectName::new(namespace, name);
            let known = self.directory.pod(&name).map(Arc::clone);
            Some(known.unwrap_or_else(|| Arc::new(PodIdentity::unknown(name))))
        } else if self.attribution.is_live() {
            let place = self.place(open);
            let pod = place.as_ref().and_then(|place| self.directory.pod_by_uid(&place.pod)).map(Arc::clone);
            let id = place.and_then(|place| place.container);
            match &pod {
                None => missing = Missing::Pod,
                Some(pod) if container.is_none() => {
                    container = id.as_deref().and_then(|id| pod.container_name(id)).map(str::to_owned);
                    if container.is_none() && id.is_some() {
                        missing = Missing::Container;
                    }
                }
                Some(_) => {}
            }
            pod
        } else {
            open.cgroup.and_then(|id| self.annotated.pod(id))
        };
        let is_proxy = pod.as_ref().is_some_and(|pod| mesh::is_beside(pod, container.as_deref(), &open.comm));
        let key = Key {
            pid: open.pid,
            comm: open.comm.clone(),
            service: open.service.clone(),
            pod: pod.as_ref().map(|pod| pod.name.clone()),
            container,
        };
        Local { workload: self.remembered(key, pod.as_ref()), missing, is_proxy }
    }

    /// Which pod and container the process is of: by what is known of its cgroup, or, of one so new that nothing is, by what `/proc` says.
    fn place(&self, open: &Open) -> Option<Place> {
        let cgroups = self.attribution.cgroups.as_ref()?;
        let indexed = open.cgroup.and_then(|id| cgroups.place(id));
        indexed.or_else(|| {
            if self.source != Source::System || open.pid == 0 {
                return None;
            }
            let lines = process::cgroups(open.pid, &open.comm)?;
            let found = lines.lines().find_map(parse)?;
            Some(Place { pod: found.uid.into(), container: found.container.map(Into::into) })
        })
    }

    fn remembered(&mut self, key: Key, pod: Option<&Arc<PodIdentity>>) -> Arc<Workload> {
        let same = |known: &Arc<Workload>| match (&known.pod, pod) {
            (None, None) => true,
            // Of an unknown pod each look makes another.
            (Some(known), Some(pod)) => Arc::ptr_eq(known, pod) || known == pod,
            _ => false,
        };
        if let Some(workload) = self.known.get(&key).filter(|known| same(known)) {
            return Arc::clone(workload);
        }
        let workload = Arc::new(self.describe(&key, pod));
        if let Some(known) = self.known.get_mut(&key) {
            *known = Arc::clone(&workload);
            return workload;
        }
        if self.order.len() == self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
            self.counters.evicted += 1;
        }
        self.order.push_back(key.clone());
        self.known.insert(key, Arc::clone(&workload));
        workload
    }

    /// Whom the other end of a connection that began then belongs to.
    pub fn peer(&mut self, open: &Open, began: Timestamp) -> Peer {
        self.follow();
        if !open.addresses_known() {
            return Peer::Unknown { may_come: false };
        }
        let address: IpAddr = open.peer.ip();
        match self.directory.at(address, began) {
            Some(workload) => Peer::Known(workload),
            None => Peer::Unknown { may_come: self.attribution.is_live() && self.directory.may_be_of_a_pod(address) },
        }
    }

    /// What the bound cost so far.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    fn describe(&self, key: &Key, pod: Option<&Arc<PodIdentity>>) -> Workload {
        let mut attributes = Vec::new();
        attributes.extend(self.host.clone().map(|name| ("host.name".into(), name)));
        let facts = match self.source {
            Source::System if key.pid != 0 => process::facts(key.pid, &key.comm),
            _ => process::Facts::default(),
        };
        let executable = facts.executable.or_else(|| (!key.comm.is_empty()).then(|| key.comm.clone()));
        attributes.extend(executable.map(|name| ("process.executable.name".into(), name)));
        if key.pid != 0 {
            attributes.push(("process.pid".into(), key.pid.to_string()));
        }
        if let Some(pod) = pod {
            let mut workload = Workload::of_pod(pod, key.container.as_deref(), self.directory.names());
            workload.attributes.extend(attributes);
            workload.attributes.sort_unstable();
            return workload;
        }
        attributes.extend(key.container.clone().map(|name| ("k8s.container.name".into(), name)));
        attributes.sort_unstable();
        let service_name = facts.service_name.or_else(|| key.service.clone()).unwrap_or_else(|| {
            match key.comm.as_str() {
                // The specification's word where the name is not known (resource semantic conventions, service.name).
                "" => "unknown_service".to_owned(),
                comm => comm.to_owned(),
            }
        });
        Workload { service_name, attributes, ..Workload::default() }
    }
}

/// Cgroups that annotations name: in a cluster nobody's annotation says which processes are a pod's.
fn annotated(attribution: &Attribution, directory: &Directory) -> CgroupIndex {
    if attribution.is_live() { CgroupIndex::default() } else { CgroupIndex::of(directory) }
}

/// `host.name` of this machine.
fn host_name() -> Option<String> {
    #[cfg(unix)]
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    #[cfg(not(unix))]
    let name = None;
    name
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::policy::objects::{AddressRange, Container, Node, Pod};

    fn open(pid: u32, comm: &str) -> Open {
        Open { pid, comm: comm.to_owned(), ..Open::new(([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into()) }
    }

    #[test]
    fn a_replay_knows_only_what_the_recording_says() {
        let mut registry = Registry::new(Source::Events, Attribution::default(), 8);
        let workload = registry.workload(&open(std::process::id(), "python3"));
        assert_eq!(workload.service_name, "python3");
        assert_eq!(
            workload.attributes,
            [
                ("process.executable.name".into(), "python3".to_owned()),
                ("process.pid".into(), std::process::id().to_string())
            ]
        );
        let named = Open { service: Some("my_agent".to_owned()), ..open(std::process::id(), "python3") };
        assert_eq!(registry.workload(&named).service_name, "my_agent");
        let unknown = registry.workload(&open(0, ""));
        assert_eq!(*unknown, Workload { service_name: "unknown_service".to_owned(), ..Workload::default() });
    }

    #[test]
    fn a_pod_is_its_namespace_and_name() {
        let mut registry = Registry::new(Source::Events, Attribution::default(), 8);
        let pod = Open { pod: Some("shop/cart-1".to_owned()), container: Some("app".to_owned()), ..open(0, "") };
        let workload = registry.workload(&pod);
        assert_eq!((workload.service_name.as_str(), workload.namespace.as_deref()), ("cart-1", Some("shop")));
        assert_eq!(
            workload.attributes,
            [
                ("k8s.container.name", "app"),
                ("k8s.pod.name", "cart-1"),
                ("service.instance.id", "shop.cart-1.app"),
                ("service.namespace", "shop"),
            ]
            .map(|(key, value)| (key.into(), value.to_owned()))
        );
    }

    #[test]
    fn a_process_that_is_gone_has_the_name_the_kernel_gave() {
        let mut registry = Registry::new(Source::System, Attribution::default(), 8);
        // Above the largest process id there can be (PID_MAX_LIMIT is 2^22).
        let workload = registry.workload(&open(1 << 30, "curl"));
        assert_eq!(workload.service_name, "curl");
        assert!(workload.attributes.iter().any(|(key, _)| *key == "host.name"));
    }

    #[test]
    fn the_bound_forgets_the_oldest_and_counts_it() {
        let mut registry = Registry::new(Source::Events, Attribution::default(), 2);
        let first = registry.workload(&open(1, "a"));
        assert!(Arc::ptr_eq(&first, &registry.workload(&open(1, "a"))));
        registry.workload(&open(2, "b"));
        registry.workload(&open(3, "c"));
        assert_eq!(registry.counters(), Counters { evicted: 1 });
        assert_eq!(registry.known.len(), 2);
        assert!(!Arc::ptr_eq(&first, &registry.workload(&open(1, "a"))));
    }

    fn cluster(containers: &[(&str, Option<&str>)]) -> Objects {
        let containers = containers.iter().map(|(name, id)| Container {
            name: (*name).to_owned(),
            id: id.map(str::to_owned),
            ..Container::default()
        });
        let pod = Pod {
            uid: Some("u-1".to_owned()),
            addresses: vec!["10.0.0.7".parse().unwrap()],
            containers: containers.collect(),
            ..Pod::default()
        };
        let mut objects = Objects::default();
        objects.pods.insert(ObjectName::new("shop", "cart-1"), pod.into());
        let pod_ranges = vec![AddressRange::parse("10.0.0.0/24").unwrap()];
        objects.nodes.insert("n1".to_owned(), Node { pod_ranges, ..Node::default() });
        objects
    }

    #[test]
    fn a_cgroup_tells_the_pod_and_later_the_container() {
        let cgroups = PodCgroups::of(&[(5, "u-1", None), (6, "u-1", Some("c-1")), (7, "u-2", Some("c-2"))]);
        let attribution = Attribution { cgroups: Some(cgroups), ..Attribution::of(&cluster(&[("app", None)])) };
        let store = Arc::clone(&attribution.directory);
        let mut registry = Registry::new(Source::Events, attribution, 8);
        let of = |cgroup| Open { cgroup: Some(cgroup), ..open(1, "python3") };
        let name = |local: &Local| local.workload.pod.as_ref().map(|pod| pod.name.to_string());
        let in_container = registry.local(&of(6));
        assert_eq!((name(&in_container).as_deref(), in_container.missing), (Some("shop/cart-1"), Missing::Container));
        // What is in the pod and in no container never will be.
        assert_eq!(registry.local(&of(5)).missing, Missing::Nothing);
        // The API has not told of the one, and the other is no pod's.
        for cgroup in [7, 8] {
            let local = registry.local(&of(cgroup));
            assert_eq!((name(&local), local.missing), (None, Missing::Pod));
        }
        let before = registry.attribution().generation();
        store.update(&cluster(&[("app", Some("c-1"))]), Timestamp(1));
        assert_ne!(registry.attribution().generation(), before);
        let named = registry.local(&of(6));
        assert_eq!(named.missing, Missing::Nothing);
        let container = (Cow::Borrowed("k8s.container.name"), "app".to_owned());
        assert!(named.workload.attributes.contains(&container));
        assert!(Arc::ptr_eq(&named.workload, &registry.local(&of(6)).workload));
        // Nothing of the pod changes: it is the same workload.
        store.update(&cluster(&[("app", Some("c-1"))]), Timestamp(2));
        assert!(Arc::ptr_eq(&named.workload, &registry.local(&of(6)).workload));
    }

    #[test]
    fn a_peer_that_may_come_is_told_apart() {
        let attribution = Attribution { cgroups: Some(Arc::default()), ..Attribution::of(&cluster(&[])) };
        let mut registry = Registry::new(Source::Events, attribution, 8);
        let mut peer = |address: &str| {
            let open = Open::new(([127, 0, 0, 1], 1).into(), (address.parse::<IpAddr>().unwrap(), 2).into());
            match registry.peer(&open, Timestamp(5)) {
                Peer::Known(workload) => workload.service_name.clone(),
                Peer::Unknown { may_come } => may_come.to_string(),
            }
        };
        assert_eq!(["10.0.0.7", "10.0.0.8", "203.0.113.1"].map(&mut peer), ["cart-1", "true", "false"]);
        // Where nothing comes later, nothing is waited for.
        let mut replayed = Registry::new(Source::Events, Attribution::of(&cluster(&[])), 8);
        let open = Open::new(([127, 0, 0, 1], 1).into(), ([10, 0, 0, 8], 2).into());
        assert!(matches!(replayed.peer(&open, Timestamp(5)), Peer::Unknown { may_come: false }));
    }

    /// The cgroup of a process that began a moment ago is in no index yet.
    #[cfg(target_os = "linux")]
    #[test]
    fn proc_tells_of_a_cgroup_that_is_not_known_yet() {
        let attribution = Attribution { cgroups: Some(Arc::default()), ..Attribution::of(&cluster(&[])) };
        let mut registry = Registry::new(Source::System, attribution, 8);
        // This process is in no pod; that it is asked at all is what shows.
        assert_eq!(registry.local(&open(std::process::id(), "")).missing, Missing::Pod);
        assert!(process::cgroups(std::process::id(), "").is_some_and(|lines| lines.contains(':')));
        assert_eq!(process::cgroups(std::process::id(), "no such name"), None);
    }
}
