//! The order of what is given never decides anything: neither statuses, nor findings, nor what comes out.

use std::{collections::BTreeMap, fs, path::Path};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use telltale::policy::{
    document::to_yaml,
    model::PolicyKey,
    status::{NOT_OBSERVED, statuses},
};

use super::{
    checked, of_every_case,
    traffic::{self, Written},
};

/// What came of each policy: its statuses and findings. Of two with one name nobody can say which is which.
type Outcome = BTreeMap<PolicyKey, Vec<String>>;

fn outcome(text: &str) -> Outcome {
    let checked = checked(text);
    let compiled = &checked.compiled;
    let statuses = statuses(&compiled.candidates, &compiled.objects, &compiled.resolution, None, NOT_OBSERVED);
    let mut outcome = Outcome::new();
    for (candidate, status) in compiled.candidates.iter().zip(statuses) {
        // Where something stands is what changes.
        let placeless = |text: String| match text.split_once("in line ") {
            Some((before, after)) => {
                format!("{before}{}", after.trim_start_matches(|digit: char| digit.is_ascii_digit()))
            }
            None => text,
        };
        let findings: String = candidate.findings.iter().map(|finding| placeless(format!("{finding}\n"))).collect();
        let status = to_yaml(&serde_json::to_value(status).unwrap());
        outcome.entry(candidate.policy.key.clone()).or_default().push(findings + &status);
    }
    for said in outcome.values_mut() {
        said.sort();
    }
    outcome
}

/// Everything that comes of a text: outcomes, and what is written of the traffic.
fn everything(text: &str, recording: &str) -> (Outcome, Option<Written>) {
    (outcome(text), traffic::replay(text.as_bytes(), recording))
}

/// Whether something was written.
fn shows_outputs(case: &Path) -> bool {
    // A case of bytes that are no text is one document.
    let Ok(input) = fs::read_to_string(case.join("input.yaml")) else { return false };
    let documents: Vec<&str> = input.split("\n---\n").collect();
    let recording = match fs::read_to_string(case.join("traffic.txt")) {
        Ok(lines) => traffic::recording(&lines),
        Err(_) => traffic::of_everybody(everybody(&input)),
    };
    let expected = everything(&input, &recording);
    // One end of a list to the other is the order that a mistake most likely depends on; then any.
    let backwards = documents.iter().rev().copied().collect::<Vec<_>>().join("\n---\n");
    assert!(everything(&backwards, &recording) == expected, "{} backwards", case.display());
    let mut runner = TestRunner::new(Config { cases: 2, failure_persistence: None, ..Config::default() });
    let shuffled = Just(documents).prop_shuffle();
    let same = runner.run(&shuffled, |documents| {
        prop_assert!(everything(&documents.join("\n---\n"), &recording) == expected, "{documents:?}");
        Ok(())
    });
    same.unwrap_or_else(|error| panic!("{}: {error}", case.display()));
    expected.1.is_some_and(|written| written != Written::default())
}

/// A pod of each namespace, those that are given, and a local process.
pub(crate) fn everybody(input: &str) -> Vec<String> {
    let checked = checked(input);
    let objects = &checked.compiled.objects;
    let ordinary = objects.known_namespaces().into_iter().map(|namespace| format!("{namespace}/some-pod"));
    let mut pods: Vec<_> = ordinary.chain(objects.pods.keys().map(ToString::to_string)).collect();
    pods.sort();
    pods.push("-".to_owned());
    pods
}

#[test]
fn the_order_of_documents_decides_nothing() {
    let shown = of_every_case(shows_outputs).into_iter().filter(|(_, shows)| *shows).count();
    assert!(shown > 30, "outputs of {shown} cases only were compared");
}
