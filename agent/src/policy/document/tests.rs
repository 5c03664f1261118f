//! What files become.

use super::*;
use crate::policy::{
    model::{AttributeSource, LogField, MatchKind, MetricsProvider, Mode, Ratio},
    objects::{ObjectName, Phase},
};

fn read(text: &str) -> Documents {
    Documents::read(&[Source::new("a.yaml", text)])
}

/// The example of the proposal, as it is there.
const EXAMPLE: &str = include_str!("example.yaml");

#[test]
fn the_example_of_the_proposal_means_what_it_says() {
    let documents = read(EXAMPLE);
    assert_eq!(documents.problems, []);
    let [document] = documents.policies.as_slice() else { panic!("{documents:?}") };
    assert_eq!(document.findings, []);
    let policy = document.policy.as_ref().unwrap();
    assert_eq!(policy.key.to_string(), "prod-ns/standard-telemetry");
    assert_eq!(policy.targets, document.targets);
    assert_eq!((policy.targets[0].kind.as_str(), policy.targets[0].name.as_str()), ("Gateway", "my-gateway"));

    let tracing = policy.spec.tracing.as_ref().unwrap();
    assert_eq!(tracing.mode, Mode::Enabled);
    assert_eq!(tracing.sampling_rate, Some(Ratio { numerator: 5, denominator: 100 }));
    let parent = tracing.parent_based.unwrap();
    assert_eq!((parent.mode, parent.sampling_rate), (Mode::Enabled, Some(Ratio { numerator: 50, denominator: 100 })));
    assert_eq!(tracing.context, ["W3C", "B3"]);
    let endpoint = tracing.provider.as_ref().unwrap().endpoint.as_ref().unwrap();
    assert_eq!(endpoint.address, "otel-collector.monitoring.svc:4317");
    assert_eq!(document.line_of(&endpoint.at), 15);
    assert_eq!(tracing.attributes[0].source, AttributeSource::Literal("production".to_owned()));
    assert_eq!(tracing.attributes[0].at.as_str(), "spec.tracing.customAttributes[0]");

    let metrics = policy.spec.metrics.as_ref().unwrap();
    assert_eq!((metrics.mode, &metrics.provider), (Mode::Enabled, &Some(MetricsProvider::Prometheus)));
    let change = &metrics.overrides[0];
    assert_eq!((change.name.as_str(), change.instrument_type.as_deref()), ("request_count", Some("Counter")));
    assert_eq!(change.attributes[0].source, AttributeSource::Header("x-model-id".to_owned()));
    assert_eq!(change.attributes[0].at.as_str(), "spec.metrics.overrides[0].dimensions[0]");
    assert_eq!(document.line_of(&change.attributes[0].at), 36);

    let logs = policy.spec.access_logs.as_ref().unwrap();
    assert_eq!(logs.mode, Mode::Enabled);
    assert_eq!(logs.matches[0].kind, MatchKind::Path("/api/v1/sensitive".to_owned()));
    let names = logs.fields.iter().map(|field| match field {
        LogField::Named { name, .. } => name.as_str(),
        LogField::Attribute { .. } => panic!("{field:?}"),
    });
    assert_eq!(names.collect::<Vec<_>>(), ["start_time", "response_code", "x-token-usage"]);
}

