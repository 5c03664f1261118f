//! What pods say to each other inside TLS, by the library in their own image and with the capabilities that are shipped.

use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, OBSERVED},
    pods::{Pods, program},
    policy,
};

fn of_pod<'a>(lines: &'a [Value], reporter: &str) -> Vec<&'a Value> {
    let is_of = |line: &&Value| line["path"].as_str().is_some_and(|path| path.starts_with("/inside/"));
    lines.iter().filter(is_of).filter(|line| line["reporter"] == reporter).collect()
}

#[test]
fn what_a_pod_says_inside_tls_is_read_unless_the_policy_says_not_to() {
    let Some(cluster) = Cluster::named() else { return };
    policy::apply(&cluster, "everything", policy::LOGS);
    policy::wait_for(&cluster, "everything", "True", "True");
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let container = json!({
        "command": program(&["serve-tls:8443", "ask-tls:8443:inside"]),
        "env": [
            {"name": "KEY", "value": issued.signing_key.serialize_pem()},
            {"name": "CERTIFICATE", "value": issued.cert.pem()},
        ],
    });
    let mut pods = Pods::new(&cluster);
    pods.start(OBSERVED, "tls", container, json!({}));
    let lines = cluster.lines_until("lines of both ends", |lines| {
        ["client", "server"].iter().all(|reporter| of_pod(lines, reporter).len() > 10)
    });
    let servers = of_pod(&lines, "server");
    let joined = of_pod(&lines, "client").into_iter().filter(|client| {
        assert_eq!((&client["source"], &client["response_code"]), (&json!("shop/tls"), &json!(200)), "{client}");
        let server = servers.iter().find(|server| server["path"] == client["path"]);
        server.is_some_and(|server| {
            assert_eq!(server["destination"], "shop/tls", "{server}");
            server["trace_id"] == client["trace_id"]
        })
    });
    // Connections that were there before the probes are joined in the middle, and have no trace together.
    assert!(joined.count() > 3, "{lines:#?}");

    policy::apply(&cluster, "everything", &format!("tls: {{mode: Disabled}}, {}", policy::LOGS));
    policy::wait_for(&cluster, "everything", "True", "True");
    policy::traffic_goes_on(&cluster, OBSERVED);
    let before = of_pod(&cluster.lines(), "client").len();
    policy::traffic_goes_on(&cluster, OBSERVED);
    assert_eq!(of_pod(&cluster.lines(), "client").len(), before, "it goes on to be read");
    cluster.nothing_was_refused();
}
