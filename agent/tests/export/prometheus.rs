//! `/metrics` as Prometheus sees it.

use std::{
    collections::HashSet,
    fs,
    io::Write as _,
    net::SocketAddr,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use telltale::{
    admin::{Health, Liveness, Readiness, Routes, ServeError, Server, register_process_metrics, table},
    capture::Role,
    export::prometheus::{Exposition, Format},
    policy::{
        Defaults, Plan, Trust,
        model::{self, Attribute, AttributeSource, Dialect, FieldPath, MetricOverride, Mode, PolicyKey, Profile},
        plan::MetricsPlan,
    },
    telemetry::{Outlets, Recorder, Settings, metrics::Metrics},
};

use super::{
    peers::{Peer, free_address, get, wait_for},
    sample::{ALL, exchange},
};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0";

/// Two services with traffic, one of it in a trace that its sender sampled, and some health.
fn exposition() -> Arc<Exposition> {
    let health = Health::new();
    register_process_metrics(&health);
    for (number, metric) in table::ALL.iter().enumerate() {
        let labels: Vec<&str> = metric.labels.iter().map(|_| "a \"quoted\" \\ value").collect();
        match metric.kind {
            table::Kind::Counter => health.counter(metric, &labels).add(number as u64),
            table::Kind::Gauge => health.gauge(metric, &labels).set(number as i64),
        }
    }
    let settings = Settings::default();
    let metrics = Metrics::new(Arc::clone(&settings.methods));
    let mut recorder = Recorder::new(settings, Box::new(Outlets::of_metrics(metrics.shard(&ALL).unwrap())), &health);
    for number in 0..7 {
        recorder.record(&exchange("curl", Role::Client, number), &ALL);
        let mut traced = exchange("shop", Role::Server, number);
        let context = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        traced.request.head.headers.push(b"traceparent", context);
        recorder.record(&traced, &ALL);
    }
    Exposition::new(metrics, Some(health), Vec::new())
}

/// Views of four policies, of one service and of others: the same names with other attributes, other buckets, other names, other instruments.
fn under_policies() -> Arc<Exposition> {
    let literal = |name: &str, text: &str| Attribute {
        at: FieldPath::default(),
        name: name.to_owned(),
        source: AttributeSource::Literal(text.to_owned()),
        default: None,
    };
    let change = |name: &str| MetricOverride { name: name.to_owned(), ..MetricOverride::default() };
    let open_telemetry = |overrides| model::Metrics { overrides, ..model::Metrics::default() };
    let policies = [
        model::Metrics::default(),
        open_telemetry(vec![
            MetricOverride {
                attributes: vec![literal("team.name", "red"), literal("quote", "a \"b\" \\ c\nd")],
                remove_attributes: vec!["url.scheme".into(), "network.protocol.version".into()],
                buckets: Some(vec![0.01, 0.1, 1.0]),
                ..change("request_count")
            },
            MetricOverride { rename: Some("my.size_bytes".into()), ..change("http.server.request.body.size") },
            MetricOverride { mode: Mode::Enabled, ..change("telltale.authorization.decisions") },
        ]),
        // One label in Prometheus for two keys of OpenTelemetry.
        open_telemetry(vec![MetricOverride {
            attributes: vec![literal("team_name", "red"), literal("quote", "a \"b\" \\ c\nd")],
            remove_attributes: vec!["url.scheme".into(), "network.protocol.version".into()],
            ..change("request_count")
        }]),
        model::Metrics { profile: Profile::Istio, cardinality_limit: Some(2), ..model::Metrics::default() },
    ];
    let settings = Settings::default();
    let metrics = Metrics::new(Arc::clone(&settings.methods));
    let shards = Arc::clone(&metrics);
    let open = move |plan: &Arc<Plan>| Outlets { metrics: shards.shard(plan), ..Outlets::default() };
    let mut recorder = Recorder::new(settings, Box::new(open), &Health::new());
    for (index, policy) in policies.iter().enumerate() {
        let mut findings = Vec::new();
        let compiled = MetricsPlan::compile(policy, Defaults::EVERYTHING, &Trust::own(), &mut findings);
        assert!(findings.is_empty(), "{findings:?}");
        let key = PolicyKey { namespace: "shop".to_owned(), name: format!("p{index}"), dialect: Dialect::Gep };
        let plan =
            Plan { policy: Some(key), metrics: Some(Arc::new(compiled)), ..Plan::of_signals(true, false, false) };
        let plan = Arc::new(plan);
        for service in ["cart", "shop"] {
            recorder.record(&exchange(service, Role::Server, 1), &plan);
            recorder.record(&exchange(service, Role::Client, 2), &plan);
        }
    }
    Exposition::new(metrics, None, Vec::new())
}

fn routes(readiness: Readiness) -> Routes {
    Routes::observed(exposition(), Liveness::default(), readiness)
}

async fn serve() -> Server {
    Server::start("127.0.0.1:0", routes(Readiness::default())).await.unwrap()
}

async fn fetch(address: SocketAddr, path: &'static str, accept: &'static str) -> (String, String) {
    tokio::task::spawn_blocking(move || get(address, path, accept)).await.unwrap()
}

#[tokio::test]
async fn promtool_finds_nothing_wrong() {
    let server = serve().await;
    let (head, body) = fetch(server.address(), "/metrics", "text/plain").await;
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    assert!(!body.contains("# EOF") && !body.contains("# {"), "{body}");
    assert!(!body.contains("job=\"") && !body.contains("instance=\""), "{body}");
    promtool(&body, "");
}

#[test]
fn under_many_policies_each_family_and_series_comes_once() {
    let body = under_policies().render(Format::Text);
    // Istio's name is what it is.
    promtool(&body, "istio_request_duration_milliseconds use base unit \"seconds\" instead of \"milliseconds\"");
    let mut seen = HashSet::new();
    for line in body.lines() {
        let identity = if line.starts_with('#') { line } else { line.rsplit_once(' ').unwrap().0 };
        assert!(seen.insert(identity.to_owned()), "twice: {identity}");
        assert!(line.starts_with('#') || line.contains("service_name=") || line.contains("otel_metric_overflow="));
    }
    // The series of the second and third policy are one in Prometheus, with the bounds that both have.
    let labels = "service_name=\"shop\",k8s_namespace_name=\"shop\",http_request_method=\"GET\",\
                  http_response_status_code=\"200\",team_name=\"red\"";
    let of = |wanted: &str| -> Vec<&str> {
        let lines = body.lines().filter(|line| line.starts_with(wanted) && line.contains(labels));
        lines.map(|line| line.rsplit_once(' ').unwrap().1).collect()
    };
    assert_eq!(of("http_server_request_duration_seconds_count"), ["2"]);
    assert_eq!(of("http_server_request_duration_seconds_bucket"), ["2", "2", "2", "2"]);
    for name in ["my_size_bytes_count", "telltale_authorization_decisions_total", "istio_requests_total"] {
        assert!(body.contains(&format!("\n{name}{{service_name=")), "{name}: {body}");
    }
    assert!(body.contains("\nistio_requests_total{otel_metric_overflow=\"true\"} 3\n"), "{body}");
}

/// Checks that `promtool` says this and nothing else.
fn promtool(body: &str, says: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is of Debian's prometheus: run `cargo xtask setup`");
    promtool.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
    let done = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!((done.status.success(), said.trim()), (says.is_empty(), says));
}

#[tokio::test]
async fn openmetrics_has_exemplars() {
    let server = serve().await;
    let (head, body) = fetch(server.address(), "/metrics", OPENMETRICS).await;
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"), "{head}");
    assert!(body.ends_with("# EOF\n"));
    let exemplar = "# {trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\",span_id=\"00f067aa0ba902b7\"} 0.002 ";
    assert!(body.lines().any(|line| line.starts_with("http_server_request_duration") && line.contains(exemplar)));
}

#[tokio::test]
async fn prometheus_scrapes_series_and_exemplars() {
    let server = serve().await;
    let address = server.address();
    let web = free_address();
    tokio::task::spawn_blocking(move || {
        let directory = tempfile::tempdir().unwrap();
        let configuration = directory.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 200ms}}\nscrape_configs: [{{job_name: telltale, honor_labels: false, \
             static_configs: [{{targets: ['{address}']}}]}}]\n"
        );
        fs::write(&configuration, text).unwrap();
        let arguments = [
            format!("--config.file={}", configuration.display()),
            format!("--storage.tsdb.path={}", directory.path().join("data").display()),
            format!("--web.listen-address={web}"),
            "--enable-feature=exemplar-storage".to_owned(),
        ];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let prometheus = Peer::start("prometheus", &arguments).listens(web);
        let query = |path: &str, wanted: &str| {
            wait_for(wanted, || Some(get(web, path, "*/*").1).filter(|answer| answer.contains(wanted)))
        };
        let answer = query("/api/v1/query?query=http_server_request_duration_seconds_count", "\"7\"");
        assert!(answer.contains("\"service_name\":\"shop\",\"url_scheme\":\"http\""), "{answer}");
        assert!(answer.contains("\"job\":\"telltale\"") && !answer.contains("exported_"), "{answer}");
        query("/api/v1/query?query=target_info", "\"k8s_deployment_name\":\"shop\"");
        let exemplars =
            "/api/v1/query_exemplars?query=http_server_request_duration_seconds_bucket&start=1699999000&end=1700009000";
        query(exemplars, "4bf92f3577b34da6a3ce929d0e0e4736");
        drop(prometheus);
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_port_in_use_is_said_clearly() {
    let first = serve().await;
    let error = Server::start(&first.address().to_string(), routes(Readiness::default())).await.unwrap_err();
    assert!(matches!(error, ServeError::InUse { .. }));
    let expected = format!(
        "cannot serve metrics on {}: the port is in use; choose another with --metrics-addr (port 0 picks a free one)",
        first.address()
    );
    assert_eq!(error.to_string(), expected);
    let error = Server::start("nonsense", routes(Readiness::default())).await.unwrap_err();
    assert!(error.to_string().contains("give HOST:PORT"), "{error}");
}

#[tokio::test]
async fn health_and_readiness() {
    let readiness = Readiness::default();
    let gate = readiness.gate("capture", "not capturing yet");
    let server = Server::start("127.0.0.1:0", routes(readiness.clone())).await.unwrap();
    let address = server.address();
    assert!(fetch(address, "/healthz", "*/*").await.0.starts_with("HTTP/1.1 200"));
    let (head, body) = fetch(address, "/readyz", "*/*").await;
    assert!(head.starts_with("HTTP/1.1 503") && body == "capture: not capturing yet\n", "{head} {body}");
    gate.open();
    assert!(fetch(address, "/readyz", "*/*").await.0.starts_with("HTTP/1.1 200"));
    assert!(fetch(address, "/other", "*/*").await.0.starts_with("HTTP/1.1 404"));
    server.stop(Duration::from_mins(1)).await;
    assert!(std::net::TcpStream::connect(address).is_err());
}
