use std::{net::IpAddr, sync::Mutex};

use super::*;
use crate::{
    capture::{Direction, Event, EventKind, Role},
    pipeline::{Pipeline, Settings},
    policy::{
        PlanStore, Plans,
        attribute::{Key, Subject as _, Value},
        objects::{AddressRange, Container, Node, ObjectName, Objects, Pod},
    },
    telemetry::{self, ExchangeSubject, LogSink, Outlets, Recorder},
    workload::{Attribution, DirectoryStore, PodCgroups, Source},
};

const SECOND: u64 = 1_000_000_000;
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl LogSink for Lines {
    /// Time of the request in seconds, source, destination, container.
    fn log(&mut self, line: &[u8], subject: &ExchangeSubject<'_>) {
        let line: serde_json::Value = serde_json::from_slice(line).unwrap();
        let text = |key: &str| line[key].as_str().unwrap_or("-").to_owned();
        let container = subject.key(Key::K8sContainerName).map_or("-".into(), Value::into_text);
        let at = text("start_time");
        let told = format!("{} {} {} {container}", &at[17..19], text("source"), text("destination"));
        self.0.lock().unwrap().push(told);
    }
}

impl Lines {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// A cluster that tells of things late.
struct Cluster {
    pipeline: Pipeline,
    store: Arc<DirectoryStore>,
    health: Arc<Health>,
    lines: Lines,
}

/// A pod of the shop, with its address and the id of its container.
fn pod(name: &str, address: Option<&str>, container: Option<&str>) -> (ObjectName, Arc<Pod>) {
    let container = Container { name: "app".to_owned(), id: container.map(str::to_owned), image: None };
    let pod = Pod {
        uid: Some(format!("uid-{name}")),
        addresses: address.map(|address| address.parse().unwrap()).into_iter().collect(),
        containers: vec![container],
        ..Pod::default()
    };
    (ObjectName::new("shop", name), Arc::new(pod))
}

fn objects(pods: impl IntoIterator<Item = (ObjectName, Arc<Pod>)>) -> Objects {
    let pod_ranges = vec![AddressRange::parse("10.0.0.0/24").unwrap()];
    let mut objects = Objects { pods: pods.into_iter().collect(), ..Objects::default() };
    objects.nodes.insert("n1".to_owned(), Node { pod_ranges, ..Node::default() });
    objects
}

impl Cluster {
    /// Of these pods; `client` has cgroup 5, and its container `c-1` cgroup 6.
    fn new(pods: impl IntoIterator<Item = (ObjectName, Arc<Pod>)>) -> Self {
        let cgroups = PodCgroups::of(&[(5, "uid-client", None), (6, "uid-client", Some("c-1"))]);
        let objects = objects(pods);
        let attribution = Attribution { cgroups: Some(cgroups), ..Attribution::of(&objects) };
        let store = Arc::clone(&attribution.directory);
        let plan = Arc::new(Plan::of_signals(false, false, true));
        let plans = Plans { namespaces: [("shop".to_owned(), plan)].into(), ..Plans::default() };
        let (lines, health) = (Lines::default(), Health::new());
        let sink = lines.clone();
        let outlets = move |_: &Arc<Plan>| Outlets { logs: vec![Box::new(sink.clone())], ..Outlets::default() };
        let recorder = Recorder::new(telemetry::Settings::default(), Box::new(outlets), &health);
        let settings = Settings { attribution, ..Settings::new(&PlanStore::new(plans), Source::Events) };
        Self { pipeline: Pipeline::new(settings, recorder, &health), store, health, lines }
    }

    fn event(&mut self, second: u64, connection: u64, kind: EventKind<'_>) {
        self.pipeline.event(&Event { time: Timestamp(second * SECOND), connection: ConnectionId(connection), kind });
    }

    fn open(&mut self, second: u64, connection: u64, cgroup: u64, peer: &str) {
        let peer: IpAddr = peer.parse().unwrap();
        let open = Open {
            role: Some(Role::Client),
            pid: 7,
            comm: "app".to_owned(),
            cgroup: Some(cgroup),
            ..Open::new(([10, 0, 0, 1], 4000).into(), (peer, 80).into())
        };
        self.event(second, connection, EventKind::Open(Box::new(open)));
    }

    /// The exchange of this number on a connection.
    fn exchange(&mut self, second: u64, connection: u64, number: u64) {
        for (direction, bytes) in [(Direction::Out, GET), (Direction::In, OK)] {
            let (length, position) = (bytes.len() as u32, number * bytes.len() as u64);
            self.event(second, connection, EventKind::Data { direction, position, length, bytes });
        }
    }

    fn tick(&mut self, second: u64) {
        self.pipeline.tick(Timestamp(second * SECOND));
    }

    fn tell(&self, second: u64, pods: impl IntoIterator<Item = (ObjectName, Arc<Pod>)>) {
        self.store.update(&objects(pods), Timestamp(second * SECOND));
    }

