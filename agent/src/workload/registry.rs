//! Remembers whom a process belongs to.

use std::{collections::VecDeque, sync::Arc};

use foldhash::HashMap;

use super::{PodIdentity, Pods, Workload, annotated::CgroupIndex, process};
use crate::{
    capture::Open,
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

/// What the bound of the registry cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Processes that were forgotten to make room; met again, they are looked up again.
    pub evicted: u64,
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
    objects: Arc<Objects>,
    pods: Pods,
    cgroups: CgroupIndex,
    known: HashMap<Key, Arc<Workload>>,
    order: VecDeque<Key>,
    counters: Counters,
}

impl Registry {
    /// An empty registry that remembers at most `limit` processes.
    pub fn new(source: Source, limit: usize) -> Self {
        let host = if source == Source::System { host_name() } else { None };
        Self {
            source,
            host,
            limit: limit.max(1),
            objects: Arc::default(),
            pods: Pods::default(),
            cgroups: CgroupIndex::default(),
            known: HashMap::default(),
            order: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// These objects are known from now on.
    pub fn set_objects(&mut self, objects: &Arc<Objects>) {
        if Arc::ptr_eq(&self.objects, objects) {
            return;
        }
        self.objects = Arc::clone(objects);
        self.pods = Pods::of(objects);
        self.cgroups = CgroupIndex::of(&self.pods);
        self.known.clear();
        self.order.clear();
    }

    /// Whom the process at the local end belongs to. The same process gives the same `Arc`.
    pub fn workload(&mut self, open: &Open) -> Arc<Workload> {
        let named = open.pod.as_deref().and_then(|pod| pod.split_once('/'));
        let in_cgroup = || self.cgroups.pod(open.cgroup?).map(|pod| pod.name.clone());
        let pod = named.map(|(namespace, name)| ObjectName::new(namespace, name)).or_else(in_cgroup);
        let key = Key {
            pid: open.pid,
            comm: open.comm.clone(),
            service: open.service.clone(),
            pod,
            container: open.container.clone(),
        };
        if let Some(workload) = self.known.get(&key) {
            return Arc::clone(workload);
        }
        let workload = Arc::new(self.describe(&key));
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

    /// Whom the other end of a connection belongs to, where exactly one known pod has its address.
    pub fn peer(&self, open: &Open) -> Option<Arc<Workload>> {
        self.pods.at(open.peer.ip()).map(|pod| Arc::new(Workload::of_pod(pod)))
    }

    /// What the bound cost so far.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    fn describe(&self, key: &Key) -> Workload {
        let mut attributes = Vec::new();
        attributes.extend(self.host.clone().map(|name| ("host.name", name)));
        let facts = match self.source {
            Source::System if key.pid != 0 => process::facts(key.pid, &key.comm),
            _ => process::Facts::default(),
        };
        let executable = facts.executable.or_else(|| (!key.comm.is_empty()).then(|| key.comm.clone()));
        attributes.extend(executable.map(|name| ("process.executable.name", name)));
        if key.pid != 0 {
            attributes.push(("process.pid", key.pid.to_string()));
        }
        attributes.extend(key.container.clone().map(|name| ("k8s.container.name", name)));
        let mut service_name = facts.service_name.or_else(|| key.service.clone());
        let mut namespace = None;
        let pod = key.pod.as_ref().map(|name| {
            let known = self.pods.get(name).map(Arc::clone);
            known.unwrap_or_else(|| Arc::new(PodIdentity::unknown(name.clone())))
        });
        if let Some(pod) = &pod {
            namespace = Some(pod.name.namespace.clone());
            service_name = Some(pod.service_name().to_owned());
            attributes.extend(pod.attributes());
        }
        attributes.sort_unstable_by_key(|(key, _)| *key);
        let service_name = service_name.unwrap_or_else(|| match key.comm.as_str() {
            // The specification's word where the name is not known (resource semantic conventions, service.name).
            "" => "unknown_service".to_owned(),
            comm => comm.to_owned(),
        });
        Workload { service_name, namespace, attributes, pod }
    }
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
    use super::*;

    fn open(pid: u32, comm: &str) -> Open {
        Open { pid, comm: comm.to_owned(), ..Open::new(([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into()) }
    }

    #[test]
    fn a_replay_knows_only_what_the_recording_says() {
        let mut registry = Registry::new(Source::Events, 8);
        let workload = registry.workload(&open(std::process::id(), "python3"));
        assert_eq!(workload.service_name, "python3");
        assert_eq!(
            workload.attributes,
            [("process.executable.name", "python3".to_owned()), ("process.pid", std::process::id().to_string())]
        );
        let named = Open { service: Some("my_agent".to_owned()), ..open(std::process::id(), "python3") };
        assert_eq!(registry.workload(&named).service_name, "my_agent");
        let unknown = registry.workload(&open(0, ""));
        assert_eq!(*unknown, Workload { service_name: "unknown_service".to_owned(), ..Workload::default() });
    }

    #[test]
    fn a_pod_is_its_namespace_and_name() {
        let mut registry = Registry::new(Source::Events, 8);
        let pod = Open { pod: Some("shop/cart-1".to_owned()), container: Some("app".to_owned()), ..open(0, "") };
        let workload = registry.workload(&pod);
        assert_eq!((workload.service_name.as_str(), workload.namespace.as_deref()), ("cart-1", Some("shop")));
        assert_eq!(
            workload.attributes,
            [("k8s.container.name", "app".to_owned()), ("k8s.pod.name", "cart-1".to_owned())]
        );
    }

    #[test]
    fn a_process_that_is_gone_has_the_name_the_kernel_gave() {
        let mut registry = Registry::new(Source::System, 8);
        // Above the largest process id there can be (PID_MAX_LIMIT is 2^22).
        let workload = registry.workload(&open(1 << 30, "curl"));
        assert_eq!(workload.service_name, "curl");
        assert!(workload.attributes.iter().any(|(key, _)| *key == "host.name"));
    }

    #[test]
    fn the_bound_forgets_the_oldest_and_counts_it() {
        let mut registry = Registry::new(Source::Events, 2);
        let first = registry.workload(&open(1, "a"));
        assert!(Arc::ptr_eq(&first, &registry.workload(&open(1, "a"))));
        registry.workload(&open(2, "b"));
        registry.workload(&open(3, "c"));
        assert_eq!(registry.counters(), Counters { evicted: 1 });
        assert_eq!(registry.known.len(), 2);
        assert!(!Arc::ptr_eq(&first, &registry.workload(&open(1, "a"))));
    }
}
