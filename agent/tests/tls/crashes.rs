//! Processes that end in the middle of a call of their TLS library.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{ExitStatus, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    common::{
        agent::value,
        program::done,
        seen::{row, unanswered},
        tools, wait_for,
    },
    peers::{Authority, capture},
};

/// How a program of `programs/library.py` ends, in a call of whichever library the linker finds.
fn end_of(authority: &Authority, way: &str, port: u16) -> ExitStatus {
    let mut command = authority.library(Path::new("libssl.so.3"), way, port);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("python runs");
    if way == "killed" {
        let output = child.stdout.take().expect("its output is a pipe");
        let said = BufReader::new(output).lines().next().expect("it says when it reads").expect("text");
        assert_eq!(said, "reading");
        wait_for("the read to block", || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("it runs");
            // What follows the name is the state.
            stat.rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(" S")).then_some(())
        });
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL).expect("it is our child");
    }
    wait_for("the end of it", || child.try_wait().expect("it is our child"))
}

/// Killed while it waits in a read, by a read and a write of memory that there is not, and by another thread: what was whole before is told, nothing hangs,
/// nothing is lost, and who comes later is seen as if nothing had been.
#[test]
fn processes_that_end_in_a_call() {
    let authority = Authority::new();
    let server = authority.python("threads");
    let run = capture(server.port);
    assert_eq!(end_of(&authority, "killed", server.port).signal(), Some(Signal::SIGKILL as i32));
    assert_eq!(end_of(&authority, "reads", server.port).signal(), Some(Signal::SIGSEGV as i32));
    assert_eq!(end_of(&authority, "writes", server.port).signal(), Some(Signal::SIGSEGV as i32));
    assert_eq!(end_of(&authority, "exits", server.port).code(), Some(3));
    done(&mut authority.client(tools::interpreter(), "http_client", server.port));

    let later = [
        row("GET", "/bytes/1000", 200, 0, 1000),
        row("POST", "/sink", 200, 500, 2),
        row("GET", "/bytes/200000", 200, 0, 200_000),
        row("GET", "/status/404", 404, 0, 2),
    ];
    let before = || std::iter::repeat_n(row("GET", "/bytes/7", 200, 0, 7), 4);
    let seen = run.stop_after(2 * (4 + 1 + later.len()));
    let answered = before().chain([row("GET", "/bytes/0", 200, 0, 0)]).chain(later.clone());
    seen.assert_reporter("server", &answered.collect::<Vec<_>>());
    // It was answered, and crashed before it had the answer.
    let unread = before().chain([unanswered("GET", "/bytes/0", "closed")]).chain(later);
    seen.assert_reporter("client", &unread.collect::<Vec<_>>());
    // Ciphertext is not copied, and calls of whoever else has the library on this machine are left out: no losses.
    let losses = |line: &&str| {
        let counters = ["telltale_kernel_drops_total", "telltale_gaps_total", "telltale_events_without_open_total"];
        let is_none = line.ends_with(" 0.0") || line.contains("not_copied");
        counters.iter().any(|name| line.starts_with(name)) && !is_none
    };
    assert_eq!(seen.metrics.lines().filter(losses).collect::<Vec<_>>(), [""; 0]);
    let objects = |socket: &str| value(&seen.metrics, "telltale_tls_objects_total", socket);
    assert!((objects("proven") - 10.0).abs() < 0.5 && objects("unknown").abs() < 0.5, "five connections with two ends");
}
