//! `telltale agent` against a real API server: real processes in cgroups that are called as a kubelet calls them, objects that a kubelet would have made.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    agents::{until_granted, user},
    api_server::ApiServer,
    common::{
        agent::{TELLTALE, logs},
        cgroup::Cgroup,
        poll,
        program::{Program, Server, curl, done},
        wait_for,
    },
    definitions::{DIALECTS, define},
    kubectl::Kubectl,
};

/// The name of the node.
const NODE: &str = "n1";

/// A node whose kubelet is the test.
struct Node {
    server: ApiServer,
    /// Those that were made below the root, each before those that it is in.
    cgroups: Vec<PathBuf>,
    root: Cgroup,
}

/// A pod on it.
struct Pod {
    name: String,
    /// The cgroup of its container.
    directory: PathBuf,
}

impl Node {
    /// A cluster with our definitions and the shipped manifests, and this node; `None` where there are no programs for one, or no cgroups.
    fn new() -> Option<Self> {
        let root = Cgroup::v2()?;
        let server = ApiServer::start()?;
        let kubectl = server.kubectl();
        for (file, resource, _) in DIALECTS {
            define(kubectl, file, resource);
        }
        let manifests = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/kustomize/agent");
        kubectl.run(&["apply", "--server-side", "--kustomize", manifests]);
        kubectl.apply(&json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}, "spec": {"podCIDR": "10.9.0.0/24", "podCIDRs": ["10.9.0.0/24"]}}).to_string());
        let mut node = Self { server, cgroups: Vec::new(), root };
        let labels = json!({"app.kubernetes.io/name": "telltale", "app.kubernetes.io/component": "agent"});
        node.pod("telltale", "telltale-1", &labels, "10.9.0.2");
        Some(node)
    }

    fn kubectl(&self) -> &Kubectl {
        self.server.kubectl()
    }

    /// Does what scheduler, kubelet and runtime do for a pod of one container.
    fn pod(&mut self, namespace: &str, name: &str, labels: &Value, address: &str) -> Pod {
        let kubectl = self.server.kubectl();
        if namespace != "telltale" {
            kubectl
                .apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}).to_string());
        }
        let container = json!({"name": "app", "image": "none:1"});
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": namespace, "name": name, "labels": labels},
            "spec": {"nodeName": NODE, "containers": [container], "automountServiceAccountToken": false},
        });
        kubectl.apply(&pod.to_string());
        let uid = kubectl.run(&["get", "pod", name, "--namespace", namespace, "--output", "jsonpath={.metadata.uid}"]);
        let id = uid.replace('-', "").repeat(2);
        let status = json!({"status": {
            "phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{
                "name": "app", "containerID": format!("containerd://{id}"), "image": "none:1", "imageID": "", "ready": true,
                "restartCount": 0, "state": {"running": {}},
            }],
        }});
        let patch = status.to_string();
        kubectl.run(&["patch", "pod", name, "--namespace", namespace, "--subresource", "status", "--patch", &patch]);
        // The cgroup comes after the object, as with a kubelet.
        let of_pod = self.root.path().join(format!("kubepods/burstable/pod{uid}"));
        let directory = of_pod.join(&id);
        fs::create_dir_all(&directory).expect("a cgroup can be made");
        self.cgroups.extend([directory.clone(), of_pod]);
        Pod { name: name.to_owned(), directory }
    }

    /// An agent with the permissions that are shipped.
    fn agent(&self) -> Agent {
        self.agent_below(self.root.path())
    }

    /// The same, told that the cgroups are here.
    fn agent_below(&self, root: &Path) -> Agent {
        self.agent_with(root, |command| command)
    }

    /// The same, with what else is to be said to it.
    fn agent_with(&self, root: &Path, more: impl FnOnce(&mut Command) -> &mut Command) -> Agent {
        let account = self.server.service_account("telltale", "telltale");
        until_granted(self.kubectl(), "telltale", &user("telltale"));
        let folder = tempfile::tempdir().expect("a folder can be made");
        let stderr = fs::File::create(folder.path().join("stderr")).expect("a file can be made");
        let mut command = Command::new(TELLTALE);
        command.args(["agent", "--node-name", NODE, "--namespace", "telltale", "--pod-name", "telltale-1"]);
        command.arg("--kubeconfig").arg(account.kubeconfig()).arg("--cgroup-root").arg(root);
        command.args(["--metrics-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"]);
        command.arg("--logs").arg(folder.path().join("logs"));
        more(command.env_clear().stderr(stderr));
        Agent { _program: Program::start(&mut command), folder }
    }

    /// The conditions of a policy, as `kubectl` gives them: `Type=Status Reason: Message`.
    fn conditions(&self, resource: &str, namespace: &str, name: &str) -> Vec<String> {
        let policy = self.kubectl().json(&["get", resource, name, "--namespace", namespace]);
        let ours = policy["status"]["ancestors"].as_array().into_iter().flatten();
        let conditions = ours.flat_map(|entry| entry["conditions"].as_array().cloned().unwrap_or_default());
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let said = |of: Value| {
            format!("{}={} {}: {}", word(&of["type"]), word(&of["status"]), word(&of["reason"]), word(&of["message"]))
        };
        conditions.map(said).collect()
    }

    fn wait_for_condition(&self, resource: &str, namespace: &str, name: &str, beginning: &str) {
        wait_for(&format!("{beginning} of {namespace}/{name}"), || {
            let conditions = self.conditions(resource, namespace, name);
            conditions.iter().any(|condition| condition.starts_with(beginning)).then_some(())
        });
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.cgroups.extend(["kubepods/burstable", "kubepods"].map(|path| self.root.path().join(path)));
        for path in &self.cgroups {
            // A process in the middle of its exit holds it for a moment.
            poll(|| fs::remove_dir(path).ok());
        }
    }
}

