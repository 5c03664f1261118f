//! Real programs that this test starts, and ends when it is done.

use std::{
    ffi::OsStr,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::ports::free_port;

/// Longest wait for anything: generous, since the machine may be busy. Nothing measures it.
const PATIENCE: Duration = Duration::from_mins(1);

/// Asks until the answer is there.
pub(crate) fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An address on loopback that nobody has.
pub(crate) fn free_address() -> SocketAddr {
    ([127, 0, 0, 1], free_port()).into()
}

/// A running program whose output goes to a file.
pub(crate) struct Peer {
    child: Child,
    output: PathBuf,
    _directory: tempfile::TempDir,
}

impl Peer {
    pub(crate) fn start(program: impl AsRef<OsStr>, arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("output");
        let file = fs::File::create(&output).unwrap();
        let program = program.as_ref();
        let child = Command::new(program)
            .args(arguments)
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {} ({error}): run `cargo xtask setup`", program.display()));
        Self { child, output, _directory: directory }
    }

    /// What it wrote so far.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.output).unwrap()).into_owned()
    }

    /// Waits until it listens there.
    pub(crate) fn listens(mut self, address: SocketAddr) -> Self {
        wait_for("a listener", || {
            assert!(self.child.try_wait().unwrap().is_none(), "the program ended: {}", self.output());
            TcpStream::connect(address).ok()
        });
        self
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `rotel-agent`, which prints every span that it receives.
pub(crate) fn rotel(grpc: SocketAddr, http: SocketAddr) -> Peer {
    let (grpc_text, http_text) = (grpc.to_string(), http.to_string());
    let arguments = [
        "start",
        "--exporter",
        "blackhole",
        "--otlp-grpc-endpoint",
        &grpc_text,
        "--otlp-http-endpoint",
        &http_text,
        "--debug-log",
        "traces",
        "--debug-log",
        "metrics",
        "--debug-log",
        "logs",
        "--debug-log-verbosity",
        "detailed",
    ];
    Peer::start(rotel_program(), &arguments).listens(grpc).listens(http)
}

/// From `TELLTALE_TEST_ROTEL` (`cargo xtask test` sets it), else from the cache that `cargo xtask setup` fills, else by the search path.
fn rotel_program() -> PathBuf {
    if let Some(program) = std::env::var_os("TELLTALE_TEST_ROTEL") {
        return program.into();
    }
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .unwrap_or_default();
    let environments = fs::read_dir(cache.join("telltale/py")).into_iter().flatten().flatten();
    let found = environments.map(|entry| entry.path().join("bin/rotel-agent")).find(|program| program.exists());
    found.unwrap_or_else(|| "rotel-agent".into())
}

/// Status line, header section and body of a GET.
pub(crate) fn get(address: SocketAddr, path: &str, accept: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}
