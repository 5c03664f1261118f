//! Somebody's kustomization over ours.

use std::{fs, path::PathBuf};

use serde_json::json;

use crate::rendered::{kustomize, object, root, text};

/// kustomize takes relative paths only.
fn relative(from: &std::path::Path, to: &std::path::Path) -> PathBuf {
    let (from, to) = (from.canonicalize().unwrap(), to.canonicalize().unwrap());
    let up = from.components().skip(1).map(|_| "..");
    up.map(PathBuf::from).chain([to.strip_prefix("/").unwrap().to_owned()]).collect()
}

/// What the comment of `deploy/crds/kustomization.yaml` says.
#[test]
fn either_definition_can_be_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let comment = text("deploy/crds/kustomization.yaml");
    let patch: String =
        comment.lines().filter_map(|line| line.strip_prefix("#   ")).flat_map(|line| [line, "\n"]).collect();
    let base = relative(folder.path(), &root().join("deploy/kustomize/default"));
    fs::write(folder.path().join("kustomization.yaml"), format!("resources: [{}]\n{patch}", base.display())).unwrap();
    let Some(objects) = kustomize(folder.path().to_str().unwrap()) else { return };
    let definitions: Vec<_> = objects.keys().filter(|(kind, _)| kind == "CustomResourceDefinition").collect();
    assert_eq!(definitions.len(), 1, "{definitions:?}");
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
