//! `run -- COMMAND`: whose it is, what it owns, how it ends.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use nix::sys::signal::Signal;

use crate::common::{
    agent::{Run, TELLTALE, logs, run_command, run_command_with},
    program::Server,
    seen::{row, text},
    wait_for,
};

/// What the issue promises word for word: one client line on stdout, for the server is out of scope.
#[test]
fn exactly_one_client_line() {
    let server = Server::python();
    let output = Command::new(TELLTALE)
        .args(["run", "--metrics-addr", "127.0.0.1:0", "--logs", "-", "--", "curl", "-so", "/dev/null"])
        .arg(server.url("/bytes/8"))
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(0));
    let lines = logs(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = &lines[0];
    assert_eq!((text(line, "reporter"), text(line, "path"), text(line, "source")), ("client", "/bytes/8", "curl"));
    assert_eq!((&line["response_code"], &line["bytes_sent"]), (&200.into(), &8.into()));
    assert!(text(line, "user_agent").starts_with("curl/"));
}

/// Without `--logs` the lines are on stderr and stdout is COMMAND's to the byte; so is stdin.
#[test]
fn standard_streams_are_the_commands() {
    let server = Server::python();
    let mut child = Command::new(TELLTALE)
        .args(["run", "--metrics-addr", "127.0.0.1:0", "--", "sh", "-c", "cat; curl -s \"$0\""])
        .arg(server.url("/bytes/3"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    child.stdin.take().expect("a pipe").write_all(b"in\0put\xff\n").expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.stdout, b"in\0put\xff\nxxx");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = stderr.lines().filter(|line| line.starts_with('{')).collect();
    assert_eq!(lines.len(), 1, "{stderr}");
    assert!(lines[0].contains("\"reporter\":\"client\""), "{stderr}");
}

/// What the agent takes more of for its probes COMMAND does not get.
#[test]
fn the_limit_of_open_files_is_the_commands_own() {
    let limits = "ulimit -Sn; ulimit -Hn";
    let own = Command::new("sh").args(["-c", &format!("ulimit -Sn 512; {limits}")]).output().expect("a shell");
    let script = format!("ulimit -Sn 512; exec {TELLTALE} run --metrics-addr 127.0.0.1:0 -- sh -c '{limits}'");
    let observed = Command::new("sh").args(["-c", &script]).output().expect("a shell");
    assert_eq!(String::from_utf8_lossy(&observed.stdout), String::from_utf8_lossy(&own.stdout));
}

#[test]
fn exit_codes() {
    for (command, code) in [
        (&["true"][..], 0),
        (&["sh", "-c", "exit 7"], 7),
        (&["sh", "-c", "exit 125"], 125),
        (&["/no/such/program"], 127),
        (&["no-such-program-anywhere"], 127),
        (&["/etc/passwd"], 126),
        (&["/"], 126),
        (&["sh", "-c", "kill -9 $$"], 128 + 9),
        (&["sh", "-c", "kill -15 $$"], 128 + 15),
    ] {
        let run = run_command(&[], command);
        assert_eq!(run.code(), code, "{command:?}: {}", run.stderr());
    }
    let failed = run_command(&["--backend", "none-such"], &["true"]);
    assert!(failed.stderr().contains("--backend none-such"), "{}", failed.stderr());
}

/// The user who called sudo, not root; with `--root`, root.
#[test]
fn the_user_who_called_sudo() {
    let nobody = nix::unistd::User::from_name("nobody").expect("users can be read").expect("there is a nobody");
    let id = "id -u; id -g; id -G; echo $HOME";
    let as_caller = |flags: &[&str]| {
        let run = run_command_with(flags, &["sh", "-c", id], |command| {
            command
                .env("SUDO_USER", "nobody")
                .env("SUDO_UID", nobody.uid.to_string())
                .env("SUDO_GID", nobody.gid.to_string())
        });
        assert_eq!(run.code(), 0, "{}", run.stderr());
        run.stdout().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let said = as_caller(&[]);
    assert_eq!(said[..2], [nobody.uid.to_string(), nobody.gid.to_string()]);
    assert!(!said[2].split(' ').any(|group| group == "0"), "{said:?}");
    assert_eq!(said[3], nobody.dir.to_str().expect("a path of text"));
    assert_eq!(as_caller(&["--root"])[..2], ["0", "0"]);
}

/// The user's own traffic is captured like root's.
#[test]
fn traffic_of_the_user_who_called_sudo() {
    let nobody = nix::unistd::User::from_name("nobody").expect("users can be read").expect("there is a nobody");
    let server = Server::python();
    let run = run_command_with(&[], &["curl", "-s", &server.url("/bytes/4")], |command| {
        command
            .env("SUDO_USER", "nobody")
            .env("SUDO_UID", nobody.uid.to_string())
            .env("SUDO_GID", nobody.gid.to_string())
    });
    assert_eq!(run.stdout(), "xxxx", "{}", run.stderr());
    run.seen.assert_reporter("client", &[row("GET", "/bytes/4", 200, 0, 4)]);
}

/// SIGTERM to telltale ends COMMAND, and what it did until then comes out.
#[test]
fn a_signal_is_handed_on() {
    let server = Server::python();
    let ready = tempfile::tempdir().expect("a folder can be made");
    let file = ready.path().join("ready");
    let script = "curl -s -o /dev/null \"$0\"; touch \"$1\"; exec sleep 600";
    let url = server.url("/bytes/2");
    let run = Run::start(["--", "sh", "-c", script, &url, file.to_str().expect("a path of text")]);
    wait_for("COMMAND", || file.exists().then_some(()));
    let (code, seen) = run.end_with(Signal::SIGTERM);
    assert_eq!(code, Some(128 + 15), "{}", seen.stderr);
    seen.assert_reporter("client", &[row("GET", "/bytes/2", 200, 0, 2)]);
}

/// An output that the caller did not ask for changes nothing: the exit code is COMMAND's even when a log cannot be written.
#[test]
fn the_exit_code_survives_a_full_disk() {
    let server = Server::python();
    let output = Command::new(TELLTALE)
        .args(["run", "--metrics-addr", "127.0.0.1:0", "--logs", "/dev/full", "--"])
        .args(["sh", "-c", "curl -s -o /dev/null \"$0\"; exit 3"])
        .arg(server.url("/bytes/8"))
        .output()
        .expect("the binary runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("/dev/full") && stderr.contains("No space left"), "{stderr}");
}
