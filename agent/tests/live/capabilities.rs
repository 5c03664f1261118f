//! What the agent needs to be allowed, and what `telltale check` says of what it is not.

use std::{fs, os::unix::fs::symlink, process::Command};

use serde_json::Value;

use crate::common::{
    agent::{Run, TELLTALE},
    confined::{SHIPPED, confine},
    program::{Server, curl, done},
    seen::row,
    tools, wait_for,
};

fn run_with(capabilities: &str, port: u16) -> Run {
    Run::start_with(["--port", &port.to_string()], |_, command| {
        confine(command, capabilities);
        command
    })
}

#[test]
fn what_the_chart_grants_is_enough_and_two_capabilities_are_too() {
    for capabilities in [SHIPPED, "bpf,perfmon", "sys_admin"] {
        let server = Server::python();
        let run = run_with(capabilities, server.port);
        done(&mut curl(["-d", "abc", &server.url("/bytes/5")]));
        // The kernel's own account of the programs is read through descriptors of theirs.
        let scrape = run.scrape();
        assert!(scrape.contains("\ntelltale_kernel_recursion_misses_total{program="), "{capabilities}: {scrape}");
        run.expect_both_ends(&[row("POST", "/bytes/5", 200, 3, 5)]);
    }
}

/// `process.executable.name` of a program that was started by another name, as this agent tells it.
fn executable_with(capabilities: &str) -> String {
    let server = Server::python();
    let run = run_with(capabilities, server.port);
    let folder = tempfile::tempdir().expect("a folder can be made");
    let alias = folder.path().join("telltale-alias");
    symlink(tools::interpreter(), &alias).expect("a link can be made");
    // It lives on until it is told to end: what is gone cannot be looked at.
    let port = server.port;
    let script = format!(
        "import http.client, sys; c = http.client.HTTPConnection('127.0.0.1', {port}); c.request('GET', '/bytes/1'); \
         c.getresponse().read(); sys.stdin.read()"
    );
    let mut client = Command::new(&alias)
        .args(["-I", "-c", &script])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("the interpreter runs");
    let found = wait_for("the client", || {
        let scrape = run.scrape();
        let of_client = format!("process_pid=\"{}\"", client.id());
        let line = scrape.lines().find(|line| line.starts_with("target_info") && line.contains(&of_client))?;
        Some(line.split_once("process_executable_name=\"")?.1.split_once('"')?.0.to_owned())
    });
    drop(client.stdin.take());
    client.wait().expect("it is our child");
    found
}

#[test]
fn executables_of_others_have_their_name_with_sys_ptrace_only() {
    let interpreter = fs::canonicalize(tools::interpreter()).expect("it is there");
    let name = interpreter.file_name().expect("it has a name").to_string_lossy().into_owned();
    assert_eq!(executable_with(SHIPPED), name);
    assert_eq!(executable_with("bpf,perfmon"), "telltale-alias");
}

/// What `telltale check` says, and whether something can be captured.
fn check(capabilities: Option<&str>, arguments: &[&str]) -> (bool, Value) {
    let mut command = Command::new(TELLTALE);
    command.args(["check", "-o", "json"]).args(arguments).env_remove("TELLTALE_CGROUP_ROOT");
    if let Some(capabilities) = capabilities {
        confine(&mut command, capabilities);
    }
    let output = command.output().expect("the binary runs");
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.success(), report)
}

fn find<'a>(report: &'a Value, name: &str) -> &'a Value {
    let rows = report["capabilities"].as_array().expect("rows");
    rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("{name}: {report}"))
}

#[test]
fn check_names_what_is_off_and_the_value_that_grants_it() {
    let (_, privileged) = check(None, &[]);
    // What is granted, and of each capability: whether its absence is told of.
    for (capabilities, fatal, missing) in [
        ("", &["BPF", "PERFMON"][..], &["SYS_PTRACE"][..]),
        ("bpf", &["PERFMON"], &["SYS_PTRACE"]),
        ("perfmon,sys_ptrace", &["BPF"], &[]),
        ("bpf,perfmon", &[], &["SYS_PTRACE"]),
        ("sys_admin", &[], &["SYS_PTRACE"]),
        (SHIPPED, &[], &[]),
    ] {
        let (can_capture, report) = check(Some(capabilities), &[]);
        assert_eq!(can_capture, fatal.is_empty(), "{capabilities}: {report}");
        let backend = if can_capture { privileged["backend"].clone() } else { Value::Null };
        assert_eq!(report["backend"], backend, "{capabilities}");
        for (name, chart) in [
            ("BPF", "capabilities.bpf"),
            ("PERFMON", "capabilities.perfmon"),
            ("SYS_PTRACE", "capabilities.sysPtrace"),
            ("DAC_READ_SEARCH", ""),
            ("SYS_ADMIN", ""),
        ] {
            let row = find(&report, &format!("capability {name}"));
            let status = match () {
                () if fatal.contains(&name) => "fatal",
                () if missing.contains(&name) => "missing",
                () => "ok",
            };
            assert_eq!(row["status"], status, "{capabilities}: {row}");
            let mend = row["mend"].as_str().unwrap_or_default();
            assert_eq!(mend.contains(&format!("`{chart}: true`")), status != "ok", "{capabilities}: {row}");
        }
    }
}

#[test]
fn check_says_whether_pods_can_be_seen() {
    let (_, report) = check(None, &["--cgroup-root", "/nonexistent"]);
    let pods = find(&report, "cgroups of pods");
    assert_eq!(pods["status"], "missing");
    assert!(pods["found"].as_str().is_some_and(|found| found.contains("/nonexistent")), "{pods}");
    let (_, report) = check(None, &[]);
    assert_eq!(find(&report, "cgroups of pods")["status"], "ok");
    for name in
        ["PID namespace", "lockdown", "security module", "seccomp", "perf_event_paranoid", "unprivileged_bpf_disabled"]
    {
        assert_eq!(find(&report, name)["status"], "ok");
    }
}
