//! What is asked for and nothing else.

use std::process::Command;

use crate::common::{
    agent::{Run, run_command_with, value},
    cgroup::Cgroup,
    program::{Program, Server, curl, done},
    seen::row,
    tools, wait_for,
};

fn held(server: &Server) -> Command {
    let mut command = tools::python("client.py");
    command.arg("held").arg(server.url(""));
    command
}

/// Traffic out of scope while a run is under way: no line, and the kernel copied nothing.
#[test]
fn out_of_scope_nothing_is_copied() {
    let (inside, outside) = (Server::python(), Server::python());
    let run = Run::port(inside.port);
    for _ in 0..20 {
        done(&mut curl(["-d", "private", &outside.url("/bytes/5000")]));
    }
    let kernel = |metric| run.value(metric, "");
    assert_eq!((kernel("telltale_kernel_records_total"), kernel("telltale_kernel_copied_bytes_total")), (0.0, 0.0));
    done(&mut curl([inside.url("/bytes/1")]));
    let seen = run.expect_both_ends(&[row("GET", "/bytes/1", 200, 0, 1)]);
    let copied = value(&seen.metrics, "telltale_kernel_copied_bytes_total", "");
    assert!(copied > 0.0 && copied < 2000.0, "{copied}");
}

#[test]
fn a_process_with_the_children_it_starts() {
    let (server, other) = (Server::python(), Server::python());
    // Reads commands and starts each as a child.
    let script = "while read -r url; do curl -s -o /dev/null --noproxy '*' \"$url\"; echo done; done";
    let mut shell = Program::start(Command::new("sh").args(["-c", script]));
    let mut stranger = Program::start(&mut held(&other));
    assert_eq!(stranger.line(), "ready");
    let run = Run::start(["--pid", &shell.id().to_string()]);
    shell.say(&server.url("/bytes/21"));
    assert_eq!(shell.line(), "done");
    stranger.say("/bytes/9");
    assert_eq!(stranger.line(), "done");
    let seen = run.stop_after(1);
    seen.assert_reporter("client", &[row("GET", "/bytes/21", 200, 0, 21)]);
    assert_eq!(seen.logs.len(), 1);
}

/// Several processes, each with a connection from before.
#[test]
fn two_processes() {
    let server = Server::python();
    let mut clients = [Program::start(&mut held(&server)), Program::start(&mut held(&server))];
    let mut stranger = Program::start(&mut held(&server));
    for client in clients.iter_mut().chain([&mut stranger]) {
        assert_eq!(client.line(), "ready");
    }
    let [first, second] = [clients[0].id().to_string(), clients[1].id().to_string()];
    let run = Run::start(["--pid", &first, "--pid", &second]);
    for (client, path) in clients.iter_mut().chain([&mut stranger]).zip(["/bytes/1", "/bytes/2", "/bytes/3"]) {
        client.say(path);
        assert_eq!(client.line(), "done");
    }
    let seen = run.stop_after(2);
    seen.assert_reporter("client", &[row("GET", "/bytes/1", 200, 0, 1), row("GET", "/bytes/2", 200, 0, 2)]);
    assert_eq!(seen.logs.len(), 2);
}

fn by_cgroup(outer: &Cgroup) {
    let server = Server::python();
    let inner = outer.child();
    let run = Run::start(["--cgroup".as_ref(), outer.path().as_os_str()]);
    done(&mut outer.inside(&curl([server.url("/bytes/1")])));
    done(&mut inner.inside(&curl([server.url("/bytes/2")])));
    done(&mut curl([server.url("/bytes/3")]));
    let seen = run.stop_after(2);
    seen.assert_reporter("client", &[row("GET", "/bytes/1", 200, 0, 1), row("GET", "/bytes/2", 200, 0, 2)]);
    assert_eq!(seen.logs.len(), 2);
}

#[test]
fn a_cgroup_of_v2_and_those_below() {
    match Cgroup::v2() {
        Some(cgroup) => by_cgroup(&cgroup),
        None => eprintln!("skipped: no cgroup v2 can be made here"),
    }
}

#[test]
fn a_cgroup_of_v1_and_those_below() {
    match Cgroup::v1() {
        Some(cgroup) => by_cgroup(&cgroup),
        None => eprintln!("skipped: no cgroup v1 can be made here"),
    }
}

