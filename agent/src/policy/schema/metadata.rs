//! What an API server checks of `metadata` (apimachinery, `ValidateObjectMeta`), which no schema says.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::hint;
use crate::policy::{Effect, Finding, model::FieldPath};

const FIELDS: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// RFC 1123, as far as object names follow it.
static SUBDOMAIN: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$").ok());

/// Pushes what is wrong.
pub(super) fn check(object: &Value, findings: &mut Vec<Finding>) {
    let at = FieldPath::new("metadata");
    let Some(metadata) = object["metadata"].as_object() else {
        let problem = if object.get("metadata").is_none() { "is missing" } else { "is no object" };
        findings.push(Finding::invalid(&at, problem).instead("it needs at least a `name`"));
        return;
    };
    for name in metadata.keys().filter(|name| !FIELDS.contains(&name.as_str())).take(16) {
        let mut finding = Finding::new(&at.field(name), Effect::Warning, "is no field here and is left out");
        finding.remedy = hint::nearest(name, FIELDS.into_iter()).map(|nearest| format!("did you mean `{nearest}`?"));
        findings.push(finding);
    }
    match metadata.get("name").map(Value::as_str) {
        None | Some(Some("")) => findings
            .push(Finding::invalid(&at.field("name"), "is missing").instead("every object has a name of its own")),
        Some(name) => domain(&at.field("name"), name, 253, findings),
    }
    match metadata.get("namespace").map(Value::as_str) {
        None | Some(Some("")) => {}
        Some(Some(name)) if name.contains('.') => {
            let problem = format!("`{name}` is no name of a namespace");
            findings.push(Finding::invalid(&at.field("namespace"), problem).instead("it has no dots"));
        }
        Some(name) => domain(&at.field("namespace"), name, 63, findings),
    }
    for field in ["labels", "annotations"] {
        let Some(value) = metadata.get(field).filter(|value| !value.is_null()) else { continue };
        let at = at.field(field);
        let Some(entries) = value.as_object() else {
            findings.push(Finding::invalid(&at, "is no object").instead("it maps names to text"));
            continue;
        };
        for (key, _) in entries.iter().filter(|(_, value)| !value.is_string()).take(16) {
            findings.push(Finding::invalid(&at.field(key), "is no text").instead("put it in quotes"));
        }
    }
    if let Some(time) = metadata.get("creationTimestamp").filter(|time| !time.is_null())
        && time.as_str().is_none_or(|time| time.parse::<jiff::Timestamp>().is_err())
    {
        let problem = "is no point in time";
        findings.push(
            Finding::invalid(&at.field("creationTimestamp"), problem).instead("it looks like 2026-01-31T12:00:00Z"),
        );
    }
}

fn domain(at: &FieldPath, name: Option<&str>, longest: usize, findings: &mut Vec<Finding>) {
    let fits = |name: &str| name.len() <= longest && SUBDOMAIN.as_ref().is_none_or(|pattern| pattern.is_match(name));
    if !name.is_some_and(fits) {
        let remedy =
            format!("it has at most {longest} of a-z, 0-9, `-` and `.`, and begins and ends with a letter or a digit");
        findings.push(Finding::invalid(at, "is no name of an object").instead(remedy));
    }
}
