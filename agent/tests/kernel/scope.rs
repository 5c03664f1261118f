//! Default deny, and each kind of scope.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use agent_common::counter::Counter;
use aya::maps::{HashMap, Map, MapData};
use telltale::capture::{
    Hierarchy,
    kernel::{Membership, Scope, Settings},
};

use super::{
    captured::Captured,
    generator::{Generator, LIMIT},
    pair::exchange,
    session::{Session, each_backend, owned_ids, processes},
};

/// Nothing was read of anyone.
fn check_nothing(captured: &Captured) {
    assert_eq!(
        (captured.events, captured.counter(Counter::Records), captured.counter(Counter::CopiedBytes)),
        (0, 0, 0)
    );
    assert!(captured.gaps.values().all(|calls| *calls == 0), "{:?}", captured.gaps);
}

#[test]
fn out_of_scope_nothing_is_read() {
    each_backend(|backend| {
        let idle = Generator::start("exchanges", "");
        let mut busy = Generator::start("exchanges", "");
        let session = Session::start(&processes(backend, &[idle.pid()]));
        for _ in 0..20 {
            exchange(&mut busy);
        }
        check_nothing(&session.finish());
        println!("{}: 20 exchanges out of scope, 0 records, 0 bytes", backend.name());
    });
}

/// The table of the processes that the kernel side holds.
pub(crate) fn processes_in_scope() -> HashMap<MapData, u32, u8> {
    HashMap::try_from(Map::HashMap(map("SCOPE_PROCESSES"))).expect("a hash map")
}

/// A map of the capture, by its name.
pub(crate) fn map(name: &str) -> MapData {
    let mut maps = owned_ids("map_id:").into_iter().filter_map(|id| MapData::from_id(id).ok());
    let found = maps.find(|map| map.info().is_ok_and(|info| info.name_as_str() == Some(name)));
    found.expect("the map is held by this process")
}

#[test]
fn descendants_follow_and_leave() {
    each_backend(|backend| {
        let mut generator = Generator::start("exchanges", "2");
        let session = Session::start(&processes(backend, &[generator.pid()]));
        generator.tell("go");
        let child = generator.hear();
        let grandchild: u32 = generator.hear().parse().expect("a process");
        let told = super::pair::Told::by(&mut generator);
        assert_ne!(child, grandchild.to_string());
        let deadline = std::time::Instant::now() + LIMIT;
        // The process table forgets a process a moment before it can be waited for, or after.
        let held = || processes_in_scope().keys().filter_map(Result::ok).collect::<Vec<u32>>();
        while held() != [generator.pid()] {
            assert!(std::time::Instant::now() < deadline, "still in scope: {:?}", held());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let captured = session.finish();
        told.check(&captured);
        assert_eq!(told.ends(&captured).client.open().pid, grandchild, "it was the child of the child");
    });
}

#[test]
fn a_port_is_followed_at_both_ends() {
    each_backend(|backend| {
        let mut server = Generator::start("bytes_server", "few");
        let ports = server.hear();
        let port: u16 = ports.split(' ').next().and_then(|port| port.parse().ok()).expect("a port");
        let mut client = Generator::start("bytes_client", &format!("{ports} few"));
        let scope = Scope { ports: vec![port], ..Scope::default() };
        let session = Session::start(&Settings { scope, ..processes(backend, &[]) });
        server.tell("go");
        client.tell("go");
        client.finish();
        server.finish();
        let captured = session.finish();
        let of_port = |end: &&super::captured::Connection| {
            let open = end.open();
            open.local.port() == port || open.peer.port() == port
        };
        assert!(captured.connections.values().all(|end| of_port(&end)), "no other port");
        assert_eq!(captured.connections.len(), 2 * super::bytes::FEW, "every connection of it");
    });
}

/// A cgroup that is removed in the end.
pub(crate) struct Cgroup(pub(crate) PathBuf);

impl Cgroup {
    /// Makes one, if that can be done there.
    pub(crate) fn make(parent: &Path, name: &str) -> Option<Self> {
        let path = parent.join(name);
        fs::create_dir(&path).ok()?;
        Some(Self(path))
    }

    /// Moves a process into it.
    pub(crate) fn take(&self, process: u32) {
        fs::write(self.0.join("cgroup.procs"), process.to_string()).expect("the process may be moved");
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // A process that was killed a moment ago may still hold it.
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        eprintln!("{} is left over", self.0.display());
    }
}

/// Where a hierarchy is mounted: of this file system, with this controller if it is named.
pub(crate) fn mounted(kind: &str, controller: Option<&str>) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").expect("procfs");
    mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (path, own, options) = (words.next()?, words.next()?, words.next()?);
        let has = |controller: &str| options.split(',').any(|option| option == controller);
        (own == kind && controller.is_none_or(has)).then(|| path.into())
    })
}

