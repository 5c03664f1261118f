//! Whose a connection is, by real cgroups that look like a node's: what the API tells is given, the kernel side and the cgroups are real.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use telltale::{
    admin::Health,
    capture::{
        Event, Timestamp,
        kernel::{Capture, InsideCounts, Membership, Scope, ScopeControl, Settings, Skips, Worker},
    },
    pipeline::{self, Pipeline},
    policy::{
        Plan, PlanStore, Plans,
        attribute::{Key, Subject as _, Value},
        objects::{Container, ObjectName, Objects, Pod},
    },
    telemetry::{self, ExchangeSubject, LogSink, Outlets, Recorder},
    workload::{Attribution, Source, cgroup::CgroupWatcher, mesh::Selection},
};

use crate::common::{
    cgroup::Cgroup,
    poll,
    program::{Program, Server, curl, done},
    tools, wait_for,
};

const UID: &str = "2f1c6b8e-9d1f-4a54-8a53-0c6c3b8f1d2e";
const OTHER: &str = "3f1c6b8e-9d1f-4a54-8a53-0c6c3b8f1d2e";

/// The id of a container.
fn id(digit: char) -> String {
    digit.to_string().repeat(64)
}

/// A cgroup below another, with the name that kubelet and runtime give it.
struct Below(PathBuf);

impl Below {
    fn make(parent: &Path, name: &str) -> Self {
        let path = parent.join(name);
        fs::create_dir(&path).expect("a cgroup can be made below an own one");
        Self(path)
    }

    fn inside(&self, command: &std::process::Command) -> std::process::Command {
        Cgroup::enter(&self.0, command)
    }
}

impl Drop for Below {
    fn drop(&mut self) {
        // A process in the middle of its exit holds it for a moment.
        poll(|| fs::remove_dir(&self.0).ok());
    }
}

/// Keeps path, pod and container of each exchange.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl LogSink for Seen {
    fn log(&mut self, _: &[u8], subject: &ExchangeSubject<'_>) {
        let text = |key| subject.key(key).map_or("-".into(), Value::into_text);
        let keys = [Key::UrlPath, Key::K8sPodName, Key::K8sContainerName, Key::ServiceInstanceId];
        let told = keys.map(text).join(" ");
        self.0.lock().expect("no panic").push(told);
    }
}

impl Seen {
    fn all(&self) -> Vec<String> {
        self.0.lock().expect("no panic").clone()
    }
}

struct Follows {
    pipeline: Pipeline,
    events: Arc<Mutex<u64>>,
}

impl Worker for Follows {
    fn event(&mut self, event: Event<'_>, _: &mut Skips) {
        *self.events.lock().expect("no panic") += 1;
        self.pipeline.event(&event);
        self.pipeline.take_skips().for_each(drop);
    }

    fn tick(&mut self, _: &mut Skips) {
        self.pipeline.tick(now());
    }

    fn malformed(&mut self) {
        panic!("a record that cannot be read");
    }

    fn inside(&mut self, counts: InsideCounts) {
        assert_eq!(counts, InsideCounts::default(), "there are few");
    }
}

fn now() -> Timestamp {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    Timestamp(now.as_nanos() as u64)
}

/// What the API tells of a pod: namespace, name, UID, containers with their ids.
type Told<'a> = (&'a str, &'a str, &'a str, &'a [(&'a str, Option<String>)]);

/// An agent without its API server.
struct Agent {
    watcher: CgroupWatcher,
    attribution: Attribution,
    plans: Arc<PlanStore>,
    scope: ScopeControl,
    seen: Seen,
    events: Arc<Mutex<u64>>,
    stop: Arc<AtomicBool>,
    workers: Vec<JoinHandle<()>>,
    capture: Option<Capture>,
}

