//! The corpus of policies: a folder of `cases/` is a case.
//!
//! | file | what it holds |
//! |---|---|
//! | `input.yaml` | policies, and the objects that stand for the cluster |
//! | `validate.txt` | what `policy validate input.yaml` prints, and its exit code |
//! | `status.yaml` | what `policy status input.yaml` prints |
//! | `explain.txt` | questions (`$ --pod NS/NAME`) and what `policy explain input.yaml` answers to each; optional |
//!
//! `UPDATE=1 cargo test --test policy` writes what came out instead of comparing it: read the difference before you commit it.

mod commands;
mod configuration;
mod convert;
mod documentation;
mod edges;
mod examples;
mod left_out;
mod mutation;
mod replayed;
mod secrets;
mod seed_example;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use telltale::policy::{
    Compiled, Defaults, Setting, Trust,
    api::status::PolicyStatus,
    document::{Documents, Source},
    model::PolicyKey,
    status::{NOT_OBSERVED, statuses},
    validation,
};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policy/cases");
    let mut cases: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(!cases.is_empty());
    cases
}

/// Runs `telltale policy VERB input.yaml ...` where the case is.
fn policy(case: &Path, verb: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_telltale"))
        .args(["-q", "policy", verb, "input.yaml"])
        .args(arguments)
        .current_dir(case)
        .env_remove("RUST_LOG")
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> &str {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("panicked"), "{errors}");
    std::str::from_utf8(&output.stdout).unwrap()
}

fn validate(case: &Path) -> String {
    let output = policy(case, "validate", &[]);
    format!("{}exit {}\n", stdout(&output), output.status.code().unwrap())
}

/// The answers to the questions of a file, each after its question.
fn explain(case: &Path, questions: &str) -> String {
    let answers = questions.lines().filter_map(|line| line.strip_prefix("$ ")).map(|question| {
        let arguments: Vec<&str> = question.split_whitespace().collect();
        let output = policy(case, "explain", &arguments);
        format!("$ {question}\n{}", stdout(&output))
    });
    answers.collect::<Vec<_>>().join("\n")
}

/// Compares with what is expected, or writes it down. What differs is returned.
fn settle(case: &Path, file: &str, actual: &str) -> Option<String> {
    let path = case.join(file);
    let expected = fs::read_to_string(&path).unwrap_or_default();
    if expected == actual {
        return None;
    }
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, actual).unwrap();
        return None;
    }
    Some(format!("--- {}\n--- expected:\n{expected}--- actual:\n{actual}", path.display()))
}

/// What differs in a case.
fn differences(case: &Path) -> Vec<String> {
    let mut differences = Vec::new();
    differences.extend(settle(case, "validate.txt", &validate(case)));
    differences.extend(settle(case, "status.yaml", stdout(&policy(case, "status", &[]))));
    if let Ok(questions) = fs::read_to_string(case.join("explain.txt")) {
        differences.extend(settle(case, "explain.txt", &explain(case, &questions)));
    }
    differences
}

#[test]
fn every_case_says_what_is_expected() {
    let cases = cases();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            found.extend(differences(case));
        }
        found
    };
    let found = thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(found.is_empty(), "{}\nUPDATE=1 writes what is actual", found.join("\n"));
}

/// The statuses of the policies of a text.
fn statuses_of(text: &str) -> BTreeMap<PolicyKey, Vec<PolicyStatus>> {
    let documents = Documents::read(&[Source::new("input.yaml", text)]);
    let candidates = validation::candidates(&documents);
    let setting = Setting { defaults: Defaults { span_exporter: true, log_sink: true }, trust: Trust::own() };
    let compiled = Compiled::new(candidates, documents.objects, &setting, None);
    let Compiled { candidates, resolution, objects, .. } = &compiled;
    let mut by_policy: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (candidate, status) in candidates.iter().zip(statuses(candidates, objects, resolution, None, NOT_OBSERVED)) {
        by_policy.entry(candidate.policy.key.clone()).or_default().push(status);
    }
    by_policy
}

#[test]
fn the_order_of_documents_decides_nothing() {
    for case in cases() {
        // A case of bytes that are no text is one document.
        let Ok(input) = fs::read_to_string(case.join("input.yaml")) else { continue };
        let mut documents: Vec<&str> = input.split("\n---\n").collect();
        let forwards = statuses_of(&input);
        for _ in 0..documents.len() {
            documents.rotate_left(1);
            assert_eq!(statuses_of(&documents.join("\n---\n")), forwards, "{}", case.display());
        }
        documents.reverse();
        assert_eq!(statuses_of(&documents.join("\n---\n")), forwards, "{}", case.display());
    }
}
