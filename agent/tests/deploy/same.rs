//! kustomize and Helm install the same.

use serde_json::Value;

use crate::rendered::{Helm, Objects, kustomize};

/// Without what only Helm reads.
fn comparable(mut objects: Objects) -> Objects {
    for object in objects.values_mut() {
        let Some(metadata) = object["metadata"].as_object_mut() else { continue };
        let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) else { continue };
        annotations.remove("helm.sh/resource-policy");
        if annotations.is_empty() {
            metadata.remove("annotations");
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
