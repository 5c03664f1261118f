//! Policies come, change, conflict and go; what people see of it.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cluster::{Cluster, OBSERVED, PATIENCE};

/// The policies of both dialects, as the API calls them.
pub(crate) const PROPOSAL: &str = "telemetrypolicies.gateway.networking.k8s.io";
/// See [`PROPOSAL`].
pub(crate) const GEP: &str = "telemetrypolicies.gateway.networking.x-k8s.io";

/// Applies a policy of the observed namespace with these stanzas.
pub(crate) fn apply(cluster: &Cluster, name: &str, stanzas: &str) {
    cluster.kubectl.apply(&format!(
        "apiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: TelemetryPolicy\n\
         metadata: {{namespace: {OBSERVED}, name: {name}}}\n\
         spec: {{targetRefs: [{{group: \"\", kind: Namespace, name: {OBSERVED}}}], {stanzas}}}\n"
    ));
}

/// The same in the dialect of the proposal.
fn apply_proposal(cluster: &Cluster, name: &str, stanzas: &str) {
    cluster.kubectl.apply(&format!(
        "apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: TelemetryPolicy\n\
         metadata: {{namespace: {OBSERVED}, name: {name}}}\n\
         spec: {{targetRef: {{group: \"\", kind: Namespace, name: {OBSERVED}}}, {stanzas}}}\n"
    ));
}

/// A policy of the observed namespace.
pub(crate) fn get(cluster: &Cluster, resource: &str, name: &str) -> Value {
    cluster.kubectl.json(&["get", resource, name, "--namespace", OBSERVED])
}

