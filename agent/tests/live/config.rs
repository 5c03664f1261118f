//! `run --config`: of what is said in several places the first holds.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use tempfile::TempDir;

use crate::common::{
    agent::{Run, TELLTALE, value},
    program::{Server, curl, done},
    wait_for,
};

/// A receiver of OTLP/HTTP that remembers which paths were posted to, and with which `x-tenant`.
struct Receiver {
    port: u16,
    posted: Arc<Mutex<Vec<(String, String)>>>,
}

impl Receiver {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let posted = Arc::new(Mutex::new(Vec::new()));
        let remembered = Arc::clone(&posted);
        // Ends with the test.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let remembered = Arc::clone(&remembered);
                std::thread::spawn(move || serve(stream, &remembered));
            }
        });
        Self { port, posted }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The tenants of the requests that carried spans.
    fn spans(&self) -> Vec<String> {
        let posted = self.posted.lock().expect("no thread panicked");
        posted.iter().filter(|(path, _)| path == "/v1/traces").map(|(_, tenant)| tenant.clone()).collect()
    }
}

fn serve(stream: TcpStream, remembered: &Mutex<Vec<(String, String)>>) {
    let mut answer = stream.try_clone().expect("a socket can be shared");
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let (mut length, mut tenant) = (0, String::new());
        loop {
            let mut field = String::new();
            if stream.read_line(&mut field).unwrap_or(0) <= 2 {
                break;
            }
            let (name, value) = field.trim().split_once(": ").unwrap_or_default();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().unwrap_or(0),
                "x-tenant" => value.clone_into(&mut tenant),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        if stream.read_exact(&mut body).is_err() {
            return;
        }
        remembered.lock().expect("no thread panicked").push((path, tenant));
        if answer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_err() {
            return;
        }
    }
}

/// A policy for local processes.
fn policy(spec: &str) -> String {
    format!(
        "apiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: TelemetryPolicy\nmetadata: {{name: p, namespace: default}}\n\
         spec:\n  targetRefs: [{{group: '', kind: Namespace, name: default}}]\n  {spec}\n\
         ---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: default}}\n"
    )
}

/// Writes files beside the outputs and gives their names to flags.
fn write<'a>(folder: &Path, command: &'a mut Command, files: &[(&str, &str)]) -> &'a mut Command {
    for (flag, text) in files {
        let path = folder.join(flag.trim_start_matches('-'));
        fs::write(&path, text).expect("a file can be written");
        command.arg(flag).arg(path);
    }
    command
}

#[test]
fn spans_go_where_the_policy_says_then_the_variable_then_the_file() {
    let (server, of_policy, of_variable, of_file) =
        (Server::python(), Receiver::start(), Receiver::start(), Receiver::start());
    let port = server.port.to_string();
    let config = format!("otlp: {{endpoint: '{}', headers: [{{name: X-Tenant, value: blue}}]}}\n", of_file.url());
    let traced = format!("tracing: {{mode: Enabled, provider: {{endpoint: '{}', protocol: http}}}}", of_policy.url());
    let run = |variable: bool, with_policy: bool, receiver: &Receiver| {
        let run = Run::start_with(["--port", &port], |folder, command| {
            command.env("OTEL_BSP_SCHEDULE_DELAY", "50");
            if variable {
                command.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", format!("{}/v1/traces", of_variable.url()));
            }
            if with_policy {
                write(folder, command, &[("--policy", &policy(&traced))]);
            }
            write(folder, command, &[("--config", &config)])
        });
        let before = receiver.spans().len();
        done(&mut curl([server.url("/bytes/1")]));
        wait_for("the spans", || (receiver.spans().len() > before).then_some(()));
        run.stop();
    };
    run(false, false, &of_file);
    assert_eq!(of_file.spans().first().map(String::as_str), Some("blue"));
    let by_file = of_file.spans().len();
    run(true, false, &of_variable);
    assert!(of_variable.spans().iter().all(String::is_empty), "headers of the file are for its receiver only");
    let by_variable = of_variable.spans().len();
    run(true, true, &of_policy);
    assert_eq!((of_file.spans().len(), of_variable.spans().len()), (by_file, by_variable));
}

/// A run with no other flags than these; the folder has its stdout and stderr. Ended when it is dropped.
struct Bare {
    child: Child,
    folder: TempDir,
}

impl Bare {
    /// Starts it and waits until it captures, or has ended.
    fn start(change: impl FnOnce(&Path, &mut Command)) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let file = |name: &str| fs::File::create(folder.path().join(name)).expect("a file can be made");
        let mut command = Command::new(TELLTALE);
        command.arg("run").stdin(Stdio::null()).stdout(file("stdout")).stderr(file("stderr"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("OTEL_") || name == "RUST_LOG" {
                command.env_remove(&name);
            }
        }
        change(folder.path(), &mut command);
        let child = command.spawn().expect("the binary runs");
        let mut bare = Self { child, folder };
        wait_for("the start", || {
            let ended = bare.child.try_wait().expect("it is our child").is_some();
            (ended || bare.read("stderr").contains("/metrics")).then_some(())
        });
        bare
    }