impl Agent {
    /// Captures nothing yet.
    fn start(root: &Path) -> Self {
        let health = Health::new();
        let watcher = CgroupWatcher::start(root, &health).expect("cgroups");
        let scope = Scope { hierarchy: Some(watcher.tree().hierarchy.clone()), ..Scope::default() };
        let mut capture = Capture::start(&Settings { scope, ..Settings::default() }).expect("a backend that works");
        let scope = capture.scope_control().expect("the scope");
        let plan = Arc::new(Plan::of_signals(false, false, true));
        let plans = Plans { namespaces: [("shop".to_owned(), plan)].into(), ..Plans::default() };
        let plans = PlanStore::new(plans);
        let attribution = Attribution { cgroups: Some(Arc::clone(watcher.index())), ..Attribution::default() };
        let (seen, events, stop) = (Seen::default(), Arc::default(), Arc::<AtomicBool>::default());
        let mut workers = Vec::new();
        for ring in capture.rings().expect("rings") {
            let sink = seen.clone();
            let outlets = move |_: &Arc<Plan>| Outlets { logs: vec![Box::new(sink.clone())], ..Outlets::default() };
            let recorder = Recorder::new(telemetry::Settings::default(), Box::new(outlets), &health);
            let settings = pipeline::Settings {
                attribution: attribution.clone(),
                ..pipeline::Settings::new(&plans, Source::System)
            };
            let pipeline = Pipeline::new(settings, recorder, &health);
            let mut worker = Follows { pipeline, events: Arc::clone(&events) };
            let stop = Arc::clone(&stop);
            workers.push(std::thread::spawn(move || ring.run(&mut worker, &stop)));
        }
        Self { watcher, attribution, plans, scope, seen, events, stop, workers, capture: Some(capture) }
    }

