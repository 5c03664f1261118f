//! What the other tests observe is there.

use crate::cluster::Cluster;

#[test]
fn clients_are_answered_in_both_namespaces() {
    let Some(cluster) = Cluster::named() else { return };
    for namespace in ["shop", "quiet"] {
        let arguments = ["logs", "--namespace", namespace, "deployment/client"];
        cluster.kubectl.until(&arguments, |said| said.contains("asked 21\n"));
        let pods = cluster.kubectl.json(&["get", "pods", "--namespace", namespace]);
        let addresses: Vec<_> = pods["items"].as_array().unwrap().iter().map(|pod| &pod["status"]["podIP"]).collect();
        assert_eq!(addresses.len(), 2, "{pods}");
        assert_ne!(addresses[0], addresses[1]);
    }
}

#[test]
fn a_service_is_reached_by_its_address() {
    let Some(cluster) = Cluster::named() else { return };
    let address =
        cluster.kubectl.run(&["get", "service", "server", "--namespace=shop", "--output=jsonpath={.spec.clusterIP}"]);
    cluster.kubectl.apply(&format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{namespace: quiet, name: once}}\n\
         spec:\n  restartPolicy: Never\n  automountServiceAccountToken: false\n  containers:\n  \
         - {{name: once, image: \"telltale.test/workload:1\", command: [wget, -q, -O-, \"http://{address}:8080/once\"]}}\n"
    ));
    let logs = ["logs", "--namespace=quiet", "once"];
    cluster.kubectl.until(&logs, |said| said.contains(r#""path": "/once""#));
    cluster.kubectl.run(&["delete", "pod", "once", "--namespace=quiet", "--grace-period=0", "--force"]);
}
