//! Every field of both dialects, every word of an enumeration and every reason of a condition has a case; and whatever can be seen in outputs has one that
//! shows it there. A new field without a case fails here.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;
use telltale::policy::{
    api::schema,
    model::Dialect,
    status::{CONTROLLER_NAME, Reason},
};

use super::{cases, checked};

/// Fields that no replay can show, and why.
const NOT_SHOWN: &[(&str, &str)] = &[
    ("spec.tracing.provider", "a replay sends nothing to a network; tests/export shows that spans go there"),
    (
        "spec.accessLogs.sinks",
        "a replay writes each line once, whatever its sinks; tests/export and tests/live show them",
    ),
    ("spec.metrics.provider", "a replay writes what any reader of the metrics would get"),
    ("spec.metrics.overrides[].type", "it is checked, and selects nothing"),
    ("spec.targetRefs[].sectionName", "it is refused"),
];

/// Paths of fields, `[]` for the elements of a list; and of each word that a field can be, `path = word`.
type Paths = BTreeSet<String>;

fn of_schema(schema: &Value, path: &str, paths: &mut Paths) {
    paths.insert(path.to_owned());
    for word in schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        paths.insert(format!("{path} = {word}"));
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        of_schema(field, &format!("{path}.{name}"), paths);
    }
    if schema["items"].is_object() {
        of_schema(&schema["items"], &format!("{path}[]"), paths);
    }
}

fn of_value(value: &Value, path: &str, paths: &mut Paths) {
    paths.insert(path.to_owned());
    match value {
        Value::String(text) => {
            paths.insert(format!("{path} = {text}"));
        }
        Value::Array(items) => items.iter().for_each(|item| of_value(item, &format!("{path}[]"), paths)),
        Value::Object(fields) => {
            fields.iter().for_each(|(name, field)| of_value(field, &format!("{path}.{name}"), paths));
        }
        _ => {}
    }
}

/// What the specs of these policies use; only of those that hold, where that is asked.
fn of_policies(file: &Path, dialect: Dialect, only_valid: bool, paths: &mut Paths) {
    let Ok(text) = fs::read(file) else { return };
    let checked = checked(text);
    for (policy, candidate) in checked.policies.iter().zip(&checked.compiled.candidates) {
        if policy.key.dialect == dialect && (!only_valid || candidate.is_valid()) {
            of_value(&policy.value["spec"], "spec", paths);
        }
    }
}

fn fields(dialect: Dialect) -> Paths {
    let mut paths = Paths::new();
    of_schema(&schema(dialect)["properties"]["spec"], "spec", &mut paths);
    // A schema that is read wrongly would have no fields that are missed.
    assert!(paths.len() > 100, "{paths:?}");
    paths
}

#[test]
fn every_field_of_both_dialects_has_a_case() {
    for dialect in Dialect::ALL {
        let mut used = Paths::new();
        for case in cases() {
            of_policies(&case.join("input.yaml"), dialect, false, &mut used);
            of_policies(&case.join("equal.yaml"), dialect, false, &mut used);
        }
        let missing: Vec<_> = fields(dialect).difference(&used).cloned().collect();
        assert!(missing.is_empty(), "no case of {} uses\n{}", dialect.api_version(), missing.join("\n"));
    }
}

#[test]
fn every_field_that_can_be_seen_in_outputs_is() {
    let excepted = |path: &str| NOT_SHOWN.iter().any(|(prefix, _)| path.starts_with(prefix));
    for dialect in Dialect::ALL {
        let mut used = Paths::new();
        for case in cases().iter().filter(|case| case.join("traffic.txt").exists()) {
            of_policies(&case.join("input.yaml"), dialect, true, &mut used);
            of_policies(&case.join("equal.yaml"), dialect, true, &mut used);
        }
        let fields = fields(dialect);
        let missing: Vec<_> = fields.difference(&used).filter(|path| !excepted(path)).cloned().collect();
        assert!(missing.is_empty(), "no case of {} shows\n{}", dialect.api_version(), missing.join("\n"));
    }
    let all: Paths = Dialect::ALL.into_iter().flat_map(fields).collect();
    for (prefix, _) in NOT_SHOWN {
        assert!(all.iter().any(|path| path.starts_with(prefix)), "{prefix} is no field any more");
    }
}

#[test]
fn every_reason_of_every_condition_has_a_case() {
    let mut found = BTreeSet::new();
    for case in cases() {
        for file in ["status.yaml", "status-on-nodes.yaml"] {
            let Ok(text) = fs::read_to_string(case.join(file)) else { continue };
            let list: Value = serde_saphyr::from_str(&text).unwrap();
            let items = list["items"].as_array().into_iter().flatten();
            let entries = items.flat_map(|item| item["status"]["ancestors"].as_array().into_iter().flatten());
            for entry in entries.filter(|entry| entry["controllerName"] == CONTROLLER_NAME) {
                for condition in entry["conditions"].as_array().unwrap() {
                    let word = |key: &str| condition[key].as_str().unwrap().to_owned();
                    found.insert((word("type"), word("reason"), word("status")));
                }
            }
        }
    }
    let missing: Vec<_> = Reason::ALL
        .iter()
        .map(|reason| reason.parts())
        .map(|(reason, condition, status)| (condition.to_owned(), reason.to_owned(), format!("{status:?}")))
        .filter(|wanted| !found.contains(wanted))
        .collect();
    assert!(missing.is_empty(), "no case has {missing:?}");
}

/// `README.md` says what each case shows, and for which objection and which output there is one.
#[test]
fn the_list_of_cases_is_whole() {
    let readme = include_str!("README.md");
    let listed: BTreeSet<&str> = readme.split('`').skip(1).step_by(2).collect();
    let cases = cases();
    let names: BTreeSet<&str> = cases.iter().map(|case| case.file_name().unwrap().to_str().unwrap()).collect();
    let unlisted: Vec<_> = names.difference(&listed).collect();
    assert!(unlisted.is_empty(), "README.md does not say what {unlisted:?} show");
    let in_tables =
        readme.lines().filter(|line| line.starts_with('|')).flat_map(|line| line.split('`').skip(1).step_by(2));
    let unknown: Vec<_> =
        in_tables.filter(|name| !name.contains([' ', '.', ':', '/']) && !names.contains(name)).collect();
    assert!(unknown.is_empty(), "README.md lists {unknown:?}, which are no cases");
    // The objections of policy.md section 2, by their letters there.
    for objection in [
        "a", "b", "c", "d", "e1", "e2", "e3", "e4", "e5", "f", "g1", "g2", "h", "i", "j", "k", "l", "m", "n", "o", "q",
        "r", "t",
    ] {
        assert!(readme.contains(&format!("\n| {objection} |")), "README.md says nothing of objection {objection}");
    }
}
