//! Nothing lies in `deploy/` that no test uses.

use std::{
    collections::BTreeSet,
    fs,
    path::{Component, Path, PathBuf},
};

use serde_json::Value;

use crate::rendered::{Helm, root, text, yaml};

/// Files, or folders (with `/`), and the test that uses them, which names them.
const USED: &[(&str, &str, &str)] = &[
    ("Dockerfile", "xtask/src/image/dockerfile.rs", "the_one_of_the_repository_is_understood"),
    ("examples/", "agent/tests/policy/examples.rs", "nothing_is_wrong_with_an_example_and_the_cluster_accepts_it"),
    ("systemd/telltale.service", "agent/tests/deploy/unit.rs", "systemd_understands_the_unit"),
    ("systemd/telltale.yaml", "agent/tests/deploy/unit.rs", "the_configuration_of_a_bare_node_is_valid"),
    ("helm/telltale/Chart.yaml", "agent/tests/deploy/agent.rs", "all_manifests_are_of_this_version"),
    ("helm/telltale/README.md", "agent/tests/deploy/values.rs", "every_value_is_explained"),
    ("helm/telltale/values.yaml", "agent/tests/deploy/values.rs", "every_value_is_explained"),
    (
        "helm/telltale/values.schema.json",
        "agent/tests/deploy/values.rs",
        "the_schema_of_the_configuration_is_that_of_the_agent",
    ),
    ("helm/telltale/files/", "agent/tests/deploy/same.rs", "the_chart_s_copies_are_what_they_are_of"),
    ("helm/telltale/.helmignore", "agent/tests/deploy/chart.rs", "a_package_holds_what_the_chart_needs"),
];

/// Every file below a folder.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// A path without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

/// The files that a kustomization takes in, itself included; paths below `deploy`.
fn of_kustomization(folder: &Path, found: &mut BTreeSet<PathBuf>) {
    let own = folder.join("kustomization.yaml");
    let said = yaml(&format!("deploy/{}", own.display()));
    found.insert(own);
    let list = |name: &str| said[name].as_array().cloned().unwrap_or_default();
    let patches = list("patches").into_iter().map(|patch| patch["path"].clone());
    for entry in list("resources").into_iter().chain(list("components")).chain(patches) {
        let Value::String(entry) = entry else { panic!("{}: {entry}", folder.display()) };
        let path = plain(&folder.join(entry));
        if root().join("deploy").join(&path).is_dir() {
            of_kustomization(&path, found);
        } else {
            found.insert(path);
        }
    }
}

/// The templates that rendered something, by the comments that Helm writes.
fn rendered_templates(helm: &Helm) -> BTreeSet<PathBuf> {
    let everything = ["--set", "metrics.podMonitor.enabled=true,resourceQuota.enabled=true"];
    let documents = helm.template(&everything).unwrap();
    let sources = documents.lines().filter_map(|line| line.strip_prefix("# Source: telltale/"));
    sources.map(|source| Path::new("helm/telltale").join(source)).collect()
}

#[test]
fn every_file_is_used_by_a_test() {
    let deploy = root().join("deploy");
    let mut all = Vec::new();
    files(&deploy, &mut all);
    let all: BTreeSet<PathBuf> = all.iter().map(|path| path.strip_prefix(&deploy).unwrap().to_owned()).collect();
    assert!(all.len() > 30, "{all:?}");

    // `same.rs`, `accepted.rs` and `monitor.rs` render these.
    let mut used = BTreeSet::new();
    of_kustomization(Path::new("kustomize/default"), &mut used);
    of_kustomization(Path::new("kustomize/example"), &mut used);
    if let Some(helm) = Helm::find() {
        used.extend(rendered_templates(&helm));
        // What makes no document of its own: `chart.rs` reads the notes, every template uses the helpers.
        used.extend(["_helpers.tpl", "NOTES.txt"].map(|name| Path::new("helm/telltale/templates").join(name)));
    } else {
        used.extend(all.iter().filter(|path| path.starts_with("helm/telltale/templates")).cloned());
    }
    let unused: Vec<_> = all
        .iter()
        .filter(|path| !used.contains(*path))
        .filter(|path| {
            !USED.iter().any(|(name, ..)| {
                path.to_str().is_some_and(|path| path == *name || name.ends_with('/') && path.starts_with(name))
            })
        })
        .collect();
    assert!(unused.is_empty(), "no test uses {unused:?}");
    let missing: Vec<_> = used.difference(&all).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_tests_that_are_named_are_there() {
    for (name, file, test) in USED {
        assert!(root().join("deploy").join(name).exists(), "{name}");
        assert!(text(file).contains(&format!("fn {test}()")), "{file} has no test {test}");
    }
}
