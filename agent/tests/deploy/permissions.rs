//! What the agent may ask of the API server: the shipped roles, and the page that explains them.

use std::collections::BTreeSet;

use serde_json::Value;
use telltale::kube::PERMISSIONS;

use crate::rendered::{text, yaml};

/// (resource with group as `kubectl api-resources` writes it, verb, in all of the cluster)
type Grant = (String, String, bool);

/// The words of a list.
fn words(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().map(|word| word.as_str().unwrap()).collect()
}

fn of_role(file: &str, cluster: bool, found: &mut BTreeSet<Grant>) {
    for rule in yaml(&format!("deploy/kustomize/agent/{file}"))["rules"].as_array().unwrap() {
        for group in words(&rule["apiGroups"]) {
            for resource in words(&rule["resources"]) {
                let name = if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") };
                for verb in words(&rule["verbs"]) {
                    assert!(found.insert((name.clone(), verb.to_owned(), cluster)), "{name} {verb} twice");
                }
            }
        }
    }
}

fn granted() -> BTreeSet<Grant> {
    let mut found = BTreeSet::new();
    of_role("cluster-role.yaml", true, &mut found);
    of_role("role.yaml", false, &mut found);
    found
}

#[test]
fn nothing_can_be_read_that_is_secret_and_nothing_be_changed_but_status() {
    for (resource, verb, cluster) in granted() {
        assert!(verb != "*" && resource != "*", "{resource} {verb}");
        assert!(!resource.starts_with("secrets") && !resource.starts_with("configmaps"), "{resource}");
        let writes = !["get", "list", "watch"].contains(&verb.as_str());
        let allowed = resource.contains("/status.") || resource.starts_with("events.") || !cluster;
        assert!(!writes || allowed, "{verb} {resource}");
    }
}

#[test]
fn the_page_explains_each() {
    let page = text("docs/kubernetes.md");
    let (_, rest) = page.split_once("## What it may ask of the API server").unwrap();
    let (section, _) = rest.split_once("\n## ").unwrap();
    let mut explained = BTreeSet::new();
    for line in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [resource, verbs, place, why] = cells[..] else { panic!("{line}") };
        assert!(!why.is_empty(), "{line}");
        for verb in verbs.split(", ") {
            let grant = (resource.trim_matches('`').to_owned(), verb.to_owned(), place.starts_with("cluster"));
            assert!(explained.insert(grant), "{line}");
        }
    }
    assert_eq!(explained, granted());
}

#[test]
fn the_roles_are_what_the_agent_needs() {
    let mut needed = BTreeSet::new();
    for row in PERMISSIONS {
        let group = if row.group.is_empty() { String::new() } else { format!(".{}", row.group) };
        let grants = row.verbs.iter().map(|&verb| (format!("{}{group}", row.resource), verb.to_owned(), row.cluster));
        for grant in grants {
            assert!(needed.insert(grant), "{row:?} repeats a permission");
        }
    }
    assert_eq!(needed, granted());
}

#[test]
fn definitions_are_read_by_name() {
    let role = yaml("deploy/kustomize/agent/cluster-role.yaml");
    let of_definitions = role["rules"]
        .as_array()
        .unwrap()
        .iter()
        .find(|rule| words(&rule["resources"]) == ["customresourcedefinitions"]);
    let needed = PERMISSIONS.iter().find(|row| row.resource == "customresourcedefinitions").unwrap();
    assert_eq!(words(&of_definitions.unwrap()["resourceNames"]), needed.names);
}

/// The table of capabilities of the page is what the pod has and the chart can grant.
#[test]
fn the_page_has_every_capability() {
    let page = text("docs/kubernetes.md");
    let (_, rest) = page.split_once("## Capabilities").unwrap();
    let (section, _) = rest.split_once("\n## ").unwrap();
    let rows: Vec<Vec<&str>> = section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.trim().trim_matches('`')).collect())
        .collect();
    let granted: Vec<_> = rows.iter().filter(|row| row[1] == "yes").map(|row| row[0]).collect();
    assert_eq!(granted, crate::agent::CAPABILITIES);
    let values = yaml("deploy/helm/telltale/values.yaml");
    let explained: BTreeSet<_> = rows.iter().filter_map(|row| row[2].strip_prefix("capabilities.")).collect();
    let existing: BTreeSet<_> = values["capabilities"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(explained, existing);
    for row in &rows {
        if let Some(value) = row[2].strip_prefix("capabilities.") {
            assert_eq!(values["capabilities"][value], row[1] == "yes", "{row:?}");
        }
    }
}

/// What `telltale check` tells people to set is there to be set, and is set where the agent is less without.
#[cfg(all(feature = "ebpf", target_os = "linux"))]
#[test]
fn the_chart_grants_what_check_misses() {
    use telltale::capture::kernel::capability::{PRIVILEGES, Without};

    let values = yaml("deploy/helm/telltale/values.yaml");
    assert_eq!(values["capabilities"].as_object().unwrap().len(), PRIVILEGES.len());
    for privilege in PRIVILEGES {
        let value = privilege.chart.strip_prefix("capabilities.").unwrap();
        let is_needed = !matches!(privilege.without, Without::Everything(_));
        assert_eq!(values["capabilities"][value], is_needed, "{}", privilege.name);
        assert_eq!(crate::agent::CAPABILITIES.contains(&privilege.name), is_needed, "{}", privilege.name);
    }
}
