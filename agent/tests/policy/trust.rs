//! A policy's author is a tenant, the agent is root (POLICY.md section 6): each line of it, and somebody who tries to get around it.
//!
//! Everything here is compiled and run as under `telltale agent`, with [`Trust::tenant`].

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    os::unix::fs::symlink,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use telltale::{
    admin::{Health, table},
    capture::recording::Reader,
    export::{
        ACCESS_LOG_FILE, LineSink, LogDirectory, LogSettings, LogSinks,
        otlp::{BatchConfig, ExporterSettings, Exporters, RetryPolicy},
        prometheus::{Exposition, Format},
    },
    pipeline::{Pipeline, Settings},
    policy::{
        Checked, Defaults, Environment, LogFiles, Plan, PlanStore, Reach, Setting, Trust, attachment::Candidate,
        document::Source as File, plan::SpanProvider,
    },
    telemetry::{self, LogSink, Outlets, Recorder, SpanSink, metrics::Metrics},
    workload::Source,
};

use super::traffic;

/// A policy of namespace `shop` with these stanzas, each an entry of a flow mapping.
fn policy(stanzas: &str) -> String {
    of_namespace("shop", stanzas)
}

fn of_namespace(namespace: &str, stanzas: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n---\n\
         apiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: TelemetryPolicy\n\
         metadata: {{name: p, namespace: {namespace}, generation: 1}}\n\
         spec: {{targetRefs: [{{group: '', kind: Namespace, name: {namespace}}}], {stanzas}}}\n"
    )
}

fn under(trust: Trust, text: impl AsRef<[u8]>) -> Checked {
    let setting = Setting { defaults: Defaults::EVERYTHING, trust };
    Checked::new(&[File::new("tenant.yaml", text.as_ref())], &setting)
}

/// What is said about a tenant's policy, and whether it holds.
fn said(trust: Trust, text: impl AsRef<[u8]>) -> (bool, String) {
    let checked = under(trust, text);
    let accepted = checked.compiled.candidates.iter().all(Candidate::is_valid) && !checked.policies.is_empty();
    (accepted, super::lines(checked.remarks()))
}

/// The policy is refused, and a message says this.
fn assert_refused(trust: &Trust, stanzas: &str, why: &str) {
    let (accepted, said) = said(trust.clone(), policy(stanzas));
    assert!(!accepted && said.contains(why), "{stanzas}\naccepted: {accepted}\n{said}");
}

/// The policy holds, and a message says this.
fn assert_told(trust: &Trust, stanzas: &str, what: &str) {
    let (accepted, said) = said(trust.clone(), policy(stanzas));
    assert!(accepted && said.contains(what), "{stanzas}\naccepted: {accepted}\n{said}");
}

/// Keeps lines.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl LineSink for Lines {
    fn line(&mut self, line: &[u8]) {
        self.0.lock().unwrap().extend_from_slice(line);
    }
}

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// What a tenant's policies do with traffic, whatever their sinks: lines and metrics.
struct Shown {
    log: String,
    metrics: String,
}

fn run(checked: &Checked, recording: &str, open: impl Fn(&Arc<Plan>) -> Outlets + Send + 'static) {
    let plans = PlanStore::new(checked.compiled.plans(Arc::default()));
    let health = Health::new();
    let recorder = Recorder::new(telemetry::Settings::default(), Box::new(open), &health);
    let settings = Settings { connections: 1000, ..Settings::new(&plans, Source::Events) };
    let mut pipeline = Pipeline::new(settings, recorder, &health);
    let mut reader = Reader::new("recording".to_owned(), recording.as_bytes());
    while let Some(event) = reader.next_event() {
        pipeline.event(&event.unwrap());
        pipeline.take_skips().for_each(drop);
    }
    pipeline.finish();
}

fn shown(trust: Trust, policies: &str, recording: &str) -> Shown {
    let lines = Lines::default();
    let settings = telemetry::Settings::default();
    let metrics = Metrics::new(settings.methods);
    let (sink, series) = (lines.clone(), Arc::clone(&metrics));
    run(&under(trust, policies), recording, move |plan| Outlets {
        metrics: series.shard(plan),
        logs: plan.access_logs.iter().map(|_| Box::new(sink.clone()) as Box<dyn LogSink>).collect(),
        ..Outlets::default()
    });
    Shown { log: lines.text(), metrics: Exposition::new(metrics, None, Vec::new()).render(Format::Text) }
}