/// A cgroup with another in it: tasks of the inner one are in scope of the outer one, tasks beside it are not.
fn check_cgroup(mount: &Path) {
    each_backend(|backend| {
        let name = format!("telltale-test-{}-{}", std::process::id(), backend.name());
        let Some(outer) = Cgroup::make(mount, &name) else {
            println!("no cgroup can be made below {}: skipped", mount.display());
            return;
        };
        let inner = Cgroup::make(&outer.0, "inner").expect("a cgroup in an own one");
        let mut inside = Generator::start("exchanges", "");
        let mut outside = Generator::start("exchanges", "");
        inner.take(inside.pid());
        let scope = Scope { cgroups: vec![outer.0.clone()], ..Scope::default() };
        let session = Session::start(&Settings { scope, ..processes(backend, &[]) });
        exchange(&mut outside);
        let told = exchange(&mut inside);
        exchange(&mut outside);
        let captured = session.finish();
        told.check(&captured);
        assert_eq!(captured.connections.len(), 2, "the two ends of one of three connections");
        let id = fs::metadata(&inner.0).expect("it is there").ino();
        assert_eq!(told.ends(&captured).client.open().cgroup, Some(id), "the task's own cgroup");
        println!("{}: cgroup below {}", backend.name(), mount.display());
        drop((inside, outside));
        drop((inner, outer));
    });
}

#[test]
fn a_cgroup_of_v2_is_followed() {
    match mounted("cgroup2", None) {
        Some(mount) => check_cgroup(&mount),
        None => println!("no cgroup v2 here: skipped"),
    }
}

#[test]
fn a_cgroup_of_v1_is_followed() {
    match mounted("cgroup", Some("pids")).or_else(|| mounted("cgroup", Some("freezer"))) {
        Some(mount) => check_cgroup(&mount),
        None => println!("no cgroup v1 here: skipped"),
    }
}

/// The id that the kernel side knows a cgroup by.
fn id(cgroup: &Cgroup) -> u64 {
    fs::metadata(&cgroup.0).expect("it is there").ino()
}

/// Cgroups as a node has them: two pods beside each other, one with a container, a proxy and what the container nests.
struct Node {
    // From the inside out: the order in which they are removed.
    nested: Vec<Cgroup>,
    container: Cgroup,
    in_proxy: Cgroup,
    proxy: Cgroup,
    pod: Cgroup,
    other: Cgroup,
    _root: Cgroup,
}

impl Node {
    fn make(mount: &Path, name: &str) -> Option<Self> {
        let below = |parent: &Cgroup, name: &str| Cgroup::make(&parent.0, name).expect("a cgroup in an own one");
        let root = Cgroup::make(mount, name)?;
        let (pod, other) = (below(&root, "pod"), below(&root, "other"));
        let (container, proxy) = (below(&pod, "container"), below(&pod, "proxy"));
        let mut nested = vec![below(&container, "nested")];
        for _ in 0..5 {
            nested.insert(0, below(&nested[0], "deeper"));
        }
        let in_proxy = below(&proxy, "nested");
        Some(Self { nested, container, in_proxy, proxy, pod, other, _root: root })
    }
}

