//! A policy's own receiver of spans.

use std::fs;

use crate::common::{
    agent::Run,
    program::{Server, curl, done},
    rotel::Rotel,
    seen::{attribute, text},
    wait_for,
};

/// A run has no exporter but the one that the policy names, with the policy's own words on the spans; what `--spans` says is the same.
#[test]
fn spans_go_to_the_receiver_that_the_policy_names() {
    let (rotel, server) = (Rotel::start(), Server::python());
    let folder = tempfile::tempdir().expect("a folder can be made");
    let policy = folder.path().join("policy.yaml");
    let document = format!(
        "apiVersion: gateway.networking.x-k8s.io/v1alpha1\n\
         kind: TelemetryPolicy\n\
         metadata: {{name: traced, namespace: default}}\n\
         spec:\n\
         \x20 targetRefs: [{{group: '', kind: Namespace, name: default}}]\n\
         \x20 accessLogs: {{mode: Enabled}}\n\
         \x20 tracing:\n\
         \x20   mode: Enabled\n\
         \x20   provider: {{endpoint: '127.0.0.1:{}', protocol: http}}\n\
         \x20   serviceName: checkout\n\
         \x20   context: [B3, W3C]\n\
         \x20   attributes:\n\
         \x20   - {{name: tenant, type: Header, headerName: x-tenant}}\n\
         ---\n\
         apiVersion: v1\n\
         kind: Namespace\n\
         metadata: {{name: default}}\n",
        rotel.http
    );
    fs::write(&policy, document).expect("a file can be written");
    let port = server.port.to_string();
    let policy = policy.to_str().expect("a path of text");
    let run = Run::start(["--port", &port, "--policy", policy]);
    let b3 = "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1";
    done(&mut curl(["-H", b3, "-H", "X-Tenant: blue", &server.url("/bytes/1")]));
    let seen = run.stop_after(2);
    assert_eq!(seen.spans.len(), 2, "{}", seen.stderr);
    for span in &seen.spans {
        assert_eq!(text(span, "traceId"), "80f198ee56343ba864fe8b2a57d3eff7");
        assert_eq!(text(span, "parentSpanId"), "e457b5a2e4d86bd1");
        assert_eq!(attribute(span, "tenant").as_deref(), Some("blue"));
    }
    let output = wait_for("both spans", || {
        let output = rotel.output();
        (output.matches("-> tenant: Str(blue)").count() == 2).then_some(output)
    });
    assert!(output.contains("-> service.name: Str(checkout)"), "{output}");
}
