//! Receivers that policies name: one exporter each, shared, ended when nobody needs it, and refused where policies may not send.

use std::{fs, net::SocketAddr, process::Command, sync::Arc, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use telltale::{
    admin::{Health, table},
    capture::Role,
    export::otlp::{BatchConfig, ExporterSettings, Exporters, MAX_EXPORTERS, RetryPolicy},
    policy::{
        Capture, Defaults, Finding, Plan, Reach, Trust,
        model::{Endpoint, Protocol, Provider, TlsSettings, Tracing},
        plan::{self, SpanProvider, TracingPlan},
    },
    telemetry::{Outlets, Recorder, Settings, SpanSink},
};
use tokio::runtime::Handle;
use tokio_rustls::rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
};

use super::{
    otlp::{DEADLINE, QUEUE, batch, dropped},
    peers::{free_address, rotel, wait_for},
    receiver::Receiver,
    sample::exchange,
};

fn settings(batch: BatchConfig) -> ExporterSettings {
    ExporterSettings {
        batch,
        retry: RetryPolicy { initial: Duration::from_millis(10), max: Duration::from_millis(50) },
        local_attributes: Vec::new(),
        reach: Reach::ANYWHERE,
        deadline: DEADLINE,
    }
}

/// A policy's way to this receiver, compiled as from a file.
fn provider(address: &str, change: impl FnOnce(&mut Provider)) -> Result<Arc<plan::Receiver>, Vec<Finding>> {
    let endpoint = Endpoint { address: address.to_owned(), ..Endpoint::default() };
    let mut provider = Provider { endpoint: Some(endpoint), ..Provider::default() };
    change(&mut provider);
    let tracing = Tracing { provider: Some(provider), ..Tracing::default() };
    let mut findings = Vec::new();
    let plan = TracingPlan::compile(&tracing, "shop", Defaults::default(), &Trust::own(), &mut findings);
    match plan.map(|plan| plan.provider) {
        Some(SpanProvider::Receiver(receiver)) => Ok(receiver),
        _ => Err(findings),
    }
}

fn to(address: SocketAddr, protocol: Protocol) -> Arc<plan::Receiver> {
    provider(&address.to_string(), |provider| provider.endpoint.as_mut().unwrap().protocol = Some(protocol)).unwrap()
}

fn traced(receiver: &Arc<plan::Receiver>) -> Arc<Plan> {
    let tracing = TracingPlan { provider: SpanProvider::Receiver(Arc::clone(receiver)), ..TracingPlan::default() };
    Arc::new(Plan { capture: Capture::Heads, tracing: Some(Arc::new(tracing)), ..Plan::default() })
}

/// One worker, whose plans' spans go where they say.
fn recorder(exporters: &Exporters, health: &Arc<Health>) -> Recorder {
    let exporters = exporters.clone();
    let open = move |plan: &Arc<Plan>| {
        let Some(SpanProvider::Receiver(receiver)) = plan.tracing.as_ref().map(|tracing| &tracing.provider) else {
            return Outlets::default();
        };
        let spans: Vec<Box<dyn SpanSink>> = vec![Box::new(exporters.sink(receiver))];
        Outlets { spans, ..Outlets::default() }
    };
    Recorder::new(Settings::default(), Box::new(open), health)
}

fn start(settings: ExporterSettings) -> (Exporters, Arc<Health>) {
    let health = Health::new();
    (Exporters::new(Handle::current(), settings, &health), health)
}

