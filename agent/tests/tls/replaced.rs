//! Libraries that are replaced on disk while a program runs, as an update does.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use tempfile::TempDir;

use crate::{
    common::{
        agent::Run,
        poll,
        program::{Program, Server, done},
        seen::{Row, row},
        tools, wait_for,
    },
    peers::{Authority, capture},
};

/// The interpreter's own `libssl` and `libcrypto`; `None` where they are inside it.
fn libraries() -> Option<Vec<PathBuf>> {
    let code = "import ssl; print(open('/proc/self/maps').read())";
    let said = done(Command::new(tools::interpreter()).args(["-c", code])).stdout;
    let maps = String::from_utf8_lossy(&said).into_owned();
    let of = |name: &str| {
        let mut paths = maps.lines().filter_map(|line| line.split_whitespace().nth(5)).map(PathBuf::from);
        paths.find(|path| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(name)))
    };
    Some(vec![of("libssl.so")?, of("libcrypto.so")?])
}

/// Copies of libraries in a folder.
struct Copies {
    folder: TempDir,
    originals: Vec<PathBuf>,
}

impl Copies {
    /// Puts each in its place at once, as packagers do: whoever has mapped what was there keeps that.
    fn place(&self) {
        for original in &self.originals {
            let name = original.file_name().expect("a file has a name");
            let (new, place) = (self.folder.path().join("new"), self.folder.path().join(name));
            fs::copy(original, &new).and_then(|_| fs::rename(&new, &place)).expect("a file can be copied");
        }
    }

    /// A client that has its library from here, and makes a request when it is told to.
    fn client(&self, authority: &Authority, server: &Server) -> Program {
        let mut command = authority.client(tools::interpreter(), "steady", server.port);
        let mut program = Program::start(command.env("LD_LIBRARY_PATH", self.folder.path()));
        assert_eq!(program.line(), "connected");
        program
    }

    /// How a process names its `libssl`.
    fn mapped(&self, process: u32) -> String {
        let maps = fs::read_to_string(format!("/proc/{process}/maps")).expect("it runs");
        let is_own = |line: &&str| line.contains(&self.folder.path().join("libssl").display().to_string());
        maps.lines().find(is_own).expect("it has its library from here").to_owned()
    }
}

fn ask(program: &mut Program, size: u64) -> Row {
    program.say(&format!("/bytes/{size}"));
    assert_eq!(program.line(), size.to_string());
    row("GET", format!("/bytes/{size}"), 200, 0, size)
}

/// Asks until that is seen at the client's end: a file that nobody executed before gets its probes a moment after it is mapped.
fn ask_until_seen(run: &Run, program: &mut Program) {
    wait_for("an exchange by a new file", || {
        ask(program, 0);
        std::thread::sleep(Duration::from_millis(100));
        let logs = fs::read_to_string(run.file("logs")).unwrap_or_default();
        logs.lines().any(|line| line.contains("\"client\"") && line.contains("/bytes/0\"")).then_some(())
    });
}

/// Who executes the old file is seen on, and who executes the new one is seen too; by an agent that comes only then as well.
#[test]
fn a_library_that_is_replaced_while_it_is_executed() {
    let Some(originals) = libraries() else {
        eprintln!("left out: this interpreter has its TLS inside");
        return;
    };
    let copies = Copies { folder: tempfile::tempdir().expect("a folder can be made"), originals };
    copies.place();
    let authority = Authority::new();
    let server = authority.python("threads");
    let run = capture(server.port);
    let mut old = copies.client(&authority, &server);
    ask_until_seen(&run, &mut old);
    let mut expected = vec![ask(&mut old, 1)];
    copies.place();
    assert!(copies.mapped(old.id()).contains("(deleted)"), "{}", copies.mapped(old.id()));
    expected.push(ask(&mut old, 2));
    expect(run, &expected);

    let run = capture(server.port);
    let mut new = copies.client(&authority, &server);
    assert!(!copies.mapped(new.id()).contains("(deleted)"), "{}", copies.mapped(new.id()));
    ask_until_seen(&run, &mut new);
    // This one has the old file, which is nowhere any more, and a connection that is older than this agent.
    expect(run, &[ask(&mut new, 3), ask(&mut old, 4), ask(&mut new, 5), ask(&mut old, 6)]);
    old.finish();
    new.finish();
}

/// The client's end of these exchanges was seen. The server's threads were in a read before there was a probe, where a connection is older than that.
fn expect(run: Run, expected: &[Row]) {
    let logs = || fs::read_to_string(run.file("logs")).unwrap_or_default();
    // What comes in vain is told by the comparison.
    let _ = poll(|| {
        let of_client =
            logs().lines().filter(|line| line.contains("\"client\"") && !line.contains("/bytes/0\"")).count();
        (of_client >= expected.len()).then_some(())
    });
    let mut seen = run.stop();
    seen.logs.retain(|line| line["path"] != "/bytes/0");
    seen.assert_reporter("client", expected);
}
