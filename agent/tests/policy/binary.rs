//! The binary says what the library says, of which the rest of the corpus is: some cases as a user runs them.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use super::traffic;

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policy/cases").join(name)
}

/// Runs `telltale -q ...` where the case is.
fn telltale(case: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_telltale"));
    command.arg("-q").args(arguments).current_dir(case).env_remove("RUST_LOG").output().unwrap()
}

fn stdout(output: &Output) -> &str {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("panicked"), "{errors}");
    std::str::from_utf8(&output.stdout).unwrap()
}

#[test]
fn verbs_print_what_the_cases_say() {
    for name in
        ["every-field-gep", "broken-documents", "not-utf-8", "unknown-fields", "status-list-is-full", "kind-list"]
    {
        let case = case(name);
        let expected = |file: &str| fs::read_to_string(case.join(file)).unwrap_or_default();
        let output = telltale(&case, &["policy", "validate", "input.yaml"]);
        let validated = format!("{}exit {}\n", stdout(&output), output.status.code().unwrap());
        assert_eq!(validated, expected("validate.txt"), "{name}");
        assert_eq!(stdout(&telltale(&case, &["policy", "status", "input.yaml"])), expected("status.yaml"), "{name}");
        let mut answers = String::new();
        for question in expected("explain.txt").lines().filter_map(|line| line.strip_prefix("$ ")) {
            let arguments = ["policy", "explain", "input.yaml"].into_iter().chain(question.split(' '));
            let answer = telltale(&case, &arguments.collect::<Vec<_>>());
            let separator = if answers.is_empty() { "" } else { "\n" };
            let _ = write!(answers, "{separator}$ {question}\n{}", stdout(&answer));
        }
        assert_eq!(answers, expected("explain.txt"), "{name}");
    }
}

#[test]
fn replay_writes_what_the_cases_say() {
    for name in
        ["every-signal-converted", "logs-text", "tracing-contexts", "metrics-overflow", "gateway-in-a-mesh-namespace"]
    {
        let (case, folder) = (case(name), tempfile::tempdir().unwrap());
        let file = |name: &str| folder.path().join(name);
        let recording = traffic::recording(&fs::read_to_string(case.join("traffic.txt")).unwrap());
        fs::write(file("recording"), recording).unwrap();
        let path = |name: &str| file(name).to_str().unwrap().to_owned();
        let [recording, logs, spans, metrics] = ["recording", "logs", "spans", "metrics"].map(path);
        let outputs = ["--logs", &logs, "--spans", &spans, "--metrics", &metrics];
        let output = telltale(&case, &[&["replay", &recording, "--policy", "input.yaml"], &outputs[..]].concat());
        assert!(output.status.success(), "{name}: {output:?}");
        let written = |name: &str| fs::read_to_string(file(name)).unwrap();
        let expected = |file: &str| fs::read_to_string(case.join(file)).unwrap_or_default();
        assert_eq!(written("logs"), expected("logs.txt"), "{name}");
        assert_eq!(traffic::readable(&written("spans")), expected("spans.txt"), "{name}");
        assert_eq!(traffic::of_traffic(&written("metrics")), expected("metrics.txt"), "{name}");
    }
}
