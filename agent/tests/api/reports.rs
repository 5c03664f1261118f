//! What a node says that it follows, as it stands at the API server.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use kube::Client;
use serde_json::{Value, json};
use telltale::{
    admin::{Health, table},
    kube::{
        AGENT_PODS, LABEL, NodeReporter, NodeReporterSettings, POLICIES, PolicyReport, REMARKS, Report, lease_name,
        refused_note,
    },
    policy::{
        model::{Dialect, PolicyKey},
        status::NodeReport,
    },
};
use tokio::task::block_in_place;

use crate::{
    agents::{agent_pod, client, install, until},
    api_server::ApiServer,
};

fn settings(namespace: &str, node: &str, pod: &str) -> NodeReporterSettings {
    NodeReporterSettings { namespace: namespace.to_owned(), node: node.to_owned(), pod: Some(pod.to_owned()) }
}

fn report(generation: i64, notes: Vec<String>) -> Report {
    let key = PolicyKey { namespace: "shop".to_owned(), name: "p".to_owned(), dialect: Dialect::Gep };
    let report = NodeReport { generation, cannot: vec!["TLS is not read".to_owned()], notes };
    Report { policies: BTreeMap::from([(key, PolicyReport { uid: "0123456789".to_owned(), report })]) }
}

async fn connect(server: &ApiServer) -> (Client, Arc<Health>) {
    let health = Health::new();
    (client(server.kubectl().kubeconfig(), &health).await, health)
}

fn lease(server: &ApiServer, namespace: &str, node: &str) -> Value {
    server.kubectl().json(&["get", "lease", &lease_name(node), "--namespace", namespace])
}

fn followed(lease: &Value) -> Value {
    let text = lease["metadata"]["annotations"][POLICIES].as_str().unwrap_or("null");
    serde_json::from_str::<Value>(text).unwrap()["gateway.networking.x-k8s.io/v1alpha1"]["shop/p"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_is_written_when_it_changes_and_comes_again_when_it_is_removed() {
    let Some(server) = ApiServer::shared() else { return };
    install(server.kubectl(), "reports", &["n1"]);
    let (client, health) = connect(server).await;
    let reporter = NodeReporter::start(client, settings("reports", "n1", &agent_pod("n1")), &health);
    let written = || health.value(&table::KUBERNETES_WRITES, &["report"]);
    assert!(!reporter.is_reported());
    reporter.report(report(1, Vec::new()));
    reporter.reported().await;
    let first = block_in_place(|| lease(server, "reports", "n1"));
    assert_eq!(followed(&first), json!(["01234567", 1]));
    assert_eq!(first["spec"]["holderIdentity"], "n1");
    assert_eq!(first["metadata"]["labels"][LABEL.0], LABEL.1);
    assert!(first["metadata"]["annotations"][REMARKS].as_str().unwrap().contains("TLS is not read"), "{first}");
    let pod =
        block_in_place(|| server.kubectl().json(&["get", "pods", "--namespace", "reports", "--selector", AGENT_PODS]));
    assert_eq!(first["metadata"]["ownerReferences"][0]["uid"], pod["items"][0]["metadata"]["uid"]);

    // The same again is no write, and words alone can wait.
    reporter.report(report(1, Vec::new()));
    reporter.report(report(1, refused_note(50).into_iter().collect()));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(written(), 1);
    // They come with what cannot wait.
    reporter.report(report(2, refused_note(60).into_iter().collect()));
    reporter.reported().await;
    let second = block_in_place(|| lease(server, "reports", "n1"));
    assert_eq!(followed(&second), json!(["01234567", 2]));
    assert!(second["metadata"]["annotations"][REMARKS].as_str().unwrap().contains("at least 10 lines"), "{second}");
    assert_eq!(written(), 2);

    // Another's annotation stays, and what is not ours is no reason to write.
    let name = lease_name("n1");
    block_in_place(|| {
        server.kubectl().run(&["annotate", "lease", &name, "--namespace", "reports", "example.com/x=y"]);
    });
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(written(), 2);
    block_in_place(|| server.kubectl().run(&["delete", "lease", &name, "--namespace", "reports"]));
    block_in_place(|| until("it is there again", || written() == 3));
    assert_eq!(followed(&block_in_place(|| lease(server, "reports", "n1"))), json!(["01234567", 2]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agent_of_a_newer_pod_takes_the_report_over_for_good() {
    let Some(server) = ApiServer::shared() else { return };
    install(server.kubectl(), "reports-two", &["old", "new"]);
    let (client, health) = connect(server).await;
    let old = NodeReporter::start(client.clone(), settings("reports-two", "n1", &agent_pod("old")), &health);
    old.report(report(1, Vec::new()));
    old.reported().await;
    let new = NodeReporter::start(client, settings("reports-two", "n1", &agent_pod("new")), &health);
    new.report(report(2, Vec::new()));
    new.reported().await;
    old.report(report(3, Vec::new()));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let now = block_in_place(|| lease(server, "reports-two", "n1"));
    assert_eq!(followed(&now), json!(["01234567", 2]));
    assert_eq!(now["metadata"]["ownerReferences"][0]["name"], agent_pod("new"));
    assert!(new.is_reported() && !old.is_reported());
}
