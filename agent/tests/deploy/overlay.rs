//! Somebody's kustomization over ours.

use std::{fs, path::PathBuf};

use serde_json::json;

use crate::rendered::{kustomize, object, root};

/// kustomize takes relative paths only.
fn relative(from: &std::path::Path, to: &std::path::Path) -> PathBuf {
    let (from, to) = (from.canonicalize().unwrap(), to.canonicalize().unwrap());
    let up = from.components().skip(1).map(|_| "..");
    up.map(PathBuf::from).chain([to.strip_prefix("/").unwrap().to_owned()]).collect()
}

#[test]
fn another_namespace_is_that_of_every_object_and_of_those_who_may_read() {
    for base in ["agent", "default"] {
        let folder = tempfile::tempdir().unwrap();
        let base = relative(folder.path(), &root().join("deploy/kustomize").join(base));
        let said = json!({"namespace": "observers", "resources": [base]});
        fs::write(folder.path().join("kustomization.yaml"), said.to_string()).unwrap();
        let Some(objects) = kustomize(folder.path().to_str().unwrap()) else { return };
        for kind in ["RoleBinding", "ClusterRoleBinding"] {
            let subject = json!([{"kind": "ServiceAccount", "name": "telltale", "namespace": "observers"}]);
            assert_eq!(object(&objects, kind, "telltale")["subjects"], subject, "{kind}");
        }
        for ((kind, name), object) in &objects {
            assert!(
                ["observers", ""].contains(&object["metadata"]["namespace"].as_str().unwrap_or_default()),
                "{kind} {name}"
            );
        }
        object(&objects, "Namespace", "observers");
    }
}
