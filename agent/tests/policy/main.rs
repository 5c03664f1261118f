//! The corpus of policies: a folder of `cases/` is a case.
//!
//! | file | what it holds |
//! |---|---|
//! | `input.yaml` | policies, and the objects that stand for the cluster |
//! | `validate.txt` | what `policy validate input.yaml` prints, and its exit codes without and with `--strict` |
//! | `status.yaml` | what `policy status input.yaml` prints |
//! | `explain.txt` | questions (`$ --pod NS/NAME`) and what `policy explain input.yaml` answers to each; optional |
//!
//! `UPDATE=1 cargo test --test policy` writes what came out instead of comparing it: read the difference before you commit it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

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
    let plain = policy(case, "validate", &[]);
    let strict = policy(case, "validate", &["--strict"]);
    assert_eq!(stdout(&plain), stdout(&strict), "{}", case.display());
    let code = |output: &Output| output.status.code().unwrap();
    format!("{}exit {}, with --strict {}\n", stdout(&plain), code(&plain), code(&strict))
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

#[test]
fn every_case_says_what_is_expected() {
    let mut differences = Vec::new();
    for case in cases() {
        differences.extend(settle(&case, "validate.txt", &validate(&case)));
        differences.extend(settle(&case, "status.yaml", stdout(&policy(&case, "status", &[]))));
        if let Ok(questions) = fs::read_to_string(case.join("explain.txt")) {
            differences.extend(settle(&case, "explain.txt", &explain(&case, &questions)));
        }
    }
    assert!(differences.is_empty(), "{}\nUPDATE=1 writes what is actual", differences.join("\n"));
}

/// The statuses of a list by policy.
fn statuses(list: &str) -> BTreeMap<String, Value> {
    let list: Value = serde_json::from_str(list).unwrap();
    let items = list["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| {
            let name = format!("{} {} {}", item["apiVersion"], item["metadata"]["namespace"], item["metadata"]["name"]);
            (name, item["status"].clone())
        })
        .collect()
}

#[test]
fn the_order_of_documents_decides_nothing() {
    for case in cases() {
        let input = fs::read(case.join("input.yaml")).unwrap();
        // A case of bytes that are no text is one document.
        let Ok(input) = String::from_utf8(input) else { continue };
        let mut documents: Vec<&str> = input.split("\n---\n").collect();
        documents.reverse();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("input.yaml"), documents.join("\n---\n")).unwrap();
        let forwards = policy(&case, "status", &["-o", "json"]);
        let backwards = policy(folder.path(), "status", &["-o", "json"]);
        assert_eq!(statuses(stdout(&forwards)), statuses(stdout(&backwards)), "{}", case.display());
    }
}
