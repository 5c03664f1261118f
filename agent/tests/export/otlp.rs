//! Spans over OTLP.

use std::{
    fs,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use telltale::{
    admin::{Health, table},
    capture::Role,
    export::otlp::{BatchConfig, Compression, MetricsExporter, OtlpConfig, OtlpExporter, Protocol, RetryPolicy},
    telemetry::{Outlets, Recorder, Settings, metrics::Metrics},
};
use tempfile::NamedTempFile;

use super::{
    peers::{free_address, rotel, wait_for},
    receiver::Receiver,
    sample::{ALL, exchange},
};

pub(crate) const QUEUE: &str = "otlp_spans";
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// Small and quick, so that a test need not wait for the defaults.
pub(crate) fn batch() -> BatchConfig {
    BatchConfig { schedule_delay: Duration::from_millis(20), export_timeout: DEADLINE, ..BatchConfig::default() }
}

fn retry() -> RetryPolicy {
    RetryPolicy { initial: Duration::from_millis(10), max: Duration::from_millis(50) }
}

pub(crate) struct Setup {
    pub(crate) exporter: OtlpExporter,
    pub(crate) recorder: Recorder,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Arc<Health>,
}

pub(crate) fn setup(config: &OtlpConfig, batch: BatchConfig) -> Setup {
    let health = Health::new();
    let exporter = OtlpExporter::start(config, batch, retry(), Vec::new(), &health).unwrap();
    let settings = Settings::default();
    let metrics = Metrics::new(Arc::clone(&settings.methods));
    let spans: Vec<Box<dyn telltale::telemetry::SpanSink>> = vec![Box::new(exporter.sender())];
    let outlets = Outlets { metrics: metrics.shard(&ALL), spans, ..Outlets::default() };
    let recorder = Recorder::new(settings, Box::new(outlets), &health);
    Setup { exporter, recorder, metrics, health }
}

fn config(protocol: Protocol, address: SocketAddr) -> OtlpConfig {
    let path = if protocol == Protocol::HttpProtobuf { "/v1/traces" } else { "" };
    OtlpConfig::new(protocol, format!("http://{address}{path}"))
}

pub(crate) fn dropped(health: &Health, reason: &str) -> u64 {
    health.value(&table::QUEUE_DROPPED, &[QUEUE, reason])
}

/// Both ends of 600 exchanges, so more than one batch, arrive once each.
async fn everything_arrives(protocol: Protocol, compression: Compression) {
    let (grpc, http) = (free_address(), free_address());
    let receiver = rotel(grpc, http);
    let mut config = config(protocol, if protocol == Protocol::Grpc { grpc } else { http });
    config.compression = compression;
    let mut setup = setup(&config, batch());
    for number in 0..600 {
        setup.recorder.record(&exchange("curl", Role::Client, number), &ALL);
        setup.recorder.record(&exchange("shop", Role::Server, number), &ALL);
    }
    setup.exporter.close(DEADLINE).await;
    assert_eq!(setup.health.value(&table::EXPORTED, &[QUEUE]), 1200);
    let output = wait_for("all spans", || {
        let output = receiver.output();
        (output.matches("ID             : ").count() >= 1200).then_some(output)
    });
    let lines = |wanted: &str| output.lines().filter(|line| line.trim() == wanted).count();
    assert_eq!((lines("Kind           : SPAN_KIND_CLIENT"), lines("Kind           : SPAN_KIND_SERVER")), (600, 600));
    assert_eq!(lines("-> url.full: Str(http://shop.example/item/599)"), 1);
    // A resource per service in every request, with its own attributes.
    assert_eq!(lines("-> service.name: Str(curl)"), lines("-> service.name: Str(shop)"));
    assert!(lines("-> k8s.deployment.name: Str(shop)") >= 1);
}

#[tokio::test]
async fn a_real_receiver_takes_spans_over_grpc() {
    everything_arrives(Protocol::Grpc, Compression::None).await;
}

#[tokio::test]
async fn a_real_receiver_takes_spans_over_http() {
    everything_arrives(Protocol::HttpProtobuf, Compression::None).await;
}

#[tokio::test]
async fn a_real_receiver_takes_compressed_spans_over_both() {
    everything_arrives(Protocol::Grpc, Compression::Gzip).await;
    everything_arrives(Protocol::HttpProtobuf, Compression::Gzip).await;
}

#[tokio::test]
async fn a_real_receiver_takes_metrics() {
    let (grpc, http) = (free_address(), free_address());
    let receiver = rotel(grpc, http);
    let mut setup = setup(&config(Protocol::Grpc, grpc), batch());
    for number in 0..5 {
        setup.recorder.record(&exchange("shop", Role::Server, number), &ALL);
    }
    let target = OtlpConfig::new(Protocol::Grpc, format!("http://{grpc}"));
    let traffic = Arc::clone(&setup.metrics);
    let metrics =
        MetricsExporter::start(&target, Duration::from_hours(1), retry(), traffic, Vec::new(), &setup.health).unwrap();
    metrics.close(DEADLINE).await;
    assert_eq!(setup.health.value(&table::EXPORTED, &["otlp_metrics"]), 3);
    let output = wait_for("the metrics", || {
        Some(receiver.output()).filter(|output| output.contains("http.server.response.body.size"))
    });
    assert!(output.contains("http.server.request.duration"), "{output}");
    assert!(output.contains("service.name: Str(shop)"), "{output}");
}

#[tokio::test]
async fn an_endpoint_that_is_away_is_found_again() {
    let (grpc, http) = (free_address(), free_address());
    let mut setup = setup(&config(Protocol::Grpc, grpc), batch());
    for number in 0..10 {
        setup.recorder.record(&exchange("curl", Role::Client, number), &ALL);
    }
    let failures = |health: &Health| {
        let samples = health.samples();
        samples.iter().any(|sample| {
            sample.metric == &table::EXPORT_FAILURES && sample.labels == [QUEUE, "unreachable"] && sample.value > 0.0
        })
    };
    while !failures(&setup.health) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let receiver = rotel(grpc, http);
    setup.exporter.close(DEADLINE).await;
    assert_eq!(setup.health.value(&table::EXPORTED, &[QUEUE]), 10);
    wait_for("the spans", || receiver.output().contains("/item/9)").then_some(()));
}

#[tokio::test]
async fn every_span_that_no_endpoint_takes_is_counted() {
    let small = BatchConfig { queue_size: 20, batch_size: 5, ..batch() };
    let mut setup = setup(&config(Protocol::HttpProtobuf, free_address()), small);
    for number in 0..100 {
        setup.recorder.record(&exchange("curl", Role::Client, number), &ALL);
    }
    assert!(dropped(&setup.health, "full") >= 75, "{}", dropped(&setup.health, "full"));
    assert!(setup.health.value(&table::QUEUE_LENGTH, &[QUEUE]) <= 20);
    setup.exporter.close(Duration::from_millis(200)).await;
    assert_eq!(setup.health.value(&table::EXPORTED, &[QUEUE]), 0);
    assert_eq!(dropped(&setup.health, "full") + dropped(&setup.health, "shutdown"), 100);
}

#[tokio::test]
async fn a_busy_receiver_gets_the_batch_again() {
    let (receiver, address) = Receiver::start(&[503, 429], 0).await;
    let mut config = config(Protocol::HttpProtobuf, address);
    config.compression = Compression::Gzip;
    config.headers = vec![("x-tenant".to_owned(), "a".to_owned())];
    let mut setup = setup(&config, batch());
    setup.recorder.record(&exchange("curl", Role::Client, 0), &ALL);
    setup.exporter.close(DEADLINE).await;
    let requests = receiver.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[0].1, requests[2].1);
    let (headers, _) = &requests[2];
    assert_eq!(headers["x-tenant"], "a");
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert!(telltale::export::is_telltale_user_agent(headers["user-agent"].as_bytes()), "{headers:?}");
    assert_eq!(setup.health.value(&table::EXPORTED, &[QUEUE]), 1);
    assert_eq!(setup.health.value(&table::EXPORT_FAILURES, &[QUEUE, "503"]), 1);
}

