//! The verbs themselves: exit codes, streams, formats, colour.

use std::{
    fs,
    io::Write as _,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

const GOOD: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: TelemetryPolicy
metadata: {name: p, namespace: shop}
spec:
  targetRefs: [{group: '', kind: Namespace, name: shop}]
  metrics: {mode: Enabled}
";

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn telltale(folder: &TempDir, arguments: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_telltale"))
        .args(arguments)
        .current_dir(folder.path())
        .env_remove("RUST_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A verb that reads no input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

/// Exit code, standard output, standard error.
fn said(output: &Output) -> (i32, &str, &str) {
    let text = |bytes| std::str::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn findings_go_to_stdout_and_their_number_to_stderr() {
    let bad = GOOD.replace("metrics: {mode: Enabled}", "metrics: {mode: Enabld, colour: red}");
    let folder = folder(&[("good.yaml", GOOD), ("bad.yaml", &bad.replace("name: p,", "name: q,"))]);
    let output = telltale(&folder, &["policy", "validate", "good.yaml"], "");
    assert_eq!(said(&output), (0, "", "1 policy: 0 errors, 0 warnings\n"));
    let output = telltale(&folder, &["policy", "validate", "bad.yaml", "good.yaml"], "");
    let (code, out, errors) = said(&output);
    assert_eq!((code, errors), (1, "2 policies: 1 error, 1 warning\n"), "{out}");
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].starts_with("bad.yaml:10: error: spec.metrics.mode: "), "{out}");
    assert!(lines[1].starts_with("bad.yaml:10: warning: spec.metrics.colour: "), "{out}");
    assert!(!out.contains('\x1b') && !errors.contains('\x1b'));
    // Warnings fail only where that is asked for.
    let warned = GOOD.replace("Enabled}", "Enabled, colour: red}");
    for (flags, code) in [(&["-"][..], 0), (&["-", "--strict"], 1)] {
        let output = telltale(&folder, &[&["policy", "validate"], flags].concat(), &warned);
        assert_eq!((said(&output).0, said(&output).2), (code, "1 policy: 0 errors, 1 warning\n"));
    }
    // Quiet says no number.
    let output = telltale(&folder, &["-q", "policy", "validate", "."], "");
    assert_eq!((said(&output).0, said(&output).2), (1, ""));
}

#[test]
fn files_that_cannot_be_read_fail_and_say_so() {
    let folder = folder(&[]);
    for verb in [&["validate"][..], &["status"], &["explain", "--namespace", "shop"]] {
        let arguments = [&["policy"], verb, &["missing.yaml"]].concat();
        let output = telltale(&folder, &arguments, "");
        let (code, out, errors) = said(&output);
        assert_eq!((code, out), (1, ""));
        assert!(errors.starts_with("telltale: cannot read missing.yaml: ") && errors.lines().count() == 1, "{errors}");
    }
}

#[test]
fn wrong_usage_is_2() {
    let folder = folder(&[("p.yaml", GOOD)]);
    for arguments in [
        &["policy", "validate"][..],
        &["policy", "explain", "p.yaml"],
        &["policy", "explain", "p.yaml", "--pod", "cart-1"],
        &["policy", "explain", "p.yaml", "--pod", "a/b/c"],
        &["policy", "explain", "p.yaml", "--pod", "a/b", "--namespace", "a"],
        &["policy", "status", "p.yaml", "-o", "text"],
    ] {
        let output = telltale(&folder, arguments, "");
        assert_eq!((said(&output).0, said(&output).1), (2, ""), "{arguments:?}");
    }
}

#[test]
fn standard_input_and_folders_are_read() {
    let folder = folder(&[
        ("a.yaml", GOOD),
        ("b.json", r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "cart-1", "namespace": "shop"}}"#),
    ]);
    let from_folder = telltale(&folder, &["policy", "status", ".", "-o", "json"], "");
    let from_stdin = telltale(&folder, &["policy", "status", "-", "-o", "json"], GOOD);
    assert_eq!(said(&from_folder), said(&from_stdin));
    let list: Value = serde_json::from_slice(&from_stdin.stdout).unwrap();
    assert_eq!(list["items"][0]["status"]["ancestors"][0]["conditions"][0]["reason"], "Accepted");
}

#[test]
fn a_list_that_was_printed_is_read_and_says_the_same() {
    let folder = folder(&[("p.yaml", GOOD), ("ns.yaml", "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}")]);
    let first = telltale(&folder, &["policy", "status", "p.yaml"], "");
    for format in ["yaml", "json"] {
        let printed = telltale(&folder, &["policy", "status", "p.yaml", "-o", format], "");
        let again = telltale(&folder, &["policy", "status", "-", "ns.yaml"], said(&printed).1);
        assert_eq!(said(&again), said(&first));
    }
}

#[test]
fn what_cannot_be_read_is_said_beside_the_statuses_of_the_rest() {
    let folder = folder(&[("p.yaml", &format!("{GOOD}---\nkind: [unclosed\n"))]);
    let output = telltale(&folder, &["policy", "status", "p.yaml"], "");
    let (code, out, errors) = said(&output);
    assert_eq!(code, 1);
    assert!(out.contains("reason: Accepted") && errors.contains("p.yaml:12: "), "{out}{errors}");
}

#[test]
fn a_name_that_may_be_mistyped_is_mentioned() {
    let folder = folder(&[("p.yaml", GOOD)]);
    let output = telltale(&folder, &["policy", "explain", "p.yaml", "--pod", "shop/crat-1"], "");
    let (code, out, errors) = said(&output);
    assert_eq!(code, 0);
    assert!(out.starts_with("Pod shop/crat-1 follows the policy shop/p "), "{out}");
    assert!(errors.contains("no Pod shop/crat-1 is in the files"), "{errors}");
    let output = telltale(&folder, &["policy", "explain", "p.yaml", "--namespace", "shpo"], "");
    assert!(said(&output).2.contains("no Namespace shpo is in the files"));
}

#[test]
fn an_explanation_has_the_documented_shape_in_both_formats() {
    let folder = folder(&[("p.yaml", GOOD)]);
    let output = telltale(&folder, &["policy", "explain", "p.yaml", "--namespace", "shop", "-o", "json"], "");
    let explanation: Value = serde_json::from_slice(&output.stdout).unwrap();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&explanation), ["plan", "policies", "target"]);
    assert_eq!(keys(&explanation["policies"][0]), ["apiVersion", "applies", "name", "namespace", "why"]);
    assert_eq!(keys(&explanation["plan"]), ["accessLogs", "calls", "capture", "direction", "metrics", "tracing"]);
    let yaml = telltale(&folder, &["policy", "explain", "p.yaml", "--namespace", "shop", "-o", "yaml"], "");
    let from_yaml: Value = serde_saphyr::from_slice(&yaml.stdout).unwrap();
    assert_eq!(from_yaml, explanation);
}

/// A terminal is a pseudo-terminal of `script` (util-linux), where there is one.
#[test]
fn a_terminal_has_colour_unless_no_color_is_set() {
    let folder = folder(&[("p.yaml", &GOOD.replace("mode: Enabled", "colour: red"))]);
    let command = format!("{} policy validate p.yaml", env!("CARGO_BIN_EXE_telltale"));
    let on_terminal = |variables: &[(&str, &str)]| {
        let output = Command::new("script")
            .args(["-qec", &command, "/dev/null"])
            .current_dir(folder.path())
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output();
        output.ok().map(|output| String::from_utf8(output.stdout).unwrap())
    };
    let Some(coloured) = on_terminal(&[]) else {
        eprintln!("skipped: there is no `script`");
        return;
    };
    assert!(coloured.contains("\x1b[33mwarning\x1b[0m"), "{coloured:?}");
    for variable in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let plain = on_terminal(&[variable]).unwrap();
        assert!(plain.contains("warning: spec.metrics.colour") && !plain.contains('\x1b'), "{plain:?}");
    }
}
