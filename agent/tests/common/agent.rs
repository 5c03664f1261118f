//! `telltale run` under test.

use std::{
    ffi::OsStr,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use super::{
    poll,
    seen::{Row, Seen, lines_of},
    wait_for,
};

/// The binary.
pub(crate) const TELLTALE: &str = env!("CARGO_BIN_EXE_telltale");

/// `telltale run` with every output in a folder of its own, metrics on a free port.
pub(crate) struct Run {
    child: Child,
    folder: TempDir,
}

/// A command line of `telltale run` and the folder of its outputs.
pub(crate) fn command(folder: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(TELLTALE);
    command.arg("run").args(["--metrics-addr", "127.0.0.1:0"]);
    for (flag, name) in [("--logs", "logs"), ("--spans", "spans"), ("--metrics", "metrics")] {
        command.arg(flag).arg(folder.join(name));
    }
    command.args(arguments);
    // What the machine is set to is not what is tested.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("OTEL_") || text.starts_with("SUDO_") || text == "RUST_LOG" {
            command.env_remove(&name);
        }
    }
    command
}

impl Run {
    /// Starts with these flags and waits until it captures.
    pub(crate) fn start(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        Self::start_with(arguments, |_, command| command)
    }

    /// The same, changed at will. The folder is that of the outputs.
    pub(crate) fn start_with(
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
        change: impl for<'a> FnOnce(&Path, &'a mut Command) -> &'a mut Command,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let mut command = command(folder.path(), arguments);
        let stderr = fs::File::create(folder.path().join("stderr")).expect("a file can be made");
        let child = change(folder.path(), &mut command)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .expect("the binary runs");
        let mut run = Self { child, folder };
        let captures = poll(|| {
            assert!(run.child.try_wait().expect("it is our child").is_none(), "telltale ended:\n{}", run.stderr());
            run.stderr().contains("/metrics").then_some(())
        });
        assert!(captures.is_some(), "telltale does not start to capture:\n{}", run.stderr());
        run
    }

    /// Everything that uses this port.
    pub(crate) fn port(port: u16) -> Self {
        Self::start(["--port", &port.to_string()])
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// A file of its folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What it wrote to stderr so far.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.file("stderr")).unwrap_or_default()
    }

    /// Where it serves metrics.
    pub(crate) fn address(&self) -> SocketAddr {
        let stderr = self.stderr();
        let (_, rest) = stderr.split_once("http://").expect("it says where");
        let (address, _) = rest.split_once("/metrics").expect("it says where");
        address.parse().expect("an address")
    }

    /// What `/metrics` shows now.
    pub(crate) fn scrape(&self) -> String {
        get(self.address(), "/metrics")
    }

    /// The sum of the samples of a metric that have these labels, as `/metrics` shows it now.
    pub(crate) fn value(&self, metric: &str, labels: &str) -> f64 {
        value(&self.scrape(), metric, labels)
    }

    /// Waits for so many log lines (more may come), then ends it and reads what it wrote.
    pub(crate) fn stop_after(self, lines: usize) -> Seen {
        poll(|| {
            let written = fs::read_to_string(self.file("logs")).unwrap_or_default();
            (written.lines().count() >= lines).then_some(())
        });
        self.stop()
    }

    /// Ends it with SIGTERM and reads what it wrote.
    pub(crate) fn stop(self) -> Seen {
        let (code, seen) = self.end_with(Signal::SIGTERM);
        assert_eq!(code, Some(0), "{}", seen.stderr);
        seen
    }

    /// Sends a signal and waits for the end: the exit code, and what it wrote.
    pub(crate) fn end_with(self, signal: Signal) -> (Option<i32>, Seen) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("it is our child");
        self.end()
    }

    /// Sends a signal and waits for the end, where what it wrote may be too much to read: the exit code, and what it said.
    pub(crate) fn end_unread(mut self, signal: Signal) -> (Option<i32>, String) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("it is our child");
        let status = wait_for("the end of telltale", || self.child.try_wait().expect("it is our child"));
        (status.code(), self.stderr())
    }

    /// Waits until it ends by itself: the exit code, and what it wrote.
    pub(crate) fn end(mut self) -> (Option<i32>, Seen) {
        let status = wait_for("the end of telltale", || self.child.try_wait().expect("it is our child"));
        (status.code(), Seen::read(self.folder.path(), &self.stderr()))
    }

    /// Ends it once these exchanges were logged by both ends, and checks that there were no others.
    pub(crate) fn expect_both_ends(self, expected: &[Row]) -> Seen {
        let seen = self.stop_after(expected.len() * 2);
        seen.assert_both_ends(expected);
        seen
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `telltale run ... -- COMMAND`, to its end.
pub(crate) struct Finished {
    /// Exit status and what it wrote to stdout and stderr.
    pub(crate) output: Output,
    /// The outputs.
    pub(crate) seen: Seen,
}

/// Runs a COMMAND to its end, with flags before it.
pub(crate) fn run_command(flags: &[&str], command_line: &[&str]) -> Finished {
    run_command_with(flags, command_line, |command| command)
}

/// The same, changed at will.
pub(crate) fn run_command_with(
    flags: &[&str],
    command_line: &[&str],
    change: impl FnOnce(&mut Command) -> &mut Command,
) -> Finished {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let arguments: Vec<&str> = [flags, &["--"], command_line].concat();
    let output = change(&mut command(folder.path(), arguments)).output().expect("the binary runs");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Finished { seen: Seen::read(folder.path(), &stderr), output }
}

impl Finished {
    /// The exit code.
    pub(crate) fn code(&self) -> i32 {
        self.output.status.code().expect("telltale is not ended by a signal")
    }

    /// Stdout as text.
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// Stderr as text.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }
}

/// The body of a GET.
pub(crate) fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer.split_once("\r\n\r\n").expect("an answer has a head").1.to_owned()
}

/// The sum of the samples of a metric whose label set contains this text.
pub(crate) fn value(exposition: &str, metric: &str, labels: &str) -> f64 {
    let samples = exposition.lines().filter(|line| !line.starts_with('#'));
    samples
        .filter_map(|line| line.rsplit_once(' '))
        .filter(|(series, _)| series.split('{').next() == Some(metric) && series.contains(labels))
        .map(|(_, value)| value.parse::<f64>().expect("a sample is a number"))
        .sum()
}

/// The log lines of a text.
pub(crate) fn logs(text: &str) -> Vec<serde_json::Value> {
    lines_of(text)
}
