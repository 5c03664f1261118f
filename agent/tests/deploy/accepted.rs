//! A real API server takes what is installed. (It defines no `PodMonitor`; `monitor.rs` looks at that one.)

use std::fmt::Write as _;

use crate::{
    api_server::ApiServer,
    rendered::{Helm, Objects, kustomize, text},
};

/// As documents, which JSON is.
fn documents(objects: &Objects, without: &[&str]) -> String {
    objects.iter().filter(|((kind, _), _)| !without.contains(&kind.as_str())).fold(
        String::new(),
        |mut text, (_, object)| {
            let _ = writeln!(text, "---\n{object}");
            text
        },
    )
}

const DRY_RUN: [&str; 6] = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename", "-"];

#[test]
fn every_object_is_valid_as_it_is_installed() {
    let (Some(server), Some(objects)) = (ApiServer::shared(), kustomize("default")) else { return };
    // What is in a namespace needs it even for a trial.
    server.kubectl().apply("{apiVersion: v1, kind: Namespace, metadata: {name: telltale}}");
    let said = server.kubectl().attempt(&DRY_RUN, &documents(&objects, &[]));
    let said = said.unwrap_or_else(|said| panic!("{said}"));
    assert_eq!(said.lines().count(), objects.len(), "{said}");
    assert!(!said.contains("Warning"), "{said}");
}

/// Values that change the shape of an object.
const VARIANTS: &[&[&str]] = &[
    &["privileged=true"],
    &["hostNetwork=true"],
    &["capabilities.sysAdmin=true", "capabilities.dacReadSearch=true"],
    &["appArmorProfile.type=Unconfined", "seLinuxOptions.type=spc_t", "seccompProfile.type=Unconfined"],
    &["logDirectory=/var/log/telltale", "config.accessLogs.stdoutLinesPerSecond=10"],
    &["metrics.annotations=true", "metrics.port=9999", "networkPolicy.from[0].namespaceSelector.matchLabels.a=b"],
    &["resourceQuota.enabled=true", "imagePullSecrets[0].name=pull", "podLabels.team=a", "podAnnotations.a=b"],
    &[
        "env[0].name=OTEL_EXPORTER_OTLP_HEADERS",
        "env[0].value=a=b",
        "args[0]=--quiet",
        "serviceAccount.annotations.a=b",
    ],
    &[
        "volumes[0].name=ca",
        "volumes[0].configMap.name=ca",
        "volumeMounts[0].name=ca",
        "volumeMounts[0].mountPath=/etc/ssl",
    ],
    &["networkPolicy.enabled=false", "tolerations=null", "nodeSelector=null", "priorityClassName="],
];

#[test]
fn every_value_gives_valid_objects() {
    let (Some(server), Some(helm)) = (ApiServer::shared(), Helm::find()) else { return };
    server.kubectl().apply("{apiVersion: v1, kind: Namespace, metadata: {name: telltale}}");
    for variant in VARIANTS {
        let flags: Vec<&str> = variant.iter().flat_map(|value| ["--set", value]).collect();
        let objects = helm.objects(&flags);
        let said = server.kubectl().attempt(&DRY_RUN, &documents(&objects, &[]));
        assert!(said.as_ref().is_ok_and(|said| !said.contains("Warning")), "{variant:?}: {said:?}");
    }
}

/// Stands for one that somebody else installed.
const FOREIGN: &str = "deploy/crds/gateway.networking.x-k8s.io_telemetrypolicies.yaml";

#[test]
fn a_definition_of_somebody_else_is_left_alone_and_ours_stays_when_the_release_goes() {
    let (Some(helm), Some(server)) = (Helm::find(), ApiServer::start()) else { return };
    let kubectl = server.kubectl();
    kubectl.apply("{apiVersion: v1, kind: Namespace, metadata: {name: telltale}}");
    kubectl.apply(&text(FOREIGN).replace("    - xtpol\n", "    - theirs\n"));
    let definition = |group: &str| {
        let mut object = kubectl.json(&["get", "crd", &format!("telemetrypolicies.{group}")]);
        // The API server itself says a moment later that it serves it.
        object["metadata"]["managedFields"].take();
        object["metadata"]["resourceVersion"].take();
        object["status"].take();
        object
    };
    let before = definition("gateway.networking.x-k8s.io");
    let release = |words: &[&str], flags: &[&str]| {
        let flags =
            [&["--namespace", "telltale", "--kubeconfig", kubectl.kubeconfig().to_str().unwrap()], flags].concat();
        helm.call(words, &flags).unwrap_or_else(|said| panic!("{words:?}: {said}"))
    };
    let said = release(&["install", "telltale"], &[]);
    assert!(said.contains("The cluster has telemetrypolicies.gateway.networking.x-k8s.io from elsewhere"), "{said}");
    assert!(!said.contains("The cluster has telemetrypolicies.gateway.networking.k8s.io from"), "{said}");
    release(&["upgrade", "telltale"], &["--set", "crds.gep=true", "--set", "hostNetwork=true"]);
    assert!(definition("gateway.networking.x-k8s.io") == before);
    let ours = &definition("gateway.networking.k8s.io")["metadata"]["annotations"];
    assert_eq!(ours["meta.helm.sh/release-name"], "telltale");
    let set = kubectl.json(&["get", "daemonset", "telltale", "--namespace", "telltale"]);
    assert_eq!(set["spec"]["template"]["spec"]["hostNetwork"], true);

    helm.uninstall("telltale", kubectl.kubeconfig());
    let left = kubectl.run(&["get", "daemonset,crd", "--all-namespaces", "--output", "name"]);
    assert!(!left.contains("daemonset"), "{left}");
    assert!(left.contains("telemetrypolicies.gateway.networking.k8s.io"), "{left}");
    assert!(definition("gateway.networking.x-k8s.io") == before);
}