/// Two policies with a receiver each and a third that shares one of them, under two workers: each receiver gets its own and nothing else.
#[tokio::test]
async fn each_receiver_gets_the_spans_of_its_policies() {
    let (exporters, health) = start(settings(batch()));
    let ((first, first_address), (second, second_address)) =
        (Receiver::start(&[], 0).await, Receiver::start(&[], 0).await);
    let plans = [
        traced(&to(first_address, Protocol::Grpc)),
        traced(&to(second_address, Protocol::Http)),
        traced(&to(first_address, Protocol::Grpc)),
    ];
    let mut recorders = [recorder(&exporters, &health), recorder(&exporters, &health)];
    for (worker, recorder) in recorders.iter_mut().enumerate() {
        for (number, plan) in plans.iter().enumerate() {
            recorder.record(&exchange("shop", Role::Server, (worker * 10 + number) as u64), plan);
        }
    }
    assert_eq!(exporters.count(), 2);
    drop(recorders);
    exporters.close().await;
    let paths = |receiver: &Receiver| {
        let mut paths = Vec::new();
        for (_, request) in receiver.requests() {
            let spans =
                request.resource_spans.iter().flat_map(|group| &group.scope_spans).flat_map(|scope| &scope.spans);
            for attribute in spans.flat_map(|span| &span.attributes).filter(|attribute| attribute.key == "url.path") {
                paths.push(format!("{:?}", attribute.value).split('"').nth(1).unwrap().to_owned());
            }
        }
        paths.sort();
        paths
    };
    assert_eq!(paths(&first), ["/item/0", "/item/10", "/item/12", "/item/2"]);
    assert_eq!(paths(&second), ["/item/1", "/item/11"]);
    assert_eq!(health.value(&table::EXPORTED, &[QUEUE]), 6);
}

/// A real receiver takes the spans of a policy, over both protocols, with the policy's headers.
#[tokio::test]
async fn a_real_receiver_takes_the_spans_of_a_policy() {
    let (grpc, http) = (free_address(), free_address());
    let receiver = rotel(grpc, http);
    let (exporters, health) = start(settings(batch()));
    let mut recorder = recorder(&exporters, &health);
    for (number, provider) in [to(grpc, Protocol::Grpc), to(http, Protocol::Http)].iter().enumerate() {
        recorder.record(&exchange("shop", Role::Server, number as u64), &traced(provider));
    }
    drop(recorder);
    exporters.close().await;
    assert_eq!(health.value(&table::EXPORTED, &[QUEUE]), 2);
    wait_for("both spans", || (receiver.output().matches("ID             : ").count() >= 2).then_some(()));
    assert!(receiver.output().contains("-> url.path: Str(/item/1)"));
}

#[tokio::test]
async fn headers_of_a_policy_are_sent() {
    let (receiver, address) = Receiver::start(&[], 0).await;
    let (exporters, health) = start(settings(batch()));
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let provider = provider(&address.to_string(), |provider| {
            provider.endpoint.as_mut().unwrap().protocol = Some(protocol);
            provider.headers = vec![("X-Tenant".to_owned(), "shop".to_owned())];
        });
        recorder(&exporters, &health).record(&exchange("shop", Role::Server, 1), &traced(&provider.unwrap()));
    }
    exporters.close().await;
    let requests = receiver.requests();
    assert_eq!(requests.len(), 2);
    for (headers, _) in requests {
        assert_eq!(headers["x-tenant"], "shop");
        assert!(headers["user-agent"].to_str().unwrap().starts_with("telltale/"));
    }
}

/// What a policy that is gone had waiting is still sent; then nothing of it is left, whatever comes and goes.
#[tokio::test]
async fn an_exporter_ends_with_the_last_plan_that_names_it() {
    let (receiver, address) = Receiver::start(&[], 0).await;
    let (exporters, health) = start(settings(batch()));
    // Two workers: neither may hold the plan for the other.
    let mut recorders = [recorder(&exporters, &health), recorder(&exporters, &health)];
    for number in 0..10 {
        let plan = traced(&to(address, Protocol::Http));
        for recorder in &mut recorders {
            recorder.record(&exchange("shop", Role::Server, number), &plan);
            recorder.flush();
        }
        assert!(exporters.count() >= 1);
        drop(plan);
        recorders.iter_mut().for_each(Recorder::flush);
    }
    while exporters.count() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let spans: usize =
        receiver.requests().iter().map(|(_, request)| request.resource_spans[0].scope_spans[0].spans.len()).sum();
    assert_eq!(spans, 20);
    assert_eq!(health.value(&table::EXPORTED, &[QUEUE]), 20);
    assert_eq!(health.value(&table::QUEUE_CAPACITY, &[QUEUE]), 0);
    exporters.close().await;
}

