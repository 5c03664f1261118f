//! OTLP over TLS, configured by the variables of the specification: whom the agent trusts and how it shows who it is.

use std::{collections::HashMap, fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use telltale::{
    admin::{Health, table},
    capture::Role,
    export::otlp::{BatchConfig, OtlpConfig, Signal},
};
use tempfile::TempDir;
use tokio_rustls::rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
};

use super::{
    otlp::{DEADLINE, QUEUE, Setup, batch, dropped, setup},
    receiver::Receiver,
    sample::{ALL, exchange},
};

const PROTOCOLS: [&str; 2] = ["grpc", "http/protobuf"];

/// An authority of this test, whose certificates nobody else trusts.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for this name, with its key.
    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        (certificate, key)
    }

    /// A receiver that this authority vouches for. With `clients` it speaks only to those for which that one does.
    async fn receiver(&self, clients: Option<&Self>) -> (Receiver, SocketAddr) {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let builder = match clients {
            None => builder.unwrap().with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.0.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.unwrap().with_client_cert_verifier(verifier.unwrap())
            }
        };
        let (certificate, key) = self.issue("localhost");
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Receiver::start_tls(config).await
    }
}

/// What a user sets: the endpoint, the authority to trust, and, with `client`, the certificate to show.
fn variables(
    protocol: &str,
    address: SocketAddr,
    files: &Path,
    trusted: &Authority,
    client: Option<&Authority>,
) -> HashMap<&'static str, String> {
    let file = |name: &str, content: String| {
        let path = files.join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let mut variables = HashMap::from([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("https://localhost:{}", address.port())),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", file("ca.pem", trusted.0.pem())),
    ]);
    if let Some(authority) = client {
        let (certificate, key) = authority.issue("telltale");
        variables.insert("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", file("client.pem", certificate.pem()));
        variables.insert("OTEL_EXPORTER_OTLP_CLIENT_KEY", file("client.key", key.serialize_pem()));
    }
    variables
}

/// Exports five spans as the variables say and waits until each was taken or given up.
async fn export(variables: &HashMap<&'static str, String>) -> Arc<Health> {
    let lookup = |name: &str| variables.get(name).cloned();
    let config = OtlpConfig::from_environment(Signal::Traces, &lookup).unwrap();
    // Long enough for several attempts; it ends what can never work.
    let batch = BatchConfig { export_timeout: Duration::from_millis(300), ..batch() };
    let Setup { exporter, mut recorder, health, .. } = setup(&config, batch);
    for number in 0..5 {
        recorder.record(&exchange("curl", Role::Client, number), &ALL);
    }
    exporter.close(DEADLINE).await;
    health
}

#[tokio::test]
async fn a_receiver_of_the_configured_authority_gets_spans() {
    let (files, authority) = (TempDir::new().unwrap(), Authority::new());
    for protocol in PROTOCOLS {
        let (receiver, address) = authority.receiver(None).await;
        let health = export(&variables(protocol, address, files.path(), &authority, None)).await;
        assert_eq!(health.value(&table::EXPORTED, &[QUEUE]), 5, "{protocol}");
        assert_eq!(receiver.requests().len(), 1, "{protocol}");
    }
}

#[tokio::test]
async fn a_receiver_of_another_authority_gets_nothing_and_that_is_counted() {
    let (files, authority, other) = (TempDir::new().unwrap(), Authority::new(), Authority::new());
    for protocol in PROTOCOLS {
        let (receiver, address) = other.receiver(None).await;
        let health = export(&variables(protocol, address, files.path(), &authority, None)).await;
        assert!(receiver.requests().is_empty(), "{protocol}");
        assert_eq!(health.value(&table::EXPORTED, &[QUEUE]), 0, "{protocol}");
        assert_eq!(dropped(&health, "retries_exhausted"), 5, "{protocol}");
        assert!(health.value(&table::EXPORT_FAILURES, &[QUEUE, "tls"]) >= 1, "{protocol}: {:?}", health.samples());
    }
}

#[tokio::test]
async fn a_receiver_that_asks_for_a_certificate_gets_the_configured_one() {
    let (files, authority, clients) = (TempDir::new().unwrap(), Authority::new(), Authority::new());
    for protocol in PROTOCOLS {
        let (receiver, address) = authority.receiver(Some(&clients)).await;
        for (client, exported) in [(Some(&clients), 5), (Some(&authority), 0), (None, 0)] {
            let health = export(&variables(protocol, address, files.path(), &authority, client)).await;
            assert_eq!(health.value(&table::EXPORTED, &[QUEUE]), exported, "{protocol}");
            let failures = health.value(&table::EXPORT_FAILURES, &[QUEUE, "tls"]);
            assert_eq!(failures > 0, exported == 0, "{protocol}: {:?}", health.samples());
            // Also of a refusal that comes after the handshake, over which no receiver decided.
            assert_eq!(dropped(&health, "retries_exhausted"), 5 - exported, "{protocol}");
        }
        assert_eq!(receiver.requests().len(), 1, "{protocol}");
    }
}
