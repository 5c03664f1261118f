//! A pod whose container makes cgroups of its own, as a service manager or a container runtime in it does.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, OBSERVED},
    pods::{PROGRAM, Pods},
    policy,
};

/// Each of the two processes moves into a cgroup below the container's, one of them two levels below, before it becomes the program.
///
/// A privileged container may: it mounts cgroup v2 itself, since where a machine has both versions the runtime gives it those of v1 alone.
const SCRIPT: &str = r#"set -e
mkdir -p /tmp/cgroup
mount -t cgroup2 cgroup /tmp/cgroup
own=/tmp/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)
mkdir -p "$own/inner/deeper" "$own/other"
sh -c 'echo 0 > "$1/other/cgroup.procs"; exec python3 -c "$2" serve:8080' sh "$own" "$1" &
echo 0 > "$own/inner/deeper/cgroup.procs"
grep ^0:: /proc/self/cgroup
exec python3 -c "$1" ask:8080:nested"#;

#[test]
fn a_pod_with_cgroups_inside_is_whole() {
    let Some(cluster) = Cluster::named() else { return };
    policy::apply(&cluster, "everything", policy::LOGS);
    policy::wait_for(&cluster, "everything", "True", "True");
    let mut pods = Pods::new(&cluster);
    let container = json!({"command": ["sh", "-c", SCRIPT, "sh", PROGRAM], "securityContext": {"privileged": true}});
    pods.start(OBSERVED, "nested", container, json!({}));
    let logs = ["logs", "--namespace", OBSERVED, "nested"];
    let said = cluster.kubectl.until(&logs, |said| said.contains("/inner/deeper"));
    assert!(said.contains("pod"), "{said}");

    let numbers = |lines: &[Value], reporter: &str| {
        let of_reporter = lines.iter().filter(|line| line["reporter"] == reporter);
        let paths = of_reporter.filter_map(|line| line["path"].as_str()?.strip_prefix("/nested/")?.parse().ok());
        paths.collect::<BTreeSet<u32>>()
    };
    let lines = cluster.lines_until("lines of both processes", |lines| {
        ["client", "server"].iter().all(|reporter| numbers(lines, reporter).len() > 40)
    });
    let [client, server] = ["client", "server"].map(|reporter| numbers(&lines, reporter));
    // But for the first ones, from before the pod was in scope, and the last ones, which may still be on their way.
    let first = *client.first().max(server.first()).unwrap();
    let last = *client.last().min(server.last()).unwrap() - 5;
    assert!(last > first + 20, "{first} to {last}");
    for number in first..=last {
        assert!(client.contains(&number) && server.contains(&number), "{number} of {client:?}, {server:?}");
    }
    let of_pod = lines.iter().filter(|line| line["path"].as_str().is_some_and(|path| path.starts_with("/nested/")));
    for line in of_pod {
        let own = if line["reporter"] == "client" { "source" } else { "destination" };
        assert_eq!(line[own], "shop/nested", "{line}");
    }
    cluster.nothing_was_refused();
}