/// Nothing is in scope at the start; then a pod is but for its proxy, then the proxy too, then nothing again.
fn check_pods(mount: &Path, hierarchy: &Hierarchy) {
    each_backend(|backend| {
        let name = format!("telltale-test-{}-pods-{}", std::process::id(), backend.name());
        let Some(node) = Node::make(mount, &name) else {
            println!("no cgroup can be made below {}: skipped", mount.display());
            return;
        };
        let member = |cgroup: &Cgroup| {
            let mut generator = Generator::start("exchanges", "");
            cgroup.take(generator.pid());
            exchange(&mut generator);
            generator
        };
        let scope = Scope { hierarchy: Some(hierarchy.clone()), ..Scope::default() };
        let session = Session::start(&Settings { scope, ..processes(backend, &[]) });
        let mut control = session.scope_control();
        assert_eq!(control.hierarchy(), hierarchy);
        let (mut deep, mut own) = (member(&node.nested[0]), member(&node.container));
        let (mut proxy, mut in_proxy, mut other) = (member(&node.proxy), member(&node.in_proxy), member(&node.other));
        let mut host = Generator::start("exchanges", "");
        let pod = [(id(&node.proxy), Membership::Excluded), (id(&node.pod), Membership::Included)];
        assert!(control.set(pod).expect("room"), "it is new");
        assert!(!control.set(pod).expect("room"), "nothing is new");
        let mut told = vec![exchange(&mut deep), exchange(&mut own)];
        for outside in [&mut proxy, &mut in_proxy, &mut other, &mut host] {
            exchange(outside);
        }
        assert!(control.set([(id(&node.pod), Membership::Included)]).expect("room"));
        told.push(exchange(&mut in_proxy));
        // An id that no cgroup has harms nobody.
        let gone = [(id(&node.other), Membership::Included), (u64::MAX, Membership::Included)];
        assert!(control.set(gone).expect("room"));
        told.push(exchange(&mut other));
        exchange(&mut own);
        assert!(control.set([]).expect("room"));
        exchange(&mut other);
        let captured = session.finish();
        for told in &told {
            told.check(&captured);
        }
        assert_eq!(captured.connections.len(), 2 * told.len(), "both ends of each that was in scope, and no other");
        drop((deep, own, proxy, in_proxy, other, host));
        println!("{}: pods below {}", backend.name(), mount.display());
    });
}

#[test]
fn a_pod_is_whole_but_for_what_is_taken_out() {
    match mounted("cgroup2", None) {
        Some(mount) => check_pods(&mount, &Hierarchy::Unified),
        None => println!("no cgroup v2 here: skipped"),
    }
    match mounted("cgroup", Some("pids")) {
        Some(mount) => check_pods(&mount, &Hierarchy::Controller("pids".to_owned())),
        None => println!("no cgroup v1 here: skipped"),
    }
}

/// Pods that no policy is for: not one record, not one byte, whether other pods are in scope or none.
#[test]
fn of_a_pod_that_is_not_selected_nothing_is_read() {
    each_backend(|backend| {
        let name = format!("telltale-test-{}-zero-{}", std::process::id(), backend.name());
        let Some(node) = mounted("cgroup2", None).and_then(|mount| Node::make(&mount, &name)) else {
            println!("no cgroup v2 can be made here: skipped");
            return;
        };
        let scope = Scope { hierarchy: Some(Hierarchy::Unified), ..Scope::default() };
        let session = Session::start(&Settings { scope, ..processes(backend, &[]) });
        let mut control = session.scope_control();
        let (mut proxy, mut other, mut host) =
            (Generator::start("exchanges", ""), Generator::start("exchanges", ""), Generator::start("exchanges", ""));
        node.in_proxy.take(proxy.pid());
        node.other.take(other.pid());
        for _ in 0..5 {
            exchange(&mut other);
            exchange(&mut host);
        }
        control.set([(id(&node.pod), Membership::Included), (id(&node.proxy), Membership::Excluded)]).expect("room");
        for outside in [&mut proxy, &mut other, &mut host] {
            for _ in 0..5 {
                exchange(outside);
            }
        }
        check_nothing(&session.finish());
        drop((proxy, other, host));
        println!("{}: 25 exchanges of pods that are not selected, 0 records, 0 bytes", backend.name());
    });
}

/// The pods of a large node: each change is as small as what changed.
#[test]
fn two_thousand_pods_and_one_more() {
    each_backend(|backend| {
        let scope = Scope { hierarchy: Some(Hierarchy::Unified), ..Scope::default() };
        let session = Session::start(&Settings { scope, ..processes(backend, &[]) });
        let mut control = session.scope_control();
        let of = |pods: u64| (1..=pods).map(|id| (u64::MAX - id, Membership::Included));
        let started = std::time::Instant::now();
        assert!(control.set(of(2000)).expect("room"));
        let all = started.elapsed();
        let started = std::time::Instant::now();
        assert!(control.set(of(2001)).expect("room"));
        println!("{}: 2000 pods in {all:?}, one more in {:?}", backend.name(), started.elapsed());
        let most = u64::from(agent_common::limits::CGROUPS);
        let refused = control.set(of(most + 1)).expect_err("more than the table holds").to_string();
        assert_eq!(refused, "too many cgroups to capture: at most 4096");
        assert!(control.set(of(most - 1)).expect("room again"));
        drop(session.finish());
    });
}
