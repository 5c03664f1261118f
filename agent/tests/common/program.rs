//! Real programs that a test starts, and ends when it is done.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use super::{tools, wait_for};
pub(crate) use crate::ports::free_port;

/// A running program. Dropping it ends it.
pub(crate) struct Program {
    child: Child,
    output: BufReader<ChildStdout>,
    input: Option<ChildStdin>,
}

impl Program {
    /// Starts it with pipes to its standard input and output.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?} ({error}): run `cargo xtask setup`"));
        let output = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        let input = child.stdin.take();
        Self { child, output, input }
    }

    /// The next line that it writes, without its end.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("its output is text");
        line.trim_end().to_owned()
    }

    /// Sends it a line.
    pub(crate) fn say(&mut self, line: &str) {
        let input = self.input.as_mut().expect("its input is open");
        writeln!(input, "{line}").expect("it reads");
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Closes its standard input.
    pub(crate) fn close_input(&mut self) {
        drop(self.input.take());
    }

    /// Closes its standard input and waits until it ends by itself.
    pub(crate) fn finish(mut self) {
        self.close_input();
        let status = wait_for("a program's end", || self.child.try_wait().expect("it is our child"));
        assert!(status.success(), "a program ended with {status}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Asked first: nginx's master, killed, would leave its workers.
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
        for _ in 0..200 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program to its end, which must be success.
pub(crate) fn done(command: &mut Command) -> Output {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("cannot start {command:?} ({error}): run `cargo xtask setup`"));
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    output
}

/// A server on a port of its own.
pub(crate) struct Server {
    /// Ends with it.
    _program: Program,
    /// Removed after that.
    _folder: Option<TempDir>,
    /// Where it listens.
    pub(crate) port: u16,
}

impl Server {
    /// Starts a server that prints its port.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut program = Program::start(command);
        let port = program.line();
        Self {
            port: port.parse().unwrap_or_else(|_| panic!("{command:?} said {port:?} instead of its port")),
            _program: program,
            _folder: None,
        }
    }

    /// `programs/server.py` on 127.0.0.1.
    pub(crate) fn python() -> Self {
        Self::start(&mut tools::python("server.py"))
    }

    /// `programs/server.py` on another address.
    pub(crate) fn python_on(host: &str) -> Self {
        Self::start(tools::python("server.py").arg(host))
    }

    /// `programs/server.mjs`.
    pub(crate) fn node() -> Self {
        Self::start(&mut tools::node("server.mjs"))
    }

    /// `programs/go`.
    pub(crate) fn go() -> Self {
        Self::start(tools::go().arg("serve"))
    }

    /// nginx with `sendfile` on, which serves files of these sizes, each named after its size.
    pub(crate) fn nginx(sizes: &[usize]) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let port = free_port();
        let root = folder.path();
        for size in sizes {
            fs::write(root.join(size.to_string()), vec![b'n'; *size]).expect("a file can be written");
        }
        // Nobody else needs to read it, but nginx's workers are of another user.
        let mode = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
        fs::set_permissions(root, mode).expect("the folder is ours");
        let configuration = format!(
            "daemon off; pid {root}/pid; error_log stderr crit; worker_processes 1; events {{}}\n\
             http {{ access_log off; sendfile on; client_body_temp_path {root}/1; proxy_temp_path {root}/2; \
             fastcgi_temp_path {root}/3; uwsgi_temp_path {root}/4; scgi_temp_path {root}/5; \
             server {{ listen 127.0.0.1:{port}; root {root}; location = /empty {{ return 204; }} }} }}\n",
            root = root.display()
        );
        let file = root.join("nginx.conf");
        fs::write(&file, configuration).expect("a file can be written");
        let mut program = Program::start(Command::new(nginx_program()).arg("-p").arg(root).arg("-c").arg(file));
        wait_for("nginx", || {
            assert!(program.child.try_wait().expect("it is our child").is_none(), "nginx ended");
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Self { _program: program, _folder: Some(folder), port }
    }

    /// A URL of it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

/// Debian puts it where only root's search path goes.
fn nginx_program() -> PathBuf {
    let fixed = PathBuf::from("/usr/sbin/nginx");
    if fixed.exists() { fixed } else { "nginx".into() }
}

/// `curl` that says nothing but errors, and keeps nothing.
pub(crate) fn curl(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new("curl");
    // A proxy of the machine is none of the test's.
    command.args(["--silent", "--show-error", "--noproxy", "*", "--output", "/dev/null"]).args(arguments);
    command
}
