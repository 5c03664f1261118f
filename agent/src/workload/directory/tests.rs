use super::*;
use crate::policy::objects::{Node, Phase, Service};

const SECOND: u64 = 1_000_000_000;

fn at(seconds: u64) -> Timestamp {
    Timestamp(seconds * SECOND)
}

struct Given<'a> {
    name: &'a str,
    address: &'a str,
    created: Option<u64>,
    deleted: bool,
    phase: Phase,
}

fn given<'a>(name: &'a str, address: &'a str, created: u64) -> Given<'a> {
    Given { name, address, created: Some(created), deleted: false, phase: Phase::Running }
}

fn objects(pods: &[Given<'_>]) -> Objects {
    let mut objects = Objects::default();
    for Given { name, address, created, deleted, phase } in pods {
        let created = created.map(|seconds| jiff::Timestamp::from_second(seconds as i64).unwrap());
        let pod = Pod {
            addresses: address.split(' ').map(|address| address.parse().unwrap()).collect(),
            uid: Some(format!("uid-{name}")),
            created,
            deleted: deleted.then_some(jiff::Timestamp::MAX),
            phase: *phase,
            ..Pod::default()
        };
        objects.pods.insert(ObjectName::new("shop", *name), Arc::new(pod));
    }
    objects
}

fn name(directory: &Directory, address: &str, time: Timestamp) -> Option<String> {
    directory.pod_at(address.parse().unwrap(), time).map(|pod| pod.name.name.clone())
}

#[test]
fn an_address_is_of_a_pod_only_if_no_other_has_it() {
    let none = |name, address| Given { created: None, ..given(name, address, 0) };
    let directory = Directory::of(&objects(&[
        none("a", "10.0.0.1 fd00::1"),
        none("b", "10.0.0.2 10.0.0.9"),
        none("c", "10.0.0.9 127.0.0.1"),
    ]));
    let at = |address| name(&directory, address, at(5));
    assert_eq!([at("10.0.0.1"), at("fd00::1"), at("10.0.0.2")].map(Option::unwrap), ["a", "a", "b"]);
    assert_eq!(at("::ffff:10.0.0.1").unwrap(), "a");
    assert_eq!([at("10.0.0.9"), at("127.0.0.1"), at("10.0.0.3")], [None, None, None]);
}

#[test]
fn a_pod_that_took_over_an_address_has_it_from_then_on() {
    let first = Directory::default().next(&objects(&[given("old", "10.0.0.1", 50)]), at(100));
    // It is known from before its creation on: who else should have had it?
    assert_eq!(name(&first, "10.0.0.1", at(1)).unwrap(), "old");
    let gone = first.next(&objects(&[]), at(200));
    assert_eq!(name(&gone, "10.0.0.1", at(150)).unwrap(), "old", "a connection that began then");
    assert_eq!(name(&gone, "10.0.0.1", at(201)), None, "nobody has it");
    // Created while the old one was still there, which had the address then.
    let new = gone.next(&objects(&[given("new", "10.0.0.1", 180)]), at(210));
    let then = |time| name(&new, "10.0.0.1", at(time)).unwrap();
    assert_eq!([then(150), then(190), then(199), then(201), then(500)], ["old", "old", "old", "new", "new"]);
    // Labels of the new one change: it is the same pod.
    let mut changed = objects(&[given("new", "10.0.0.1", 180)]);
    let pod = Arc::make_mut(changed.pods.values_mut().next().unwrap());
    Arc::make_mut(&mut pod.labels).insert("a".into(), "b".into());
    let later = new.next(&changed, at(220));
    assert_eq!(name(&later, "10.0.0.1", at(150)).unwrap(), "old");
    assert_eq!(later.pod_at("10.0.0.1".parse().unwrap(), at(300)).unwrap().pod.labels.len(), 1);
    let much_later = later.next(&changed, at(220 + 601));
    assert_eq!(name(&much_later, "10.0.0.1", at(150)), None, "it is forgotten");
    assert_eq!(name(&much_later, "10.0.0.1", at(300)).unwrap(), "new");
}

/// After an outage of the API server both changes come at once.
#[test]
fn a_change_that_was_told_late_holds_from_the_creation_of_the_new_pod() {
    let first = Directory::default().next(&objects(&[given("old", "10.0.0.1", 50)]), at(100));
    let new = first.next(&objects(&[given("new", "10.0.0.1", 180)]), at(500));
    let then = |time| name(&new, "10.0.0.1", at(time)).unwrap();
    assert_eq!([then(150), then(179), then(180), then(600)], ["old", "old", "new", "new"]);
    // Its creation is in the future of a clock that goes wrong: now, then.
    let new = first.next(&objects(&[given("new", "10.0.0.1", 900)]), at(500));
    assert_eq!([499, 501].map(|time| name(&new, "10.0.0.1", at(time)).unwrap()), ["old", "new"]);
}

#[test]
fn one_that_ended_or_is_being_deleted_makes_room() {
    let old = |deleted, phase| Given { deleted, phase, ..given("old", "10.0.0.1", 50) };
    let alone = |given| Directory::default().next(&objects(&[given]), at(100));
    assert_eq!(name(&alone(old(true, Phase::Running)), "10.0.0.1", at(99)).unwrap(), "old", "it serves to its end");
    assert_eq!(name(&alone(old(false, Phase::Succeeded)), "10.0.0.1", at(101)), None, "it has ended");
    for (deleted, phase) in [(true, Phase::Running), (false, Phase::Failed)] {
        for directory in [
            Directory::of(&objects(&[old(deleted, phase), given("new", "10.0.0.1", 80)])),
            Directory::default().next(&objects(&[old(deleted, phase), given("new", "10.0.0.1", 80)]), at(100)),
        ] {
            let then = |time| name(&directory, "10.0.0.1", at(time)).unwrap();
            assert_eq!([then(10), then(79), then(80), then(1000)], ["old", "old", "new", "new"]);
        }
    }
}

#[test]
fn former_pods_of_an_address_are_bounded() {
    let mut directory = Directory::default();
    for number in 0..20 {
        let name = format!("p{number}");
        directory = directory.next(&objects(&[given(&name, "10.0.0.1", number)]), at(number));
    }
    assert_eq!(directory.by_address.values().next().unwrap().len(), MAX_FORMER + 1);
    assert_eq!(name(&directory, "10.0.0.1", at(18)).unwrap(), "p18");
    let many = |round: u32| {
        let mut objects = Objects::default();
        for number in 0..MAX_PAST as u32 + 5 {
            let address = IpAddr::V4((0x0a00_0000 + number).into());
            let pod = Pod { addresses: vec![address], uid: Some(format!("{round}")), ..Pod::default() };
            objects.pods.insert(ObjectName::new("a", format!("p{number}")), Arc::new(pod));
        }
        objects
    };
    let directory = Directory::default().next(&many(1), at(1)).next(&many(2), at(2));
    assert!(directory.forgotten() >= 5);
    assert_eq!(name(&directory, "10.0.0.1", at(3)).unwrap(), "p1");
}

#[test]
fn what_did_not_change_is_shared() {
    let before = objects(&[given("a", "10.0.0.1", 1), given("b", "10.0.0.2", 1)]);
    let mut after = before.clone();
    Arc::make_mut(after.pods.get_mut(&ObjectName::new("shop", "b")).unwrap()).ready = true;
    let first = Directory::of(&before);
    let second = first.next(&after, at(5));
    let both = |name: &str| [&first, &second].map(|directory| directory.pod(&ObjectName::new("shop", name)).unwrap());
    let [a, same] = both("a");
    assert!(Arc::ptr_eq(a, same));
    let [b, other] = both("b");
    assert!(!Arc::ptr_eq(b, other) && other.pod.ready);
    after
        .namespaces
        .insert("shop".into(), crate::policy::objects::Namespace { labels: [("x".into(), "y".into())].into() });
    let third = second.next(&after, at(6));
    assert_eq!(third.pod_by_uid("uid-a").unwrap().namespace_labels.len(), 1);
}

const HASH: &str = "0123456789abcdef0123456789abcdef";

/// As the kubelet of the node `n1` makes one.
fn mirror(uid: &str, hash: &str) -> Pod {
    let annotations =
        [PodIdentity::CONFIG_HASH, PodIdentity::CONFIG_MIRROR].map(|key| (key.to_owned(), hash.to_owned()));
    Pod {
        uid: Some(uid.to_owned()),
        annotations: Arc::new(annotations.into()),
        owner: Some(("Node".to_owned(), "n1".to_owned())),
        node: Some("n1".to_owned()),
        ..Pod::default()
    }
}

fn without(mut pod: Pod, annotation: &str) -> Pod {
    Arc::make_mut(&mut pod.annotations).remove(annotation);
    pod
}

/// Whose a cgroup is decides under whose policy it is captured: what a pod's author can write must not decide it.
#[test]
fn a_pod_has_no_cgroups_by_its_annotations_alone() {
    const UID: &str = "2f1c6b8e-9d1f-4a54-8a53-0c6c3b8f1d2e";
    let owned = |kind: &str, name: &str| Pod { owner: Some((kind.into(), name.into())), ..mirror("m", HASH) };
    let refused = [
        ("the UID of another pod", mirror("m", UID)),
        ("a UID without its dashes, in capitals", mirror("m", &HASH.to_uppercase())),
        ("too short", mirror("m", "0123")),
        ("no mirror", without(mirror("m", HASH), PodIdentity::CONFIG_MIRROR)),
        ("only a mirror", without(mirror("m", HASH), PodIdentity::CONFIG_HASH)),
        ("owned by none", Pod { owner: None, ..mirror("m", HASH) }),
        ("owned by another kind", owned("DaemonSet", "n1")),
        ("owned by another node", owned("Node", "n2")),
        ("of no node", Pod { node: None, ..mirror("m", HASH) }),
    ];
    for (why, pod) in refused {
        let mut objects = Objects::default();
        let victim = Pod { uid: Some(UID.into()), ..Pod::default() };
        objects.pods.insert(ObjectName::new("shop", "cart"), Arc::new(victim));
        // After the victim, in the order of names.
        objects.pods.insert(ObjectName::new("tenant", "p"), Arc::new(pod));
        let directory = Directory::of(&objects);
        assert_eq!(directory.pod_by_uid(UID).unwrap().name.name, "cart", "{why}");
        assert_eq!(directory.pod_by_uid(HASH), None, "{why}");
        let pod = directory.pod(&ObjectName::new("tenant", "p")).unwrap();
        assert_eq!(pod.cgroup_uids().collect::<Vec<_>>(), ["m"], "{why}");
    }
}

#[test]
fn a_hash_that_two_pods_have_is_of_none_and_takes_no_uid_away() {
    let directory = |pods: &[(&str, Pod)]| {
        let pods = pods.iter().map(|(name, pod)| (ObjectName::new("kube-system", *name), Arc::new(pod.clone())));
        Directory::of(&Objects { pods: pods.collect(), ..Objects::default() })
    };
    let both = directory(&[("a", mirror("ua", HASH)), ("b", mirror("ub", HASH)), ("c", mirror("uc", HASH))]);
    assert_eq!(both.pod_by_uid(HASH), None);
    assert_eq!(both.pod_by_uid("ub").unwrap().name.name, "b");
    let of_uid = directory(&[("a", Pod { uid: Some(HASH.into()), ..Pod::default() }), ("b", mirror("ub", HASH))]);
    assert_eq!(of_uid.pod_by_uid(HASH).unwrap().name.name, "a");
}

#[test]
fn services_and_nodes_have_addresses_and_host_pods_none() {
    let mut objects = objects(&[given("web", "10.0.0.1", 1)]);
    let static_pod = Pod {
        host_network: true,
        // As a source that does not know better would say.
        addresses: vec!["192.0.2.1".parse().unwrap()],
        ..mirror("mirror", HASH)
    };
    objects.pods.insert(ObjectName::new("kube-system", "etcd-n1"), Arc::new(static_pod));
    let service = Service { addresses: vec!["10.96.0.10".parse().unwrap()], ..Service::default() };
    objects.services.insert(ObjectName::new("shop", "cart"), service);
    let node = Node {
        addresses: vec!["192.0.2.1".parse().unwrap()],
        pod_ranges: vec![AddressRange::parse("10.0.0.0/24").unwrap()],
    };
    objects.nodes.insert("n1".into(), node);
    let directory = Directory::of(&objects);
    let who = |address: &str| {
        let workload = directory.at(address.parse().unwrap(), at(5))?;
        Some((workload.kind, workload.namespace.clone().unwrap_or_default(), workload.service_name.clone()))
    };
    let expected = |kind, namespace: &str, name: &str| Some((kind, namespace.to_owned(), name.to_owned()));
    assert_eq!(who("10.0.0.1"), expected(WorkloadKind::Pod, "shop", "web"));
    assert_eq!(who("10.96.0.10"), expected(WorkloadKind::Service, "shop", "cart"));
    assert_eq!(who("192.0.2.1"), expected(WorkloadKind::Node, "", "n1"));
    assert_eq!(who("203.0.113.1"), None);
    assert_eq!(directory.pod_by_uid(HASH).unwrap().name.name, "etcd-n1");
    let may_be = |address: &str| directory.may_be_of_a_pod(address.parse().unwrap());
    assert!(may_be("10.0.0.77") && !may_be("10.0.1.1"));
}