/// Whatever time it asks for, even one that no clock can hold: what waits for it is counted at the end, which does not wait for it.
#[tokio::test]
async fn a_receiver_that_asks_for_ages_does_not_end_the_exporter() {
    for (protocol, reason) in [(Protocol::HttpProtobuf, "429"), (Protocol::Grpc, "Unavailable")] {
        let (receiver, address) = Receiver::start(&[429], 0).await;
        receiver.ask(&[9_999_999_999_999_999_999]);
        let mut setup = setup(&config(protocol, address), batch());
        setup.recorder.record(&exchange("curl", Role::Client, 0), &ALL);
        while setup.health.value(&table::EXPORT_FAILURES, &[QUEUE, reason]) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        setup.recorder.record(&exchange("curl", Role::Client, 1), &ALL);
        setup.exporter.close(DEADLINE).await;
        assert_eq!(dropped(&setup.health, "shutdown"), 2, "{:?}", setup.health.samples());
        assert_eq!(setup.health.value(&table::QUEUE_LENGTH, &[QUEUE]), 0);
        assert_eq!(receiver.requests().len(), 1);
    }
}

/// The receiver asks for more time than a batch has: the batch has one more attempt after it, and the others wait too.
#[tokio::test]
async fn a_receiver_that_asks_for_more_than_the_limit_is_left_alone() {
    let small = BatchConfig { batch_size: 5, export_timeout: Duration::from_millis(50), ..batch() };
    for protocol in [Protocol::HttpProtobuf, Protocol::Grpc] {
        // The second time it asks for more than the end waits for: what is left is not even tried.
        for (refusals, exhausted, shutdown) in [(&[429][..], 0, 0), (&[429, 503], 5, 5)] {
            let (receiver, address) = Receiver::start(refusals, 0).await;
            receiver.ask(&[1, 3600]);
            let mut setup = setup(&config(protocol, address), small);
            for number in 0..10 {
                setup.recorder.record(&exchange("curl", Role::Client, number), &ALL);
            }
            setup.exporter.close(DEADLINE).await;
            let lost = (dropped(&setup.health, "retries_exhausted"), dropped(&setup.health, "shutdown"));
            assert_eq!(lost, (exhausted, shutdown));
            assert_eq!(setup.health.value(&table::EXPORTED, &[QUEUE]), 10 - exhausted - shutdown);
            let requests = receiver.requests();
            assert_eq!(requests.len(), if shutdown > 0 { 2 } else { 3 });
            assert_eq!(requests[0].1, requests[1].1);
        }
    }
}