/// The bound on exporters is reached: more policies have none, which is counted, and get theirs when others have ended.
#[tokio::test]
async fn exporters_are_bounded() {
    let (receiver, address) = Receiver::start(&[], 0).await;
    let (exporters, health) = start(settings(batch()));
    let sinks: Vec<_> = (0..MAX_EXPORTERS)
        .map(|number| exporters.sink(&provider(&format!("10.0.0.1:{}", 1000 + number), |_| {}).unwrap()))
        .collect();
    assert_eq!(exporters.count(), MAX_EXPORTERS);
    let mut recorder = recorder(&exporters, &health);
    let plan = traced(&to(address, Protocol::Http));
    recorder.record(&exchange("shop", Role::Server, 1), &plan);
    assert_eq!((exporters.count(), dropped(&health, "too_many_exporters")), (MAX_EXPORTERS, 1));
    drop(sinks);
    while exporters.count() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    recorder.record(&exchange("shop", Role::Server, 2), &plan);
    drop(recorder);
    exporters.close().await;
    assert_eq!(receiver.requests().len(), 1);
    assert_eq!(dropped(&health, "too_many_exporters"), 1);
}

/// A receiver that never answers holds the end of its exporter up for the deadline at most, and what it lost is counted.
#[tokio::test]
async fn the_end_is_bounded_and_counted() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = listener.local_addr().unwrap();
    let (exporters, health) = start(ExporterSettings { deadline: Duration::from_millis(100), ..settings(batch()) });
    let mut recorder = recorder(&exporters, &health);
    for number in 0..3 {
        recorder.record(&exchange("shop", Role::Server, number), &traced(&to(silent, Protocol::Http)));
    }
    drop(recorder);
    exporters.close().await;
    assert_eq!(dropped(&health, "shutdown"), 3);
}