#[test]
fn one_broken_document_takes_no_other_with_it() {
    let documents = Documents::read(&[
        Source::new(
            "a.yaml",
            b"a: [1\n---\nkind: Namespace\napiVersion: v1\nmetadata: {name: one}\n---\n\xff\n---\nx: 1\n".to_vec(),
        ),
        Source::new("b.json", r#"{"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "two"}}"#),
    ]);
    assert_eq!(documents.objects.namespaces.keys().collect::<Vec<_>>(), ["one", "two"]);
    let problems: Vec<_> = documents.problems.iter().map(ToString::to_string).collect();
    assert!(
        problems[0].starts_with("a.yaml:1: is not YAML: ") || problems[0].starts_with("a.yaml:2: is not YAML: "),
        "{problems:?}"
    );
    assert_eq!(
        problems[1..],
        ["a.yaml:7: is not UTF-8", "a.yaml:9: is no Kubernetes object; it needs `apiVersion` and `kind`"]
    );
}

#[test]
fn a_document_is_at_most_one_mebibyte() {
    let head = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n# ";
    let sized = |size: usize| format!("{head}{}", "x".repeat(size - head.len()));
    assert_eq!(read(&sized(1 << 20)).objects.namespaces.len(), 1);
    let documents = read(&sized((1 << 20) + 1));
    assert!(documents.objects.namespaces.is_empty());
    assert_eq!(documents.problems[0].to_string(), "a.yaml:1: the document has 1048577 bytes, more than 1 MiB");
}

#[test]
fn lists_are_taken_apart() {
    let documents = read(
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: one}}\n- apiVersion: v1\n  kind: PodList\n  items:\n  - metadata: {name: p, namespace: one}\n- apiVersion: gateway.networking.x-k8s.io/v1alpha1\n  kind: TelemetryPolicy\n  metadata: {name: x}\n  spec:\n    targetRefs:\n    - {group: '', kind: Namespace, name: one}\n",
    );
    assert_eq!(documents.problems, []);
    assert!(documents.objects.pods.contains_key(&ObjectName::new("one", "p")));
    let policy = &documents.policies[0];
    assert_eq!((policy.line, policy.key.to_string()), (9, "default/x".to_owned()));
    assert_eq!(policy.line_of(&FieldPath::new("spec.targetRefs[0].kind")), 14);
}

#[test]
fn objects_stand_for_the_cluster() {
    let documents = read(
        r#"
{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: a, on: "x"}}}
---
apiVersion: v1
kind: Pod
metadata:
  name: web-1
  namespace: shop
  uid: 1-2
  creationTimestamp: "2026-01-02T03:04:05Z"
  labels: {gateway.networking.k8s.io/gateway-name: edge}
  annotations: {note: words}
  ownerReferences:
  - {kind: Node, name: n}
  - {kind: ReplicaSet, name: web, controller: true}
spec:
  serviceAccountName: sa
  nodeName: n1
  initContainers: [{name: proxy, image: "p:1"}]
  containers: [{name: web, image: "w:1"}, {name: later}]
status:
  phase: Running
  conditions: [{type: Ready, status: "True"}]
  initContainerStatuses: [{name: proxy, containerID: "containerd://aa"}]
  containerStatuses: [{name: later, containerID: ""}, {name: web, containerID: "cri-o://bb"}]
  podIP: 10.0.0.1
  podIPs: [{ip: 10.0.0.1}, {ip: "fd00::1"}, {ip: nonsense}]
