//! What other tests take for granted of the API server that they start.

use crate::{agents::until, api_server::ApiServer};

#[test]
fn a_crash_loses_nothing_and_the_address_stays() {
    let Some(server) = ApiServer::start() else { return };
    let kubectl = server.kubectl();
    kubectl.apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: kept}\n");
    server.stop_api();
    let said = kubectl.attempt(&["get", "namespace", "kept"], "").expect_err("nobody answers");
    let address = server.url().strip_prefix("https://").unwrap();
    assert!(said.contains(address) && said.contains("refused"), "{said}");
    server.start_api();
    assert_eq!(kubectl.json(&["get", "namespace", "kept"])["status"]["phase"], "Active");
}

#[test]
fn a_service_account_may_what_its_roles_say_and_the_audit_log_shows_what_it_tried() {
    let Some(server) = ApiServer::shared() else { return };
    let kubectl = server.kubectl();
    kubectl.apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: accounts}\n");
    let account = server.service_account("accounts", "reader");
    assert!(account.kubeconfig().exists());
    let said = account.attempt(&["get", "pods", "--namespace", "accounts"], "").expect_err("it has no role");
    assert!(said.contains("system:serviceaccount:accounts:reader"), "{said}");
    kubectl.run(&["create", "role", "read", "--namespace", "accounts", "--verb=list", "--resource=pods"]);
    let to = "--serviceaccount=accounts:reader";
    kubectl.run(&["create", "rolebinding", "read", "--namespace", "accounts", "--role=read", to]);
    account.until(&["get", "pods", "--namespace", "accounts"], |said| !said.contains("Forbidden"));
    let tried = || -> Vec<u64> {
        let audit = server.audit().into_iter();
        audit
            .filter(|event| event["user"]["username"] == "system:serviceaccount:accounts:reader")
            .filter(|event| event["objectRef"]["resource"] == "pods")
            .map(|event| event["responseStatus"]["code"].as_u64().unwrap())
            .collect()
    };
    // A line is written after its answer was sent.
    until("the last answer is in the log", || tried().last() == Some(&200));
    assert!(tried().contains(&403), "{:?}", tried());
}
