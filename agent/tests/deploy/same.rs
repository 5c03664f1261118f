//! kustomize and Helm install the same.

use std::fs;

use serde_json::Value;

use crate::rendered::{Helm, Objects, kustomize, root, text};

/// Annotations and labels that say how it was installed.
const OF_THE_CHART: &[(&str, &[&str])] = &[
    ("annotations", &["helm.sh/resource-policy", "argocd.argoproj.io/sync-options"]),
    ("labels", &["app.kubernetes.io/managed-by", "app.kubernetes.io/version", "helm.sh/chart"]),
];

/// Without those.
pub(crate) fn comparable(mut objects: Objects) -> Objects {
    for object in objects.values_mut() {
        let Some(metadata) = object["metadata"].as_object_mut() else { continue };
        for (kind, keys) in OF_THE_CHART {
            let Some(found) = metadata.get_mut(*kind).and_then(Value::as_object_mut) else { continue };
            found.retain(|key, _| !keys.contains(&key.as_str()));
            if found.is_empty() {
                metadata.remove(*kind);
            }
        }
    }
    objects
}

#[test]
fn the_chart_with_its_default_values_is_the_kustomization() {
    let (Some(helm), Some(mut expected)) = (Helm::find(), kustomize("default")) else { return };
    // Helm keeps its records in the namespace, so that it must be there before the chart is: `--create-namespace`.
    assert!(expected.remove(&("Namespace".to_owned(), "telltale".to_owned())).is_some());
    let found = comparable(helm.objects(&[]));
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (key, object) in &comparable(expected) {
        pretty_eq(key, &found[key], object);
    }
}

/// Helm reads nothing outside of a chart, and says of each link in one that it followed it.
const COPIES: &[(&str, &str)] = &[
    ("cluster-role.yaml", "kustomize/agent/cluster-role.yaml"),
    ("role.yaml", "kustomize/agent/role.yaml"),
    ("crds/gateway.networking.k8s.io_telemetrypolicies.yaml", "crds/gateway.networking.k8s.io_telemetrypolicies.yaml"),
    (
        "crds/gateway.networking.x-k8s.io_telemetrypolicies.yaml",
        "crds/gateway.networking.x-k8s.io_telemetrypolicies.yaml",
    ),
];

#[test]
fn the_chart_s_copies_are_what_they_are_of() {
    for (copy, source) in COPIES {
        let (copy, source) = (format!("deploy/helm/telltale/files/{copy}"), text(&format!("deploy/{source}")));
        if std::env::var_os("TELLTALE_UPDATE_DOCS").is_some() {
            fs::write(root().join(&copy), &source).unwrap();
        }
        assert!(text(&copy) == source, "{copy}: run this test with TELLTALE_UPDATE_DOCS=1");
    }
}

/// Equal, or a list of where they are not.
fn pretty_eq(key: &(String, String), found: &Value, expected: &Value) {
    let mut differences = Vec::new();
    differ("", found, expected, &mut differences);
    assert!(differences.is_empty(), "{key:?}: Helm, kustomize:\n{}", differences.join("\n"));
}

fn differ(at: &str, one: &Value, other: &Value, found: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            for name in a.keys().chain(b.keys().filter(|name| !a.contains_key(*name))) {
                differ(&format!("{at}.{name}"), &one[name], &other[name], found);
            }
        }
        _ if one == other => {}
        _ => found.push(format!("{at}: {one} {other}")),
    }
}
