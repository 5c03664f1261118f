//! Pods with the network of the node: they are told by their cgroups, so that nothing else with that network is taken for one of them.

use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, OBSERVED, QUIET},
    pods::{PROGRAM, Pods, program},
    policy,
};

/// A process of this machine, in no pod.
struct Outsider(Child);

impl Drop for Outsider {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_pod_with_the_nodes_network_is_captured_and_does_not_select_the_node() {
    let Some(cluster) = Cluster::named() else { return };
    policy::apply(&cluster, "everything", policy::LOGS);
    policy::wait_for(&cluster, "everything", "True", "True");
    let mut pods = Pods::new(&cluster);
    let on_host = || json!({"hostNetwork": true});
    // The kubelet asks it too, from no pod.
    let probe = json!({"httpGet": {"path": "/probe/0", "port": 18080}, "periodSeconds": 1, "timeoutSeconds": 10});
    let server = json!({"command": program(&["serve:18080"]), "readinessProbe": probe});
    pods.start(OBSERVED, "host-server", server, on_host());
    pods.start(OBSERVED, "host-client", json!({"command": program(&["ask:18080:own"])}), on_host());
    let other = program(&["serve:18081", "ask:18081:neighbour", "ask:18080:foreign"]);
    pods.start(QUIET, "host-neighbour", json!({"command": other}), on_host());
    let mut outsider = cluster.enter("python3");
    outsider.args(["-c", PROGRAM, "serve:18082", "ask:18082:outsider"]).stdin(Stdio::null()).stdout(Stdio::null());
    let _outsider = Outsider(outsider.spawn().expect("python3 runs"));

    let of = |lines: &[Value], word: &str, reporter: &str| {
        let path = format!("/{word}/");
        let is = |line: &&Value| {
            line["reporter"] == reporter && line["path"].as_str().is_some_and(|said| said.starts_with(&path))
        };
        lines.iter().filter(is).cloned().collect::<Vec<_>>()
    };
    let lines = cluster.lines_until("lines of the pods with the node's network", |lines| {
        [("own", "client"), ("own", "server"), ("foreign", "server"), ("probe", "server")]
            .iter()
            .all(|(word, reporter)| of(lines, word, reporter).len() > 5)
    });
    for line in of(&lines, "own", "client") {
        assert_eq!(line["source"], "shop/host-client", "{line}");
    }
    for word in ["own", "foreign", "probe"] {
        for line in of(&lines, word, "server") {
            assert_eq!(line["destination"], "shop/host-server", "{line}");
            assert_eq!(line["response_code"], 200, "{line}");
        }
    }
    // Of the same network: a pod without a policy, the kubelet, and a process of the machine. The first asked its own server as often as ours.
    for (word, reporter) in [
        ("foreign", "client"),
        ("probe", "client"),
        ("neighbour", "client"),
        ("neighbour", "server"),
        ("outsider", "client"),
        ("outsider", "server"),
    ] {
        assert_eq!(of(&lines, word, reporter), Vec::<Value>::new(), "{word}");
    }
    cluster.nothing_was_refused();
}
