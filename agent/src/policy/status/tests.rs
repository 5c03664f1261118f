//! Every condition and reason, every message that POLICY.md section 2 asks for, and what a write leaves alone.

use std::{collections::BTreeSet, sync::Arc};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::policy::{
    Effect, Finding,
    api::status::{PolicyAncestorStatus, PolicyStatus},
    attachment::{Candidate, Resolution},
    model::{BackendRef, Dialect, FieldPath, GEP_GROUP, PolicyKey, Provider, TargetRef, Tracing},
    objects::{ObjectName, Objects, Phase, Pod, Service},
    testing::{cluster, created, grant, invalid, policy, target},
};

fn shop(name: &str) -> Candidate {
    policy("shop", name, vec![target("Namespace", "shop")])
}

fn of(candidates: &[Candidate], objects: &Objects, nodes: Option<&Nodes>) -> Vec<PolicyStatus> {
    statuses(candidates, objects, &Resolution::new(candidates, objects), nodes, NOT_OBSERVED)
}

/// `Type=Status Reason: message` of every condition of one entry.
fn said(entry: &PolicyAncestorStatus) -> Vec<String> {
    entry.conditions.iter().map(|of| format!("{}={:?} {}: {}", of.kind, of.status, of.reason, of.message)).collect()
}

/// What is said about the first policy at its first target.
fn first(candidates: &[Candidate], objects: &Objects, nodes: Option<&Nodes>) -> Vec<String> {
    said(&of(candidates, objects, nodes)[0].ancestors[0])
}

fn with(mut candidate: Candidate, effect: Effect, field: &str, problem: &str) -> Candidate {
    candidate.findings.push(Finding::new(&FieldPath::new(field), effect, problem));
    candidate
}

fn with_backend(mut candidate: Candidate, backend: BackendRef) -> Candidate {
    let provider = Provider { backend_ref: Some(backend), ..Provider::default() };
    candidate.policy.spec.tracing = Some(Tracing { provider: Some(provider), ..Tracing::default() });
    candidate
}

fn backend(kind: &str, namespace: Option<&str>, port: u16) -> BackendRef {
    BackendRef {
        at: FieldPath::new("spec.tracing.provider.backendRef"),
        group: String::new(),
        kind: kind.to_owned(),
        name: "collector".to_owned(),
        namespace: namespace.map(str::to_owned),
        port: Some(port),
    }
}

fn nodes(candidates: &[Candidate], reports: &[(&str, NodeReport)]) -> Nodes {
    let mut nodes = Nodes::default();
    for (node, report) in reports {
        nodes.ready.insert((*node).to_owned());
        for candidate in candidates {
            nodes.add(node, candidate.policy.key.clone(), report.clone());
        }
    }
    nodes
}

fn follows(generation: i64) -> NodeReport {
    NodeReport { generation, ..NodeReport::default() }
}

#[test]
fn a_policy_that_holds_says_what_it_leaves_out() {
    let candidate = with(shop("p"), Effect::Partial, "spec.tracing.context", "contexts are read, never added");
    let candidate = with(candidate, Effect::Message, "spec.metrics.overrides[0].name", "`nope` is not known");
    let candidate = with(candidate, Effect::Warning, "spec.typo", "is unknown");
    assert_eq!(
        first(&[candidate], &cluster(), None),
        [
            "Accepted=True Accepted: Holds for the pods of Namespace shop. Not done: spec.tracing.context: contexts are read, \
         never added. Note: spec.metrics.overrides[0].name: `nope` is not known."
        ]
    );
}

