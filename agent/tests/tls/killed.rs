//! An agent that is killed: the programs that it looked into go on over the same connections, and nothing of it is left in the kernel.

use std::{
    collections::BTreeSet,
    fs,
    process::{Command, Stdio},
};

use aya::programs::{loaded_links, loaded_programs};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    common::{agent::command, program::Program, seen::row, tools, wait_for},
    peers::{Authority, base, capture},
};

/// What a process holds in the kernel, by id.
#[derive(Debug)]
struct Held {
    links: BTreeSet<u32>,
    programs: BTreeSet<u32>,
}

impl Held {
    fn by(process: u32) -> Self {
        let folder = fs::read_dir(format!("/proc/{process}/fdinfo")).expect("it runs").flatten();
        let texts: Vec<String> = folder.filter_map(|file| fs::read_to_string(file.path()).ok()).collect();
        let of = |key: &str| {
            let lines = texts.iter().flat_map(|text| text.lines());
            lines.filter_map(|line| line.strip_prefix(key)?.trim().parse().ok()).collect()
        };
        Self { links: of("link_id:"), programs: of("prog_id:") }
    }

    /// What of it is still in the kernel.
    fn left(&self) -> Self {
        let links = loaded_links().flatten().map(|link| link.id());
        let programs = loaded_programs().flatten().map(|program| program.id());
        Self {
            links: links.filter(|id| self.links.contains(id)).collect(),
            programs: programs.filter(|id| self.programs.contains(id)).collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.links.is_empty() && self.programs.is_empty()
    }

    /// The kernel takes it away a little after the process that held it.
    fn wait_for_the_end(&self) {
        wait_for("the end of probes and programs in the kernel", || self.left().is_empty().then_some(()));
    }
}

/// A client of one connection.
fn start(mut command: Command) -> Program {
    let mut program = Program::start(&mut command);
    assert_eq!(program.line(), "connected");
    program
}

fn ask(program: &mut Program, size: u64) {
    program.say(&format!("/bytes/{size}"));
    assert_eq!(program.line(), size.to_string());
}

/// `curl` that sends what it is told: a line of this length, twice.
fn upload(authority: &Authority, port: u16) -> Program {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--fail", "--output", "/dev/null", "--no-buffer", "--request", "POST"]);
    // Without chunks, since it knows how much will come.
    command.args(["--header", "Transfer-Encoding:", "--header", "Expect:", "--header", "Content-Length: 12"]);
    command.args(["--http1.1", "--upload-file", "-"]).arg(format!("{}/sink", base(port)));
    Program::start(&mut authority.trusted_by(command))
}

#[test]
fn programs_go_on_without_the_agent() {
    let authority = Authority::new();
    let server = authority.python("threads");
    let run = capture(server.port);
    let mut python = start(authority.client(tools::interpreter(), "steady", server.port));
    let mut node = start(authority.node_client("steady", server.port));
    let mut curl = upload(&authority, server.port);
    ask(&mut python, 1);
    curl.say("first");
    // Three connections with two ends. Nobody executed `node` before: it gets its probes a moment after it is mapped.
    wait_for("what is inside TLS", || {
        ask(&mut node, 2);
        (run.value("telltale_tls_objects_total", "proven") > 5.5).then_some(())
    });
    let held = Held::by(run.id());
    let found = held.left();
    assert!(!found.programs.is_empty() && found.programs.len() == held.programs.len(), "{held:?} {found:?}");
    let (code, _) = run.end_unread(Signal::SIGKILL);
    assert_eq!(code, None);
    held.wait_for_the_end();

    ask(&mut python, 3);
    ask(&mut node, 4);
    curl.say("again");
    // Another agent finds all as it should be.
    let run = capture(server.port);
    ask(&mut python, 5);
    run.stop_after(1).assert_reporter("client", &[row("GET", "/bytes/5", 200, 0, 5)]);
    ask(&mut python, 6);
    curl.finish();
    node.finish();
    python.finish();
}

/// A command is nobody's child then, and ends as it would have.
#[test]
fn a_command_goes_on_without_the_agent() {
    let authority = Authority::new();
    let server = authority.python("threads");
    let client = authority.client(tools::interpreter(), "steady", server.port);
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mut line = command(folder.path(), ["--", "sh", "-c", "\"$@\"; echo ended with $?", "sh"]);
    line.arg(client.get_program()).args(client.get_args()).stderr(Stdio::null());
    for (name, value) in client.get_envs() {
        match value {
            Some(value) => line.env(name, value),
            None => line.env_remove(name),
        };
    }
    let mut run = start(line);
    ask(&mut run, 1);
    let logs = || fs::read_to_string(folder.path().join("logs")).unwrap_or_default();
    wait_for("the exchange", || logs().contains("/bytes/1").then_some(()));
    let held = Held::by(run.id());
    assert!(!held.left().programs.is_empty(), "{held:?}");
    kill(Pid::from_raw(run.id().cast_signed()), Signal::SIGKILL).expect("it is our child");
    held.wait_for_the_end();
    ask(&mut run, 2);
    run.close_input();
    assert_eq!(run.line(), "ended with 0");
}
