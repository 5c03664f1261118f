//! What the chart's values do.

use serde_json::json;
use telltale::{
    config::Config,
    policy::document::{Documents, Source},
};

use crate::rendered::{Helm, Objects, object};

fn with(helm: &Helm, values: &[&str]) -> Objects {
    helm.objects(&values.iter().flat_map(|value| ["--set", value]).collect::<Vec<_>>())
}

fn pod(objects: &Objects) -> serde_json::Value {
    object(objects, "DaemonSet", "telltale")["spec"]["template"]["spec"].clone()
}

const PROPOSAL: &str = "telemetrypolicies.gateway.networking.k8s.io";
const GEP: &str = "telemetrypolicies.gateway.networking.x-k8s.io";

#[test]
fn helm_finds_nothing_to_say_of_it() {
    let Some(helm) = Helm::find() else { return };
    let said = helm.call(&["lint", "--strict"], &[]).unwrap_or_else(|said| panic!("{said}"));
    assert!(said.contains("1 chart(s) linted, 0 chart(s) failed"), "{said}");
}

#[test]
fn a_package_holds_what_the_chart_needs() {
    let Some(helm) = Helm::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    helm.call(&["package"], &["--destination", path]).unwrap_or_else(|said| panic!("{said}"));
    let package = folder.path().join(format!("telltale-{}.tgz", env!("CARGO_PKG_VERSION")));
    let listing = std::process::Command::new("tar").arg("-tzf").arg(package).output().unwrap();
    let listing = String::from_utf8(listing.stdout).unwrap();
    for file in
        ["gateway.networking.k8s.io_telemetrypolicies.yaml", "gateway.networking.x-k8s.io_telemetrypolicies.yaml"]
    {
        assert!(listing.lines().any(|line| line == format!("telltale/files/crds/{file}")), "{listing}");
    }
    assert!(listing.contains("telltale/files/cluster-role.yaml\n"), "{listing}");
}

#[test]
fn either_definition_can_be_left_out_or_go_with_the_release() {
    let Some(helm) = Helm::find() else { return };
    let kept = |objects: &Objects, name: &str| {
        object(objects, "CustomResourceDefinition", name)["metadata"]["annotations"]["helm.sh/resource-policy"].clone()
    };
    let default = with(&helm, &[]);
    assert!(kept(&default, PROPOSAL) == "keep" && kept(&default, GEP) == "keep");
    let one = with(&helm, &["crds.proposal=false", "crds.gep=true"]);
    assert!(!one.contains_key(&("CustomResourceDefinition".to_owned(), PROPOSAL.to_owned())));
    assert!(kept(&one, GEP).is_null());
}

#[test]
fn a_node_s_network_keeps_the_cluster_s_names() {
    let Some(helm) = Helm::find() else { return };
    let pod = pod(&with(&helm, &["hostNetwork=true"]));
    assert!(pod["hostNetwork"] == true && pod["dnsPolicy"] == "ClusterFirstWithHostNet");
}

#[test]
fn capabilities_are_granted_one_by_one() {
    let Some(helm) = Helm::find() else { return };
    let granted = |values: &[&str]| {
        let context = pod(&with(&helm, values))["containers"][0]["securityContext"].clone();
        (context["privileged"].clone(), context["capabilities"].clone())
    };
    let added = |names: &[&str]| (json!(false), json!({"drop": ["ALL"], "add": names}));
    assert_eq!(granted(&[]), added(&super::agent::CAPABILITIES));
    assert_eq!(granted(&["capabilities.sysPtrace=false"]), added(&["BPF", "PERFMON"]));
    assert_eq!(
        granted(&["capabilities.sysAdmin=true", "capabilities.dacReadSearch=true"]),
        added(&["BPF", "DAC_READ_SEARCH", "PERFMON", "SYS_ADMIN", "SYS_PTRACE"])
    );
    assert_eq!(granted(&["privileged=true"]), (json!(true), json!(null)));
}

