//! `rotel`, a real OTLP receiver, which prints what it gets.

use std::{
    fs,
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::{program::free_port, tools, wait_for};

/// A running receiver.
pub(crate) struct Rotel {
    child: Child,
    output: PathBuf,
    /// Port of OTLP/gRPC.
    pub(crate) grpc: u16,
    /// Port of OTLP/HTTP.
    pub(crate) http: u16,
    _folder: TempDir,
}

impl Rotel {
    /// Starts it and waits until it listens.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let output = folder.path().join("output");
        let file = fs::File::create(&output).expect("a file can be made");
        let (grpc, http) = (free_port(), free_port());
        let program = tools::rotel();
        let child = Command::new(&program)
            .args(["start", "--exporter", "blackhole", "--debug-log", "traces", "--debug-log-verbosity", "detailed"])
            .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")])
            .args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a file can be shared"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {} ({error}): run `cargo xtask setup`", program.display()));
        let mut rotel = Self { child, output, grpc, http, _folder: folder };
        for port in [grpc, http] {
            wait_for("rotel", || {
                assert!(rotel.child.try_wait().expect("it is our child").is_none(), "rotel ended: {}", rotel.output());
                TcpStream::connect(("127.0.0.1", port)).ok()
            });
        }
        rotel
    }

    /// What it printed so far.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.output).unwrap_or_default()).into_owned()
    }
}

impl Drop for Rotel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
