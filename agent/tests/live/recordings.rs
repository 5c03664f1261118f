//! What is recorded replays to what was told live.

use std::{fs, path::Path, process::Command};

use crate::common::{
    agent::{Run, TELLTALE},
    program::{Server, curl, done},
    seen::Seen,
    tools,
};

/// Log lines in an order of their own: two rings need not agree about whose exchange was over first.
fn sorted(lines: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = lines.lines().collect();
    lines.sort_unstable();
    lines
}

fn replay(recording: &Path) -> String {
    let output = done(Command::new(TELLTALE).arg("replay").arg(recording).args(["--logs", "-"]));
    String::from_utf8(output.stdout).expect("lines are text")
}

/// Records, replays, scrubs and replays again: the lines are the same each time, ids and times included.
fn round_trip(server: &Server, lines: usize, traffic: impl FnOnce()) -> Seen {
    let kept = tempfile::tempdir().expect("a folder can be made");
    let recording = kept.path().join("recording");
    let run =
        Run::start_with(["--port", &server.port.to_string()], |_, command| command.arg("--record").arg(&recording));
    traffic();
    let logs = run.file("logs");
    crate::common::wait_for("the lines", || (fs::read_to_string(&logs).ok()?.lines().count() >= lines).then_some(()));
    let seen = run.stop();
    let live: Vec<&str> = seen.logs_raw.lines().collect();
    let replayed = replay(&recording);
    assert_eq!(sorted(&seen.logs_raw), sorted(&replayed));
    assert_eq!(live.len(), lines, "{}", seen.stderr);

    let scrubbed = kept.path().join("scrubbed");
    done(Command::new(TELLTALE).arg("replay").arg(&recording).arg("--scrub").arg(&scrubbed));
    assert_eq!(replay(&scrubbed), replayed);
    seen
}

#[test]
fn ordinary_exchanges() {
    let server = Server::python();
    round_trip(&server, 14, || {
        done(tools::python("client.py").arg("http_client").arg(server.url("")));
    });
}

#[test]
fn gaps_of_sendfile() {
    let server = Server::nginx(&[500_000]);
    round_trip(&server, 4, || {
        done(&mut curl([&server.url("/500000"), "-o", "/dev/null", &server.url("/missing")]));
    });
}

#[test]
fn bad_endings_and_pipelines() {
    let server = Server::python();
    round_trip(&server, 4 + 40, || {
        done(tools::python("client.py").arg("hung_up").arg(server.url("")));
        done(tools::python("client.py").arg("pipelined").arg(server.url("")).arg("20"));
    });
}