    /// What is in a file of its folder.
    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn metrics_are_served_where_the_flag_says_then_the_variable_then_the_file() {
    let server = Server::python();
    for (flag, variable, expected) in
        [(false, false, "127.0.0.2"), (false, true, "127.0.0.3"), (true, true, "127.0.0.4")]
    {
        let run = Bare::start(|folder, command| {
            command.args(["--port", &server.port.to_string()]);
            if flag {
                command.args(["--metrics-addr", "127.0.0.4:0"]);
            }
            if variable {
                command.env("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.3");
            }
            write(folder, command, &[("--config", "prometheus: {host: 127.0.0.2, port: 0}\n")]);
        });
        let said = run.read("stderr");
        assert!(said.contains(&format!("metrics at http://{expected}:")), "{said}");
    }
}

#[test]
fn lines_go_where_the_policy_says_then_the_flag_then_the_file() {
    const PLACES: [&str; 4] = ["of/policy.log", "flag.log", "of/file.log", "stdout"];
    let server = Server::python();
    let own = policy("accessLogs: {mode: Enabled, sinks: [{type: File, path: of/policy.log}]}");
    let none = policy("accessLogs: {mode: Enabled}");
    for (policies, flag, sinks, expected) in [
        (Some(&own), true, true, "of/policy.log"),
        (Some(&none), true, true, "flag.log"),
        (Some(&none), false, true, "of/file.log"),
        // The built-in policy names no sink either.
        (None, false, true, "of/file.log"),
        (Some(&none), false, false, "stdout"),
    ] {
        let run = Bare::start(|folder, command| {
            command.args(["--metrics-addr", "127.0.0.1:0", "--port", &server.port.to_string()]);
            if flag {
                command.arg("--logs").arg(folder.join("flag.log"));
            }
            let sinks = if sinks { "defaultSinks: [{type: File, path: of/file.log}]" } else { "" };
            let config = format!("accessLogs: {{directory: '{}', {sinks}}}\n", folder.display());
            write(folder, command, &[("--config", &config)]);
            if let Some(policies) = policies {
                write(folder, command, &[("--policy", policies)]);
            }
        });
        done(&mut curl([server.url("/bytes/1")]));
        wait_for(expected, || (run.read(expected).lines().count() == 2).then_some(()));
        for elsewhere in PLACES.into_iter().filter(|place| *place != expected) {
            assert_eq!(run.read(elsewhere), "", "{elsewhere} instead of {expected}");
        }
    }
}

#[test]
fn files_are_below_the_directory_of_the_flag_then_of_the_file() {
    let server = Server::python();
    let port = server.port.to_string();
    for flag in [false, true] {
        let run = Run::start_with(["--port", &port], |folder, command| {
            for name in ["of-file", "of-flag"] {
                fs::create_dir(folder.join(name)).expect("a folder can be made");
            }
            if flag {
                command.arg("--log-dir").arg(folder.join("of-flag"));
            }
            let config = format!("accessLogs: {{directory: '{}'}}\n", folder.join("of-file").display());
            let sinks = "accessLogs: {mode: Enabled, sinks: [{type: File, path: a/b.log}]}";
            write(folder, command, &[("--config", &config), ("--policy", &policy(sinks))])
        });
        done(&mut curl([server.url("/bytes/1")]));
        let (there, elsewhere) = if flag { ("of-flag", "of-file") } else { ("of-file", "of-flag") };
        let path = run.file(there).join("a/b.log");
        wait_for("the lines", || (fs::read_to_string(&path).unwrap_or_default().lines().count() == 2).then_some(()));
        assert!(!run.file(elsewhere).join("a").exists());
        run.stop();
    }
}

#[test]
fn lines_above_the_rate_are_dropped_and_counted() {
    const REQUESTS: usize = 40;
    let server = Server::python();
    let run = Run::start_with(["--port", &server.port.to_string()], |folder, command| {
        write(folder, command, &[("--config", "accessLogs: {stdoutLinesPerSecond: 1}\n")])
    });
    for _ in 0..REQUESTS {
        done(&mut curl([server.url("/bytes/1")]));
    }
    wait_for("the exchanges", || (run.value("telltale_exchanges_total", "") >= 2.0 * REQUESTS as f64).then_some(()));
    let seen = run.stop();
    let labels = "queue=\"access_log\",reason=\"rate_limit\"";
    let dropped = value(&seen.metrics, "telltale_queue_dropped_total", labels);
    assert!(dropped > 0.0);
    assert!((seen.logs.len() as f64 + dropped - 2.0 * REQUESTS as f64).abs() < 0.5, "{} {dropped}", seen.logs.len());
}

#[test]
fn a_file_that_is_wrong_starts_nothing() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("config");
    fs::write(&path, "prometheus:\n  prot: 1\n").expect("a file can be written");
    let config = path.to_str().expect("a path of text");
    let mark = folder.path().join("mark");
    let touch = ["--", "touch", mark.to_str().expect("a path of text")];
    for (arguments, code) in [(&["--all"][..], 1), (&touch, 125)] {
        let mut command = Command::new(TELLTALE);
        let output = command.args(["run", "--config", config]).args(arguments).env_remove("RUST_LOG").output();
        let output = output.expect("the binary runs");
        assert_eq!(output.status.code(), Some(code));
        let said = String::from_utf8_lossy(&output.stderr);
        let expected = format!(
            "{config}:2: error: prometheus.prot: is no field here; did you mean `port`?\ntelltale: --config {config} has 1 error\n"
        );
        assert_eq!(said, expected);
    }
    assert!(!mark.exists(), "COMMAND was not executed");
}