    fn counts(&self) -> [u64; 3] {
        [
            self.health.value(&table::ATTRIBUTION_LATE, &[]),
            self.health.value(&table::ATTRIBUTION_GIVEN_UP, &["time"]),
            self.health.value(&table::ATTRIBUTION_GIVEN_UP, &["room"]),
        ]
    }
}

fn client() -> (ObjectName, Arc<Pod>) {
    pod("client", Some("10.0.0.1"), Some("c-1"))
}

#[test]
fn what_is_known_does_not_wait() {
    let mut cluster = Cluster::new([client(), pod("server", Some("10.0.0.2"), None)]);
    cluster.open(1, 1, 6, "10.0.0.2");
    cluster.exchange(2, 1, 0);
    assert_eq!(cluster.lines.take(), ["02 shop/client shop/server app"]);
    // Outside the cluster: by the name that the request has.
    cluster.open(1, 2, 6, "203.0.113.9");
    cluster.exchange(3, 2, 0);
    assert_eq!(cluster.lines.take(), ["03 shop/client h:80 app"]);
    assert_eq!(cluster.counts(), [0, 0, 0]);
}

#[test]
fn a_container_that_is_named_later_is_attributed_late() {
    let mut cluster = Cluster::new([pod("client", None, None)]);
    cluster.open(1, 1, 6, "203.0.113.9");
    cluster.exchange(2, 1, 0);
    cluster.exchange(3, 1, 1);
    cluster.tick(3);
    assert!(cluster.lines.take().is_empty(), "they wait");
    assert_eq!(cluster.health.value(&table::ATTRIBUTION_WAITING, &[]), 2);
    cluster.tell(4, [client()]);
    cluster.tick(4);
    assert_eq!(cluster.lines.take(), ["02 shop/client h:80 app", "03 shop/client h:80 app"]);
    cluster.exchange(5, 1, 2);
    assert_eq!(cluster.lines.take(), ["05 shop/client h:80 app"]);
    assert_eq!((cluster.counts(), cluster.health.value(&table::ATTRIBUTION_WAITING, &[])), ([2, 0, 0], 0));
}

/// The next exchange of the connection brings those before it along, before the next tick and in order.
#[test]
fn those_before_go_first() {
    let mut cluster = Cluster::new([pod("client", None, None)]);
    cluster.open(1, 1, 6, "203.0.113.9");
    cluster.open(1, 2, 6, "203.0.113.9");
    cluster.exchange(2, 1, 0);
    cluster.exchange(2, 2, 0);
    cluster.exchange(3, 1, 1);
    cluster.tell(4, [client()]);
    cluster.exchange(5, 1, 2);
    assert_eq!(cluster.lines.take().iter().map(|line| &line[..2]).collect::<Vec<_>>(), ["02", "03", "05"]);
    cluster.event(6, 2, EventKind::Close { how: None });
    cluster.tick(6);
    assert_eq!(cluster.lines.take(), ["02 shop/client h:80 app"], "of the other one, which is closed");
}

#[test]
fn a_pod_whose_address_is_told_later_is_the_peer() {
    let mut cluster = Cluster::new([client()]);
    cluster.open(1, 1, 6, "10.0.0.2");
    cluster.exchange(2, 1, 0);
    assert!(cluster.lines.take().is_empty());
    cluster.tell(3, [client(), pod("server", Some("10.0.0.2"), None)]);
    cluster.tick(3);
    assert_eq!(cluster.lines.take(), ["02 shop/client shop/server app"]);
}

#[test]
fn an_address_that_nobody_has_is_waited_for_once() {
    let mut cluster = Cluster::new([client()]);
    cluster.open(1, 1, 6, "10.0.0.254");
    cluster.exchange(2, 1, 0);
    cluster.tick(6);
    assert!(cluster.lines.take().is_empty());
    cluster.tick(7);
    assert_eq!(cluster.lines.take(), ["02 shop/client h:80 app"]);
    assert_eq!(cluster.counts(), [0, 1, 0]);
    cluster.exchange(8, 1, 1);
    cluster.open(8, 2, 6, "10.0.0.254");
    cluster.exchange(9, 2, 0);
    assert_eq!(cluster.lines.take().len(), 2, "neither waits");
    // And yet, when it is told: no line of it says the address.
    cluster.tell(10, [client(), pod("server", Some("10.0.0.254"), None)]);
    cluster.exchange(11, 2, 1);
    assert_eq!(cluster.lines.take(), ["11 shop/client shop/server app"]);
}

#[test]
fn a_full_place_lets_the_oldest_go() {
    let mut cluster = Cluster::new([client()]);
    cluster.open(1, 1, 6, "10.0.0.2");
    for number in 0..MAX_WAITING as u64 + 3 {
        cluster.exchange(2, 1, number);
    }
    assert_eq!((cluster.lines.take().len(), cluster.counts()), (3, [0, 0, 3]));
    // At the end nothing is lost.
    cluster.pipeline.finish();
    assert_eq!(cluster.lines.take().len(), MAX_WAITING);
}

/// Of a process of no known pod nothing is read: no policy is for it. Once it is known its connection is followed.
#[test]
fn a_pod_that_is_not_known_has_no_policy_yet() {
    let mut cluster = Cluster::new([]);
    cluster.open(1, 1, 6, "203.0.113.9");
    cluster.exchange(2, 1, 0);
    cluster.tick(9);
    assert!(cluster.lines.take().is_empty());
    cluster.tell(10, [client()]);
    cluster.exchange(11, 1, 1);
    // Joined late: where each direction begins is certain after a while.
    cluster.tick(30);
    assert_eq!(cluster.lines.take(), ["11 shop/client h:80 app"]);
}

#[test]
fn an_address_that_a_new_pod_took_over_relabels_nothing() {
    let mut cluster = Cluster::new([client(), pod("old", Some("10.0.0.2"), None)]);
    cluster.open(1, 1, 6, "10.0.0.2");
    cluster.tell(5, [client()]);
    cluster.tell(7, [client(), pod("new", Some("10.0.0.2"), None)]);
    cluster.exchange(8, 1, 0);
    // One that was seen to begin while the old one was there, and of which only now an event comes.
    cluster.open(4, 2, 6, "10.0.0.2");
    cluster.exchange(9, 2, 0);
    cluster.open(9, 3, 6, "10.0.0.2");
    cluster.exchange(10, 3, 0);
    let lines = cluster.lines.take();
    assert_eq!(lines, ["08 shop/client shop/old app", "09 shop/client shop/old app", "10 shop/client shop/new app"]);
}

/// A sidecar's own connections, while the API does not name its container and after.
#[test]
fn a_proxy_beside_the_application_is_not_observed() {
    let with_proxy = |id: Option<&str>| {
        let (name, mut pod) = pod("client", None, Some("c-0"));
        let proxy = Container { name: "istio-proxy".to_owned(), id: id.map(str::to_owned), image: None };
        Arc::make_mut(&mut pod).containers.push(proxy);
        (name, pod)
    };
    for known in [None, Some("c-1")] {
        let mut cluster = Cluster::new([with_proxy(known)]);
        let open = |comm: &str| {
            let open = Open::new(([10, 0, 0, 1], 4000).into(), ([203, 0, 113, 9], 80).into());
            EventKind::Open(Box::new(Open { pid: 7, comm: comm.to_owned(), cgroup: Some(6), ..open }))
        };
        cluster.event(1, 1, open("envoy"));
        cluster.exchange(2, 1, 0);
        cluster.tick(9);
        assert!(cluster.lines.take().is_empty(), "{known:?}");
        // The container turns out to be the application's, which is Envoy: it is followed from then on.
        cluster.tell(10, [client()]);
        cluster.exchange(11, 1, 1);
        cluster.tick(30);
        assert_eq!(cluster.lines.take().len(), 1, "{known:?}");
    }
}

/// Its object goes before its last exchanges are told of.
#[test]
fn a_pod_that_is_gone_meanwhile_is_still_who_it_was() {
    let mut cluster = Cluster::new([client()]);
    cluster.open(1, 1, 6, "10.0.0.2");
    cluster.exchange(2, 1, 0);
    cluster.tell(3, [pod("server", Some("10.0.0.2"), None)]);
    cluster.tick(3);
    assert_eq!(cluster.lines.take(), ["02 shop/client shop/server app"], "one that waited for its peer");
    let mut cluster = Cluster::new([pod("client", None, None)]);
    cluster.open(1, 1, 6, "203.0.113.9");
    cluster.tell(3, []);
    cluster.exchange(4, 1, 0);
    assert_eq!(cluster.lines.take(), ["04 shop/client h:80 -"], "one of a connection that was asked again");
}

#[test]
fn a_container_that_is_never_named_is_waited_for_once_in_a_while() {
    let mut cluster = Cluster::new([pod("client", None, Some("c-2"))]);
    cluster.open(1, 1, 6, "203.0.113.9");
    cluster.exchange(2, 1, 0);
    cluster.tick(7);
    assert_eq!(cluster.lines.take(), ["02 shop/client h:80 -"]);
    cluster.exchange(8, 1, 1);
    cluster.open(8, 2, 6, "203.0.113.9");
    cluster.tick(606);
    cluster.exchange(606, 2, 0);
    assert_eq!((cluster.lines.take().len(), cluster.counts()), (2, [0, 1, 0]), "neither waits");
    cluster.tick(607);
    cluster.exchange(608, 1, 2);
    assert!(cluster.lines.take().is_empty(), "it waits again");
}
