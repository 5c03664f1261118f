//! What cannot be done is said: what was tried, on what, what to do.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Output},
};

use crate::common::{
    agent::{Run, TELLTALE, logs, run_command_with, value},
    program::{Server, done, free_port},
    seen::row,
};

fn telltale(arguments: &[&str]) -> Output {
    Command::new(TELLTALE).args(arguments).env_remove("RUST_LOG").output().expect("the binary runs")
}

/// Exit code and stderr, which must be short and contain these words.
fn refused(arguments: &[&str], code: i32, words: &[&str]) {
    check(&telltale(arguments), code, words, &arguments.join(" "));
}

fn check(output: &Output, code: i32, words: &[&str], what: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{what}: {stderr}");
    for word in words {
        assert!(stderr.contains(word), "{what}: no {word:?} in: {stderr}");
    }
    assert!(output.stdout.is_empty(), "{what}");
    assert!(!stderr.contains("panicked"), "{what}: {stderr}");
}

#[test]
fn wrong_usage_is_2() {
    refused(&["run"], 2, &["nothing to capture", "--pid", "COMMAND"]);
    refused(&["run", "--all", "--no-such-flag"], 2, &["--no-such-flag"]);
    refused(&["run", "--all", "--port", "80"], 2, &["--all", "--port"]);
    refused(&["run", "--port", "0"], 2, &["--port"]);
    refused(&["run", "--all", "--backend", "none-such"], 2, &["--backend none-such", "syscall"]);
    refused(&["run", "--root", "--all"], 2, &["COMMAND"]);
}

#[test]
fn what_is_not_there_is_named() {
    let metrics = ["--metrics-addr", "127.0.0.1:0"];
    let with = |arguments: &[&'static str]| [&["run"], &metrics[..], arguments].concat();
    refused(&with(&["--pid", "4194304"]), 1, &["no process 4194304"]);
    refused(&with(&["--cgroup", "/no/such/cgroup"]), 1, &["/no/such/cgroup", "No such file"]);
    refused(&with(&["--cgroup", "/tmp"]), 1, &["/tmp is not a cgroup"]);
    refused(&with(&["--port", "9", "--logs", "/no/such/folder/log"]), 1, &["/no/such/folder/log", "No such file"]);
    refused(&with(&["--port", "9", "--record", "/no/such/folder/r"]), 1, &["/no/such/folder/r", "No such file"]);
    // With a COMMAND 1 could be its own.
    refused(&with(&["--logs", "/no/such/folder/log", "--", "true"]), 125, &["/no/such/folder/log"]);
}

#[test]
fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback works");
    let address = taken.local_addr().expect("it is bound").to_string();
    refused(&["run", "--port", "9", "--metrics-addr", &address], 1, &[&address, "in use", "--metrics-addr"]);
    refused(&["run", "--metrics-addr", &address, "--", "true"], 125, &[&address, "in use"]);
}

/// A recording that fills its disk stops and says so; capture goes on; COMMAND's code is kept.
#[test]
fn a_recording_that_fills_the_disk() {
    let server = Server::python();
    let folder = tempfile::tempdir().expect("a folder can be made");
    // A disk of 16 KiB that nobody else sees.
    let script = "mount -t tmpfs -o size=16k none \"$0\" && exec \"$@\"";
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", script])
        .arg(folder.path())
        .args([TELLTALE, "run", "--metrics-addr", "127.0.0.1:0", "--logs", "-", "--record"])
        .arg(folder.path().join("recording"))
        .args(["--", "sh", "-c", "for n in 1 2 3; do curl -s -o /dev/null \"$0\"; done; exit 4"])
        .arg(server.url("/chunked/20000"))
        .output()
        .expect("unshare is of util-linux");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("No space left"), "{stderr}");
    let lines = logs(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(lines.len(), 3, "{stderr}");
    assert!(lines.iter().all(|line| line["bytes_sent"] == 20_000), "{lines:?}");
}

/// The binary where an ordinary user may execute it, run by one.
#[test]
fn without_root() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("the folder is ours");
    let binary = folder.path().join("telltale");
    // By another process: children of tests beside this one may hold for a moment what this one writes, and then it cannot be executed.
    done(Command::new("cp").arg(TELLTALE).arg(&binary));
    for (arguments, code) in [(&["--port", "9"][..], 1), (&["--", "true"], 125)] {
        let output = Command::new("setpriv")
            .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"])
            .arg(&binary)
            .args(["run", "--metrics-addr", "127.0.0.1:0"])
            .args(arguments)
            .current_dir("/")
            .output()
            .expect("setpriv is of util-linux");
        check(&output, code, &["needs root", "sudo"], &arguments.join(" "));
    }
}

/// Nobody listens at the OTLP endpoint: the run ends in time with COMMAND's code, and what was lost is counted and said.
#[test]
fn an_otlp_endpoint_that_is_away() {
    let server = Server::python();
    let endpoint = format!("http://127.0.0.1:{}", free_port());
    for protocol in ["grpc", "http/protobuf"] {
        let run = run_command_with(
            &[],
            &["sh", "-c", "curl -s -o /dev/null \"$0\"; exit 5", &server.url("/bytes/1")],
            |command| {
                command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint).env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
            },
        );
        assert_eq!(run.code(), 5, "{}", run.stderr());
        run.seen.assert_reporter("client", &[row("GET", "/bytes/1", 200, 0, 1)]);
        let lost = value(&run.seen.metrics, "telltale_queue_dropped_total", "");
        assert!((lost - 1.0).abs() < f64::EPSILON, "{lost}: {}", run.seen.metrics);
        assert!(run.stderr().contains("1 spans were not exported"), "{}", run.stderr());
    }
}

/// A log on a full disk: the run goes on, the metrics are right, the loss is counted and said.
#[test]
fn a_full_disk() {
    let server = Server::python();
    let folder = tempfile::tempdir().expect("a folder can be made");
    let metrics = folder.path().join("metrics");
    let output = Command::new(TELLTALE)
        .args(["run", "--metrics-addr", "127.0.0.1:0", "--logs", "/dev/full", "--metrics"])
        .arg(&metrics)
        .args(["--", "curl", "-s", "-o", "/dev/null", &server.url("/bytes/1")])
        .output()
        .expect("the binary runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("/dev/full") && stderr.contains("No space left"), "{stderr}");
    let metrics = fs::read_to_string(metrics).expect("metrics were written");
    assert!((value(&metrics, "telltale_exchanges_total", "") - 1.0).abs() < f64::EPSILON, "{metrics}");
    assert!(value(&metrics, "telltale_queue_dropped_total", "") >= 1.0, "{metrics}");
}

#[test]
fn a_run_without_traffic() {
    let run = Run::port(free_port());
    let seen = run.stop();
    assert!(seen.logs.is_empty() && seen.spans.is_empty());
    assert!((value(&seen.metrics, "telltale_capture_backend", "") - 1.0).abs() < f64::EPSILON, "{}", seen.metrics);
}
