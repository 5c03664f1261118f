//! Default deny, and each kind of scope.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use agent_common::counter::Counter;
use aya::maps::{HashMap, Map, MapData};
use telltale::capture::kernel::{Scope, Settings};

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

/// The processes that the kernel side holds.
fn processes_in_scope() -> Vec<u32> {
    let map = owned_ids("map_id:")
        .into_iter()
        .filter_map(|id| MapData::from_id(id).ok())
        .find(|map| map.info().is_ok_and(|info| info.name_as_str() == Some("SCOPE_PROCESSES")))
        .expect("the map is held by this process");
    let map: HashMap<_, u32, u8> = HashMap::try_from(Map::HashMap(map)).expect("a hash map");
    map.keys().filter_map(Result::ok).collect()
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
        while processes_in_scope() != [generator.pid()] {
            assert!(std::time::Instant::now() < deadline, "still in scope: {:?}", processes_in_scope());
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
