//! Agents that do nothing but acknowledge policies and, elected, write their status: the parts of `kube` that write, put together.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, ListParams},
};
use telltale::{
    admin::{Health, table},
    kube::{
        Election, NodeReporter, NodeReporterSettings, PolicyObjectRef, PolicyReport, Report, ReportsWatch,
        StatusWriter, Timing, connect,
    },
    policy::{
        Checked, Defaults, Setting, Trust,
        document::Source,
        model::{Dialect, PolicyKey},
        status::{NodeReport, statuses},
    },
};
use tokio::runtime::Runtime;

use crate::{api_server::ApiServer, definitions::deployed, kubectl::Kubectl};

/// Longest wait for what a test waits for: generous, since the machine may be busy. Nothing measures it.
pub(crate) const PATIENCE: Duration = Duration::from_mins(5);

/// An election that is over soon, of a lease that an API server on a busy machine does not let lapse.
pub(crate) const QUICK: Timing = Timing {
    lease: Duration::from_secs(10),
    give_up: Duration::from_secs(8),
    renew: Duration::from_secs(1),
    retry: Duration::from_millis(300),
    spread: Duration::from_millis(100),
};

/// Waits until this holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How the API serves a dialect.
pub(crate) fn resource(dialect: Dialect) -> ApiResource {
    let (group, version) = dialect.api_version().split_once('/').unwrap();
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: dialect.api_version().to_owned(),
        kind: "TelemetryPolicy".to_owned(),
        plural: "telemetrypolicies".to_owned(),
    }
}

/// What an agent is told.
#[derive(Clone)]
pub(crate) struct Orders {
    /// Whose account it uses.
    pub(crate) kubeconfig: PathBuf,
    /// The namespace of the installation.
    pub(crate) namespace: String,
    /// Its node, and the pod of the same name.
    pub(crate) node: String,
    /// The namespace whose policies it follows.
    pub(crate) follows: String,
    /// The dialects that are defined.
    pub(crate) dialects: Vec<Dialect>,
    /// What its node cannot do.
    pub(crate) cannot: Vec<String>,
    pub(crate) timing: Timing,
}

/// An agent in this process, with threads of its own: they end all at once, as those of a process that is killed.
pub(crate) struct Agent {
    runtime: Option<Runtime>,
    pub(crate) election: Election,
    pub(crate) health: Arc<Health>,
    /// How often it said what all statuses are to be.
    pub(crate) rounds: Arc<AtomicU64>,
}

