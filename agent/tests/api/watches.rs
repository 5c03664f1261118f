//! What the agent knows of a cluster, and what it does when the API server is gone, forgets, or has kinds come and go.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use telltale::{
    admin::{Health, table},
    kube::{Snapshot, WatchSettings, Watches, connect},
    policy::{
        api,
        document::to_yaml,
        model::Dialect,
        objects::{ObjectName, Phase},
    },
};
use tokio::runtime::Runtime;

use crate::{api_server::ApiServer, definitions::until_established, kubectl::Kubectl};

/// Nothing measures it.
const PATIENCE: Duration = Duration::from_mins(5);

/// An agent's watches on a runtime of their own.
struct Agent {
    runtime: Runtime,
    watches: Watches,
    health: Arc<Health>,
}

impl Agent {
    fn start(kubectl: &Kubectl, node: &str, peers: bool) -> Self {
        let runtime = Runtime::new().unwrap();
        let health = Health::new();
        let watches = runtime.block_on(async {
            let connection = connect(Some(kubectl.kubeconfig()), &health).await.unwrap();
            let settings = WatchSettings { node: node.to_owned(), peers };
            Watches::start(&connection.client, settings, &health)
        });
        Self { runtime, watches, health }
    }

    /// Waits for a snapshot that is as wanted.
    fn until(&mut self, what: &str, wanted: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
        let watches = &mut self.watches;
        let waiting = async {
            let mut snapshot = watches.snapshot();
            while !(snapshot.synced && wanted(&snapshot)) {
                snapshot = watches.changed().await;
            }
            snapshot
        };
        let found = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, waiting).await });
        found.unwrap_or_else(|_| {
            panic!("{what} in vain; waiting for {:?}; {:?}", self.watches.waiting(), self.watches.snapshot())
        })
    }

    fn lists(&self, kind: &str) -> u64 {
        self.health.value(&table::KUBERNETES_LISTS, &[kind])
    }

    fn errors(&self, kind: &str, reason: &str) -> u64 {
        self.health.value(&table::KUBERNETES_ERRORS, &[kind, reason])
    }
}

fn namespace(name: &str) -> String {
    format!("---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{team: a}}}}\n")
}

