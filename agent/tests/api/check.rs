//! `telltale check --cluster`: which permission is missing, and that the shipped roles leave none.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::{api_server::ApiServer, kubectl::Kubectl};

const NAMESPACE: &str = "checked";

/// The rows about the cluster, by name, and whether the check found that all is well.
fn check(account: &Kubectl) -> Vec<(String, Value)> {
    let output = Command::new(env!("CARGO_BIN_EXE_telltale"))
        .args(["check", "-o", "json", "--cluster", "--namespace", NAMESPACE, "--kubeconfig"])
        .arg(account.kubeconfig())
        .output()
        .expect("the binary runs");
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let rows = report["capabilities"].as_array().expect("rows").iter();
    let about_the_cluster = |row: &&Value| {
        let name = row["name"].as_str().expect("a name");
        name.starts_with("permission ") || name == "API server" || name.starts_with("kind ")
    };
    rows.filter(about_the_cluster).map(|row| (row["name"].as_str().unwrap().to_owned(), row.clone())).collect()
}

/// A role of the shipped manifests under another name, given to the account.
fn grant(kubectl: &Kubectl, file: &str, name: &str, account: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kustomize/agent").join(file);
    let role = fs::read_to_string(path)
        .expect("the manifest is there")
        .replace("name: telltale\n", &format!("name: {name}\n"));
    let cluster = role.contains("kind: ClusterRole\n");
    if cluster {
        kubectl.apply(&role);
    } else {
        kubectl.apply(&role.replace(&format!("name: {name}\n"), &format!("name: {name}\n  namespace: {NAMESPACE}\n")));
    }
    let (kind, of) = if cluster { ("clusterrolebinding", "--clusterrole") } else { ("rolebinding", "--role") };
    let account = format!("--serviceaccount={NAMESPACE}:{account}");
    kubectl.run(&["create", kind, name, "--namespace", NAMESPACE, &format!("{of}={name}"), &account]);
}

#[test]
fn check_names_the_verbs_that_are_denied_and_none_with_the_shipped_roles() {
    let Some(server) = ApiServer::shared() else { return };
    let kubectl = server.kubectl();
    kubectl.apply(&format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {NAMESPACE}}}\n"));
    let account = server.service_account(NAMESPACE, "checker");
    let rows = check(&account);
    assert_eq!((rows[0].0.as_str(), &rows[0].1["status"]), ("API server", &"ok".into()), "{rows:?}");
    let permissions: Vec<_> = rows.iter().filter(|(name, _)| name.starts_with("permission ")).collect();
    assert!(permissions.len() > 10);
    for (name, row) in &permissions {
        assert_eq!(row["status"], "missing", "{name}");
        assert!(row["mend"].as_str().is_some_and(|mend| mend.contains("Role telltale")), "{row}");
    }
    let found = |name: &str| permissions.iter().find(|(known, _)| known == name).map(|(_, row)| row["found"].clone());
    let leases = "permission leases.coordination.k8s.io";
    assert_eq!(found(leases), Some("denied: create, get, list, update, watch".into()));

    grant(kubectl, "cluster-role.yaml", "checked-cluster", "checker");
    grant(kubectl, "role.yaml", "checked", "checker");
    // Roles take a moment to hold.
    account.until(&["get", "--namespace", NAMESPACE, "leases.coordination.k8s.io"], |said| !said.contains("Forbidden"));
    account.until(&["get", "nodes"], |said| !said.contains("Forbidden"));
    let rows = check(&account);
    for (name, row) in rows.iter().filter(|(name, _)| name.starts_with("permission ")) {
        assert_eq!(row["status"], "ok", "{name}: {row}");
    }
    assert_eq!(rows.iter().filter(|(name, _)| name.starts_with("kind ")).count(), 4);
}

#[test]
fn check_says_that_the_api_server_does_not_answer() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    // Port 9 of loopback is nobody's.
    let config = "{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}], \
                  users: [{name: u, user: {token: t}}], clusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}]}";
    fs::write(&file, config).unwrap();
    let rows = check(&Kubectl::new(Vec::new(), &file));
    assert_eq!(rows.len(), 1);
    let (name, row) = &rows[0];
    assert_eq!((name.as_str(), &row["status"]), ("API server", &"fatal".into()));
    assert!(
        row["found"].as_str().is_some_and(|found| found.contains("127.0.0.1:9") && found.contains("refused")),
        "{row}"
    );
}
