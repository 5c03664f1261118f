//! Which traffic is observed, and what is said of its two ends.

use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, OBSERVED, QUIET},
    policy,
};

fn of_reporter<'a>(lines: &'a [Value], reporter: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["reporter"] == reporter).collect()
}

/// It is of the namespace's own traffic.
fn is_of(line: &Value, namespace: &str) -> bool {
    line["path"].as_str().is_some_and(|path| path.starts_with(&format!("/{namespace}/")))
}

#[test]
fn without_a_policy_nothing_is_captured() {
    let Some(cluster) = Cluster::named() else { return };
    policy::nothing_more_is_logged(&cluster);
    let before = cluster.sum("telltale_event_bytes_total");
    let lines = cluster.lines().len();
    for namespace in [OBSERVED, QUIET] {
        policy::traffic_goes_on(&cluster, namespace);
    }
    assert!((cluster.sum("telltale_event_bytes_total") - before).abs() < f64::EPSILON, "bytes were copied");
    assert_eq!(cluster.lines().len(), lines);
    cluster.nothing_was_refused();
}

#[test]
fn both_ends_of_the_observed_namespace_and_nothing_of_the_other() {
    let Some(cluster) = Cluster::named() else { return };
    policy::apply(&cluster, "everything", "metrics: {mode: Enabled}, accessLogs: {mode: Enabled}");
    policy::wait_for(&cluster, "everything", "True", "True");
    let lines = cluster.lines_until("both ends", |lines| {
        ["client", "server"]
            .iter()
            .all(|reporter| of_reporter(lines, reporter).iter().filter(|line| is_of(line, OBSERVED)).count() > 10)
    });
    assert!(!lines.iter().any(|line| is_of(line, QUIET)), "a line of the namespace without a policy");
    // The two ends of one exchange, by its path, which is asked for once.
    let ends = lines.iter().filter(|line| is_of(line, OBSERVED)).find_map(|line| {
        let same: Vec<_> = lines.iter().filter(|other| other["path"] == line["path"]).collect();
        (same.len() == 2).then_some(same)
    });
    let ends = ends.expect("an exchange of which both ends were reported");
    let end = |reporter: &str| *ends.iter().find(|line| line["reporter"] == reporter).expect("one line each");
    let (client, server) = (end("client"), end("server"));
    for line in [client, server] {
        assert_eq!(line["response_code"], 200, "{line}");
        // Each end knows the other, which is another process, by its address.
        assert_eq!((&line["source"], &line["destination"]), (&json!("shop/client"), &json!("shop/server")), "{line}");
    }
    let metrics = cluster.metrics();
    for side in ["http_server_request_duration_seconds_count", "http_client_request_duration_seconds_count"] {
        let series: Vec<_> = metrics.lines().filter(|line| line.starts_with(side)).collect();
        assert!(series.iter().any(|line| line.contains("k8s_namespace_name=\"shop\"")), "{series:#?}");
        assert!(!series.iter().any(|line| line.contains("k8s_namespace_name=\"quiet\"")), "{series:#?}");
    }
    cluster.nothing_was_refused();
}