/// One request that `pod` serves.
fn served(pod: &str, path: &str) -> String {
    format!(
        "@ open server {pod} 10.0.0.2:80 10.0.0.1:4000\n> GET {path} HTTP/1.1\n> Host: shop.example\n>\n\
         < HTTP/1.1 200 OK\n< Content-Length: 0\n<\n@ close fin\n"
    )
}

// "A File path is relative to `--log-dir`, without `..` and following no symlink; without the flag the sink is `Invalid`."

fn file_sink(path: &str) -> String {
    format!("accessLogs: {{mode: Enabled, sinks: [{{type: File, path: {}}}]}}", serde_json::json!(path))
}

#[test]
fn without_a_log_directory_there_is_no_file() {
    for path in ["access.log", "/var/log/access.log", "../x"] {
        assert_refused(&Trust::tenant(), &file_sink(path), "spec.accessLogs.sinks[0].path");
    }
}

#[test]
fn a_path_does_not_leave_the_log_directory() {
    let trust = Trust { log_files: LogFiles::Below, ..Trust::tenant() };
    for path in [
        "/etc/cron.d/x",
        "../x",
        "a/../../x",
        "a/..",
        "..",
        ".",
        "./..",
        "//x",
        "a//../../x",
        "/",
        "a/../b",
        "..\\..\\x/..",
    ] {
        assert_refused(&trust, &file_sink(path), "spec.accessLogs.sinks[0].path");
    }
}

/// Somebody who can write below the directory puts links where a tenant's files are to be.
#[test]
fn a_link_is_not_followed_out_of_the_log_directory() {
    let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let victim = outside.path().join("victim");
    fs::write(&victim, "before").unwrap();
    symlink(&victim, root.path().join("link.log")).unwrap();
    symlink(outside.path(), root.path().join("team")).unwrap();
    symlink("/dev/null", root.path().join("null")).unwrap();
    symlink(root.path().join("honest.log"), root.path().join("inside.log")).unwrap();
    let trust = Trust { log_files: LogFiles::Below, ..Trust::tenant() };
    let written = |path: &str| {
        let health = Health::new();
        let directory = Some(Arc::new(LogDirectory::open(root.path()).unwrap()));
        let sinks = LogSinks::new(None, LogSettings { directory, ..LogSettings::default() }, &health);
        let checked = under(trust.clone(), policy(&file_sink(path)));
        assert!(checked.compiled.candidates[0].is_valid(), "{path}: {:?}", checked.remarks());
        let opener = sinks.clone();
        run(&checked, &traffic::recording(&served("shop/cart-1", "/x")), move |plan| Outlets {
            logs: opener.open(plan),
            ..Outlets::default()
        });
        sinks.close(Duration::from_mins(1));
        let value = |metric, labels: &[&str]| health.value(metric, labels);
        (value(&table::EXPORTED, &[ACCESS_LOG_FILE]), value(&table::QUEUE_DROPPED, &[ACCESS_LOG_FILE, "write_failed"]))
    };
    for path in ["link.log", "team/victim", "team/new.log", "team/deeper/new.log", "null", "inside.log"] {
        assert_eq!(written(path), (0, 1), "{path}");
    }
    assert_eq!(written("honest.log"), (1, 0));
    assert_eq!(written("new/folder/honest.log"), (1, 0));
    assert_eq!(fs::read_to_string(&victim).unwrap(), "before");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert!(fs::read_to_string(root.path().join("honest.log")).unwrap().contains("/x"));
}

#[test]
fn a_tenant_names_no_file_of_the_node_as_a_certificate() {
    for field in ["caFile: /var/run/secrets/token", "certFile: a, keyFile: /etc/shadow"] {
        let provider = format!("provider: {{endpoint: 'https://c.infra.svc:4317', tls: {{{field}}}}}");
        assert_refused(
            &Trust::tenant(),
            &format!("tracing: {{mode: Enabled, {provider}}}"),
            "may not name files of the node",
        );
        let sink = format!("{{type: OTLP, endpoint: 'https://c.infra.svc:4317', tls: {{{field}}}}}");
        let stanza = format!("accessLogs: {{mode: Enabled, sinks: [{sink}]}}");
        assert_refused(&Trust::tenant(), &stanza, "may not name files of the node");
    }
}

// "Environment reads only variables that `--config` names."

