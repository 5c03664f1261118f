//! A real API server with a real etcd behind it, and nothing else of Kubernetes: objects are kept, watched, validated and authorised,
//! but no controller acts on them (a namespace that is deleted keeps its finalizer, a Deployment makes no pods).
//!
//! The programs come from the folder that `TELLTALE_TEST_KUBE` names (`cargo xtask test` does), from that of `KUBEBUILDER_ASSETS`, or
//! from where `cargo xtask setup` puts them.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;
use tempfile::TempDir;

use crate::{kubectl::Kubectl, ports::free_port};

/// A start takes 3 s on an idle machine.
const READY: Duration = Duration::from_mins(5);
/// The token of the administrator. The server listens on loopback and lives as long as a test.
const ADMIN: &str = "administrator";
/// Who did what, without bodies; the administrator and the server itself left out.
const AUDIT: &str = r#"
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, users: [admin, "system:apiserver"]}
- {level: Metadata}
"#;

/// The folder with `etcd`, `kube-apiserver` and `kubectl`; `None` where they have not been made.
pub(crate) fn programs() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(named) = folder("TELLTALE_TEST_KUBE").or_else(|| folder("KUBEBUILDER_ASSETS")) {
        assert!(named.join("kube-apiserver").exists(), "there is no kube-apiserver in {}", named.display());
        return Some(named);
    }
    let cache = folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")))?;
    let module = include_str!("../../../xtask/kube/kubernetes/go.mod");
    let version = module.lines().find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes v"))?;
    let made = cache.join("telltale").join(format!("kube-{version}"));
    made.join("kube-apiserver").exists().then_some(made)
}

/// A process that ends with this value, and with the test that owns it, whatever way that ends.
struct Guarded {
    /// A shell that kills the process at the end of its input, and ends with it.
    guard: Child,
}

impl Guarded {
    fn start(log: &Path, program: &Path, arguments: &[String]) -> Self {
        let log = fs::File::create(log).expect("the state folder is writable");
        let script = "exec 3<&0; \"$@\" 3<&- </dev/null & child=$!; { cat <&3; kill -9 $child; } & wait $child";
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(program).args(arguments);
        command.stdin(Stdio::piped()).stdout(log.try_clone().expect("a file has copies")).stderr(log);
        Self { guard: command.spawn().expect("there is a shell") }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// A shell that removes the state when its owner is gone, since a test that is killed cannot.
fn sweeper(folder: &Path) -> Child {
    let mut command = Command::new("sh");
    // The processes that write there are killed in the same moment.
    command.args(["-c", "cat; sleep 1; rm -rf \"$0\""]).arg(folder).stdin(Stdio::piped()).stdout(Stdio::null());
    command.spawn().expect("there is a shell")
}

impl Kubectl {
    /// The file that says where the API server is and who the user is, for other clients.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }
}

/// A running API server. Dropping it ends it and removes its state.
pub(crate) struct ApiServer {
    server: Mutex<Option<Guarded>>,
    _etcd: Guarded,
    _sweeper: Child,
    programs: PathBuf,
    arguments: Vec<String>,
    url: String,
    admin: Kubectl,
    folder: TempDir,
}

impl ApiServer {
    /// One of its own for a test that stops it or needs it empty; `None`, with a line that says so, where there are no programs.
    pub(crate) fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            // Past the harness's capture, so that a skipped test is seen.
            let _ =
                writeln!(std::io::stderr(), "skipped: no kube-apiserver; `cargo xtask setup --for cluster` makes it");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("telltale-api-").tempdir().expect("a folder can be made");
        let path = folder.path();
        let [client, peer, port] = [(); 3].map(|()| free_port());
        let etcd = etcd(&programs, path, client, peer);
        let url = format!("https://127.0.0.1:{port}");
        write_secrets(path);
        let kubeconfig = path.join("admin.kubeconfig");
        write_kubeconfig(&kubeconfig, &url, ADMIN);
        let kubectl = if programs.join("kubectl").exists() { programs.join("kubectl") } else { "kubectl".into() };
        let server = Self {
            server: Mutex::new(None),
            _etcd: etcd,
            _sweeper: sweeper(path),
            arguments: arguments(path, client, port),
            programs,
            url,
            admin: Kubectl::new(vec![kubectl], &kubeconfig),
            folder,
        };
        server.start_api();
        Some(server)
    }

    /// The one that the tests of a binary share, each with namespaces of its own.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<ApiServer>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref()
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// `kubectl` as an administrator.
    pub(crate) fn kubectl(&self) -> &Kubectl {
        &self.admin
    }

    /// `kubectl` as this service account, which is made if it is not there; its `kubeconfig()` is for other clients.
    pub(crate) fn service_account(&self, namespace: &str, name: &str) -> Kubectl {
        self.admin.apply(&format!(
            "apiVersion: v1\nkind: ServiceAccount\nmetadata: {{namespace: {namespace}, name: {name}}}\n"
        ));
        let token = self.admin.run(&["create", "token", name, "--namespace", namespace, "--duration", "24h"]);
        let file = self.folder.path().join(format!("{namespace}.{name}.kubeconfig"));
        write_kubeconfig(&file, &self.url, token.trim());
        Kubectl::new(self.admin.program.clone(), &file)
    }

    /// Kills the API server as a crash does; etcd keeps everything.
    pub(crate) fn stop_api(&self) {
        *self.running() = None;
    }

    /// Starts it (again, at the same address) and waits until it is ready.
    pub(crate) fn start_api(&self) {
        let mut running = self.running();
        let log = self.folder.path().join("kube-apiserver.log");
        let end = Instant::now() + READY;
        *running = None;
        let mut server = Guarded::start(&log, &self.programs.join("kube-apiserver"), &self.arguments);
        while self.admin.attempt(&["get", "--raw", "/readyz"], "").is_err() {
            let said = || fs::read_to_string(&log).unwrap_or_default();
            let ended = server.guard.try_wait().expect("it is our child").is_some();
            assert!(!ended && Instant::now() < end, "the API server did not get ready:\n{}", said());
            std::thread::sleep(Duration::from_millis(50));
        }
        *running = Some(server);
    }

    /// Who asked for what since the start, without the administrator: events of the audit log.
    pub(crate) fn audit(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("audit.log")).unwrap_or_default();
        // The last line may be in the middle of being written.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    fn running(&self) -> MutexGuard<'_, Option<Guarded>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        // Before etcd: without it, it would say so until it is killed.
        self.stop_api();
    }
}

