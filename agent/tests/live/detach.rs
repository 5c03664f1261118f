//! Nothing is left behind, and agents do not disturb each other.

use std::collections::BTreeSet;

use nix::sys::signal::Signal;

use crate::common::{
    agent::{Run, run_command, value},
    program::{Server, curl, done},
    rotel::Rotel,
    seen::{row, text},
    wait_for,
};

/// Numbers of the BPF programs, links or maps that a process holds: `prog_id:`, `link_id:` or `map_id:`.
fn held(process: u32, key: &str) -> BTreeSet<u32> {
    let entries = std::fs::read_dir(format!("/proc/{process}/fdinfo")).expect("the process lives");
    entries
        .flatten()
        .filter_map(|entry| std::fs::read_to_string(entry.path()).ok())
        .filter_map(|text| text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok()))
        .collect()
}

/// Those of the machine.
fn loaded() -> BTreeSet<u32> {
    aya::programs::loaded_programs().flatten().map(|program| program.id()).collect()
}

fn links() -> BTreeSet<u32> {
    aya::programs::loaded_links().flatten().map(|link| link.id()).collect()
}

fn maps() -> BTreeSet<u32> {
    aya::maps::loaded_maps().flatten().map(|map| map.id()).collect()
}

fn leaves_nothing(signal: Signal) {
    let server = Server::python();
    let run = Run::port(server.port);
    let programs = held(run.id(), "prog_id:");
    assert!(!programs.is_empty() && programs.is_subset(&loaded()), "{programs:?}");
    let (code, _) = run.end_with(signal);
    assert_eq!(code, if signal == Signal::SIGKILL { None } else { Some(0) });
    // The kernel frees a program some time after its last user is gone.
    wait_for("the programs to be gone", || loaded().is_disjoint(&programs).then_some(()));
}

#[test]
fn sigterm_leaves_nothing() {
    leaves_nothing(Signal::SIGTERM);
}

#[test]
fn sigint_leaves_nothing() {
    leaves_nothing(Signal::SIGINT);
}

#[test]
fn sigkill_leaves_nothing() {
    leaves_nothing(Signal::SIGKILL);
}

/// A worker panics at the first event: the kernel is left at once, COMMAND goes on unobserved, and the run says that it failed.
#[cfg(debug_assertions)]
#[test]
fn a_panic_leaves_nothing_and_lets_command_be() {
    let server = Server::python();
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = |name: &str| folder.path().join(name);
    let script = format!(
        "until [ -e start ]; do sleep 0.02; done\ncurl -sf {url} >first\nuntil [ -e go ]; do sleep 0.02; done\ncurl -sf {url} >second",
        url = server.url("/bytes/15")
    );
    let run = Run::start_with(["--", "sh", "-c", &script], |_, command| {
        command.env("TELLTALE_TEST_PANIC", "1").current_dir(folder.path())
    });
    let [programs, own_links, own_maps] = ["prog_id:", "link_id:", "map_id:"].map(|key| held(run.id(), key));
    assert!(!programs.is_empty() && programs.is_subset(&loaded()), "{programs:?}");
    assert!(!own_links.is_empty() && own_links.is_subset(&links()), "{own_links:?}");
    assert!(!own_maps.is_empty() && own_maps.is_subset(&maps()), "{own_maps:?}");
    std::fs::write(file("start"), "").expect("a file can be written");
    wait_for("nothing to be attached", || links().is_disjoint(&own_links).then_some(()));
    std::fs::write(file("go"), "").expect("a file can be written");
    let (code, seen) = run.end();
    assert_eq!(code, Some(125), "{}", seen.stderr);
    assert!(seen.stderr.contains("a worker panicked: nothing more is captured"), "{}", seen.stderr);
    assert!(seen.stderr.contains("telltale: a worker panicked; its last telemetry is lost"), "{}", seen.stderr);
    assert_eq!(seen.logs.len(), 0, "{:?}", seen.logs);
    for name in ["first", "second"] {
        assert_eq!(std::fs::read(file(name)).map(|body| body.len()).ok(), Some(15), "COMMAND's {name} request");
    }
    wait_for("the programs to be gone", || loaded().is_disjoint(&programs).then_some(()));
    wait_for("the maps to be gone", || maps().is_disjoint(&own_maps).then_some(()));
}