/// Under `agent` nothing on loopback is reached, by address or by name, over either protocol; that is counted by its reason.
#[tokio::test]
async fn tenants_do_not_reach_loopback() {
    let (receiver, address) = Receiver::start(&[], 0).await;
    let batch = BatchConfig { export_timeout: Duration::from_millis(200), ..batch() };
    let endpoints =
        [address.to_string(), format!("localhost:{}", address.port()), format!("http://2130706433:{}", address.port())];
    for allowed in [false, true] {
        let exceptions =
            if allowed { vec!["127.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()] } else { Vec::new() };
        let reach = Reach::restricted(exceptions);
        let (exporters, health) = start(ExporterSettings { reach, ..settings(batch) });
        for endpoint in &endpoints {
            for protocol in [Protocol::Grpc, Protocol::Http] {
                // As if the policy had been accepted: this is the check at the time of the connection.
                let provider =
                    provider(endpoint, |provider| provider.endpoint.as_mut().unwrap().protocol = Some(protocol));
                recorder(&exporters, &health).record(&exchange("shop", Role::Server, 1), &traced(&provider.unwrap()));
            }
        }
        exporters.close().await;
        if allowed {
            assert_eq!(receiver.requests().len(), 6);
        } else {
            assert!(receiver.requests().is_empty());
            assert_eq!(dropped(&health, "retries_exhausted"), 6, "{:?}", health.samples());
            assert!(health.value(&table::EXPORT_FAILURES, &[QUEUE, "refused_address"]) >= 6, "{:?}", health.samples());
        }
    }
}

/// The certificate is of `collector.example`, which the policy's `serverName` says; the endpoint is an address.
#[tokio::test]
async fn a_policy_names_authority_and_server() {
    let files = tempfile::tempdir().unwrap();
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["collector.example".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let mut config = builder.with_single_cert(chain, PrivateKeyDer::try_from(key.serialize_der()).unwrap()).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let (receiver, address) = Receiver::start_tls(config).await;
    let ca_file = files.path().join("ca.pem");
    fs::write(&ca_file, authority.pem()).unwrap();

    let batch = BatchConfig { export_timeout: Duration::from_millis(300), ..batch() };
    let (exporters, health) = start(settings(batch));
    for (server_name, protocol) in [
        (Some("collector.example"), Protocol::Grpc),
        (Some("collector.example"), Protocol::Http),
        (None, Protocol::Grpc),
        (None, Protocol::Http),
    ] {
        let provider = provider(&format!("https://{address}"), |provider| {
            let endpoint = provider.endpoint.as_mut().unwrap();
            endpoint.protocol = Some(protocol);
            endpoint.tls = Some(TlsSettings {
                ca_file: Some(ca_file.to_str().unwrap().to_owned()),
                server_name: server_name.map(str::to_owned),
                ..TlsSettings::default()
            });
        });
        recorder(&exporters, &health).record(&exchange("shop", Role::Server, 1), &traced(&provider.unwrap()));
    }
    exporters.close().await;
    assert_eq!(receiver.requests().len(), 2);
    assert_eq!((health.value(&table::EXPORTED, &[QUEUE]), dropped(&health, "retries_exhausted")), (2, 2));
    let hosts: Vec<_> = receiver.requests().iter().filter_map(|(headers, _)| headers.get("host").cloned()).collect();
    assert_eq!(hosts, [address.to_string().as_str()], "HTTP/1.1 names the endpoint");
}

/// A client that cannot be made loses its spans visibly, and disturbs no other.
#[tokio::test]
async fn a_missing_certificate_file_is_counted() {
    let (exporters, health) = start(settings(batch()));
    let provider = provider("https://c.example:4317", |provider| {
        let tls = TlsSettings { ca_file: Some("/nonexistent/ca.pem".to_owned()), ..TlsSettings::default() };
        provider.endpoint.as_mut().unwrap().tls = Some(tls);
    });
    let (mut recorder, plan) = (recorder(&exporters, &health), traced(&provider.unwrap()));
    recorder.record(&exchange("shop", Role::Server, 1), &plan);
    while dropped(&health, "not_started") == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(exporters.count(), 0);
    recorder.record(&exchange("shop", Role::Server, 2), &plan);
    drop(recorder);
    exporters.close().await;
    assert_eq!((dropped(&health, "not_started"), dropped(&health, "shutdown")), (2, 0));
}

/// Whoever observes traffic does not wait for the files of a receiver: these come from a pipe that nobody writes to.
#[tokio::test]
async fn files_of_a_receiver_hold_nobody_up() {
    let files = tempfile::tempdir().unwrap();
    let pipe = files.path().join("ca.pem");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (receiver, address) = Receiver::start(&[], 0).await;
    let (exporters, health) = start(settings(BatchConfig { export_timeout: Duration::from_millis(200), ..batch() }));
    let waiting = provider(&format!("https://{}", free_address()), |provider| {
        let tls = TlsSettings { ca_file: Some(pipe.to_str().unwrap().to_owned()), ..TlsSettings::default() };
        provider.endpoint.as_mut().unwrap().tls = Some(tls);
    });
    let mut recorder = recorder(&exporters, &health);
    for receiver in [waiting.unwrap(), to(address, Protocol::Grpc)] {
        recorder.record(&exchange("shop", Role::Server, 1), &traced(&receiver));
    }
    while receiver.requests().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(exporters.count(), 2);
    // The end of the pipe, in which there are no certificates.
    drop(tokio::task::spawn_blocking(move || fs::OpenOptions::new().write(true).open(pipe).unwrap()).await.unwrap());
    drop(recorder);
    exporters.close().await;
    let lost = dropped(&health, "not_started") + dropped(&health, "retries_exhausted");
    assert_eq!((health.value(&table::EXPORTED, &[QUEUE]), lost), (1, 1), "{:?}", health.samples());
}
