//! An authority of the tests, servers that it vouches for, and clients that trust it.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;

use crate::common::{
    agent::Run,
    program::{Program, Server, free_port},
    tools, wait_for,
};

/// Certificates in a folder.
pub(crate) struct Authority {
    folder: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).expect("no name is a name");
        parameters.distinguished_name.push(DnType::CommonName, "Telltale tests");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(parameters, KeyPair::generate().expect("a key")).expect("a root");
        let key = KeyPair::generate().expect("a key");
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut parameters = CertificateParams::new(names).expect("names");
        parameters.use_authority_key_identifier_extension = true;
        let certificate = parameters.signed_by(&key, &issuer).expect("a certificate");
        let folder = tempfile::tempdir().expect("a folder can be made");
        // nginx's workers are of another user.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("the folder is ours");
        let files = [("ca.pem", issuer.pem()), ("cert.pem", certificate.pem()), ("key.pem", key.serialize_pem())];
        for (name, pem) in files {
            fs::write(folder.path().join(name), pem).expect("a file can be written");
        }
        Self { folder }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command, which trusts this authority.
    pub(crate) fn trusted_by(&self, mut command: Command) -> Command {
        for name in ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"] {
            command.env(name, self.file("ca.pem"));
        }
        // A proxy of the machine is none of the test's.
        for name in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env_remove(name);
        }
        command.env("NO_PROXY", "*").env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// `programs/server.py`: `threads` or `asyncio`.
    pub(crate) fn python(&self, way: &str) -> Server {
        let mut command = Command::new(tools::interpreter());
        Server::start(command.arg(file("server.py")).arg(way).arg(self.file("cert.pem")).arg(self.file("key.pem")))
    }

    /// `programs/server.mjs`.
    pub(crate) fn node(&self) -> Server {
        let mut command = Command::new("node");
        Server::start(command.arg(file("server.mjs")).arg(self.file("cert.pem")).arg(self.file("key.pem")))
    }

    /// nginx with two workers, and what it is needed for. A record of TLS does not fit into the buffers of its sockets.
    pub(crate) fn nginx(&self) -> (Program, u16) {
        let (root, port) = (self.folder.path(), free_port());
        fs::create_dir_all(root.join("bytes")).expect("the folder is ours");
        for size in [1000, 200_000] {
            fs::write(root.join("bytes").join(size.to_string()), vec![b'n'; size]).expect("a file can be written");
        }
        let configuration = format!(
            "daemon off; pid {root}/pid; error_log stderr crit; worker_processes 2; events {{}}\n\
             http {{ access_log off; client_body_temp_path {root}/1; proxy_temp_path {root}/2; \
             fastcgi_temp_path {root}/3; uwsgi_temp_path {root}/4; scgi_temp_path {root}/5; \
             ssl_protocols TLSv1.2 TLSv1.3; server {{ listen 127.0.0.1:{port} ssl sndbuf=16k; root {root}; ssl_certificate {root}/cert.pem; \
             ssl_certificate_key {root}/key.pem; location = /sink {{ return 200 ok; }} \
             location = /status/404 {{ return 404 no; }} }} }}\n",
            root = root.display()
        );
        fs::write(root.join("nginx.conf"), configuration).expect("a file can be written");
        let fixed = Path::new("/usr/sbin/nginx");
        let program = if fixed.exists() { fixed } else { Path::new("nginx") };
        let program = Program::start(Command::new(program).arg("-p").arg(root).arg("-c").arg(root.join("nginx.conf")));
        wait_for("nginx", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        (program, port)
    }

    /// `programs/client.py` of this interpreter.
    pub(crate) fn client(&self, interpreter: &Path, way: &str, port: u16) -> Command {
        let mut command = Command::new(interpreter);
        command.arg("-W").arg("ignore").arg(file("client.py")).arg(way).arg(base(port));
        self.trusted_by(command)
    }

    /// `programs/client.mjs`.
    pub(crate) fn node_client(&self, way: &str, port: u16) -> Command {
        self.client_of_node(Path::new("node"), way, port)
    }

    /// The same of another `node`.
    pub(crate) fn client_of_node(&self, node: &Path, way: &str, port: u16) -> Command {
        let mut command = Command::new(node);
        command.arg(file("client.mjs")).arg(way).arg(base(port));
        self.trusted_by(command)
    }

    /// `programs/library.py`: a client by the functions of this `libssl`.
    pub(crate) fn library(&self, library: &Path, way: &str, port: u16) -> Command {
        let mut command = Command::new(tools::interpreter());
        command.arg(file("library.py")).arg(library).arg(way).arg(base(port)).arg(self.file("ca.pem"));
        self.trusted_by(command)
    }
}

/// Captures what uses this port, from when all that there is has been looked into.
pub(crate) fn capture(port: u16) -> Run {
    let run = Run::port(port);
    wait_for("probes in the libraries of all processes", || {
        (run.value("telltale_tls_processes", "") > 0.0).then_some(())
    });
    run
}

/// A URL of a server on this port, by a name: an address would be no server name of TLS.
pub(crate) fn base(port: u16) -> String {
    format!("https://localhost:{port}")
}

pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls/programs").join(name)
}