fn pod(namespace: &str, name: &str, node: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}}}, annotations: {{note: words}}}}\n\
         spec: {{nodeName: {node}, serviceAccountName: runner, automountServiceAccountToken: false, containers: [{{name: app, image: \"app:1\"}}]}}\n"
    )
}

/// Gives a pod an address and a container, as its node does.
fn run(kubectl: &Kubectl, namespace: &str, name: &str, address: &str) {
    let patch = format!(
        "{{\"status\": {{\"phase\": \"Running\", \"podIP\": \"{address}\", \"podIPs\": [{{\"ip\": \"{address}\"}}], \
         \"conditions\": [{{\"type\": \"Ready\", \"status\": \"True\"}}], \
         \"containerStatuses\": [{{\"name\": \"app\", \"containerID\": \"containerd://aa\", \"image\": \"app:1\", \
         \"imageID\": \"\", \"ready\": true, \"restartCount\": 0}}]}}}}"
    );
    kubectl.run(&[
        "patch",
        "pod",
        name,
        "--namespace",
        namespace,
        "--subresource=status",
        "--type=merge",
        "-p",
        &patch,
    ]);
}

fn policy(dialect: Dialect, namespace: &str, name: &str) -> String {
    let target = match dialect {
        Dialect::Proposal => format!("targetRef: {{group: '', kind: Namespace, name: {namespace}}}"),
        Dialect::Gep => format!("targetRefs: [{{group: '', kind: Namespace, name: {namespace}}}]"),
    };
    format!(
        "---\napiVersion: {}\nkind: TelemetryPolicy\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  {target}\n",
        dialect.api_version()
    )
}

fn define(kubectl: &Kubectl, dialect: Dialect) {
    kubectl.apply(&to_yaml(api::definition(dialect)));
    until_established(kubectl, &format!("telemetrypolicies.{}", dialect.group()));
}

fn keys(snapshot: &Snapshot) -> Vec<String> {
    snapshot.policies.iter().map(|policy| policy.key.to_string()).collect()
}

#[test]
fn an_agent_knows_its_pods_its_peers_and_the_cluster_around_them() {
    let Some(server) = ApiServer::start() else { return };
    let kubectl = server.kubectl();
    define(kubectl, Dialect::Gep);
    let cluster = [
        namespace("shop"),
        pod("shop", "cart", "n1"),
        pod("shop", "stock", "n2"),
        pod("shop", "job", "n2"),
        "---\napiVersion: v1\nkind: Service\nmetadata: {name: stock, namespace: shop}\nspec: {ports: [{port: 80}], clusterIP: 10.96.7.7}\n".to_owned(),
        "---\napiVersion: v1\nkind: Node\nmetadata: {name: n2}\nspec: {podCIDR: 10.1.2.0/24, podCIDRs: [10.1.2.0/24]}\n".to_owned(),
        policy(Dialect::Gep, "shop", "all"),
    ];
    kubectl.apply(&cluster.concat());
    kubectl.run(&[
        "patch", "node", "n2", "--subresource=status", "--type=merge", "-p",
        r#"{"status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.2"}, {"type": "Hostname", "address": "n2"}]}}"#,
    ]);
    run(kubectl, "shop", "cart", "10.1.1.1");
    run(kubectl, "shop", "stock", "10.1.2.1");

    let mut agent = Agent::start(kubectl, "n1", true);
    let peer = ObjectName::new("shop", "stock");
    let snapshot = agent.until("all of it", |snapshot| snapshot.objects.pods.contains_key(&peer));
    let objects = &snapshot.objects;
    let own = &objects.pods[&ObjectName::new("shop", "cart")];
    assert_eq!(own.containers[0].id.as_deref(), Some("aa"));
    assert_eq!((own.annotations["note"].as_str(), own.phase, own.ready), ("words", Phase::Running, true));
    let stock = &objects.pods[&peer];
    assert_eq!(stock.addresses, ["10.1.2.1".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!((stock.service_account.as_deref(), stock.labels["app"].as_str()), (Some("runner"), "stock"));
    assert!(stock.annotations.is_empty() && stock.containers.is_empty(), "{stock:?}");
    assert_eq!(objects.namespaces["shop"].labels["team"], "a");
    assert!(objects.services[&peer].addresses.contains(&"10.96.7.7".parse().unwrap()));
    assert!(objects.nodes["n2"].pod_ranges[0].contains("10.1.2.9".parse().unwrap()));
    assert_eq!(objects.nodes["n2"].addresses.len(), 1);
    assert_eq!(keys(&snapshot).len(), 1);
    assert_eq!(snapshot.policies[0].document.policy.as_ref().unwrap().targets[0].name, "shop");
    assert_eq!(snapshot.policies[0].value()["metadata"]["uid"], snapshot.policies[0].uid.as_str());
    assert_eq!(snapshot.dialects.keys().collect::<Vec<_>>(), [&Dialect::Gep]);
    assert_eq!(agent.health.value(&table::KUBERNETES_OBJECTS, &["pods"]), 1);
    assert_eq!(agent.health.value(&table::KUBERNETES_OBJECTS, &["peers"]), 2);
    assert!(agent.health.value(&table::KUBERNETES_RECEIVED, &[]) > 1000);

    // One that is over is nobody's peer; an address that is given to another pod is that pod's.
    kubectl.run(&[
        "patch",
        "pod",
        "job",
        "--namespace",
        "shop",
        "--subresource=status",
        "--type=merge",
        "-p",
        r#"{"status": {"phase": "Succeeded"}}"#,
    ]);
    kubectl.run(&["delete", "pod", "stock", "--namespace", "shop", "--force", "--grace-period=0"]);
    kubectl.apply(&pod("shop", "again", "n2"));
    run(kubectl, "shop", "again", "10.1.2.1");
    let snapshot = agent.until("the address of a new pod", |snapshot| {
        let again = snapshot.objects.pods.get(&ObjectName::new("shop", "again"));
        again.is_some_and(|pod| !pod.addresses.is_empty()) && snapshot.objects.pods.len() == 2
    });
    assert!(!snapshot.objects.pods.contains_key(&peer));

    // The namespace is marked; what was in it goes.
    kubectl.run(&["delete", "pod", "cart", "again", "--namespace", "shop", "--force", "--grace-period=0"]);
    kubectl.run(&["delete", "telemetrypolicy.gateway.networking.x-k8s.io", "all", "--namespace", "shop"]);
    // No controller finishes what deletion begins, so the test does.
    kubectl.run(&["delete", "namespace", "shop", "--wait=false"]);
    kubectl
        .attempt(
            &["replace", "--raw", "/api/v1/namespaces/shop/finalize", "-f", "-"],
            r#"{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}, "spec": {"finalizers": []}}"#,
        )
        .unwrap();
    agent.until("the namespace to be gone", |snapshot| {
        !snapshot.objects.namespaces.contains_key("shop")
            && snapshot.policies.is_empty()
            && snapshot.objects.pods.is_empty()
    });
    for kind in ["pods", "peers", "namespaces", "nodes", "services"] {
        assert_eq!(agent.lists(kind), 1, "{kind}");
    }
}

#[test]
fn without_peers_the_pods_of_other_nodes_are_not_asked_for() {
    let Some(server) = ApiServer::shared() else { return };
    let kubectl = server.kubectl();
    kubectl.apply(&[namespace("quiet"), pod("quiet", "here", "quiet-1"), pod("quiet", "there", "quiet-2")].concat());
    let mut agent = Agent::start(kubectl, "quiet-1", false);
    let here = ObjectName::new("quiet", "here");
    let snapshot = agent.until("its pod", |snapshot| snapshot.objects.pods.contains_key(&here));
    assert_eq!(snapshot.objects.pods.keys().collect::<Vec<_>>(), [&here]);
    assert_eq!(agent.lists("peers"), 0);
}

#[test]
fn through_an_outage_what_is_known_stays_and_only_what_the_server_forgot_is_listed_again() {
    let Some(server) = ApiServer::start() else { return };
    let kubectl = server.kubectl();
    define(kubectl, Dialect::Gep);
    kubectl.apply(&[namespace("shop"), pod("shop", "cart", "n1"), policy(Dialect::Gep, "shop", "first")].concat());
    let mut agent = Agent::start(kubectl, "n1", true);
    let before = agent.until("the policy", |snapshot| snapshot.policies.len() == 1);
    server.stop_api();
    let end = Instant::now() + PATIENCE;
    while agent.errors("pods", "unreachable") == 0 {
        assert!(Instant::now() < end, "the outage is not seen");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(Arc::ptr_eq(&agent.watches.snapshot().objects, &before.objects));
    server.start_api();
    kubectl.apply(&policy(Dialect::Gep, "shop", "second"));
    agent.until("the second policy", |snapshot| snapshot.policies.len() == 2);
    kubectl.run(&["label", "namespace", "shop", "team=b", "--overwrite"]);
    agent.until("the label", |snapshot| snapshot.objects.namespaces["shop"].labels["team"] == "b");
    let kinds = ["pods", "peers", "namespaces", "nodes", "services", "telemetrypolicies.gateway.networking.x-k8s.io"];
    for kind in kinds {
        // The server answers `410 Gone` where something was written between the last change of a kind and its own start.
        let forgotten = agent.errors(kind, "gone") + agent.errors(kind, "list_cut_short");
        assert!(agent.lists(kind) <= 1 + forgotten, "{kind}: {} lists", agent.lists(kind));
        assert!(forgotten <= 2, "{kind}: {forgotten}");
        assert!(agent.errors(kind, "unreachable") < 60, "{kind}");
    }
}

#[test]
fn a_dialect_that_is_installed_later_is_followed_and_one_that_is_removed_no_longer() {
    let Some(server) = ApiServer::start() else { return };
    let kubectl = server.kubectl();
    kubectl.apply(&namespace("shop"));
    let mut agent = Agent::start(kubectl, "n1", false);
    let bare = agent.until("the namespace", |snapshot| snapshot.objects.namespaces.contains_key("shop"));
    assert!(bare.dialects.is_empty() && bare.policies.is_empty());

    define(kubectl, Dialect::Proposal);
    kubectl.apply(&policy(Dialect::Proposal, "shop", "old"));
    let one = agent.until("a policy of the first dialect", |snapshot| snapshot.policies.len() == 1);
    assert_eq!(one.dialects.keys().collect::<Vec<_>>(), [&Dialect::Proposal]);
    assert_eq!(one.dialects[&Dialect::Proposal].version.as_deref(), Some("v1alpha2"));
    assert_eq!(one.dialects[&Dialect::Proposal].pruned, [""; 0]);

    // Somebody else's definition of the other dialect, which lacks two of our fields.
    let mut foreign = api::definition(Dialect::Gep).clone();
    let fields = &mut foreign["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
    for field in ["content", "direction"] {
        fields.as_object_mut().unwrap().remove(field);
    }
    kubectl.apply(&to_yaml(&foreign));
    until_established(kubectl, "telemetrypolicies.gateway.networking.x-k8s.io");
    kubectl.apply(&policy(Dialect::Gep, "shop", "new"));
    let two = agent.until("both", |snapshot| snapshot.policies.len() == 2);
    assert_eq!(two.dialects[&Dialect::Gep].pruned, ["spec.content", "spec.direction"]);
    let group = Dialect::Gep.group();
    assert_eq!(agent.health.value(&table::POLICY_FIELDS_PRUNED, &[group]), 2);

    kubectl.run(&["delete", "crd", "telemetrypolicies.gateway.networking.k8s.io"]);
    let rest =
        agent.until("the first dialect to be gone", |snapshot| !snapshot.dialects.contains_key(&Dialect::Proposal));
    agent.until("its policies to be gone", |snapshot| keys(snapshot).len() == 1);
    assert!(rest.dialects.contains_key(&Dialect::Gep));
    // Repaired, and installed again.
    define(kubectl, Dialect::Gep);
    define(kubectl, Dialect::Proposal);
    kubectl.apply(&policy(Dialect::Proposal, "shop", "old"));
    let again = agent.until("both again", |snapshot| {
        snapshot.policies.len() == 2 && snapshot.dialects[&Dialect::Gep].pruned.is_empty()
    });
    assert_eq!(again.dialects.len(), 2);
}

#[test]
fn an_agent_that_may_not_read_says_so_and_concludes_nothing() {
    let Some(server) = ApiServer::shared() else { return };
    server.kubectl().apply(&namespace("barred"));
    let account = server.service_account("barred", "nobody");
    let agent = Agent::start(&account, "n1", true);
    let end = Instant::now() + PATIENCE;
    while agent.errors("pods", "forbidden") < 2 {
        assert!(Instant::now() < end, "nothing is refused");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!agent.watches.snapshot().synced);
    assert!(agent.watches.waiting().contains(&"pods"), "{:?}", agent.watches.waiting());
}

#[test]
fn a_place_that_the_server_has_forgotten_is_listed_once_more() {
    let Some(server) = ApiServer::start() else { return };
    let kubectl = server.kubectl();
    kubectl.apply(&[namespace("kept"), namespace("gone")].concat());
    let mut agent = Agent::start(kubectl, "n1", false);
    agent.until("both", |snapshot| snapshot.objects.namespaces.contains_key("gone"));
    // A server that starts knows no change from before its start: it answers `410 Gone` to whoever stopped before the last of them.
    for index in 0..5 {
        kubectl.run(&["create", "configmap", &format!("change-{index}"), "--namespace", "kept"]);
    }
    server.stop_api();
    server.start_api();
    let gone = r#"{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gone"}, "spec": {"finalizers": []}}"#;
    kubectl.run(&["delete", "namespace", "gone", "--wait=false"]);
    kubectl.attempt(&["replace", "--raw", "/api/v1/namespaces/gone/finalize", "-f", "-"], gone).unwrap();
    let left = agent.until("one to be gone", |snapshot| !snapshot.objects.namespaces.contains_key("gone"));
    assert!(left.objects.namespaces.contains_key("kept"));
    assert!(agent.errors("namespaces", "gone") >= 1, "the server has not forgotten");
    assert!(agent.lists("namespaces") <= 3, "{}", agent.lists("namespaces"));
}

/// So many requests of the test are under way at once.
const PARALLEL: usize = 24;

/// Sends all of them.
async fn all(requests: impl Iterator<Item = impl Future<Output = kube::Result<DynamicObject>>>) {
    let done: Vec<_> = stream::iter(requests).buffer_unordered(PARALLEL).collect().await;
    for result in done {
        result.unwrap();
    }
}

fn api(
    client: &kube::Client,
    namespace: Option<&str>,
    api_version: &str,
    kind: &str,
    plural: &str,
) -> Api<DynamicObject> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    };
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

fn object(yaml: &str) -> DynamicObject {
    let documents: Value = serde_saphyr::from_str(yaml.trim_start_matches("---\n")).unwrap();
    serde_json::from_value(documents).unwrap()
}

/// A pod as Deployments make them, of about the size that they have in clusters: 100 to a node.
fn replica(namespace: &str, index: usize) -> DynamicObject {
    let (app, node) = (index / 10, index / 100);
    let variables: Vec<_> =
        (0..20).map(|index| format!("{{name: VARIABLE_{index}, value: some-value-of-a-setting-{index}}}")).collect();
    let variables = variables.join(", ");
    object(&format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: app-{app}-5d9c7b8f4-{index:05}\n  namespace: {namespace}\n  \
         labels: {{app: app-{app}, app.kubernetes.io/name: app-{app}, app.kubernetes.io/version: '1.2.3', pod-template-hash: 5d9c7b8f4}}\n  \
         annotations: {{checksum/config: 0123456789abcdef0123456789abcdef0123456789abcdef, prometheus.io/scrape: 'true'}}\n  \
         ownerReferences: [{{apiVersion: apps/v1, kind: ReplicaSet, name: app-{app}-5d9c7b8f4, uid: 00000000-0000-0000-0000-00000000{app:04}, controller: true}}]\n\
         spec:\n  nodeName: node-{node}\n  serviceAccountName: app-{app}\n  automountServiceAccountToken: false\n  \
         containers: [{{name: app, image: 'registry.example/app-{app}:1.2.3', env: [{variables}], ports: [{{containerPort: 8080}}], \
         resources: {{requests: {{cpu: 100m, memory: 128Mi}}}}, readinessProbe: {{httpGet: {{path: /ready, port: 8080}}}}}}]\n"
    ))
}

/// 1000 policies and 2000 pods on 20 nodes: read once, and held in a bounded way. What it costs is printed, not judged.
#[test]
fn a_large_cluster_is_read_once() {
    const POLICIES: usize = 1000;
    const PODS: usize = 2000;
    const NAMESPACES: usize = 20;
    const CHANGES: usize = 200;
    let Some(server) = ApiServer::start() else { return };
    let kubectl = server.kubectl();
    define(kubectl, Dialect::Gep);
    let names: Vec<_> = (0..NAMESPACES).map(|index| format!("ns-{index}")).collect();
    kubectl.apply(&names.iter().map(|name| namespace(name)).collect::<String>());
    let runtime = Runtime::new().unwrap();
    let client = runtime.block_on(async { connect(Some(kubectl.kubeconfig()), &Health::new()).await.unwrap().client });
    let pods: Vec<_> = names.iter().map(|name| api(&client, Some(name), "v1", "Pod", "pods")).collect();
    let gep = Dialect::Gep.api_version();
    let policies: Vec<_> =
        names.iter().map(|name| api(&client, Some(name), gep, "TelemetryPolicy", "telemetrypolicies")).collect();
    let post = PostParams::default();
    runtime.block_on(async {
        all((0..PODS).map(|index| {
            let (pods, pod, post) = (&pods[index % NAMESPACES], replica(&names[index % NAMESPACES], index), &post);
            async move { pods.create(post, &pod).await }
        }))
        .await;
        all((0..PODS).map(|index| {
            let (pods, name) = (&pods[index % NAMESPACES], replica("", index).metadata.name.unwrap());
            let ip = format!("10.{}.{}.{}", 1 + index / 10_000, index / 100, index % 100);
            let status = json!({"status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]}});
            async move { pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await }
        }))
        .await;
        all((0..POLICIES).map(|index| {
            let namespace = &names[index % NAMESPACES];
            let mut policy = object(&policy(Dialect::Gep, namespace, &format!("policy-{index}")));
            policy.data["spec"]["metrics"] = json!({"mode": "Enabled"});
            policy.data["spec"]["accessLogs"] = json!({"mode": "Enabled", "matches": "response.code >= 500"});
            let (policies, post) = (&policies[index % NAMESPACES], &post);
            async move { policies.create(post, &policy).await }
        }))
        .await;
    });

    let mut agent = Agent::start(kubectl, "node-3", true);
    let first = agent.until("the first snapshot", |_| true);
    assert_eq!(first.policies.len(), POLICIES);
    let whole = agent.until("all peers", |snapshot| snapshot.objects.pods.len() == PODS);
    let own = whole.objects.pods.values().filter(|pod| !pod.containers.is_empty()).count();
    assert_eq!(own, 100, "of this node");
    let health = Arc::clone(&agent.health);
    let value = |metric, label: &[&str]| health.value(metric, label);
    let policies = "telemetrypolicies.gateway.networking.x-k8s.io";
    for kind in ["pods", "peers", "pod_labels", policies] {
        let (objects, bytes) =
            (value(&table::KUBERNETES_OBJECTS, &[kind]), value(&table::KUBERNETES_OBJECT_BYTES, &[kind]));
        println!("{kind}: {objects} objects, {bytes} bytes, {} each", bytes / objects);
        assert_eq!(agent.lists(kind), u64::from(kind != "pod_labels"), "{kind}");
    }
    let started = value(&table::KUBERNETES_RECEIVED, &[]);
    println!("received: {started} bytes");

    // Churn: each change of a peer costs its size on the wire, and is taken in together with others.
    let events = value(&table::KUBERNETES_EVENTS, &["peers"]);
    runtime.block_on(async {
        all((0..CHANGES).map(|index| {
            let (pods, name) = (&pods[index % NAMESPACES], replica("", index).metadata.name.unwrap());
            let status = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
            async move { pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await }
        }))
        .await;
    });
    agent.until("the changes", |snapshot| snapshot.objects.pods.values().filter(|pod| pod.ready).count() == CHANGES);
    let received = value(&table::KUBERNETES_RECEIVED, &[]) - started;
    println!(
        "{CHANGES} changes of peers: {} events, {received} bytes",
        value(&table::KUBERNETES_EVENTS, &["peers"]) - events
    );
    // The memory of processes that do nothing else.
    for peers in ["false", "true"] {
        let measured = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "watches::what_a_start_costs", "--ignored", "--nocapture"])
            .envs([(MEASURED, kubectl.kubeconfig().as_os_str()), (PEERS, peers.as_ref())])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&measured.stdout);
        assert!(measured.status.success(), "{said}");
        said.lines().filter(|line| line.starts_with("cost: ")).for_each(|line| println!("{line}"));
    }
}

/// Which kubeconfig [`what_a_start_costs`] uses.
const MEASURED: &str = "TELLTALE_TEST_MEASURED";
/// Whether it follows peers.
const PEERS: &str = "TELLTALE_TEST_PEERS";

#[test]
#[ignore = "a_large_cluster_is_read_once runs it in a process of its own"]
fn what_a_start_costs() {
    let Some(kubeconfig) = std::env::var_os(MEASURED) else { return };
    let kubectl = Kubectl::new(Vec::new(), std::path::Path::new(&kubeconfig));
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.trim().to_owned()
    };
    let peers = std::env::var_os(PEERS).is_some_and(|peers| peers == "true");
    // The schemas of policies are made ready once.
    let schemas = resident();
    telltale::policy::document::Document::of_object(Dialect::Gep, &json!({}));
    let before = resident();
    let start = Instant::now();
    let mut agent = Agent::start(&kubectl, "node-3", peers);
    agent.until("the first snapshot", |_| true);
    let synced = start.elapsed();
    agent.until("all of it", |snapshot| !peers || snapshot.objects.pods.len() > 1000);
    println!(
        "\ncost: peers {peers}: first snapshot after {synced:.2?}; resident {schemas} before the schemas, {before} before, {} after; received {} bytes",
        resident(),
        agent.health.value(&table::KUBERNETES_RECEIVED, &[])
    );
}