/// The condition of this type in the policy's only ancestor.
pub(crate) fn condition<'a>(policy: &'a Value, kind: &str) -> Option<&'a Value> {
    let ancestor = &policy["status"]["ancestors"][0];
    assert!(ancestor.is_null() || ancestor["controllerName"] == "telltale.dev/agent");
    ancestor["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

/// Waits until the columns of the policy, for its newest generation, read so.
pub(crate) fn wait_for(cluster: &Cluster, name: &str, accepted: &str, programmed: &str) -> Value {
    wait_for_kind(cluster, GEP, name, accepted, programmed)
}

fn wait_for_kind(cluster: &Cluster, resource: &str, name: &str, accepted: &str, programmed: &str) -> Value {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        let policy = get(cluster, resource, name);
        let is = |kind: &str, wanted: &str| match condition(&policy, kind) {
            Some(condition) => {
                condition["status"] == wanted && condition["observedGeneration"] == policy["metadata"]["generation"]
            }
            None => wanted.is_empty(),
        };
        if is("Accepted", accepted) && is("Programmed", programmed) {
            return policy;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("waited in vain for {accepted:?} and {programmed:?}: {:#}", get(cluster, resource, name));
}

/// Waits until the client of this namespace has asked twenty times more.
pub(crate) fn traffic_goes_on(cluster: &Cluster, namespace: &str) {
    let arguments = ["logs", "--namespace", namespace, "deployment/client", "--tail=1"];
    let before = cluster.kubectl.run(&arguments);
    cluster.kubectl.until(&arguments, |said| said != before);
}

/// Waits until traffic leaves no line.
pub(crate) fn nothing_more_is_logged(cluster: &Cluster) {
    for _ in 0..10 {
        let before = cluster.lines().len();
        traffic_goes_on(cluster, OBSERVED);
        if cluster.lines().len() == before {
            return;
        }
    }
    panic!("without a policy, lines still come");
}

/// What makes a line of each exchange.
pub(crate) const LOGS: &str = "accessLogs: {mode: Enabled}";

#[test]
fn a_policy_is_created_changed_and_deleted() {
    let Some(cluster) = Cluster::named() else { return };
    apply(&cluster, "everything", LOGS);
    wait_for(&cluster, "everything", "True", "True");
    let before = cluster.lines().len();
    cluster.lines_until("clients' lines", |lines| lines[before..].iter().any(|line| line["reporter"] == "client"));

    apply(&cluster, "everything", &format!("direction: Server, {LOGS}"));
    let changed = wait_for(&cluster, "everything", "True", "True");
    assert_eq!(changed["metadata"]["generation"], 2);
    cluster.lines_until("only servers' lines", |lines| {
        let last = lines.len().saturating_sub(20).max(before);
        lines.len() - last == 20 && lines[last..].iter().all(|line| line["reporter"] == "server")
    });

    cluster.kubectl.run(&["delete", GEP, "everything", "--namespace", OBSERVED]);
    nothing_more_is_logged(&cluster);
    cluster.nothing_was_refused();
}

#[test]
fn of_two_policies_the_older_holds_until_it_is_gone() {
    let Some(cluster) = Cluster::named() else { return };
    apply(&cluster, "older", LOGS);
    wait_for(&cluster, "older", "True", "True");
    // Creation is told in whole seconds.
    std::thread::sleep(Duration::from_millis(1100));
    apply(&cluster, "newer", &format!("direction: Server, {LOGS}"));
    let loser = wait_for(&cluster, "newer", "False", "");
    let accepted = condition(&loser, "Accepted").expect("it was waited for");
    assert_eq!(accepted["reason"], "Conflicted");
    assert!(accepted["message"].as_str().unwrap().contains("older"), "{accepted}");
    wait_for(&cluster, "older", "True", "True");

    let table = cluster.kubectl.run(&["get", "telemetry", "--all-namespaces"]);
    let row = |name: &str| -> Vec<String> {
        let line = table.lines().find(|line| line.split_whitespace().nth(1) == Some(name) || line.contains(name));
        line.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    };
    assert!(row("older").join(" ").contains("Namespace shop True True"), "{table}");
    assert!(row("newer").join(" ").contains("Namespace shop False"), "{table}");
    let described = cluster.kubectl.run(&["describe", GEP, "newer", "--namespace", OBSERVED]);
    assert!(described.contains("Conflicted") && described.contains("telltale.dev/agent"), "{described}");

    cluster.kubectl.run(&["delete", GEP, "older", "--namespace", OBSERVED]);
    wait_for(&cluster, "newer", "True", "True");
    cluster.nothing_was_refused();
}

#[test]
fn what_cannot_be_meant_is_said_in_the_status() {
    let Some(cluster) = Cluster::named() else { return };
    apply(&cluster, "wrong", "accessLogs: {mode: Enabled, matches: 'response.cod > 1'}");
    let wrong = wait_for(&cluster, "wrong", "False", "");
    let accepted = condition(&wrong, "Accepted").expect("it was waited for");
    assert_eq!(accepted["reason"], "Invalid");
    assert!(accepted["message"].as_str().unwrap().contains("response.cod"), "{accepted}");
    cluster.nothing_was_refused();
}

#[test]
fn the_proposals_dialect_holds_too_and_conflicts_with_the_other() {
    let Some(cluster) = Cluster::named() else { return };
    let before = cluster.lines().len();
    apply_proposal(&cluster, "proposed", "accessLogs: {enabled: true}");
    let policy = wait_for_kind(&cluster, PROPOSAL, "proposed", "True", "True");
    let programmed = condition(&policy, "Programmed").expect("it was waited for");
    assert_eq!(programmed["reason"], "Programmed", "{programmed}");
    cluster.lines_until("lines of both ends", |lines| {
        ["client", "server"].iter().all(|end| lines.iter().skip(before).any(|line| line["reporter"] == *end))
    });
    let table = cluster.kubectl.run(&["get", PROPOSAL, "--namespace", OBSERVED]);
    let columns: Vec<_> = table.lines().last().unwrap_or_default().split_whitespace().take(5).collect();
    assert_eq!(columns, ["proposed", "Namespace", OBSERVED, "True", "True"], "{table}");

    // Creation is told in whole seconds.
    std::thread::sleep(Duration::from_millis(1100));
    apply(&cluster, "newer", LOGS);
    let loser = wait_for(&cluster, "newer", "False", "");
    let accepted = condition(&loser, "Accepted").expect("it was waited for");
    assert_eq!(accepted["reason"], "Conflicted");
    assert!(accepted["message"].as_str().unwrap().contains("proposed"), "{accepted}");
    cluster.kubectl.run(&["delete", PROPOSAL, "proposed", "--namespace", OBSERVED]);
    wait_for(&cluster, "newer", "True", "True");
    cluster.nothing_was_refused();
}