---
{apiVersion: v1, kind: Service, metadata: {name: col, namespace: obs}, spec: {clusterIP: 10.9.0.1, clusterIPs: [10.9.0.1, "fd00::9"], ports: [{port: 4317}, {port: 99999}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: headless, namespace: obs}, spec: {clusterIP: None, clusterIPs: [None]}}
---
{apiVersion: v1, kind: Node, metadata: {name: n1}, spec: {podCIDRs: [10.0.0.0/24]}, status: {addresses: [{address: 192.0.2.1}, {address: n1}]}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: edge, namespace: shop}}
---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: g, namespace: obs}
spec:
  from: [{group: gateway.networking.x-k8s.io, kind: TelemetryPolicy, namespace: shop}]
  to: [{group: "", kind: Service}, {group: "", kind: Service, name: col}]
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}}
---
{apiVersion: v1, kind: Service, metadata: {}}
"#,
    );
    let objects = &documents.objects;
    assert_eq!(objects.namespaces["shop"].labels["team"], "a");
    let pod = &objects.pods[&ObjectName::new("shop", "web-1")];
    assert_eq!(pod.gateway(), Some("edge"));
    assert_eq!(pod.owner, Some(("ReplicaSet".to_owned(), "web".to_owned())));
    assert_eq!(pod.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.1", "fd00::1"]);
    assert_eq!(
        (pod.service_account.as_deref(), pod.node.as_deref(), pod.uid.as_deref()),
        (Some("sa"), Some("n1"), Some("1-2"))
    );
    assert_eq!(objects.services[&ObjectName::new("obs", "col")].ports, [4317]);
    let ids: Vec<_> = pod.containers.iter().map(|container| (&*container.name, container.id.as_deref())).collect();
    assert_eq!(ids, [("proxy", Some("aa")), ("web", Some("bb")), ("later", None)]);
    assert_eq!(pod.containers[1].image.as_deref(), Some("w:1"));
    assert_eq!((pod.phase, pod.ready, pod.host_network, pod.deleted), (Phase::Running, true, false, None));
    assert_eq!(pod.created.unwrap().to_string(), "2026-01-02T03:04:05Z");
    let service = |name| &objects.services[&ObjectName::new("obs", name)].addresses;
    assert_eq!(service("col").iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.9.0.1", "fd00::9"]);
    assert!(service("headless").is_empty());
    let node = &objects.nodes["n1"];
    assert_eq!(node.addresses, ["192.0.2.1".parse::<std::net::IpAddr>().unwrap()]);
    assert!(node.pod_ranges[0].contains("10.0.0.9".parse().unwrap()));
    assert!(objects.gateways.contains_key(&ObjectName::new("shop", "edge")));
    assert_eq!(objects.grants[0].to[1].2.as_deref(), Some("col"));
    assert_eq!(
        documents.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["a.yaml:46: Service: `metadata.name` is missing"]
    );
}

#[test]
fn an_older_version_is_named_and_other_groups_are_passed_over() {
    let documents = read(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: TelemetryPolicy\n---\napiVersion: extensions.kuadrant.io/v1alpha1\nkind: TelemetryPolicy\n",
    );
    let problems: Vec<_> = documents.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].starts_with("a.yaml:1: apiVersion: `gateway.networking.k8s.io/v1` is not served; "),
        "{problems:?}"
    );
}

#[test]
fn a_key_that_is_given_twice_is_a_warning() {
    let documents = read(&EXAMPLE.replacen("    format: JSON\n", "    format: JSON\n    format: Text\n", 1));
    let [finding] = documents.policies[0].findings.as_slice() else { panic!("{:?}", documents.policies[0].findings) };
    assert_eq!(
        (finding.effect, finding.to_string()),
        (Effect::Warning, "spec.accessLogs.format: is given again in line 41; the last one counts".to_owned())
    );
}

#[test]
fn keys_that_are_given_again_hide_nothing() {
    let again = "  a: 1\n".repeat(5_000);
    let text = format!(
        "apiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: TelemetryPolicy\nmetadata: {{name: p}}\nspec:\n{again}  \
         targetRefs: [{{group: '', kind: Namespace, name: default}}]\n  tracing: {{mode: Enabld}}\n"
    );
    let documents = read(&text);
    let document = &documents.policies[0];
    assert!(document.is_invalid());
    assert!(document.findings.iter().any(|finding| finding.field.as_str() == "spec.tracing.mode"));
    assert!(document.findings.iter().any(|finding| finding.problem.starts_with("4899 more keys")), "{document:?}");
    assert!(document.findings.len() < 110);
}

#[test]
fn anchors_in_each_other_are_bounded() {
    let nested: Vec<_> = (0..50).map(|level| format!("&a{level} [")).collect();
    let nested = nested.concat();
    let text = format!("a: {nested}{}{}\n", "1,".repeat(5_000), "]".repeat(50));
    let problems = read(&text).problems;
    assert!(problems[0].to_string().contains("anchors stand for more than"), "{problems:?}");
}