impl Agent {
    pub(crate) fn start(orders: Orders) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let health = Health::new();
        let rounds = Arc::new(AtomicU64::new(0));
        let election = runtime.block_on(async {
            let client = client(&orders.kubeconfig, &health).await;
            let pod = agent_pod(&orders.node);
            let election = Election::start(client.clone(), &pod, &orders.namespace, orders.timing, &health);
            let settings = NodeReporterSettings {
                namespace: orders.namespace.clone(),
                node: orders.node.clone(),
                pod: Some(pod.clone()),
            };
            let controller = Controller {
                reporter: NodeReporter::start(client.clone(), settings, &health),
                reports: ReportsWatch::start(client.clone(), &orders.namespace, election.leadership(), &health),
                writer: StatusWriter::start(client.clone(), &pod, election.leadership(), &health),
                client,
                orders,
                rounds: Arc::clone(&rounds),
            };
            tokio::spawn(controller.run());
            election
        });
        Self { runtime: Some(runtime), election, health, rounds }
    }

    pub(crate) fn is_leader(&self) -> bool {
        self.election.is_leader()
    }

    /// Ends as a process that is killed does.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(10));
        }
    }

    /// Ends in good order.
    pub(crate) fn stop(&mut self) {
        if let Some(runtime) = &self.runtime {
            runtime.block_on(self.election.stop());
        }
        self.kill();
    }

    /// Statuses that it wrote.
    pub(crate) fn written(&self) -> u64 {
        self.health.value(&table::KUBERNETES_WRITES, &["status"])
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A client of this kubeconfig's account.
pub(crate) async fn client(kubeconfig: &Path, health: &Arc<Health>) -> Client {
    connect(Some(kubeconfig), health).await.unwrap().client
}

/// The name of the agent's pod on a node.
pub(crate) fn agent_pod(node: &str) -> String {
    format!("telltale-{node}")
}

/// Makes the namespace of an installation and ready pods of agents on these nodes: no kubelet does.
pub(crate) fn install(kubectl: &Kubectl, namespace: &str, nodes: &[&str]) {
    kubectl.apply(&format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n"));
    for node in nodes {
        let pod = agent_pod(node);
        kubectl.apply(&format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {pod}\n  namespace: {namespace}\n  labels: {{app.kubernetes.io/name: telltale, \
             app.kubernetes.io/component: agent}}\nspec:\n  nodeName: {node}\n  containers: [{{name: agent, image: \"telltale:test\"}}]\n"
        ));
        let status = r#"{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}"#;
        kubectl.run(&[
            "patch",
            "pod",
            &pod,
            "--namespace",
            namespace,
            "--subresource=status",
            "--type=merge",
            "--patch",
            status,
        ]);
    }
}

/// The account of an installation, with the roles that are shipped, and the file for its clients.
pub(crate) fn account(server: &ApiServer, namespace: &str) -> PathBuf {
    let kubectl = server.kubectl();
    let account = server.service_account(namespace, "telltale");
    kubectl.apply(&deployed("kustomize/agent/cluster-role.yaml"));
    let role = deployed("kustomize/agent/role.yaml");
    let apply = ["apply", "--server-side", "--namespace", namespace, "--filename", "-"];
    kubectl.attempt(&apply, &role).expect("the role is applied");
    let to = format!("--serviceaccount={namespace}:telltale");
    kubectl.run(&["create", "clusterrolebinding", namespace, "--clusterrole=telltale", &to]);
    kubectl.run(&["create", "rolebinding", "telltale", "--namespace", namespace, "--role=telltale", &to]);
    // Who may what is known a moment later. The administrator asks, so that no refusal is in the account's own record.
    let user = user(namespace);
    until_granted(kubectl, namespace, &user);
    account.kubeconfig().to_owned()
}

/// Waits until both roles that are shipped are known to be granted, that of the namespace and that of the cluster.
pub(crate) fn until_granted(kubectl: &Kubectl, namespace: &str, user: &str) {
    let of_cluster = "telemetrypolicies.gateway.networking.x-k8s.io";
    for (verb, resource, scope) in [
        ("update", "leases.coordination.k8s.io", ["--namespace", namespace].as_slice()),
        ("create", "events.events.k8s.io", &["--namespace", namespace]),
        ("watch", of_cluster, &["--all-namespaces"]),
    ] {
        let question = [&["auth", "can-i", verb, resource, "--as", user], scope].concat();
        kubectl.until(&question, |said| said.trim() == "yes");
    }
}

/// The account's name in the audit log.
pub(crate) fn user(namespace: &str) -> String {
    format!("system:serviceaccount:{namespace}:telltale")
}

struct Controller {
    orders: Orders,
    client: Client,
    reporter: NodeReporter,
    reports: ReportsWatch,
    writer: StatusWriter,
    rounds: Arc<AtomicU64>,
}

impl Controller {
    async fn run(self) {
        loop {
            // What it knows stays, if the server does not answer.
            if let Some(objects) = self.read().await {
                self.follow(&objects);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The policies that it follows and their namespace, as documents.
    async fn read(&self) -> Option<String> {
        let mut documents =
            format!(r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{}"}}}}"#, self.orders.follows);
        for dialect in &self.orders.dialects {
            let api: Api<DynamicObject> =
                Api::namespaced_with(self.client.clone(), &self.orders.follows, &resource(*dialect));
            let listed =
                tokio::time::timeout(Duration::from_secs(2), api.list(&ListParams::default())).await.ok()?.ok()?;
            for mut object in listed.items {
                object.types = Some(kube::api::TypeMeta {
                    api_version: dialect.api_version().to_owned(),
                    kind: "TelemetryPolicy".to_owned(),
                });
                documents.push_str("\n---\n");
                documents.push_str(&serde_json::to_string(&object).unwrap());
            }
        }
        Some(documents)
    }

    fn follow(&self, documents: &str) {
        let setting = Setting { defaults: Defaults::EVERYTHING, trust: Trust::own() };
        let checked = Checked::new(&[Source::new("cluster", documents.as_bytes())], &setting);
        let object = |key: &PolicyKey| {
            let document = checked.policies.iter().find(|document| document.key == *key);
            PolicyObjectRef::new(key.clone(), &document.expect("one for each candidate").value)
        };
        let candidates = &checked.compiled.candidates;
        let policies = candidates.iter().map(|candidate| {
            let key = &candidate.policy.key;
            let report = NodeReport {
                generation: candidate.policy.generation,
                cannot: self.orders.cannot.clone(),
                notes: Vec::new(),
            };
            (key.clone(), PolicyReport { uid: object(key).uid, report })
        });
        self.reporter.report(Report { policies: policies.collect() });
        let Some(reported) = self.reports.reported() else { return };
        let uids: Vec<_> = candidates.iter().map(|candidate| object(&candidate.policy.key)).collect();
        let nodes =
            reported.nodes(|key| uids.iter().find(|object| object.key == *key).map(|object| object.uid.as_str()));
        let compiled = &checked.compiled;
        let said = statuses(candidates, &compiled.objects, &compiled.resolution, Some(&nodes), jiff::Timestamp::now());
        self.writer.write(uids.into_iter().zip(said).collect());
        self.rounds.fetch_add(1, Ordering::Relaxed);
    }
}
