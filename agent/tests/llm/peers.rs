//! Programs of `programs/`, with the SDKs that they import.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use tempfile::TempDir;

use crate::common::{
    agent::Run,
    program::{Server, done},
    tools,
};

/// What `cargo xtask setup` installs; an environment in the cache that was made of something else is not used.
const REQUIREMENTS: &str = include_str!("../../../xtask/assets/sdk/requirements.txt");
const LOCK: &str = include_str!("../../../xtask/assets/sdk/package-lock.json");

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/llm/programs").join(name)
}

/// A Python program that may import the SDKs.
pub(crate) fn python(name: &str) -> Command {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    let python = FOUND.get_or_init(|| {
        let named = std::env::var_os("TELLTALE_TEST_SDK_PYTHON").map(PathBuf::from);
        named.unwrap_or_else(|| prepared("sdk-py", "requirements.txt", REQUIREMENTS).join("bin/python"))
    });
    script(python, name)
}

/// A Node program that may require the SDKs.
pub(crate) fn node(name: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(file(name)).env("NODE_PATH", node_modules());
    command
}

/// The folder of Node's packages.
pub(crate) fn node_modules() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        let named = std::env::var_os("TELLTALE_TEST_SDK_NODE").map(PathBuf::from);
        named.unwrap_or_else(|| prepared("sdk-node", "package-lock.json", LOCK)).join("node_modules")
    })
}

fn script(python: &Path, name: &str) -> Command {
    let mut command = Command::new(python);
    // A proxy or an account of the machine is none of the test's; the source tree stays as it is.
    command
        .arg("-W")
        .arg("ignore")
        .arg(file(name))
        .env_remove("http_proxy")
        .env_remove("HTTP_PROXY")
        .env("NO_PROXY", "*");
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("AWS_CONFIG_FILE", "/dev/null");
    command.env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    command
}

/// The folder of the cache that was made of this.
fn prepared(kind: &str, file: &str, content: &str) -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    let folders = cache.and_then(|cache| fs::read_dir(cache.join("telltale").join(kind)).ok());
    let mut folders = folders.into_iter().flatten().flatten().map(|entry| entry.path());
    folders
        .find(|path| {
            path.join("complete").exists() && fs::read_to_string(path.join(file)).is_ok_and(|is| is == content)
        })
        .unwrap_or_else(|| panic!("the SDKs are not installed: run `cargo xtask setup --for test`"))
}

/// The model server.
pub(crate) struct Models {
    server: Server,
    clock: TempDir,
}

impl Models {
    pub(crate) fn start() -> Self {
        let clock = tempfile::tempdir().expect("a folder can be made");
        let server = Server::start(script(tools::interpreter(), "models.py").arg(clock.path().join("clock")));
        Self { server, clock }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        self.server.url("")
    }

    /// Captures what talks to it.
    pub(crate) fn capture(&self) -> Run {
        Run::port(self.server.port)
    }

    /// The same, with what is said kept and all of these redacted.
    pub(crate) fn capture_content(&self, pattern: &str) -> Run {
        let policy = format!(
            "apiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: TelemetryPolicy\nmetadata: {{name: p, namespace: default}}\n\
             spec:\n  targetRefs: [{{group: '', kind: Namespace, name: default}}]\n  tracing: {{}}\n  accessLogs: {{mode: Enabled}}\n  \
             content: {{capture: All, redact: [{{pattern: '{pattern}'}}]}}\n\
             ---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: default}}\n"
        );
        Run::start_with(["--port", &self.server.port.to_string()], |folder, command| {
            let path = folder.join("policy.yaml");
            fs::write(&path, policy).expect("a file can be written");
            command.arg("--policy").arg(path)
        })
    }

    /// What its own clock measured, one line for each stream.
    pub(crate) fn clock(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.clock.path().join("clock")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("the clock writes JSON")).collect()
    }
}

/// Runs a client against a URL to its end.
pub(crate) fn call(mut client: Command, way: &str, url: &str) {
    done(client.arg(way).arg(url));
}