struct Agent {
    /// Ends with it.
    _program: Program,
    folder: tempfile::TempDir,
}

impl Agent {
    fn stderr(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default()
    }

    /// Waits for so many lines.
    fn wait_for_lines(&self, wanted: usize) -> Vec<Value> {
        wait_for(&format!("{wanted} lines; the agent says {}", self.stderr()), || {
            let lines = self.lines();
            (lines.len() >= wanted).then_some(lines)
        })
    }

    fn lines(&self) -> Vec<Value> {
        logs(&fs::read_to_string(self.folder.path().join("logs")).unwrap_or_default())
    }
}

impl Pod {
    /// A request from a process in this pod, whose path is its name.
    fn request(&self, server: &Server) {
        done(&mut Cgroup::enter(&self.directory, &curl([server.url(&format!("/{}", self.name))])));
    }
}

fn policy(namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: TelemetryPolicy\nmetadata: {{namespace: {namespace}, name: {name}}}\nspec:\n  \
         targetRefs: [{{group: \"\", kind: Namespace, name: {namespace}}}]\n  {spec}\n"
    )
}

const GEP: &str = "xtpol";
const LOGS: &str = "accessLogs: {mode: Enabled, sinks: [{type: Stdout}]}";

#[test]
fn pods_are_captured_as_policies_ask_and_status_says_so() {
    let Some(mut node) = Node::new() else { return };
    let shop = node.pod("shop", "cart-1", &json!({"app": "cart"}), "10.9.0.10");
    let other = node.pod("other", "quiet-1", &json!({}), "10.9.0.11");
    let server = Server::python();
    let agent = node.agent();
    let request = |pod: &Pod| pod.request(&server);
    // Without a policy nothing.
    wait_for("the agent", || agent.stderr().contains("capturing with backend").then_some(()));
    request(&shop);

    node.kubectl().apply(&policy("shop", "logs", LOGS));
    node.wait_for_condition(GEP, "shop", "logs", "Programmed=True");
    request(&shop);
    request(&other);
    let seen = agent.wait_for_lines(1);
    assert_eq!((&seen[0]["source"], &seen[0]["path"]), (&json!("shop/cart-1"), &json!("/cart-1")), "{seen:?}");
    assert!(seen.iter().all(|line| line["path"] == "/cart-1"), "{seen:?}");

    // A younger one for the same target loses, and says against whom.
    node.kubectl().apply(&policy("shop", "zz-later", "metrics: {mode: Enabled}"));
    node.wait_for_condition(
        GEP,
        "shop",
        "zz-later",
        "Accepted=False Conflicted: Namespace shop already has the policy shop/logs",
    );

    // Deleted, the other one holds, and no line comes any more.
    node.kubectl().run(&["delete", GEP, "logs", "--namespace", "shop"]);
    node.wait_for_condition(GEP, "shop", "zz-later", "Programmed=True");
    let before = agent.lines().len();
    request(&shop);
    node.kubectl().apply(&policy("other", "logs", LOGS));
    node.wait_for_condition(GEP, "other", "logs", "Programmed=True");
    request(&other);
    let seen = agent.wait_for_lines(before + 1);
    assert_eq!(seen[before..].iter().map(|line| &line["source"]).collect::<Vec<_>>(), ["other/quiet-1"]);

    // In all its life nothing that it asked for was refused.
    let refused: Vec<_> =
        node.server.audit().into_iter().filter(|event| event["responseStatus"]["code"] == 403).collect();
    assert_eq!(refused, [Value::Null; 0]);
}

/// The last known state holds through an outage, and what changed meanwhile holds after it.
#[test]
fn capture_goes_on_without_the_api_server() {
    let Some(mut node) = Node::new() else { return };
    let pod = node.pod("shop", "cart-1", &json!({}), "10.9.0.10");
    let server = Server::python();
    let agent = node.agent();
    node.kubectl().apply(&policy("shop", "logs", LOGS));
    node.wait_for_condition(GEP, "shop", "logs", "Programmed=True");
    pod.request(&server);
    agent.wait_for_lines(1);

    node.server.stop_api();
    for count in 2..=4 {
        pod.request(&server);
        assert_eq!(agent.wait_for_lines(count).len(), count);
    }
    node.server.start_api();
    let other = node.pod("other", "late-1", &json!({}), "10.9.0.11");
    node.kubectl().apply(&policy("other", "logs", LOGS));
    node.wait_for_condition(GEP, "other", "logs", "Programmed=True");
    other.request(&server);
    pod.request(&server);
    let seen = agent.wait_for_lines(6);
    let sources: Vec<_> = seen.iter().map(|line| line["source"].as_str().unwrap_or_default()).collect();
    assert_eq!(sources, ["shop/cart-1", "shop/cart-1", "shop/cart-1", "shop/cart-1", "other/late-1", "shop/cart-1"]);
}

/// The cluster has to know which node it is that does not do what is asked.
#[test]
fn a_node_that_captures_nothing_is_named_in_the_status() {
    let Some(node) = Node::new() else { return };
    node.kubectl().apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}).to_string());
    let nowhere = tempfile::tempdir().expect("a folder can be made");
    let _agent = node.agent_below(nowhere.path());
    node.kubectl().apply(&policy("shop", "logs", LOGS));
    let beginning = "Programmed=True PartiallyProgrammed: 1 node follows generation 1. Cannot be done on n1: nothing is captured: there is no cgroup \
                     file system at ";
    node.wait_for_condition(GEP, "shop", "logs", beginning);
}

/// Who asks for what is inside TLS is told where that is not read, at the start or no more, and the others are not.
#[cfg(debug_assertions)]
#[test]
fn a_node_that_does_not_read_inside_tls_is_named_in_the_status() {
    let Some(node) = Node::new() else { return };
    node.kubectl().apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}).to_string());
    node.kubectl().apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}}).to_string());
    node.kubectl().apply(&policy("shop", "logs", LOGS));
    node.kubectl().apply(&policy("other", "plain", &format!("{LOGS}\n  tls: {{mode: Disabled}}")));
    for (failure, why) in [
        ("refuse", "what is inside TLS is not read: cannot follow processes: a test refuses"),
        ("panic", "what is inside TLS is not read any more: what looks for TLS libraries failed"),
    ] {
        let agent = node.agent_with(node.root.path(), |command| command.env("TELLTALE_TEST_TLS", failure));
        let beginning =
            format!("Programmed=True PartiallyProgrammed: 1 node follows generation 1. Cannot be done on n1: {why}.");
        node.wait_for_condition(GEP, "shop", "logs", &beginning);
        node.wait_for_condition(GEP, "other", "plain", "Programmed=True Programmed: 1 node follows generation 1.");
        drop(agent);
    }
}