/// Without a COMMAND nothing keeps the run: it ends by itself.
#[cfg(debug_assertions)]
#[test]
fn a_panic_ends_a_run_without_command() {
    let server = Server::python();
    let port = server.port.to_string();
    let run = Run::start_with(["--port", &port], |_, command| command.env("TELLTALE_TEST_PANIC", "1"));
    let programs = held(run.id(), "prog_id:");
    done(&mut curl([server.url("/bytes/15")]));
    let (code, seen) = run.end();
    assert_eq!(code, Some(1), "{}", seen.stderr);
    assert!(seen.stderr.contains("telltale: a worker panicked; its last telemetry is lost"), "{}", seen.stderr);
    wait_for("the programs to be gone", || loaded().is_disjoint(&programs).then_some(()));
}

#[test]
fn two_agents_see_the_same() {
    let server = Server::python();
    let runs = [Run::port(server.port), Run::port(server.port)];
    done(&mut curl([server.url("/bytes/15")]));
    let expected = [row("GET", "/bytes/15", 200, 0, 15)];
    let [first, second] = runs.map(|run| run.expect_both_ends(&expected));
    let ids = |seen: &crate::common::seen::Seen| {
        seen.logs
            .iter()
            .map(|line| (line["trace_id"].to_string(), line["span_id"].to_string()))
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(ids(&first), ids(&second), "ids follow from the traffic alone");
}

/// Two agents that watch the whole machine and export to one receiver: each sees the other's exports, counts them, and tells nothing about them.
#[test]
fn two_agents_do_not_feed_each_other() {
    let server = Server::python();
    let receiver = Rotel::start();
    let start = || {
        Run::start_with(["--all"], |_, command| {
            command
                .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{}", receiver.http))
                .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
                .env("OTEL_BSP_SCHEDULE_DELAY", "100")
        })
    };
    let runs = [start(), start()];
    for _ in 0..5 {
        done(&mut curl([server.url("/bytes/15")]));
    }
    // Each must have seen several exports of the other; were they fed by them there would be no end.
    for run in &runs {
        wait_for("exports of the other agent", || (run.value("telltale_exchanges_own_total", "") >= 2.0).then_some(()));
    }
    for seen in runs.map(Run::stop) {
        let own = server.url("");
        let own: Vec<_> = seen.logs.iter().filter(|line| own.ends_with(text(line, "authority"))).collect();
        assert_eq!(own.len(), 10, "both ends of five exchanges");
        let exports = seen
            .logs
            .iter()
            .filter(|line| text(line, "path").starts_with("/v1/"))
            .filter(|line| text(line, "user_agent").starts_with("telltale/"));
        assert_eq!(exports.count(), 0, "an export was turned into telemetry");
        assert!(value(&seen.metrics, "telltale_exchanges_own_total", "") >= 2.0);
    }
    assert!(!receiver.output().contains("/v1/traces"), "an export was exported");
}

/// What COMMAND leaves running lives on, outside of a cgroup that is gone.
#[test]
fn a_daemon_outlives_the_run() {
    let run = run_command(&[], &["sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $!; cat /proc/self/cgroup"]);
    assert_eq!(run.code(), 0, "{}", run.stderr());
    let said = run.stdout();
    let process = said.lines().next().and_then(|line| line.parse::<i32>().ok()).expect("a process id");
    let status = std::fs::read_to_string(format!("/proc/{process}/cgroup")).expect("the daemon lives");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(process), Signal::SIGKILL).expect("it is ours");
    assert!(!status.contains("telltale-"), "{status}");
    for cgroup in said.lines().filter_map(|line| line.strip_prefix("0::")).filter(|path| path.contains("/telltale-")) {
        let mounts = std::fs::read_to_string("/proc/self/mounts").expect("it can be read");
        let mount = mounts.lines().find(|line| line.contains(" cgroup2 ")).and_then(|line| line.split(' ').nth(1));
        let path = format!("{}{cgroup}", mount.expect("it was made there"));
        assert!(!std::path::Path::new(&path).exists(), "{path}");
    }
}
