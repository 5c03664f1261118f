//! The status of policies, written by the elected one of several agents beside other controllers.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use kube::{
    Api, Client,
    api::{DynamicObject, PostParams},
};
use serde_json::{Value, json};
use telltale::{
    admin::{Health, table},
    kube::{Election, PolicyObjectRef, StatusWriter, lease_name},
    policy::{
        api::status::PolicyStatus,
        model::{Dialect, PolicyKey},
    },
};

use crate::{
    agents::{Agent, Orders, PATIENCE, QUICK, account, agent_pod, client, install, resource, until, user},
    api_server::ApiServer,
    definitions::{DIALECTS, define},
    kubectl::Kubectl,
};

const OURS: &str = "telltale.dev/agent";

fn define_all(kubectl: &Kubectl) {
    for (file, resource, _) in DIALECTS {
        define(kubectl, file, resource);
    }
}

/// One policy of each dialect, of which the older one holds.
fn apply_policies(kubectl: &Kubectl, namespace: &str, rate: u32) {
    kubectl.apply(&format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n"));
    kubectl.apply(&format!(
        "apiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: TelemetryPolicy\nmetadata: {{namespace: {namespace}, name: a}}\nspec:\n  \
         targetRefs: [{{group: \"\", kind: Namespace, name: {namespace}}}]\n  accessLogs: {{mode: Enabled, matches: 'response.code >= {rate}'}}\n"
    ));
    kubectl.apply(&format!(
        "apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: TelemetryPolicy\nmetadata: {{namespace: {namespace}, name: b}}\nspec:\n  \
         targetRef: {{group: \"\", kind: Namespace, name: nowhere}}\n  accessLogs: {{enabled: true}}\n"
    ));
}

/// Both policies of a namespace, in the order of `DIALECTS`: first `b`, then `a`.
fn policies(kubectl: &Kubectl, namespace: &str) -> [Value; 2] {
    let get = |place: usize, name: &str| kubectl.json(&["get", DIALECTS[place].1, name, "--namespace", namespace]);
    [get(0, "b"), get(1, "a")]
}

/// `Type=Status Reason: message` of our conditions.
fn said(policy: &Value) -> Vec<String> {
    let entries = policy["status"]["ancestors"].as_array().into_iter().flatten();
    let ours = entries.filter(|entry| entry["controllerName"] == OURS);
    let conditions = ours.flat_map(|entry| entry["conditions"].as_array().into_iter().flatten());
    let text = |condition: &Value, field: &str| condition[field].as_str().unwrap_or_default().to_owned();
    conditions
        .map(|of| {
            format!("{}={} {}: {}", text(of, "type"), text(of, "status"), text(of, "reason"), text(of, "message"))
        })
        .collect()
}

fn orders(server: &ApiServer, installed: &str, node: &str, follows: &str) -> Orders {
    Orders {
        kubeconfig: server.kubectl().kubeconfig().to_owned(),
        namespace: installed.to_owned(),
        node: node.to_owned(),
        follows: follows.to_owned(),
        dialects: Dialect::ALL.to_vec(),
        cannot: Vec::new(),
        timing: QUICK,
    }
}

/// Waits until this is said of policy `a`, and something of `b`.
fn wait_for(kubectl: &Kubectl, namespace: &str, what: &str) -> [Value; 2] {
    let mut found = None;
    until(what, || {
        let now = policies(kubectl, namespace);
        let holds = said(&now[1]).iter().any(|said| said.contains(what)) && !said(&now[0]).is_empty();
        found = Some(now);
        holds
    });
    found.unwrap()
}

#[test]
fn a_new_leader_changes_nothing_and_nodes_are_waited_for() {
    let Some(server) = ApiServer::shared() else { return };
    let kubectl = server.kubectl();
    define_all(kubectl);
    install(kubectl, "status-telltale", &["n1", "n2", "n3"]);
    apply_policies(kubectl, "status-shop", 500);
    let kubeconfig = account(server, "status-telltale");
    let start = |node: &str| {
        let orders = orders(server, "status-telltale", node, "status-shop");
        Agent::start(Orders { kubeconfig: kubeconfig.clone(), ..orders })
    };
    let mut agents = vec![start("n1"), start("n2")];
    // There is no agent on the third one.
    wait_for(
        kubectl,
        "status-shop",
        "Programmed=False Reconciling: 1 of 3 ready nodes do not follow generation 1 yet: n3.",
    );
    agents.push(start("n3"));
    let before = wait_for(kubectl, "status-shop", "Programmed=True Programmed: 3 nodes follow generation 1.");
    assert_eq!(said(&before[0]).len(), 1);
    assert!(said(&before[0])[0].starts_with("Accepted=False "), "{:?}", said(&before[0]));
    let version = |policies: &[Value; 2]| policies.clone().map(|policy| policy["metadata"]["resourceVersion"].clone());

    // The elected one is killed: another one looks at everything anew, and writes nothing.
    let mut leader = None;
    until("one is elected", || {
        leader = agents.iter().position(Agent::is_leader);
        leader.is_some()
    });
    let leader = leader.unwrap();
    agents[leader].kill();
    agents.remove(leader);
    let rounds = || -> u64 { agents.iter().map(|agent| agent.rounds.load(Ordering::Relaxed)).sum() };
    let (rounds_before, written) = (rounds(), agents.iter().map(Agent::written).sum::<u64>());
    until("another one says what is to be written", || rounds() > rounds_before + 5);
    assert_eq!(version(&policies(kubectl, "status-shop")), version(&before));
    assert_eq!(agents.iter().map(Agent::written).sum::<u64>(), written);

    // The node whose agent is gone is waited for, until its pod is gone too.
    apply_policies(kubectl, "status-shop", 404);
    let gone = ["n1", "n2", "n3"][leader];
    let waiting = format!("Programmed=False Reconciling: 1 of 3 ready nodes do not follow generation 2 yet: {gone}.");
    wait_for(kubectl, "status-shop", &waiting);
    kubectl.run(&["delete", "pod", &agent_pod(gone), "--namespace", "status-telltale", "--grace-period=0", "--force"]);
    let after = wait_for(kubectl, "status-shop", "Programmed=True Programmed: 2 nodes follow generation 2.");
    // The other policy is as it was.
    assert_eq!(version(&after)[0], version(&before)[0]);
    // And then there is peace.
    let versions = version(&policies(kubectl, "status-shop"));
    let written: u64 = agents.iter().map(Agent::written).sum();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(version(&policies(kubectl, "status-shop")), versions);
    assert_eq!(agents.iter().map(Agent::written).sum::<u64>(), written);

    let lease = kubectl.json(&["get", "lease", &lease_name("n1"), "--namespace", "status-telltale"]);
    assert_eq!(lease["metadata"]["ownerReferences"][0]["name"], agent_pod("n1"));
    // The roles that are shipped are enough.
    let user = user("status-telltale");
    let asked: Vec<Value> = server.audit().into_iter().filter(|event| event["user"]["username"] == *user).collect();
    assert!(asked.iter().any(|event| event["objectRef"]["subresource"] == "status" && event["verb"] == "update"));
    let refused: Vec<_> = asked.iter().filter(|event| event["responseStatus"]["code"] == 403).collect();
    assert!(refused.is_empty(), "{refused:?}");
}

#[test]
fn an_api_server_that_was_away_is_told_what_changed() {
    let Some(server) = ApiServer::start() else { return };
    let kubectl = server.kubectl();
    define_all(kubectl);
    install(kubectl, "away-telltale", &["n1"]);
    apply_policies(kubectl, "away-shop", 500);
    let orders = orders(&server, "away-telltale", "n1", "away-shop");
    let agent = Agent::start(Orders { cannot: vec!["TLS is not read".to_owned()], ..orders });
    let partly = |generation: u32| {
        format!(
            "Programmed=True PartiallyProgrammed: 1 node follows generation {generation}. Cannot be done on n1: TLS is not read."
        )
    };
    let before = wait_for(kubectl, "away-shop", &partly(1));
    server.stop_api();
    until("nobody leads", || !agent.is_leader());
    server.start_api();
    until("it leads again", || agent.is_leader());
    // Nothing changed meanwhile.
    let written = agent.written();
    std::thread::sleep(Duration::from_secs(2));
    let after = policies(kubectl, "away-shop");
    assert_eq!(before, after);
    assert_eq!(agent.written(), written);
    apply_policies(kubectl, "away-shop", 404);
    wait_for(kubectl, "away-shop", &partly(2));
}

/// A writer alone, and an election that it won.
struct Single {
    writer: StatusWriter,
    election: Election,
    client: Client,
    health: Arc<Health>,
}

async fn single(server: &ApiServer, namespace: &str) -> Single {
    let health = Health::new();
    let client = client(server.kubectl().kubeconfig(), &health).await;
    let election = Election::start(client.clone(), "single", namespace, QUICK, &health);
    let writer = StatusWriter::start(client.clone(), "single", election.leadership(), &health);
    let mut leadership = election.leadership();
    while !leadership.is_leader() {
        leadership.changed().await;
    }
    Single { writer, election, client, health }
}

fn entry(controller: &str, namespace: &str, generation: i64) -> Value {
    json!({
        "ancestorRef": {"group": "", "kind": "Namespace", "name": namespace},
        "controllerName": controller,
        "conditions": [{
            "type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "observedGeneration": generation,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }],
    })
}

fn our_status(namespace: &str, generation: i64) -> PolicyStatus {
    serde_json::from_value(json!({"ancestors": [entry(OURS, namespace, generation)]})).unwrap()
}

/// The generation in the entry of a controller.
fn generation(object: &DynamicObject, controller: &str) -> Option<i64> {
    let entries = object.data["status"]["ancestors"].as_array()?;
    let entry = entries.iter().find(|entry| entry["controllerName"] == controller)?;
    entry["conditions"][0]["observedGeneration"].as_i64()
}

fn key(namespace: &str) -> PolicyKey {
    PolicyKey { namespace: namespace.to_owned(), name: "a".to_owned(), dialect: Dialect::Gep }
}

fn reference(object: &DynamicObject, namespace: &str) -> PolicyObjectRef {
    PolicyObjectRef::new(key(namespace), &serde_json::to_value(object).unwrap())
}

const OTHER: &str = "example.com/other";
const WRITES: i64 = 1000;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_controllers_that_write_one_policy_a_thousand_times_lose_nothing() {
    let Some(server) = ApiServer::shared() else { return };
    define_all(server.kubectl());
    apply_policies(server.kubectl(), "status-two", 500);
    let Single { writer, client, health, .. } = &single(server, "status-two").await;
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), "status-two", &resource(Dialect::Gep));

    let others = tokio::spawn({
        let api = api.clone();
        async move {
            let mut ours = None;
            for number in 1..=WRITES / 2 {
                loop {
                    let mut object = api.get("a").await.unwrap();
                    assert_eq!(
                        generation(&object, OTHER),
                        Some(number - 1).filter(|last| *last > 0),
                        "its own entry is as it was"
                    );
                    // Ours never goes, and never goes back.
                    let now = generation(&object, OURS);
                    assert!(now >= ours, "{now:?} after {ours:?}");
                    ours = now;
                    let mut entries = object.data["status"]["ancestors"].as_array().cloned().unwrap_or_default();
                    entries.retain(|entry| entry["controllerName"] != OTHER);
                    entries.insert(0, entry(OTHER, "status-two", number));
                    object.data["status"] = json!({"ancestors": entries});
                    match api.replace_status("a", &PostParams::default(), &object).await {
                        Ok(_) => break,
                        Err(kube::Error::Api(status)) if status.code == 409 => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        }
    });

    let mut others_before = None;
    // What a watch would show: it may be behind.
    let mut shown = api.get("a").await.unwrap();
    for number in 1..=WRITES / 2 {
        writer.write(vec![(reference(&shown, "status-two"), our_status("status-two", number))]);
        let end = std::time::Instant::now() + PATIENCE;
        loop {
            let now = api.get("a").await.unwrap();
            let others = generation(&now, OTHER);
            assert!(others >= others_before, "{others:?} after {others_before:?}");
            others_before = others;
            if number % 3 != 0 {
                shown = now.clone();
            }
            if generation(&now, OURS) == Some(number) {
                break;
            }
            assert!(std::time::Instant::now() < end, "{number} was not written");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    others.await.unwrap();
    let last = api.get("a").await.unwrap();
    assert_eq!((generation(&last, OURS), generation(&last, OTHER)), (Some(WRITES / 2), Some(WRITES / 2)));
    assert_eq!(last.data["status"]["ancestors"].as_array().unwrap().len(), 2);
    assert!(health.value(&table::KUBERNETES_WRITE_FAILURES, &["status", "conflict"]) > 0, "they met at times");
    // The last write is seen before its answer is.
    let written = || health.value(&table::KUBERNETES_WRITES, &["status"]);
    tokio::task::block_in_place(|| until("the last write is counted", || written() >= (WRITES / 2) as u64));
    assert_eq!(written(), (WRITES / 2) as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_list_is_left_alone_and_an_event_says_so() {
    let Some(server) = ApiServer::shared() else { return };
    define_all(server.kubectl());
    apply_policies(server.kubectl(), "status-full", 500);
    let Single { writer, client, health, .. } = &single(server, "status-full").await;
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), "status-full", &resource(Dialect::Gep));
    let mut object = api.get("a").await.unwrap();
    let full: Vec<Value> = (0..16).map(|number| entry(&format!("example.com/c{number}"), "status-full", 1)).collect();
    object.data["status"] = json!({ "ancestors": full });
    let object = api.replace_status("a", &PostParams::default(), &object).await.unwrap();
    for generation in 1..=5 {
        writer.write(vec![(reference(&object, "status-full"), our_status("status-full", generation))]);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let events = || {
        let list = server.kubectl().json(&["get", "events.events.k8s.io", "--namespace", "status-full"]);
        list["items"].as_array().cloned().unwrap_or_default()
    };
    tokio::task::block_in_place(|| until("there is an event", || !events().is_empty()));
    let told = events();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["reason"], "StatusIsFull");
    assert_eq!(told[0]["type"], "Warning");
    assert_eq!(told[0]["regarding"]["uid"], json!(object.metadata.uid));
    assert!(told[0]["note"].as_str().unwrap().ends_with("for: Namespace status-full"), "{told:?}");
    // People see it.
    let shown = server.kubectl().run(&["describe", DIALECTS[1].1, "a", "--namespace", "status-full"]);
    assert!(shown.contains("StatusIsFull"), "{shown}");
    assert_eq!(api.get("a").await.unwrap().metadata.resource_version, object.metadata.resource_version);
    assert_eq!(health.value(&table::KUBERNETES_WRITES, &["status"]), 0);

    // There is room again.
    let mut object = api.get("a").await.unwrap();
    object.data["status"]["ancestors"].as_array_mut().unwrap().truncate(15);
    let object = api.replace_status("a", &PostParams::default(), &object).await.unwrap();
    writer.write(vec![(reference(&object, "status-full"), our_status("status-full", 5))]);
    let end = std::time::Instant::now() + PATIENCE;
    while generation(&api.get("a").await.unwrap(), OURS) != Some(5) {
        assert!(std::time::Instant::now() < end, "it was not written");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_was_made_again_does_not_get_the_status_of_the_former() {
    let Some(server) = ApiServer::shared() else { return };
    define_all(server.kubectl());
    apply_policies(server.kubectl(), "status-again", 500);
    let Single { writer, client, health, .. } = &single(server, "status-again").await;
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), "status-again", &resource(Dialect::Gep));
    let former = api.get("a").await.unwrap();
    tokio::task::block_in_place(|| {
        server.kubectl().run(&["delete", DIALECTS[1].1, "a", "--namespace", "status-again"]);
        apply_policies(server.kubectl(), "status-again", 500);
    });
    writer.write(vec![(reference(&former, "status-again"), our_status("status-again", 1))]);
    let refused = || health.value(&table::KUBERNETES_WRITE_FAILURES, &["status", "conflict"]);
    tokio::task::block_in_place(|| until("it was refused", || refused() > 0));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(refused(), 1, "it is not tried again");
    assert_eq!(generation(&api.get("a").await.unwrap(), OURS), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_no_longer_elected_writes_nothing() {
    let Some(server) = ApiServer::shared() else { return };
    define_all(server.kubectl());
    apply_policies(server.kubectl(), "status-stopped", 500);
    let Single { writer, election, client, health } = &single(server, "status-stopped").await;
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), "status-stopped", &resource(Dialect::Gep));
    let object = api.get("a").await.unwrap();
    election.stop().await;
    writer.write(vec![(reference(&object, "status-stopped"), our_status("status-stopped", 1))]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(health.value(&table::KUBERNETES_WRITES, &["status"]), 0);
    assert_eq!(api.get("a").await.unwrap().metadata.resource_version, object.metadata.resource_version);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_forbidden_is_counted_and_tried_until_it_is_granted() {
    let Some(server) = ApiServer::shared() else { return };
    let kubectl = server.kubectl();
    define_all(kubectl);
    apply_policies(kubectl, "status-refused", 500);
    let account = server.service_account("status-refused", "telltale");
    let to = "--serviceaccount=status-refused:telltale";
    let grant = |name: &str, verbs: &str, resource: &str| {
        let (verbs, resource) = (format!("--verb={verbs}"), format!("--resource={resource}"));
        kubectl.run(&["create", "role", name, "--namespace", "status-refused", &verbs, &resource]);
        kubectl.run(&["create", "rolebinding", name, "--namespace", "status-refused", &format!("--role={name}"), to]);
    };
    grant("elect", "create,get,list,update,watch", "leases.coordination.k8s.io");
    let health = Health::new();
    let theirs = client(account.kubeconfig(), &health).await;
    let election = Election::start(theirs.clone(), "single", "status-refused", QUICK, &health);
    let writer = StatusWriter::start(theirs, "single", election.leadership(), &health);
    let mut leadership = election.leadership();
    while !leadership.is_leader() {
        leadership.changed().await;
    }
    let client = client(kubectl.kubeconfig(), &Health::new()).await;
    let api: Api<DynamicObject> = Api::namespaced_with(client, "status-refused", &resource(Dialect::Gep));
    let object = api.get("a").await.unwrap();
    writer.write(vec![(reference(&object, "status-refused"), our_status("status-refused", 1))]);
    let refused = || health.value(&table::KUBERNETES_WRITE_FAILURES, &["status", "forbidden"]);
    tokio::task::block_in_place(|| {
        until("it is refused twice", || refused() >= 2);
        grant("write", "get,update", "telemetrypolicies.gateway.networking.x-k8s.io/status");
        until("it is written", || health.value(&table::KUBERNETES_WRITES, &["status"]) == 1);
    });
    assert_eq!(generation(&api.get("a").await.unwrap(), OURS), Some(1));
}