    /// The API tells of these pods.
    fn tell(&mut self, pods: &[Told<'_>]) {
        let mut objects = Objects::default();
        for (namespace, name, uid, containers) in pods {
            let containers =
                containers.iter().map(|(name, id)| Container { name: (*name).to_owned(), id: id.clone(), image: None });
            let pod = Pod { uid: Some((*uid).to_owned()), containers: containers.collect(), ..Pod::default() };
            objects.pods.insert(ObjectName::new(*namespace, *name), pod.into());
        }
        self.attribution.directory.update(&objects, now());
        self.select();
    }

    /// What is selected now is in scope.
    fn select(&mut self) {
        let (_, directory) = self.attribution.directory.current();
        let (_, plans) = self.plans.current();
        let mut wanted = Vec::new();
        for pod in directory.pods() {
            let Selection { included, excluded, .. } = Selection::of(pod, &directory, &plans, self.watcher.index());
            wanted.extend(included.iter().map(|directory| (directory.id, Membership::Included)));
            wanted.extend(excluded.iter().map(|directory| (directory.id, Membership::Excluded)));
        }
        self.scope.set(wanted).expect("room");
    }

    fn events(&self) -> u64 {
        *self.events.lock().expect("no panic")
    }

    /// The same once nothing more comes: the end of a connection comes after its last exchange.
    fn settled(&self) -> u64 {
        wait_for("the last event", || {
            let before = self.events();
            std::thread::sleep(Duration::from_millis(500));
            (self.events() == before).then_some(before)
        })
    }

    fn wait_for(&self, expected: &[&str]) {
        // What comes in vain is told by the comparison.
        let _ = poll(|| (self.seen.all().len() >= expected.len()).then_some(()));
        assert_eq!(self.seen.all(), expected);
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        for worker in self.workers.drain(..) {
            // It told of its panic itself.
            let _ = worker.join();
        }
        drop(self.capture.take());
    }
}

/// A node's tree, systemd's names: two pods, one with a sidecar.
fn node(root: &Path, check: impl FnOnce(&Path, &Below, &Below, &Below)) {
    let kubepods = Below::make(root, "kubepods.slice");
    let slice = |uid: &str| format!("kubepods-pod{}.slice", uid.replace('-', "_"));
    let (pod, other) = (Below::make(&kubepods.0, &slice(UID)), Below::make(&kubepods.0, &slice(OTHER)));
    let app = Below::make(&pod.0, &format!("cri-containerd-{}.scope", id('a')));
    let proxy = Below::make(&pod.0, &format!("cri-containerd-{}.scope", id('b')));
    let of_other = Below::make(&other.0, &format!("cri-containerd-{}.scope", id('c')));
    check(root, &app, &proxy, &of_other);
    drop((of_other, proxy, app, other, pod, kubepods));
}

fn pods_are_told_apart(root: &Path) {
    node(root, |root, app, proxy, other| {
        let server = Server::python();
        let mut agent = Agent::start(root);
        let held = |cgroup: &Below| {
            let mut command = tools::python("client.py");
            command.arg("held").arg(server.url(""));
            let mut client = Program::start(&mut cgroup.inside(&command));
            assert_eq!(client.line(), "ready");
            client
        };
        // Before anything is told of them: a connection that goes on.
        let mut early = held(app);
        let request = |cgroup: &Below, path: &str| done(&mut cgroup.inside(&curl([server.url(path)])));
        for cgroup in [app, proxy, other] {
            request(cgroup, "/bytes/1");
        }
        assert_eq!(agent.events(), 0, "no policy, no event");
        let other_pod = ("else", "other-1", OTHER, [("app", Some(id('c')))]);
        let known = |app: Option<String>| [("app", app), ("istio-proxy", Some(id('b')))];
        agent.tell(&[("shop", "cart-1", UID, &known(None)), (other_pod.0, other_pod.1, other_pod.2, &other_pod.3)]);
        request(other, "/bytes/2");
        request(proxy, "/bytes/3");
        done(&mut curl([server.url("/bytes/4")]));
        assert_eq!(agent.events(), 0, "neither the other pod, nor the proxy, nor the host");
        // The container is not named yet: the exchange waits for that.
        request(app, "/bytes/5");
        early.say("/bytes/6");
        assert_eq!(early.line(), "done");
        wait_for("events", || (agent.events() > 0).then_some(()));
        assert!(agent.seen.all().is_empty(), "{:?}", agent.seen.all());
        agent.tell(&[("shop", "cart-1", UID, &known(Some(id('a'))))]);
        let instance = "cart-1 app shop.cart-1.app";
        let mut expected = vec![format!("/bytes/5 {instance}"), format!("/bytes/6 {instance}")];
        let check = |agent: &Agent, expected: &[String]| {
            agent.wait_for(&expected.iter().map(String::as_str).collect::<Vec<_>>());
        };
        check(&agent, &expected);
        // A cgroup that the container makes for itself, and a process that is over before anyone looks.
        let nested = Below::make(&app.0, "nested");
        let deeper = Below::make(&nested.0, "deeper");
        for number in 0..20 {
            request(&deeper, &format!("/bytes/7{number}"));
            expected.push(format!("/bytes/7{number} {instance}"));
        }
        check(&agent, &expected);
        // The pod is gone: nothing more, although its cgroup is still there.
        agent.tell(&[]);
        let before = agent.settled();
        early.say("/bytes/8");
        assert_eq!(early.line(), "done");
        request(app, "/bytes/9");
        assert_eq!((agent.events(), agent.seen.all().len()), (before, expected.len()));
        drop((early, deeper, nested, agent));
    });
}

#[test]
fn cgroups_of_v2_tell_pods_and_containers() {
    match Cgroup::v2() {
        Some(cgroup) => pods_are_told_apart(cgroup.path()),
        None => eprintln!("skipped: no cgroup v2 can be made here"),
    }
}

#[test]
fn cgroups_of_v1_tell_pods_and_containers() {
    match Cgroup::v1() {
        Some(cgroup) => pods_are_told_apart(cgroup.path()),
        None => eprintln!("skipped: no cgroup v1 can be made here"),
    }
}
