//! What `direction` and `tls` leave out.

use std::fs;

use crate::replayed::{Replayed, recording, replay};

/// What is told of one request to a server, with this in its `open` event and these fields in the policy.
fn told(open: &str, fields: &str) -> Replayed {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let traffic = recording([("/", String::new())]).replace("\"pid\":1,", &format!("\"pid\":1,{open}"));
    let policy = format!(
        "apiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: TelemetryPolicy\nmetadata: {{name: p, namespace: shop}}\n\
         spec:\n  targetRefs: [{{group: '', kind: Namespace, name: shop}}]\n  metrics: {{}}\n  accessLogs: {{mode: Enabled}}\n{fields}"
    );
    replay(&write("traffic.jsonl", traffic), &[&write("policy.yaml", policy)], None)
}

fn lines(open: &str, fields: &str) -> usize {
    told(open, fields).lines.lines().count()
}

#[test]
fn only_the_ends_that_are_asked_for_are_reported() {
    for (direction, expected) in [("Server", 1), ("Both", 1), ("Client", 0)] {
        assert_eq!(lines("", &format!("  direction: {direction}\n")), expected, "{direction}");
    }
}

#[test]
fn what_is_inside_tls_is_reported_unless_the_policy_forbids_it() {
    for (inside, mode, expected) in [(true, "Enabled", 1), (true, "Disabled", 0), (false, "Disabled", 1)] {
        let open = if inside { "\"tls\":true," } else { "" };
        assert_eq!(lines(open, &format!("  tls: {{mode: {mode}}}\n")), expected, "{inside} {mode}");
    }
    assert_eq!(lines("\"tls\":true,", ""), 1);
    // Of its connection what the socket shows.
    for (mode, expected) in [("Enabled", "visibility=\"decrypted\""), ("Disabled", "opaque_reason=\"tls\"")] {
        let metrics = told("\"tls\":true,", &format!("  tls: {{mode: {mode}}}\n")).metrics;
        let connections: Vec<_> =
            metrics.lines().filter(|line| line.starts_with("telltale_connections_total{")).collect();
        assert!(matches!(&connections[..], [one] if one.contains(expected) && one.ends_with(" 1")), "{connections:?}");
        assert_eq!(metrics.contains("network_protocol_name=\"http\""), mode == "Enabled", "{metrics}");
    }
}