#[test]
fn only_named_variables_are_read() {
    fn variable(name: &str) -> Option<String> {
        (!name.is_empty()).then(|| format!("value-of-{name}"))
    }
    let trust = |names: &[&str]| Trust {
        variable,
        environment: Environment::Named(names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>()),
        ..Trust::tenant()
    };
    let attribute = |name: &str| format!("{{name: v, type: Environment, variable: {name}}}");
    let stanzas = |name: &str| {
        let attribute = attribute(name);
        format!(
            "accessLogs: {{mode: Enabled, attributes: [{attribute}]}}, tracing: {{attributes: [{attribute}]}}, \
             metrics: {{overrides: [{{name: http.server.request.duration, attributes: [{attribute}]}}]}}"
        )
    };
    let recording = traffic::recording(&served("shop/cart-1", "/x"));
    for name in ["AWS_SECRET_ACCESS_KEY", "REGION_", "region", "REGION2", "PATH"] {
        assert_told(
            &trust(&["REGION"]),
            &stanzas(name),
            &format!("policies may not read the agent's variable `{name}`"),
        );
        let shown = shown(trust(&["REGION"]), &policy(&stanzas(name)), &recording);
        assert!(!shown.log.is_empty() && !shown.metrics.is_empty());
        assert!(!(shown.log + &shown.metrics).contains("value-of"), "{name}");
    }
    let shown = shown(trust(&["REGION"]), &policy(&stanzas("REGION")), &recording);
    assert!(shown.log.contains("value-of-REGION") && shown.metrics.contains("value-of-REGION"), "{}", shown.log);
}

// "An endpoint that resolves to loopback, link-local (metadata services) or a node's address is refused unless `--config` allows it; so after every
// new resolution."

fn endpoint(address: &str) -> String {
    format!("tracing: {{mode: Enabled, provider: {{endpoint: {}}}}}", serde_json::json!(address))
}

fn over_http(address: &str) -> String {
    endpoint(address).replace("provider: {", "provider: {protocol: http, ")
}

#[test]
fn addresses_that_need_no_resolution_are_refused_when_the_policy_is_read() {
    for address in [
        "169.254.169.254:80",
        "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
        "http://[fd00:ec2::254]/latest",
        "http://[::ffff:169.254.169.254]:4318",
        "127.0.0.1:4317",
        "http://localhost:4318",
        "LocalHost.:4317",
        "a.localhost:4317",
        "http://[::1]:10250/run",
        "0.0.0.0:4317",
        "[fe80::1]:4317",
        "100.100.100.200:80",
    ] {
        assert_refused(&Trust::tenant(), &endpoint(address), "where policies may not send to");
        let sink = format!("accessLogs: {{sinks: [{{type: OTLP, endpoint: {}}}]}}", serde_json::json!(address));
        assert_refused(&Trust::tenant(), &sink, "where policies may not send to");
    }
    for address in ["collector.infra.svc:4317", "10.0.0.7:4317", "metadata.google.internal:80"] {
        assert!(said(Trust::tenant(), policy(&endpoint(address))).0, "{address}");
    }
    let credentials = said(Trust::tenant(), policy(&endpoint("http://root:s3cret@10.0.0.7:4318"))).1;
    assert!(credentials.contains("holds credentials") && !credentials.contains("s3cret"), "{credentials}");
}

/// Reads a request to its end: closing before that would be a reset.
fn read_request(stream: &mut TcpStream) {
    let (mut request, mut bytes) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut bytes) {
            Ok(count) if count > 0 => request.extend_from_slice(&bytes[..count]),
            _ => return,
        }
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        let Some(head) = text.find("\r\n\r\n") else { continue };
        let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next());
        if request.len() >= head + 4 + length.map_or(0, |length| length.parse::<usize>().unwrap()) {
            return;
        }
    }
}

/// Something that listens, counts who comes, and answers each with these bytes.
fn listen(answer: String) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut stream: TcpStream = stream.unwrap();
            read_request(&mut stream);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (address, count)
}

/// Sends the span of one request where the policy says, as `telltale agent` does; what was exported, and what was counted as refused.
async fn export(reach: &Reach, checked: &Checked) -> (u64, u64) {
    let health = Health::new();
    let settings = ExporterSettings {
        batch: BatchConfig { export_timeout: Duration::from_millis(300), ..BatchConfig::default() },
        retry: RetryPolicy { initial: Duration::from_millis(10), max: Duration::from_millis(20) },
        local_attributes: Vec::new(),
        reach: reach.clone(),
        deadline: Duration::from_mins(1),
    };
    let exporters = Exporters::new(tokio::runtime::Handle::current(), settings, &health);
    let opened = exporters.clone();
    run(checked, &traffic::recording(&served("shop/cart-1", "/x")), move |plan| {
        let provider = plan.tracing.as_ref().map(|tracing| &tracing.provider);
        let Some(SpanProvider::Receiver(receiver)) = provider else { panic!("the policy names a receiver") };
        Outlets { spans: vec![Box::new(opened.sink(receiver)) as Box<dyn SpanSink>], ..Outlets::default() }
    });
    exporters.close().await;
    let queue = "otlp_spans";
    (health.value(&table::EXPORTED, &[queue]), health.value(&table::EXPORT_FAILURES, &[queue, "refused_address"]))
}

