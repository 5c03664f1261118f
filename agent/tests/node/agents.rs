//! Agents beside the one of the node: real ones, with the account that is shipped.

use std::{
    fs,
    process::{Child, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{cluster::Cluster, policy};

/// Where agents are installed.
pub(crate) const INSTALLED: &str = "telltale";

/// An agent that runs in no pod of the node, although it is told that it does: for another Node, which has no kubelet. Dropped it is killed.
pub(crate) struct Outside {
    child: Child,
    /// Its Node, and its pod.
    pub(crate) name: String,
}

impl Outside {
    /// Makes the Node and the pod, starts the agent and waits for its report.
    pub(crate) fn start(cluster: &Cluster, name: &str) -> Self {
        let name = format!("{name}-{}", std::process::id());
        // Without a label for its operating system it gets no pod of the DaemonSet.
        cluster.kubectl.apply(&json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}).to_string());
        let container = json!({"name": "agent", "image": "none:1"});
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": INSTALLED, "name": name},
            "spec": {"nodeName": name, "containers": [container], "automountServiceAccountToken": false},
        });
        cluster.kubectl.apply(&pod.to_string());
        let token = cluster.kubectl.run(&["create", "token", "telltale", "--namespace", INSTALLED]);
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "own",
            "clusters": [{"name": "own", "cluster": {
                "server": "https://192.168.77.1", "certificate-authority": cluster.file("pki/ca.crt"),
            }}],
            "users": [{"name": "own", "user": {"token": token.trim()}}],
            "contexts": [{"name": "own", "context": {"cluster": "own", "user": "own"}}],
        });
        let file = cluster.file(&format!("{name}.kubeconfig"));
        fs::write(&file, kubeconfig.to_string()).expect("the state of the cluster can be written");
        let log = fs::File::create(cluster.file(&format!("log/{name}"))).expect("it can be written");
        let mut command = cluster.enter(env!("CARGO_BIN_EXE_telltale"));
        command
            .args(["agent", "--node-name", &name, "--pod-name", &name, "--namespace", INSTALLED])
            .arg("--kubeconfig");
        command.arg(file).args(["--metrics-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("the binary runs");
        let agent = Self { child, name };
        let report = ["get", &agent.lease(), "--namespace", INSTALLED, "--output=name"];
        cluster.kubectl.until(&report, |said| said.starts_with("lease"));
        agent
    }

    /// What reports for its Node.
    pub(crate) fn lease(&self) -> String {
        format!("lease/telltale-node-{}", self.name)
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself, which what comes next shows.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The pod of the node's own agent.
fn pod(cluster: &Cluster) -> Value {
    let selector = "--selector=app.kubernetes.io/name=telltale,app.kubernetes.io/component=agent";
    let pods = cluster.kubectl.json(&["get", "pods", "--namespace", INSTALLED, selector]);
    let stay = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
    pods["items"].as_array().and_then(|pods| pods.iter().find(stay)).cloned().unwrap_or_default()
}

/// Waits until the agent of this pod is the elected one. It is told by the pod's name and what sets one run of it apart.
pub(crate) fn wait_for_leader(cluster: &Cluster, name: &str) {
    let arguments =
        ["get", "lease/telltale-status", "--namespace", INSTALLED, "--output=jsonpath={.spec.holderIdentity}"];
    cluster.kubectl.until(&arguments, |holder| holder.split('_').next() == Some(name));
}

#[test]
fn an_agent_that_is_killed_is_replaced_and_statuses_stay_as_they_are() {
    let Some(cluster) = Cluster::named() else { return };
    policy::apply(&cluster, "everything", policy::LOGS);
    let accepted = |policy: &Value| policy::condition(policy, "Accepted").expect("it was waited for").clone();
    let told = accepted(&policy::wait_for(&cluster, "everything", "True", "True"));
    let mut other = Outside::start(&cluster, "other");

    // One that ends in good order hands over.
    let name = |pod: &Value| pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let first = name(&pod(&cluster));
    wait_for_leader(&cluster, &first);
    cluster.kubectl.run(&["delete", "pod", &first, "--namespace", INSTALLED]);
    wait_for_leader(&cluster, &other.name);
    cluster.agent_is_ready();
    let second = pod(&cluster);
    assert_ne!(name(&second), first);
    // The other one writes what the new pod reports.
    let report = [
        "get",
        "lease/telltale-node-node-1",
        "--namespace",
        INSTALLED,
        "--output=jsonpath={.metadata.ownerReferences[0].uid}",
    ];
    let uid = second["metadata"]["uid"].as_str().expect("a pod has one");
    cluster.kubectl.until(&report, |said| said == uid);
    policy::wait_for(&cluster, "everything", "True", "True");
    let before = settled(&cluster);

    // One that is killed says nothing: its time has to run out.
    other.kill();
    wait_for_leader(&cluster, &name(&second));
    assert_eq!(settled(&cluster), before);
    policy::apply(&cluster, "everything", &format!("direction: Server, {}", policy::LOGS));
    let after = policy::wait_for(&cluster, "everything", "True", "True");
    assert_eq!(accepted(&after)["lastTransitionTime"], told["lastTransitionTime"], "{after}");
    cluster.nothing_was_refused();
    // Nobody else removes it soon.
    cluster.kubectl.run(&["delete", "node", &other.name]);
    cluster.kubectl.run(&["delete", "pod", &other.name, "--namespace", INSTALLED, "--grace-period=0", "--force"]);
    cluster.kubectl.until(&["get", &other.lease(), "--namespace", INSTALLED], |said| said.contains("NotFound"));
}

/// The version of the policy once nobody writes it any more.
fn settled(cluster: &Cluster) -> Value {
    let version = || policy::get(cluster, policy::GEP, "everything")["metadata"]["resourceVersion"].clone();
    let mut last = version();
    loop {
        std::thread::sleep(Duration::from_secs(2));
        let now = version();
        if now == last {
            return now;
        }
        last = now;
    }
}