#[test]
fn the_configuration_is_the_agent_s_file_and_another_one_makes_other_pods() {
    let Some(helm) = Helm::find() else { return };
    let values = [
        "config.otlp.endpoint=http://collector:4317",
        "config.otlp.protocol=grpc",
        "config.defaultPolicy.metrics.mode=Enabled",
    ];
    let objects = with(&helm, &values);
    let file = object(&objects, "ConfigMap", "telltale")["data"]["telltale.yaml"].as_str().unwrap().to_owned();
    let read = Config::read(&Source::new("telltale.yaml", file.clone()));
    assert!(read.is_ok(), "{read:?}: {file}");
    assert!(file.contains("collector:4317") && file.contains("Enabled"), "{file}");
    let of = |objects: &Objects| {
        object(objects, "DaemonSet", "telltale")["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
            .clone()
    };
    assert!(of(&objects).is_string());
    assert_ne!(of(&objects), of(&with(&helm, &values[..2])));
    assert!(of(&with(&helm, &[])).is_null());
}

#[test]
fn what_cannot_be_is_refused_before_it_is_installed() {
    let Some(helm) = Helm::find() else { return };
    for (value, named) in [
        ("config.defaultPolicy.metric.mode=Enabled", "defaultPolicy"),
        ("config.policies.limits.series=1", "series"),
        ("capabilities.sysadmin=true", "sysadmin"),
        ("crds.gep=maybe", "gep"),
        ("hostnetwork=true", "hostnetwork"),
        ("image.digest=abc", "digest"),
        ("args={--metrics-addr=127.0.0.1:1}", "args"),
        ("args={--config,a.yaml}", "args"),
        ("env[0].name=TELLTALE_NODE_NAME,env[0].value=a", "env"),
        ("metrics.address=::", "address"),
        ("metrics.address=127.0.0.1", "address"),
        ("podLabels.app\\.kubernetes\\.io/name=a", "app.kubernetes.io/name"),
        ("podAnnotations.kubectl\\.kubernetes\\.io/default-container=a", "default-container"),
        ("metrics.annotations=true,podAnnotations.prometheus\\.io/port=a", "prometheus.io/port"),
        ("resourceQuota.enabled=true,priorityClassName=", "priorityClassName"),
        ("config.prometheus.port=1", "set metrics.address and metrics.port"),
        ("config.accessLogs.directory=/logs", "set logDirectory"),
        ("logDirectory=/var/log/telltale,args={--log-dir=/logs}", "logDirectory sets already"),
    ] {
        let said = helm.template(&["--set", value]).expect_err(value);
        assert!(said.contains(named) && said.contains("values"), "{value}: {said}");
    }
}

#[test]
fn what_looks_like_it_and_can_be_is_taken() {
    let Some(helm) = Helm::find() else { return };
    for values in [
        "metrics.address=[::]",
        "config.accessLogs.directory=/logs/a,volumes[0].name=l,volumeMounts[0].name=l,volumeMounts[0].mountPath=/logs",
        "config.accessLogs.directory=/logs,logDirectory=/var/log/telltale",
        "podAnnotations.prometheus\\.io/port=a",
        "logDirectory=/var/log/a: b",
    ] {
        assert_eq!(helm.template(&["--set", values]).err(), None, "{values}");
    }
    let quoted = with(&helm, &["logDirectory=/var/log/a: b", "hostNetwork=true", "admin.port=9999"]);
    let volumes = pod(&quoted)["volumes"].to_string();
    assert!(volumes.contains("/var/log/a: b"), "{volumes}");
    let args = pod(&quoted)["containers"][0]["args"].to_string();
    assert!(args.contains("--admin-addr=127.0.0.1:9999"), "{args}");
}

#[test]
fn the_notes_say_how_to_go_on() {
    let Some(helm) = Helm::find() else { return };
    let said = helm.call(&["install", "telltale"], &["--dry-run=client", "--namespace", "telltale"]);
    let said = said.unwrap_or_else(|said| panic!("{said}"));
    let (_, notes) = said.split_once("NOTES:").unwrap_or_else(|| panic!("{said}"));
    for word in ["kubectl get telemetry -A", "pod-security.kubernetes.io/enforce=privileged", "/telltale check"] {
        assert!(notes.contains(word), "{word}: {notes}");
    }
    // The policy that it shows is one.
    let (_, rest) = notes.split_once("<<POLICY\n").unwrap();
    let (policy, _) = rest.split_once("POLICY").unwrap();
    let documents = Documents::read(&[Source::new("notes.yaml", policy.to_owned())]);
    assert!(documents.problems.is_empty() && documents.policies.len() == 1, "{:?}", documents.problems);
}