/// The policy names a host; that it is loopback, or the address of a node, comes out only when it is resolved, and can change from one time to the next.
#[tokio::test]
async fn what_a_name_resolves_to_is_checked_every_time() {
    let (address, visitors) = listen("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned());
    // The policy was accepted by an agent that allowed it, or before the name meant this.
    let name = format!("http://localhost:{}/v1/traces", address.port());
    let checked = under(Trust::own(), policy(&over_http(&name)));
    let none = Reach::restricted(Vec::new());
    let (exported, refused) = export(&none, &checked).await;
    assert!(exported == 0 && refused > 0, "{exported} {refused}");
    assert_eq!(visitors.load(Ordering::SeqCst), 0, "not even a connection");
    // A host that is allowed may be anything; once it is the address of a node it still is what was allowed, another is not.
    let other = Reach::restricted(vec!["collector.infra.svc".parse().unwrap()]);
    other.set_nodes(["127.0.0.1".parse::<IpAddr>().unwrap()]);
    assert_eq!(export(&other, &checked).await.0, 0);
    assert_eq!(visitors.load(Ordering::SeqCst), 0);
    // The name that a certificate must have is no way around it.
    for (server_name, is_valid) in [("127.0.0.1", false), ("localhost", true), ("2130706433", false), ("0x7f.1", false)]
    {
        let elsewhere = format!("https://127.0.0.2:{}/v1/traces", address.port());
        let tls = format!("provider: {{tls: {{serverName: '{server_name}'}}, ");
        let checked = under(Trust::own(), policy(&over_http(&elsewhere).replace("provider: {", &tls)));
        assert_eq!(checked.compiled.candidates[0].is_valid(), is_valid, "{:?}", checked.remarks());
        if !is_valid {
            continue;
        }
        // Where nobody listens.
        let reach = Reach::restricted(vec!["127.0.0.2".parse().unwrap()]);
        assert_eq!(export(&reach, &checked).await.0, 0);
        assert_eq!(visitors.load(Ordering::SeqCst), 0, "{server_name}");
    }
    let allowed = Reach::restricted(vec!["localhost".parse().unwrap()]);
    assert_eq!(export(&allowed, &checked).await, (1, 0));
    assert_eq!(visitors.load(Ordering::SeqCst), 1);
}

/// A receiver that may be reached sends the agent on to one that may not.
#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (metadata, asked) = listen("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned());
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let (receiver, visitors) = listen(format!(
            "HTTP/1.1 {status}\r\nLocation: http://{metadata}/latest/meta-data\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ));
        let checked = under(Trust::own(), policy(&over_http(&format!("http://{receiver}/v1/traces"))));
        // Both are allowed: that nobody asks the second is not the address check's doing.
        let reach = Reach::restricted(vec!["127.0.0.1".parse().unwrap()]);
        assert_eq!(export(&reach, &checked).await.0, 0, "{status}");
        assert!(visitors.load(Ordering::SeqCst) > 0, "{status}");
        assert_eq!(asked.load(Ordering::SeqCst), 0, "{status}");
    }
}

#[test]
fn headers_of_an_exporter_cannot_be_smuggled() {
    let headers = |name: &str, value: &str| {
        let header = serde_json::json!({"name": name, "value": value});
        format!("tracing: {{mode: Enabled, provider: {{endpoint: 'c.infra.svc:4317', headers: [{header}]}}}}")
    };
    assert_refused(&Trust::tenant(), &headers("x-a", "b\r\nHost: metadata"), "spec.tracing.provider.headers[0]");
    assert_refused(&Trust::tenant(), &headers("x-a\r\nHost", "metadata"), "spec.tracing.provider.headers[0]");
    for own in ["Host", "Content-Length", "Transfer-Encoding", "User-Agent", "TE", "Connection"] {
        assert_told(&Trust::tenant(), &headers(own, "1"), "is the exporter's own; it is left out");
    }
}

// "Every number in a policy is clamped to the agent's own maximum (series, bytes, pattern size, attributes), and the message says so. Patterns are
// linear-time."

#[test]
fn numbers_are_clamped_and_named() {
    let trust = Trust::tenant();
    assert_told(&trust, "metrics: {cardinalityLimit: 2147483647}", "is above 20000, the agent's maximum");
    let content = "accessLogs: {}, content: {capture: All, maxBytes: 2147483647}";
    assert_told(&trust, content, "is more than this agent keeps; 1048576 bytes of each message are kept");
    let buckets = |number: i32| {
        let bounds: Vec<String> = (1..=number).map(|bound| bound.to_string()).collect();
        format!("metrics: {{overrides: [{{name: request_count, buckets: [{}]}}]}}", bounds.join(", "))
    };
    assert_told(&trust, &buckets(101), "only the first 100 of 101 bounds are used, the agent's maximum");
    assert_refused(&trust, &buckets(300), "spec.metrics.overrides[0].buckets: has 300 elements");
    // A limit of the configuration holds for the default too.
    let mut low = Trust::tenant();
    low.limits.series = 100;
    assert_told(&low, "metrics: {cardinalityLimit: 101}", "is above 100, the agent's maximum");
    low.limits.attributes = 2;
    low.limits.text = 8;
    let literal = |name: &str| format!("{{name: {name}, type: Literal, literalValue: a-long-text}}");
    let three = ["a", "b", "c"].map(literal).join(", ");
    assert_told(&low, &format!("tracing: {{attributes: [{three}]}}"), "3 attributes are more than this agent's 2");
    assert_told(&low, &format!("tracing: {{attributes: [{}]}}", literal("a")), "11 bytes are cut to this agent's 8");
}

#[test]
fn too_many_attributes_are_refused() {
    for count in [65, 1000] {
        let list: Vec<String> =
            (0..count).map(|n| format!("{{name: a{n}, type: Literal, literalValue: v{n}}}")).collect();
        let list = list.join(", ");
        for stanza in [
            format!("accessLogs: {{attributes: [{list}]}}"),
            format!("tracing: {{attributes: [{list}]}}"),
            format!("metrics: {{overrides: [{{name: http.server.request.duration, attributes: [{list}]}}]}}"),
        ] {
            assert_refused(
                &Trust::tenant(),
                &stanza,
                &format!("has {count} elements; it may have at most 64 elements"),
            );
        }
    }
}

/// As many values of a label as there are requests: series stay within the limit, and none is lost from the sum.
#[test]
fn a_label_of_many_values_is_bounded() {
    const REQUESTS: usize = 3000;
    let stanza = "metrics: {cardinalityLimit: 50, overrides: [{name: http.server.request.duration, \
                  attributes: [{name: user, type: Header, headerName: x-user}]}]}";
    let mut recording = "@ open server shop/cart-1 10.0.0.2:80 10.0.0.1:4000\n".to_owned();
    for number in 0..REQUESTS {
        // One of them is as long as a header may be.
        let long = if number == 0 { "u".repeat(60_000) } else { String::new() };
        let _ = write!(
            recording,
            "> GET / HTTP/1.1\n> Host: h\n> X-User: {number}{long}\n>\n< HTTP/1.1 200 OK\n< Content-Length: 0\n<\n"
        );
    }
    let shown = shown(Trust::tenant(), &policy(stanza), &traffic::recording(&recording));
    let counts: Vec<&str> =
        shown.metrics.lines().filter(|line| line.starts_with("http_server_request_duration_seconds_count")).collect();
    assert_eq!(counts.len(), 50);
    assert!(counts.iter().any(|line| line.contains(r#"otel_metric_overflow="true""#)), "{counts:?}");
    let sum: usize = counts.iter().map(|line| line.rsplit_once(' ').unwrap().1.parse::<usize>().unwrap()).sum();
    assert_eq!(sum, REQUESTS);
    assert!(shown.metrics.lines().all(|line| line.len() < 4096), "a value is cut");
}

#[test]
fn patterns_are_bounded_and_linear() {
    let matches = |pattern: &str| {
        format!("accessLogs: {{matches: {}}}", serde_json::json!(format!("request.path.matches({pattern:?})")))
    };
    assert_refused(&Trust::tenant(), &matches("(a{1000}){1000}"), "spec.accessLogs.matches");
    assert_refused(&Trust::tenant(), &matches(r"(a)\1"), "spec.accessLogs.matches");
    let redact = "accessLogs: {}, content: {capture: All, redact: [{pattern: '(x{900}){900}'}]}";
    assert_refused(&Trust::tenant(), redact, "is too large when compiled");
    // Catastrophic for an engine that goes back: this ends.
    let path = format!("/{}!", "a".repeat(8000));
    let recording = traffic::recording(&served("shop/cart-1", &path));
    for pattern in ["(a+)+$", "(a|aa)+$", "^(.*a){20}$", "(.*)(.*)(.*)(.*)b"] {
        let shown = shown(Trust::tenant(), &policy(&matches(pattern)), &recording);
        assert_eq!(shown.log, "", "{pattern}");
    }
    assert!(shown(Trust::tenant(), &policy(&matches("a+!$")), &recording).log.contains("aaa!"));
}

#[test]
fn expressions_are_bounded() {
    let matches = |expression: &str| format!("accessLogs: {{matches: {}}}", serde_json::json!(expression));
    let names = "request.headers";
    let nested = format!("{names}.exists(a, {names}.exists(b, {names}.exists(c, a == b && b == c)))");
    let bomb = format!("{names}.map(a, {names}.map(b, {names}.map(c, a + b + c))).size() > 0");
    let deep = format!("{}true{}", "(".repeat(1000), ")".repeat(1000));
    let wide = format!("[{}].size() > 0", vec!["1"; 1000].join(","));
    let negations = format!("{}true", "!".repeat(2000));
    let long = format!("request.method == '{}'", "x".repeat(2048));
    let ternaries = format!("{}true", "true ? true : ".repeat(140));
    for expression in [&nested, &bomb, &long] {
        assert_refused(&Trust::tenant(), &matches(expression), "spec.accessLogs.matches");
    }
    assert_refused(&Trust::tenant(), &matches(&ternaries), "nests deeper than 128 levels");
    // These are harmless, and do not overflow anything.
    for expression in [&deep, &wide, &negations] {
        assert!(said(Trust::tenant(), policy(&matches(expression))).0, "{expression}");
    }
    let doubling = format!("({names}.map(a, a).join('') {}).size() > 0", "+ request.path ".repeat(100));
    assert_refused(&Trust::tenant(), &matches(&doubling), "steps, more than 100000");
    let costly = format!("{names}.all(a, {names}.map(b, b).join('').split('').map(c, c).join('').contains(a))");
    assert_refused(&Trust::tenant(), &matches(&costly), "spec.accessLogs.matches");
}

/// A head has room for ten thousand fields: what goes over them for each of them, or copies what is long for each, comes to its end early. The
/// line is left out, and counted.
#[test]
fn a_large_head_does_not_make_an_expression_long() {
    let filter = |expression: &str| format!("accessLogs: {{matches: {}}}", serde_json::json!(expression));
    let fields = (0..1000).fold(String::new(), |mut fields, index| {
        let _ = writeln!(fields, "> {index:x}:");
        fields
    });
    let path = "/".repeat(8000);
    let recording = traffic::recording(&format!(
        "@ open server shop/cart-1 10.0.0.2:80 10.0.0.1:4000\n> GET {path} HTTP/1.1\n> Host: h\n{fields}>\n\
         < HTTP/1.1 200 OK\n< Content-Length: 0\n<\n@ close fin\n"
    ));
    let all = vec!["x[0] == '~'"; 100].join(" || ");
    for expression in [
        "request.headers.exists(x, size(request.headers) == 0)".to_owned(),
        "request.headers.exists(x, (x + 'y') in request.headers)".to_owned(),
        format!("[request.path.split('')].exists(x, request.headers.exists(y, {all}))"),
        "request.path.matches('[01]*1[01]{900}')".to_owned(),
    ] {
        let trust = Trust::tenant();
        let shown = shown(trust.clone(), &policy(&filter(&expression)), &recording);
        assert_eq!((&*shown.log, trust.faults.total()), ("", 1), "{expression}");
    }
    let twice = "request.path.matches('[01]*1[01]{900}') || request.path.matches('[01]*1[01]{901}')";
    assert_refused(&Trust::tenant(), &filter(twice), "steps, more than 100000");
}

/// An expression can make more text of a head than there is in it.
#[test]
fn the_value_of_an_expression_is_bounded() {
    let expression = "request.headers.map(x, request.path).join('')";
    let stanza = format!("accessLogs: {{attributes: [{{name: v, type: CEL, expression: {expression:?}}}]}}");
    let headers = (0..60).fold(String::new(), |headers, index| format!("{headers}> x-{index}: a\n"));
    let path = "/p".repeat(1000);
    let recording = traffic::recording(
        &served("shop/cart-1", &path).replace("> Host: shop.example\n", &format!("> Host: h\n{headers}")),
    );
    let trust = Trust::tenant();
    let shown = shown(trust.clone(), &policy(&stanza), &recording);
    let length = shown.log.matches("/p").count() * 2;
    assert!(shown.log.contains("\"v\"") && length < 20_000, "{length} bytes: {}", &shown.log[..300]);
    assert_eq!((trust.faults.cut(), trust.faults.total()), (1, 0));
}

/// A text whose aliases stand for a billion elements, one that is deep, one that is long.
#[test]
fn documents_are_bounded() {
    let mut laughs = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..10 {
        let before = format!("*a{}", level - 1);
        let _ = writeln!(laughs, "a{level}: &a{level} [{}]", vec![before; 9].join(", "));
    }
    let deep = format!("spec: {}{}\n", "[".repeat(50_000), "]".repeat(50_000));
    let long = format!("spec: {{text: '{}'}}\n", "x".repeat(4 << 20));
    for (text, why) in [
        (laughs, "aliases stand for more than 10000 values"),
        (deep, "recursion limit exceeded"),
        (long, "more than 1 MiB"),
    ] {
        let whole = format!("apiVersion: v1\nkind: X\n{text}");
        let (_, said) = said(Trust::tenant(), &whole);
        assert!(said.contains(why), "{}", &said[..said.len().min(500)]);
    }
}

// "A policy sees traffic of the pods that it selects and nothing else; labels cannot impersonate another workload (section 4)."

#[test]
fn a_policy_sees_its_own_pods_only() {
    let gateway =
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: edge, namespace: shop}\n---\n";
    let pod = |namespace: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p, namespace: {namespace}, labels: {{gateway.networking.k8s.io/gateway-name: edge}}}}\n---\n"
        )
    };
    let target = |kind: &str, namespace: &str| match kind {
        "Gateway" => format!("group: gateway.networking.k8s.io, kind: Gateway, name: edge, namespace: {namespace}"),
        _ => format!("group: '', kind: Namespace, name: {namespace}"),
    };
    let objects = format!("{gateway}{}{}", pod("shop"), pod("bank"));
    let of_mallory = |target: &str| {
        policy("accessLogs: {mode: Enabled}")
            .replace("namespace: shop, generation", "namespace: mallory, generation")
            .replace("group: '', kind: Namespace, name: shop", target)
    };
    let recording = traffic::recording(&(served("shop/p", "/shop") + &served("bank/p", "/bank")));
    // Mallory's policy names what is not hers.
    for target in
        [target("Namespace", "shop"), target("Gateway", "shop"), target("Gateway", "bank"), target("Namespace", "bank")]
    {
        let shown = shown(Trust::tenant(), &format!("{objects}{}", of_mallory(&target)), &recording);
        assert_eq!(shown.log, "", "{target}");
    }
    // A pod of another namespace wears the label of a Gateway that is not there.
    let own = policy("accessLogs: {mode: Enabled}").replace(
        "group: '', kind: Namespace, name: shop",
        "group: gateway.networking.k8s.io, kind: Gateway, name: edge",
    );
    let shown = shown(Trust::tenant(), &format!("{objects}{own}"), &recording);
    assert!(shown.log.contains("/shop") && !shown.log.contains("/bank"), "{}", shown.log);
}

