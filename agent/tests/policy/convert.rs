//! `policy convert` and `crds`, as they are run.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;
use telltale::policy::{
    convert::convert,
    document::{Source, to_yaml},
    model::{Dialect, PolicyKey},
};

use super::{
    checked, input, of_every_case,
    order::everybody,
    traffic::{self, Written},
};

fn telltale(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_telltale")).args(arguments).env_remove("RUST_LOG").output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_definitions_are_those_that_are_deployed() {
    let deployed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/crds");
    let read = |group: &str| fs::read_to_string(deployed.join(format!("{group}_telemetrypolicies.yaml"))).unwrap();
    let expected = [read("gateway.networking.k8s.io"), read("gateway.networking.x-k8s.io")].join("---\n");
    let output = telltale(&["crds"]);
    assert!(output.status.success() && text(&output.stdout) == expected);

    let list: Value = serde_json::from_slice(&telltale(&["crds", "-o", "json"]).stdout).unwrap();
    assert_eq!(list["kind"], "List");
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
}

#[test]
fn what_can_be_converted_is_printed_and_the_rest_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let policy = |name: &str, enabled: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: TelemetryPolicy\nmetadata: {{name: {name}}}\nspec:\n  targetRef: {{group: '', kind: Namespace, name: shop}}\n  metrics: {{enabled: {enabled}}}\n"
        )
    };
    write("a.yaml", &policy("one", "true"));
    write("b.yaml", &format!("a: [\n---\n{}", policy("two", "maybe")));
    let output = telltale(&["policy", "convert", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(text(&output.stdout), @r#"
        apiVersion: gateway.networking.x-k8s.io/v1alpha1
        kind: TelemetryPolicy
        metadata:
          name: one
        spec:
          metrics:
            mode: Enabled
          targetRefs:
          - group: ""
            kind: Namespace
            name: shop
    "#);
    let errors = text(&output.stderr).replace(&format!("{}/", folder.path().display()), "");
    insta::assert_snapshot!(errors, @r#"
        b.yaml:1: error: is not YAML: unclosed bracket '['
        b.yaml:8: error: spec.metrics.enabled: is text, must be a boolean
    "#);

    let only_good = telltale(&["policy", "convert", folder.path().join("a.yaml").to_str().unwrap()]);
    assert_eq!(only_good.status.code(), Some(0));
    assert_eq!(telltale(&["policy", "convert", "no/such/file"]).status.code(), Some(1));
    assert_eq!(telltale(&["policy", "convert"]).status.code(), Some(2));
}

/// Spans, access log and metrics of a recording under a policy.
fn outputs(recording: &Path, policy: &Path, folder: &Path) -> [String; 3] {
    let files = ["spans", "logs", "metrics"].map(|name| folder.join(name));
    let [spans, logs, metrics] = files.each_ref().map(|file| file.to_str().unwrap());
    let (recording, policy) = (recording.to_str().unwrap(), policy.to_str().unwrap());
    let output = telltale(&[
        "-q",
        "replay",
        recording,
        "--policy",
        policy,
        "--spans",
        spans,
        "--logs",
        logs,
        "--metrics",
        metrics,
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    files.map(|file| fs::read_to_string(file).unwrap())
}

#[test]
fn a_policy_and_its_conversion_give_the_same_bytes() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let folder = tempfile::tempdir().unwrap();
    let (policy, converted) =
        (tests.join("policy/cases/every-signal-converted/input.yaml"), folder.path().join("converted.yaml"));
    let output = telltale(&["policy", "convert", policy.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    fs::write(&converted, &output.stdout).unwrap();
    for name in ["pair.jsonl", "curl_python.jsonl", "chat_stream.jsonl"] {
        let recording = tests.join("recordings").join(name);
        let [before, after] = [&policy, &converted].map(|policy| outputs(&recording, policy, folder.path()));
        assert_eq!(before, after, "{name}");
        // Two silences would be the same too.
        assert!(before.iter().all(|output| !output.is_empty()), "{name}: {before:?}");
        assert!(before[1].contains("response_code"), "{name}: {before:?}");
    }
}

/// What `policy convert` prints of a text; `None` if there is something that it cannot convert.
fn converted(text: &[u8]) -> Option<String> {
    let conversion = convert(&[Source::new("input.yaml", text)]);
    let printed = conversion.objects.iter().map(to_yaml).collect::<Vec<_>>().join("---\n");
    (!conversion.has_errors()).then_some(printed)
}

/// The policies of the proposal's dialect in a text.
fn of_the_proposal(text: &[u8]) -> BTreeSet<PolicyKey> {
    let checked = checked(text);
    let keys = checked.policies.iter().map(|policy| policy.key.clone());
    keys.filter(|key| key.dialect == Dialect::Proposal).collect()
}

/// An address that became a reference needs what `convert` says that it needs: a Service, and the permission of its namespace.
fn permitted(converted: &str, of_the_proposal: &BTreeSet<PolicyKey>) -> String {
    let mut text = converted.to_owned();
    for policy in &checked(converted).policies {
        let mut before = policy.key.clone();
        before.dialect = Dialect::Proposal;
        let reference = &policy.value["spec"]["tracing"]["provider"]["backendRef"];
        if reference.is_null() || !of_the_proposal.contains(&before) {
            continue;
        }
        let word = |key: &str| reference[key].as_str();
        let (name, own) = (word("name").unwrap(), policy.key.namespace.as_str());
        let namespace = word("namespace").unwrap_or(own);
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
             spec: {{ports: [{{port: {}}}]}}\n---\napiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\n\
             metadata: {{name: converted, namespace: {namespace}}}\n\
             spec: {{from: [{{group: {}, kind: TelemetryPolicy, namespace: {own}}}], to: [{{group: '', kind: Service}}]}}\n",
            reference["port"],
            Dialect::Gep.api_version().split('/').next().unwrap()
        );
    }
    text
}

/// Of both files of a case: what was written, where that could be compared.
fn compare(case: &Path) -> Vec<Written> {
    let files = [Some(input(case)), fs::read(case.join("equal.yaml")).ok()];
    files.into_iter().flatten().filter_map(|policies| compare_file(case, &policies)).collect()
}

fn compare_file(case: &Path, before: &[u8]) -> Option<Written> {
    let after = converted(before)?;
    assert_eq!(converted(after.as_bytes()).as_ref(), Some(&after), "{}: again", case.display());
    let proposal = of_the_proposal(before);
    let keys: Vec<PolicyKey> = checked(&after).policies.iter().map(|policy| policy.key.clone()).collect();
    let twice = keys.iter().collect::<BTreeSet<_>>().len() < keys.len();
    if proposal.is_empty() || (twice && case.ends_with("conflicted-first-api-version-holds")) {
        // Two policies of one name, one of each dialect, become two of one.
        return None;
    }
    let recording = match fs::read_to_string(case.join("traffic.txt")) {
        Ok(lines) => traffic::recording(&lines),
        Err(_) => traffic::of_everybody(everybody(std::str::from_utf8(before).unwrap())),
    };
    let written = traffic::replay(before, &recording);
    let other = traffic::replay(permitted(&after, &proposal).as_bytes(), &recording);
    assert!(written == other, "{}\n{written:#?}\n{after}\n{other:#?}", case.display());
    written
}

#[test]
fn every_case_and_its_conversion_give_the_same_bytes() {
    let compared: Vec<Written> = of_every_case(compare).into_iter().flat_map(|(_, written)| written).collect();
    // Silences would be the same too.
    let some = |of: fn(&Written) -> &String| compared.iter().filter(|written| !of(written).is_empty()).count();
    let shown = [some(|written| &written.logs), some(|written| &written.spans), some(|written| &written.metrics)];
    assert!(shown.iter().all(|number| *number >= 8), "{shown:?} of {}", compared.len());
}

/// A grant is of a group: a list of objects has no order, so neither has what `convert` prints of it.
#[test]
fn a_conversion_of_a_list_is_that_of_its_objects() {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policy/cases/every-signal-converted");
    let one_by_one = convert(&[Source::new("input.yaml", input(&case))]);
    let list = Value::from_iter([
        ("apiVersion".to_owned(), Value::from("v1")),
        ("kind".to_owned(), Value::from("List")),
        ("items".to_owned(), Value::from(one_by_one.objects.clone())),
    ]);
    let of_list = convert(&[Source::new("list.yaml", to_yaml(&list))]);
    assert_eq!(of_list.objects, one_by_one.objects);
}