fn etcd(programs: &Path, folder: &Path, client: u16, peer: u16) -> Guarded {
    let data = folder.join("etcd");
    let log = folder.join("etcd.log");
    Guarded::start(
        &log,
        &programs.join("etcd"),
        &[
            format!("--data-dir={}", data.display()),
            format!("--listen-client-urls=http://127.0.0.1:{client}"),
            format!("--advertise-client-urls=http://127.0.0.1:{client}"),
            format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
            format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
            format!("--initial-cluster=default=http://127.0.0.1:{peer}"),
            "--unsafe-no-fsync".to_owned(),
            "--log-level=warn".to_owned(),
        ],
    )
}

fn arguments(folder: &Path, etcd: u16, port: u16) -> Vec<String> {
    let file = |name: &str| folder.join(name).display().to_string();
    vec![
        format!("--etcd-servers=http://127.0.0.1:{etcd}"),
        format!("--secure-port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        format!("--tls-cert-file={}", file("server.crt")),
        format!("--tls-private-key-file={}", file("server.key")),
        format!("--service-account-key-file={}", file("accounts.pub")),
        format!("--service-account-signing-key-file={}", file("accounts.key")),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--token-auth-file={}", file("tokens.csv")),
        "--authorization-mode=RBAC".to_owned(),
        "--allow-privileged=true".to_owned(),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        // No controller makes the account `default` of a namespace, and pods are wanted all the same.
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        format!("--audit-policy-file={}", file("audit.yaml")),
        format!("--audit-log-path={}", file("audit.log")),
    ]
}

/// Writes certificates, keys, tokens and the audit policy.
fn write_secrets(folder: &Path) {
    let mut parameters = CertificateParams::new(Vec::new()).expect("no names are good names");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = || KeyPair::generate().expect("there is randomness");
    let authority = CertifiedIssuer::self_signed(parameters, key()).expect("a certificate can be made");
    let names = ["127.0.0.1", "localhost", "kubernetes.default.svc"].map(str::to_owned).to_vec();
    let server = key();
    let certificate = CertificateParams::new(names).expect("they are names").signed_by(&server, &authority);
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("the state folder is writable");
    write("ca.crt", &authority.pem());
    write("server.crt", &certificate.expect("a certificate can be made").pem());
    write("server.key", &server.serialize_pem());
    let accounts = key();
    write("accounts.key", &accounts.serialize_pem());
    write("accounts.pub", &accounts.public_key_pem());
    write("tokens.csv", &format!("{ADMIN},admin,1,\"system:masters\"\n"));
    write("audit.yaml", AUDIT);
}

/// Of a user with this token; in the state folder, beside the authority's certificate.
fn write_kubeconfig(file: &Path, url: &str, token: &str) {
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
         clusters: [{{name: test, cluster: {{server: \"{url}\", certificate-authority: {}}}}}]\n\
         users: [{{name: test, user: {{token: \"{token}\"}}}}]\n\
         contexts: [{{name: test, context: {{cluster: test, user: test}}}}]\n",
        file.with_file_name("ca.crt").display()
    );
    fs::write(file, text).expect("the state folder is writable");
}