#[test]
fn labels_do_not_impersonate() {
    let with = |name: &str| {
        let attribute = serde_json::json!({"name": name, "type": "Literal", "literalValue": "bank"});
        format!("metrics: {{overrides: [{{name: http.server.request.duration, attributes: [{attribute}]}}]}}")
    };
    for name in [
        "service.name",
        "service_name",
        "service-name",
        "service/name",
        "service:name",
        "k8s.namespace.name",
        "k8s_namespace_name",
        "job",
        "instance",
        "le",
        "quantile",
        "otel.scope.name",
        "otel_metric_overflow",
        "__name__",
        "__address__",
    ] {
        assert_refused(&Trust::tenant(), &with(name), "spec.metrics.overrides[0].attributes[0]");
    }
    let remove = "metrics: {overrides: [{name: http.server.request.duration, removeAttributes: [service.name]}]}";
    assert_refused(&Trust::tenant(), remove, "removeAttributes[0]");
    for rename in [
        "http.client.request.duration",
        "http.server.response.body.size",
        "telltale.kernel.records",
        "target_info",
        "otel.x",
    ] {
        let stanza = format!("metrics: {{overrides: [{{name: http.server.request.duration, rename: {rename}}}]}}");
        assert_refused(&Trust::tenant(), &stanza, "spec.metrics.overrides[0].rename");
    }
    let istio = "metrics: {profile: Istio, overrides: [{name: istio_requests_total, \
                 attributes: [{name: destination_principal, type: Literal, literalValue: bank}]}]}";
    assert_refused(&Trust::tenant(), istio, "says who called whom");
    // A value cannot break out of its label.
    let quoted = "metrics: {overrides: [{name: http.server.request.duration, attributes: [{name: team, type: Header, headerName: x-team}]}]}";
    let recording = "@ open server shop/cart-1 10.0.0.2:80 10.0.0.1:4000\n> GET / HTTP/1.1\n> Host: h\n\
                     > X-Team: a\",service_name=\"bank\\\n>\n< HTTP/1.1 200 OK\n< Content-Length: 0\n<\n@ close fin\n";
    let shown = shown(Trust::tenant(), &policy(quoted), &traffic::recording(recording));
    assert!(shown.metrics.contains(r#"team="a\",service_name=\"bank\\""#), "{}", shown.metrics);
}

/// All policies that name standard output share it: a line of one must not look like one of another.
#[test]
fn a_line_is_not_forged() {
    let forged = r#"{"reporter":"server","destination":"bank/pay-1"}"#;
    let header = "@ open server shop/cart-1 10.0.0.2:80 10.0.0.1:4000\n> GET /a%0a HTTP/1.1\n> Host: h\n> X-A: b\rc\u{b}d\u{7f}e\n>\n\
                  < HTTP/1.1 200 OK\n< Content-Length: 0\n<\n@ close fin\n";
    let quoted = serde_json::json!(forged.replace('"', "'"));
    let text = serde_json::json!(format!("x\n{forged}\r%REQ(X-A)% %PATH()%\u{2028}\n"));
    let value = "type: CEL, expression: '\"x\\n\" + request.path'";
    let literal = "{name: a, type: Literal, literalValue: \"b\\n\"}, {name: c, type: Header, headerName: x-a}";
    for stanza in [
        format!("accessLogs: {{format: Text, text: {text}}}"),
        format!("accessLogs: {{attributes: [{literal}]}}"),
        format!("accessLogs: {{fields: [{{path: [{quoted}, b], {value}}}]}}"),
        format!("accessLogs: {{format: Text, fields: [{{path: [a], {value}}}]}}"),
    ] {
        let (accepted, why) = said(Trust::tenant(), policy(&stanza));
        assert!(accepted, "{stanza}: {why}");
        let log = shown(Trust::tenant(), &policy(&stanza), &traffic::recording(header)).log;
        assert_eq!(log.matches(|c: char| c.is_ascii_control()).count(), 1, "{log:?}");
        assert!(log.ends_with('\n'), "{log:?}");
    }
}

// "The default policy of `--config` applies to namespaces without an accepted policy, never beside one."

#[test]
fn the_default_policy_is_never_beside_one_that_is_accepted() {
    let none = Arc::new(Plan::of_signals(true, false, true));
    let of = |stanzas: &str, namespace: &str| {
        let plans = under(Trust::tenant(), policy(stanzas)).compiled.plans(Arc::clone(&none));
        let pod = telltale::policy::objects::ObjectName::new(namespace, "some-pod");
        let plan = plans.of(Some(&pod));
        (plan.metrics.is_some(), plan.access_logs.is_some())
    };
    assert_eq!(of("metrics: {}", "shop"), (true, false), "its own policy, and nothing of the default");
    assert_eq!(of("metrics: {mode: Disabled}", "shop"), (false, false), "a policy that asks for nothing is one");
    assert_eq!(of("metrics: {}", "bank"), (true, true));
    assert_eq!(of(&file_sink("x"), "shop"), (true, true), "its policy is not accepted");
}

/// Nothing that was tried above is a matter of how the text is written.
#[test]
fn both_dialects_are_restricted() {
    let proposal = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\n\
                    apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: TelemetryPolicy\nmetadata: {name: p, namespace: shop}\n\
                    spec: {targetRef: {group: '', kind: Namespace, name: shop}, STANZA}\n";
    for stanza in [
        "tracing: {provider: {type: OTLP, endpoint: '169.254.169.254:80'}}",
        "accessLogs: {enabled: true, sinks: [{type: File, path: ../x}]}",
        "accessLogs: {enabled: true, matches: [{cel: 'request.headers.exists(a, request.headers.exists(b, request.headers.exists(c, true)))'}]}",
        "metrics: {enabled: true, overrides: [{name: request_count, dimensions: [{key: service.name, fromHeader: x}]}]}",
    ] {
        let (accepted, said) = said(Trust::tenant(), proposal.replace("STANZA", stanza));
        assert!(!accepted, "{stanza}: {said}");
    }
    assert!(said(Trust::tenant(), proposal.replace("STANZA", "metrics: {enabled: true}")).0);
}