#[test]
fn several_ports() {
    let servers = [Server::python(), Server::python(), Server::python()];
    let [first, second] = [servers[0].port.to_string(), servers[1].port.to_string()];
    let run = Run::start(["--port", &first, "--port", &second]);
    for (server, path) in servers.iter().zip(["/bytes/1", "/bytes/2", "/bytes/3"]) {
        done(&mut curl([server.url(path)]));
    }
    run.expect_both_ends(&[row("GET", "/bytes/1", 200, 0, 1), row("GET", "/bytes/2", 200, 0, 2)]);
}

/// A shell that starts Python that starts curl, and one that leaves its session and its parent behind.
#[test]
fn a_command_with_all_its_descendants() {
    let server = Server::python();
    let nested = "import subprocess, sys; subprocess.check_call(['curl', '-s', '-o', '/dev/null', sys.argv[1]])";
    let script = "\"$1\" -c \"$2\" \"$0/bytes/1\"; \
                  (setsid sh -c 'sh -c \"curl -s -o /dev/null $0/bytes/2; echo left; touch left\" &' \"$0\"); \
                  while [ ! -e left ]; do sleep 0.05; done";
    let python = tools::interpreter().to_str().expect("a path of text");
    let folder = tempfile::tempdir().expect("a folder can be made");
    let line = ["sh", "-c", script, &server.url(""), python, nested];
    let run = run_command_with(&[], &line, |command| command.current_dir(folder.path()));
    assert_eq!((run.code(), run.stdout().as_str()), (0, "left\n"), "{}", run.stderr());
    run.seen.assert_reporter("client", &[row("GET", "/bytes/1", 200, 0, 1), row("GET", "/bytes/2", 200, 0, 2)]);
    assert_eq!(run.seen.logs.len(), 2, "the server is out of scope");
}

/// Client and server both started by COMMAND: both ends.
#[test]
fn a_command_that_is_both_ends() {
    let script = "\"$0\" \"$1\" > port & server=$!; \
                  while [ ! -s port ]; do sleep 0.05; done; \
                  curl -s --noproxy '*' http://127.0.0.1:$(cat port)/bytes/6; kill $server; rm port";
    let folder = tempfile::tempdir().expect("a folder can be made");
    let python = tools::interpreter().to_str().expect("a path of text");
    let server = tools::file("server.py");
    let server = server.to_str().expect("a path of text");
    let run =
        run_command_with(&[], &["sh", "-c", script, python, server], |command| command.current_dir(folder.path()));
    assert_eq!(run.stdout(), "xxxxxx");
    run.seen.assert_both_ends(&[row("GET", "/bytes/6", 200, 0, 6)]);
}

/// What probes cost who is not observed is told at the end: how often one ran into them.
#[test]
fn the_end_tells_what_others_paid() {
    let Some(cgroup) = Cgroup::v2() else { return eprintln!("skipped: no cgroup v2 can be made here") };
    let python = |code: &str| {
        let mut command = Command::new(tools::interpreter());
        command.args(["-c", code]);
        command
    };
    // Writes before the handshake are calls too, which fail.
    let writes = "import ssl\n\
        end = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname='h')\n\
        for _ in range(7):\n\
        \x20   try: end.write(b'x')\n\
        \x20   except ssl.SSLWantReadError: pass\n";
    let mut user = Program::start(&mut cgroup.inside(&python("import ssl; print('loaded', flush=True); input()")));
    assert_eq!(user.line(), "loaded");
    let run = Run::start(["--cgroup", cgroup.path().to_str().expect("text")]);
    done(&mut python(writes));
    wait_for("the calls", || (run.value("telltale_tls_calls_of_others_total", "") > 6.5).then_some(()));
    let (_, stderr) = run.end_unread(nix::sys::signal::Signal::SIGTERM);
    let line = stderr.lines().find(|line| line.starts_with("calls of TLS libraries by processes out of scope"));
    let calls = line.and_then(|line| line.split_once(": ")?.1.split(' ').next()?.parse::<u64>().ok());
    assert!(calls.is_some_and(|calls| calls >= 7), "{stderr}");
    user.say("end");
    user.finish();
}