#[tokio::test]
async fn a_refusal_for_good_is_not_repeated() {
    let (receiver, address) = Receiver::start(&[400], 0).await;
    let mut setup = setup(&config(Protocol::HttpProtobuf, address), batch());
    setup.recorder.record(&exchange("curl", Role::Client, 0), &ALL);
    setup.exporter.close(DEADLINE).await;
    assert_eq!(receiver.requests().len(), 1);
    assert_eq!(dropped(&setup.health, "refused"), 1);
}

#[tokio::test]
async fn what_a_receiver_rejects_of_a_batch_is_counted() {
    let (_receiver, address) = Receiver::start(&[], 2).await;
    let mut setup = setup(&config(Protocol::HttpProtobuf, address), batch());
    for number in 0..5 {
        setup.recorder.record(&exchange("curl", Role::Client, number), &ALL);
    }
    setup.exporter.close(DEADLINE).await;
    assert_eq!(setup.health.value(&table::EXPORTED, &[QUEUE]), 3);
    assert_eq!(setup.health.value(&table::EXPORT_REJECTED, &[QUEUE]), 2);
}

/// Words of a receiver are no lines of the agent's log, and come once, not with every batch.
#[tokio::test]
async fn a_receiver_cannot_write_into_the_log() {
    let (receiver, address) = Receiver::start(&[], 1).await;
    receiver.say(format!("too many\nERROR the agent is broken\u{1b}[31m{}", "x".repeat(1 << 20)));
    let written = NamedTempFile::new().unwrap();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(Mutex::new(written.reopen().unwrap()));
    let log = {
        let _guard = tracing::subscriber::set_default(subscriber.finish());
        let mut setup = setup(&config(Protocol::HttpProtobuf, address), BatchConfig { batch_size: 1, ..batch() });
        for number in 0..5 {
            setup.recorder.record(&exchange("curl", Role::Client, number), &ALL);
        }
        setup.exporter.close(DEADLINE).await;
        fs::read_to_string(written.path()).unwrap()
    };
    assert_eq!(receiver.requests().len(), 5);
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines.len() == 1 && lines[0].len() < 1000, "{} lines", lines.len());
    let words = r#"rejected 1 entries: "too many\nERROR the agent is broken\u{1b}[31mxx"#;
    assert!(lines[0].contains(words), "{log}");
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_the_end() {
    let (receiver, address) = Receiver::start(&[], 2).await;
    receiver.say("x".repeat(5 << 20));
    let mut setup = setup(&config(Protocol::HttpProtobuf, address), batch());
    for number in 0..5 {
        setup.recorder.record(&exchange("curl", Role::Client, number), &ALL);
    }
    setup.exporter.close(DEADLINE).await;
    // It is a success, of which only the details are not known.
    assert_eq!(setup.health.value(&table::EXPORTED, &[QUEUE]), 5);
    assert_eq!(setup.health.value(&table::EXPORT_REJECTED, &[QUEUE]), 0);
}