#[test]
fn an_entry_names_its_target_with_group_and_kind() {
    let mut candidate = policy("shop", "p", vec![target("Namespace", "shop"), target("Gateway", "edge")]);
    candidate.policy.generation = 7;
    candidate.policy.targets.push(TargetRef { section_name: Some("http".to_owned()), ..target("Gateway", "edge") });
    // The same target in other words.
    candidate.policy.targets.push(TargetRef { namespace: Some("shop".to_owned()), ..target("Gateway", "edge") });
    let status = json!(of(&[candidate], &cluster(), None)[0]);
    let refs: Vec<&Value> = status["ancestors"].as_array().unwrap().iter().map(|entry| &entry["ancestorRef"]).collect();
    assert_eq!(
        refs,
        [
            &json!({"group": "", "kind": "Namespace", "name": "shop"}),
            &json!({"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "shop", "name": "edge"}),
            &json!({"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge", "sectionName": "http"}),
        ]
    );
    assert_eq!(
        status["ancestors"][0],
        json!({
            "ancestorRef": {"group": "", "kind": "Namespace", "name": "shop"},
            "controllerName": "telltale.dev/agent",
            "conditions": [{
                "type": "Accepted", "status": "True", "observedGeneration": 7, "reason": "Accepted",
                "lastTransitionTime": "1970-01-01T00:00:00Z", "message": "Holds for the pods of Namespace shop.",
            }],
        })
    );
    let again: PolicyStatus = serde_json::from_value(status.clone()).unwrap();
    assert_eq!(json!(again), status);
}

#[test]
fn a_loser_names_the_winner_and_its_dialect_if_the_names_are_equal() {
    let old = created(shop("old"), 0);
    assert_eq!(
        first(&[shop("new"), old], &cluster(), None),
        [
            "Accepted=False Conflicted: Namespace shop already has the policy shop/old (created 1970-01-01T00:00:00Z). The oldest policy of a \
         target holds, then the first by namespace/name, then by apiVersion."
        ]
    );
    let mut twin = shop("p");
    twin.policy.key.dialect = Dialect::Proposal;
    let said = first(&[shop("p"), twin], &cluster(), None);
    assert!(said[0].contains("the policy shop/p of gateway.networking.k8s.io/v1alpha2."), "{said:?}");
}

#[test]
fn what_is_invalid_says_why() {
    let objects = cluster();
    let bad = with(invalid(shop("p")), Effect::Message, "spec.x", "is not of interest now");
    assert_eq!(first(&[bad], &objects, None), ["Accepted=False Invalid: The policy is not valid: spec: is wrong."]);
    let route = policy("shop", "p", vec![target("HTTPRoute", "r")]);
    assert_eq!(
        first(&[route], &objects, None),
        [
            "Accepted=False Invalid: Kind HTTPRoute of group \"\" is not supported; targets are Namespace (group \"\") and Gateway (group \
         \"gateway.networking.k8s.io\")."
        ]
    );
    let elsewhere = policy("ops", "p", vec![target("Namespace", "shop")]);
    assert_eq!(
        first(&[elsewhere], &objects, None),
        [
            "Accepted=False Invalid: No ReferenceGrant in namespace \"shop\" permits a TelemetryPolicy of namespace \"ops\" to refer to this \
         Namespace; create one there, or move the policy to namespace \"shop\"."
        ]
    );
    let missing = policy("shop", "p", vec![target("Gateway", "back")]);
    assert_eq!(first(&[missing], &objects, None), ["Accepted=False TargetNotFound: There is no Gateway shop/back."]);
}

#[test]
fn a_policy_without_a_target_says_so_about_itself() {
    let mut candidate = invalid(shop("p"));
    candidate.policy.targets.clear();
    let status = &of(&[candidate], &cluster(), None)[0];
    assert_eq!(status.ancestors[0].ancestor_ref.kind, "TelemetryPolicy");
    assert_eq!(status.ancestors[0].conditions[0].reason, "Invalid");
}

#[test]
fn references_are_resolved_where_there_are_some() {
    let mut objects = cluster();
    objects.services.insert(ObjectName::new("shop", "collector"), Service { ports: vec![4317], addresses: Vec::new() });
    objects.services.insert(ObjectName::new("ops", "collector"), Service { ports: vec![4317], addresses: Vec::new() });
    let refs =
        |backend: BackendRef, objects: &Objects| first(&[with_backend(shop("p"), backend)], objects, None)[1].clone();
    assert_eq!(
        refs(backend("Service", None, 4317), &objects),
        "ResolvedRefs=True ResolvedRefs: Service shop/collector is there."
    );
    let off = "Spans of this policy are not exported; the rest of it holds.";
    let at = "spec.tracing.provider.backendRef";
    for (backend, reason, why) in [
        (backend("Service", None, 1), "BackendNotFound", "Service shop/collector has no port 1; it has 4317"),
        (
            backend("Queue", None, 4317),
            "InvalidKind",
            "kind Queue of group \"\" is not supported; a backendRef names a Service (group \"\")",
        ),
        (
            backend("Service", Some("ops"), 4317),
            "RefNotPermitted",
            "no ReferenceGrant in namespace \"ops\" permits a TelemetryPolicy of namespace \"shop\" to refer to Service \"collector\"",
        ),
    ] {
        assert_eq!(refs(backend, &objects), format!("ResolvedRefs=False {reason}: {at}: {why}. {off}"));
    }
    objects.grants.push(grant(GEP_GROUP, "shop", "ops", "Service", Some("collector")));
    assert!(refs(backend("Service", Some("ops"), 4317), &objects).starts_with("ResolvedRefs=True"));
    objects.services.clear();
    assert!(
        refs(backend("Service", None, 4317), &objects)
            .contains("BackendNotFound: spec.tracing.provider.backendRef: there is no Service shop/collector.")
    );
    // It stays accepted.
    assert!(
        first(&[with_backend(shop("p"), backend("Queue", None, 1))], &objects, None)[0].starts_with("Accepted=True")
    );
}

#[test]
fn nodes_program_what_they_acknowledged() {
    let objects = cluster();
    let candidates = [shop("p")];
    let programmed = |nodes: &Nodes| first(&candidates, &objects, Some(nodes))[1].clone();
    assert_eq!(programmed(&Nodes::default()), "Programmed=False Reconciling: No node is ready.");
    let mut some = nodes(&candidates, &[("n1", follows(1)), ("n2", follows(0))]);
    some.ready.insert("n3".to_owned());
    assert_eq!(
        programmed(&some),
        "Programmed=False Reconciling: 2 of 3 ready nodes do not follow generation 1 yet: n2, n3."
    );
    // It may have had no room to say so.
    some.reports.get_mut("n2").unwrap().left_out = 7;
    assert!(programmed(&some).ends_with("n2, n3. There are more policies than a report has room for on n2."));
    // A node that is not ready holds nothing up.
    some.ready = BTreeSet::from(["n1".to_owned()]);
    assert_eq!(programmed(&some), "Programmed=True Programmed: 1 node follows generation 1.");

    let cannot = NodeReport { cannot: vec!["TLS is not read: no uprobes".to_owned()], ..follows(1) };
    let limited = NodeReport { notes: vec!["12 lines were dropped by the rate limit".to_owned()], ..follows(1) };
    let nodes = nodes(&candidates, &[("n1", cannot.clone()), ("n2", cannot), ("n3", limited)]);
    assert_eq!(
        programmed(&nodes),
        "Programmed=True PartiallyProgrammed: 3 nodes follow generation 1. Cannot be done on n1, n2: TLS is not read: no uprobes. On n3: 12 \
         lines were dropped by the rate limit."
    );
}

#[test]
fn what_a_passive_observer_cannot_do_is_programmed_in_part() {
    let candidates = [with(shop("p"), Effect::Partial, "spec.tracing.context", "contexts are read, never added")];
    let said = first(&candidates, &cluster(), Some(&nodes(&candidates, &[("n1", follows(1))])));
    assert_eq!(
        said[1],
        "Programmed=True PartiallyProgrammed: 1 node follows generation 1. Not done: spec.tracing.context: contexts are read, never added."
    );
    let candidates = [with_backend(shop("p"), backend("Queue", None, 1))];
    let said = first(&candidates, &cluster(), Some(&nodes(&candidates, &[("n1", follows(1))])));
    assert_eq!(
        said[2],
        "Programmed=True PartiallyProgrammed: 1 node follows generation 1. Spans are not exported, see ResolvedRefs."
    );
}

#[test]
fn what_is_not_accepted_is_not_programmed() {
    let candidates = [invalid(shop("p")), policy("shop", "q", vec![target("Gateway", "back")])];
    for status in of(&candidates, &cluster(), Some(&nodes(&candidates, &[("n1", follows(1))]))) {
        assert_eq!(status.ancestors[0].conditions.len(), 1, "{status:?}");
    }
}

#[test]
fn a_namespace_policy_names_the_gateways_policy_that_overrides_it() {
    let mut objects = cluster();
    let candidates = [shop("ns"), policy("shop", "gw", vec![target("Gateway", "edge")])];
    let nodes = nodes(&candidates, &[("n1", follows(1))]);
    assert_eq!(
        first(&candidates, &objects, Some(&nodes))[1],
        "Programmed=True PartiallyProgrammed: 1 node follows generation 1. 1 of 2 pods in Namespace shop follow the policy of their Gateway \
         instead: shop/gw."
    );
    objects.pods.remove(&ObjectName::new("shop", "cart-1"));
    assert_eq!(
        first(&candidates, &objects, Some(&nodes))[1],
        "Programmed=False Overridden: 1 of 1 pod in Namespace shop follow the policy of their Gateway instead: shop/gw."
    );
    // A pod that is over follows nothing.
    let over = Pod { phase: Phase::Succeeded, ..Pod::default() };
    objects.pods.insert(ObjectName::new("shop", "job-1"), Arc::new(over));
    assert!(first(&candidates, &objects, Some(&nodes))[1].starts_with("Programmed=False Overridden: 1 of 1 pod in "));
    // There may be pods that are not known.
    objects.all_pods = false;
    assert_eq!(
        first(&candidates, &objects, Some(&nodes))[1],
        "Programmed=True PartiallyProgrammed: 1 node follows generation 1. 1 of 1 pod known in Namespace shop follow the policy of their \
         Gateway instead: shop/gw."
    );
    // One policy for both is no other policy.
    let both = [policy("shop", "both", vec![target("Namespace", "shop"), target("Gateway", "edge")])];
    let nodes = self::nodes(&both, &[("n1", follows(1))]);
    assert_eq!(first(&both, &objects, Some(&nodes))[1], "Programmed=True Programmed: 1 node follows generation 1.");
}

#[test]
fn a_long_message_is_cut_at_a_character() {
    let condition = condition::condition(Reason::Invalid, "ä".repeat(condition::MAX_MESSAGE), 1, NOT_OBSERVED);
    assert!(condition.message.len() <= condition::MAX_MESSAGE && condition.message.ends_with("ä..."));
}

fn key() -> PolicyKey {
    shop("p").policy.key
}

fn ours(generation: i64) -> PolicyStatus {
    let mut candidate = policy("shop", "p", vec![target("Namespace", "shop"), target("Gateway", "edge")]);
    candidate.policy.generation = generation;
    let now = jiff::Timestamp::from_millisecond(1_000_900).unwrap();
    let objects = cluster();
    let candidates = [candidate];
    statuses(&candidates, &objects, &Resolution::new(&candidates, &objects), None, now).remove(0)
}

fn foreign(name: &str) -> Value {
    json!({
        "ancestorRef": {"name": name, "port": 80}, "controllerName": "example.com/other", "more": {"kept": true},
        "conditions": [{"type": "Accepted", "status": "False", "observedGeneration": 99}],
    })
}

#[test]
fn a_first_write_adds_our_entries_behind_those_of_others() {
    let merged = merge(&key(), Some(&json!({"ancestors": [foreign("a")], "conditions": []})), &ours(1));
    let status = merged.status.unwrap();
    let entries = status["ancestors"].as_array().unwrap();
    assert_eq!((entries.len(), &entries[0], &status["conditions"]), (3, &foreign("a"), &json!([])));
    assert_eq!(entries[1], json!(ours(1).ancestors[0]));
    // Nothing changed: nothing to write.
    assert_eq!(merge(&key(), Some(&status), &ours(1)), Merged::default());
}

#[test]
fn a_time_changes_with_the_status_only() {
    let mut existing = json!(ours(1));
    existing["ancestors"][0]["conditions"][0]["lastTransitionTime"] = json!("2020-01-01T00:00:00Z");
    existing["ancestors"][0]["conditions"][0]["reason"] = json!("Old");
    existing["ancestors"][1]["conditions"][0]["lastTransitionTime"] = json!("2020-01-01T00:00:00Z");
    existing["ancestors"][1]["conditions"][0]["status"] = json!("False");
    existing["ancestors"][1]["conditions"]
        .as_array_mut()
        .unwrap()
        .push(json!({"type": "example.com/Other", "status": "True"}));
    let status = merge(&key(), Some(&existing), &ours(2)).status.unwrap();
    let condition = |entry: usize| &status["ancestors"][entry]["conditions"][0];
    assert_eq!(
        (&condition(0)["lastTransitionTime"], &condition(0)["reason"]),
        (&json!("2020-01-01T00:00:00Z"), &json!("Accepted"))
    );
    assert_eq!(condition(1)["lastTransitionTime"], json!("1970-01-01T00:16:40Z"));
    assert_eq!(condition(1)["observedGeneration"], json!(2));
    // A type that is not ours stays.
    assert_eq!(status["ancestors"][1]["conditions"][1]["type"], json!("example.com/Other"));
}

#[test]
fn our_entries_for_targets_that_are_gone_go() {
    let mut existing = json!(ours(1));
    let mut stale = existing["ancestors"][0].clone();
    stale["ancestorRef"]["name"] = json!("gone");
    existing["ancestors"].as_array_mut().unwrap().insert(0, stale);
    let status = merge(&key(), Some(&existing), &ours(1)).status.unwrap();
    assert_eq!(status, json!(ours(1)));
}

#[test]
fn an_entry_that_relies_on_defaults_is_the_same_one() {
    let mut existing = json!(ours(1));
    existing["ancestors"][1]["ancestorRef"] = json!({"name": "edge"});
    assert_eq!(merge(&key(), Some(&existing), &ours(1)).status.unwrap(), json!(ours(1)));
}

#[test]
fn an_older_generation_never_overwrites_a_newer_one() {
    let existing = json!(ours(5));
    assert_eq!(merge(&key(), Some(&existing), &ours(4)), Merged::default());
    assert!(merge(&key(), Some(&existing), &ours(6)).status.is_some());
    // What others observed is theirs.
    assert!(merge(&key(), Some(&json!({"ancestors": [foreign("a")]})), &ours(4)).status.is_some());
}

#[test]
fn a_full_list_is_left_alone_and_reported() {
    let full: Vec<Value> = (0..MAX_ANCESTORS).map(|index| foreign(&index.to_string())).collect();
    let merged = merge(&key(), Some(&json!({"ancestors": full})), &ours(1));
    assert_eq!(merged.status, None);
    assert_eq!(merged.left_out.len(), 2);
    // Room for one of two.
    let merged = merge(&key(), Some(&json!({"ancestors": full[1..]})), &ours(1));
    assert_eq!(merged.status.unwrap()["ancestors"].as_array().unwrap().len(), MAX_ANCESTORS);
    assert_eq!(merged.left_out, [ours(1).ancestors[1].ancestor_ref.clone()]);
}

fn any_entry() -> impl Strategy<Value = Value> {
    let controller = prop::sample::select(vec!["telltale.dev/agent", "example.com/a", "example.com/b"]);
    let name = prop::sample::select(vec!["shop", "edge", "gone"]);
    let kind = prop::sample::select(vec![json!({"group": "", "kind": "Namespace"}), json!({}), json!(null)]);
    let conditions = prop::sample::select(vec![
        json!(null),
        json!([]),
        json!([{"type": "Accepted", "status": "True", "observedGeneration": 1, "lastTransitionTime": "2020-01-01T00:00:00Z"}]),
        json!([{"type": "Else"}, {"type": "Programmed", "status": 1}]),
    ]);
    (controller, name, kind, conditions).prop_map(|(controller, name, mut reference, conditions)| {
        if let Some(fields) = reference.as_object_mut() {
            fields.insert("name".to_owned(), json!(name));
        }
        json!({"ancestorRef": reference, "controllerName": controller, "conditions": conditions})
    })
}

proptest! {
    #[test]
    fn others_are_never_touched_and_a_second_write_changes_nothing(entries in prop::collection::vec(any_entry(), 0..=MAX_ANCESTORS)) {
        let others = |status: &Value| -> Vec<Value> {
            let entries = status["ancestors"].as_array().cloned().unwrap_or_default();
            entries.into_iter().filter(|entry| entry["controllerName"] != CONTROLLER_NAME).collect()
        };
        let existing = json!({"ancestors": entries});
        let merged = merge(&key(), Some(&existing), &ours(1));
        let after = merged.status.unwrap_or_else(|| existing.clone());
        prop_assert_eq!(others(&after), others(&existing));
        prop_assert!(after["ancestors"].as_array().unwrap().len() <= MAX_ANCESTORS);
        prop_assert_eq!(merge(&key(), Some(&after), &ours(1)).status, None);
    }
}

#[test]
fn an_unknown_pod_changes_no_status() {
    let mut objects = cluster();
    objects.pods.insert(ObjectName::new("elsewhere", "x"), Arc::default());
    assert_eq!(of(&[shop("p")], &objects, None), of(&[shop("p")], &cluster(), None));
}

#[test]
fn two_targets_that_mean_the_same_keep_their_entries() {
    let mut ours = ours(1);
    let mut twin = ours.ancestors[0].clone();
    twin.ancestor_ref.namespace = Some("shop".to_owned());
    ours.ancestors.insert(0, twin);
    let written = merge(&key(), None, &ours).status.unwrap();
    assert_eq!(written["ancestors"].as_array().unwrap().len(), 3);
    assert_eq!(merge(&key(), Some(&written), &ours).status, None);
}
