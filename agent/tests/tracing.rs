//! Spans under a policy, from YAML to what a sink gets: the conformance scenarios of GEP-4768 that are about tracing, and what POLICY.md adds to them.

use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::trace::v1::Span;
use telltale::{
    admin::Health,
    capture::{ConnectionId, Direction, Event, EventKind, Open, Role, Timestamp},
    pipeline::{Pipeline, Settings},
    policy::{
        Compiled, Defaults, Plan, PlanStore, Setting, Trust,
        document::{Documents, Source as File},
        plan::SpanProvider,
        validation,
    },
    telemetry::{self, Outlets, Recorder, SpanSink, span::SpanRecord},
    workload::Source,
};

const GEP: &str = "gateway.networking.x-k8s.io/v1alpha1";
const PROPOSAL: &str = "gateway.networking.k8s.io/v1alpha2";
/// A stanza that is on in the dialect of GEP-4768.
const ON: &str = "mode: Enabled, provider: {endpoint: 'collector.infra.svc:4317'}";

/// A policy for namespace `shop` with this tracing stanza.
fn policy(api_version: &str, tracing: &str) -> String {
    let target = "{group: '', kind: Namespace, name: shop}";
    let targets = if api_version == GEP { format!("targetRefs: [{target}]") } else { format!("targetRef: {target}") };
    format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: shop}}\n---\n\
         apiVersion: {api_version}\nkind: TelemetryPolicy\nmetadata: {{name: p, namespace: shop}}\n\
         spec: {{{targets}, tracing: {{{tracing}}}}}\n"
    )
}

/// What became of it: plans, and what was found.
fn compile(yaml: &str) -> (Compiled, Vec<String>) {
    let documents = Documents::read(&[File::new("policy.yaml", yaml)]);
    assert!(documents.problems.is_empty(), "{:?}", documents.problems);
    let setting = Setting { defaults: Defaults::default(), trust: Trust::own() };
    let candidates = validation::candidates(&documents);
    let compiled = Compiled::new(candidates, documents.objects, &setting, None);
    let findings = compiled.candidates.iter().flat_map(|candidate| &candidate.findings);
    let findings = findings.map(|finding| format!("{:?} {finding}", finding.effect)).collect();
    (compiled, findings)
}

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<SpanRecord>>>);

impl SpanSink for Kept {
    fn span(&mut self, record: SpanRecord) {
        self.0.lock().unwrap().push(record);
    }
}

/// A pod of namespace `shop` that serves requests.
struct Shop {
    plans: Arc<PlanStore>,
    pipeline: Pipeline,
    kept: Kept,
    /// Who takes the spans of the plan that was met last.
    provider: Arc<Mutex<Option<SpanProvider>>>,
    connections: u64,
}

impl Shop {
    fn under(yaml: &str) -> Self {
        let plans = PlanStore::new(compile(yaml).0.plans(Arc::default()));
        let (kept, health, provider) = (Kept::default(), Health::new(), Arc::<Mutex<_>>::default());
        let (sink, met) = (kept.clone(), Arc::clone(&provider));
        let open = move |plan: &Arc<Plan>| {
            *met.lock().unwrap() = plan.tracing.as_ref().map(|tracing| tracing.provider.clone());
            let spans: Vec<Box<dyn SpanSink>> = vec![Box::new(sink.clone())];
            Outlets { spans, ..Outlets::default() }
        };
        let recorder = Recorder::new(telemetry::Settings::default(), Box::new(open), &health);
        let settings = Settings { connections: 1000, ..Settings::new(&plans, Source::Events) };
        Self { plans, pipeline: Pipeline::new(settings, recorder, &health), kept, provider, connections: 0 }
    }

    /// One request on a connection of its own, answered with 200.
    fn request(&mut self, headers: &str) {
        let connection = self.connections;
        self.connections += 1;
        let request = format!("GET /orders HTTP/1.1\r\nHost: shop.example\r\n{headers}\r\n");
        let response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Model-Id: m1\r\n\r\nok";
        let open = Open {
            role: Some(Role::Server),
            local: "10.0.0.2:80".parse().unwrap(),
            peer: "10.0.0.1:4000".parse().unwrap(),
            pid: 1,
            comm: "shop".to_owned(),
            cgroup: None,
            isn_out: Some(connection as u32),
            isn_in: Some(7),
            tls: false,
            service: None,
            pod: Some("shop/cart-1".to_owned()),
            container: None,
        };
        self.event(connection, EventKind::Open(Box::new(open)));
        for (direction, bytes) in [(Direction::In, request.as_bytes()), (Direction::Out, response.as_bytes())] {
            self.event(connection, EventKind::Data { direction, position: 0, length: bytes.len() as u32, bytes });
        }
        self.event(connection, EventKind::Close { how: None });
    }

    fn event(&mut self, connection: u64, kind: EventKind<'_>) {
        let time = Timestamp(1_700_000_000_000_000_000 + connection * 1_000_000);
        self.pipeline.event(&Event { time, connection: ConnectionId(connection), kind });
    }

    fn reload(&mut self, yaml: &str) {
        self.plans.replace(compile(yaml).0.plans(Arc::default()));
    }

    fn spans(&self) -> Vec<Span> {
        self.kept.0.lock().unwrap().iter().map(|record| record.span.clone()).collect()
    }

    /// How many of so many requests become spans.
    fn kept(&mut self, requests: usize, headers: &str) -> usize {
        let before = self.spans().len();
        for _ in 0..requests {
            self.request(headers);
        }
        self.spans().len() - before
    }
}

fn attribute(span: &Span, key: &str) -> Option<serde_json::Value> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    let value = serde_json::to_value(found.value.as_ref()?).unwrap();
    value.as_object()?.values().next().cloned()
}

/// Scenario 1. The provider is the policy's, of either kind.
#[test]
fn enabling() {
    let mut shop = Shop::under(&policy(GEP, ON));
    assert_eq!(shop.kept(3, ""), 3);
    let provider = shop.provider.lock().unwrap().clone();
    let Some(SpanProvider::Receiver(receiver)) = provider else { panic!("{provider:?}") };
    assert_eq!(receiver.url, "http://collector.infra.svc:4317");

    let service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: collector, namespace: shop}\n\
                   spec: {ports: [{port: 4318}]}\n";
    let backend = policy(GEP, "mode: Enabled, provider: {backendRef: {name: collector, port: 4318}}");
    let mut shop = Shop::under(&format!("{backend}{service}"));
    shop.request("");
    let provider = shop.provider.lock().unwrap().clone();
    let Some(SpanProvider::Receiver(receiver)) = provider else { panic!("{provider:?}") };
    assert_eq!(receiver.url, "http://collector.shop.svc:4318/v1/traces");

    // ResolvedRefs is False: nobody gets them, above all not the agent's own exporter.
    let mut shop = Shop::under(&backend);
    shop.request("");
    assert_eq!(*shop.provider.lock().unwrap(), Some(SpanProvider::Nobody));
}

/// Scenarios 2 and 3: literal, header of request and response, key.
#[test]
fn attributes() {
    let list = "[{name: env, type: Literal, literalValue: prod}, {name: tenant, type: Header, headerName: X-Tenant}, \
                {name: model, type: Header, headerName: x-model-id}, \
                {name: method, type: Attribute, attributeKey: http.request.method}]";
    let mut shop = Shop::under(&policy(GEP, &format!("{ON}, attributes: {list}")));
    shop.request("X-Tenant: blue\r\n");
    shop.request("");
    let [first, second] = &shop.spans()[..] else { panic!() };
    for (key, value) in [("env", "prod"), ("tenant", "blue"), ("model", "m1"), ("method", "GET")] {
        assert_eq!(attribute(first, key), Some(value.into()), "{key}");
    }
    assert_eq!(attribute(second, "tenant"), None, "an absent header is left out");
}

/// Scenario 6. What is in flight does not matter here: each request is whole.
#[test]
fn disabling() {
    let mut shop = Shop::under(&policy(GEP, ON));
    assert_eq!(shop.kept(2, ""), 2);
    shop.reload(&policy(GEP, "mode: Disabled"));
    assert_eq!(shop.kept(2, ""), 0);
    shop.reload(&policy(GEP, ON));
    assert_eq!(shop.kept(2, ""), 2);
}

/// Scenario 7.
#[test]
fn sampling() {
    let kept = |stanza: &str| Shop::under(&policy(GEP, &format!("{ON}, {stanza}"))).kept(200, "");
    assert_eq!(kept("samplingRate: {numerator: 0}"), 0);
    assert_eq!(kept("samplingRate: {numerator: 100}"), 200);
    assert_eq!(kept("samplingRate: {numerator: 7, denominator: 7}"), 200);
    let half = kept("samplingRate: {numerator: 1, denominator: 2}");
    assert!((60..140).contains(&half), "{half}");
    assert_eq!(kept("samplingRate: {numerator: 1, denominator: 2}"), half, "the same traces every time");
    let (compiled, findings) = compile(&policy(GEP, &format!("{ON}, samplingRate: {{numerator: 2, denominator: 1}}")));
    assert!(!compiled.candidates[0].is_valid(), "{findings:?}");
}

/// The proposal's spellings: absent is all, empty is none.
#[test]
fn percentages() {
    let kept = |stanza: &str| {
        let stanza = format!("provider: {{type: OTLP, endpoint: 'c:4317'}}{stanza}");
        Shop::under(&policy(PROPOSAL, &stanza)).kept(10, "")
    };
    assert_eq!(kept(""), 10);
    assert_eq!(kept(", samplingRate: {percent: 100}"), 10);
    assert_eq!(kept(", samplingRate: {}"), 0);
    assert_eq!(kept(", samplingRate: {percent: 0}"), 0);
}

const SAMPLED: &str = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
const NOT_SAMPLED: &str = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00\r\n";

/// Each mode of the parent against each decision of it and none.
#[test]
fn parents() {
    let kept = |stanza: &str, headers: &str| Shop::under(&policy(GEP, &format!("{ON}, {stanza}"))).kept(1, headers);
    let none = "samplingRate: {numerator: 0}";
    let all = "samplingRate: {numerator: 100}";
    for (stanza, expected) in [
        // Absent, Disabled: the own rate decides, and the flag does not count.
        (all.to_owned(), [1, 1, 1]),
        (none.to_owned(), [0, 0, 0]),
        (format!("{all}, parentBasedSampling: {{mode: Disabled}}"), [1, 1, 1]),
        (format!("{none}, parentBasedSampling: {{mode: Disabled}}"), [0, 0, 0]),
        // Enabled, and what is its default.
        (format!("{none}, parentBasedSampling: {{mode: Enabled}}"), [0, 1, 0]),
        (format!("{all}, parentBasedSampling: {{}}"), [1, 1, 0]),
        (format!("{all}, parentBasedSampling: {{mode: Enabled, {none}}}"), [1, 0, 0]),
    ] {
        let seen = ["", SAMPLED, NOT_SAMPLED].map(|headers| kept(&stanza, headers));
        assert_eq!(seen, expected, "{stanza}");
    }
}

/// The order of the policy decides which context holds; both dialects have the field.
#[test]
fn contexts() {
    let headers = format!("{SAMPLED}b3: 80f198ee56343ba8-e457b5a2e4d86bd1-1\r\nuber-trace-id: 7:8:0:1\r\n");
    let trace = |api_version: &str, on: &str, context: &str| {
        let mut shop = Shop::under(&policy(api_version, &format!("{on}{context}")));
        shop.request(&headers);
        let span = shop.spans().remove(0);
        (u128::from_be_bytes(span.trace_id.try_into().unwrap()), span.parent_span_id)
    };
    let w3c = (0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes().to_vec());
    let b3 = (0x80f1_98ee_5634_3ba8, 0xe457_b5a2_e4d8_6bd1_u64.to_be_bytes().to_vec());
    let jaeger = (7, 8_u64.to_be_bytes().to_vec());
    for (api_version, on) in [(GEP, ON), (PROPOSAL, "provider: {type: OTLP, endpoint: 'c:4317'}")] {
        assert_eq!(trace(api_version, on, ""), w3c);
        assert_eq!(trace(api_version, on, ", context: [B3, W3C]"), b3);
        assert_eq!(trace(api_version, on, ", context: [B3Multi, Jaeger, W3C]"), jaeger);
        let (_, findings) = compile(&policy(api_version, &format!("{on}, context: [W3C, B3]")));
        let partial: Vec<_> = findings.iter().filter(|finding| finding.starts_with("Partial")).collect();
        assert_eq!(partial.len(), 1, "{findings:?}");
        assert!(partial[0].starts_with("Partial spec.tracing.context: "), "{findings:?}");
    }
}

#[test]
fn names() {
    let mut shop = Shop::under(&policy(GEP, &format!("{ON}, serviceName: checkout, spanName: http call")));
    shop.request("");
    let record = shop.kept.0.lock().unwrap()[0].clone();
    assert_eq!((record.span.name.as_str(), record.service_name.as_deref()), ("http call", Some("checkout")));
}

/// A replay connects to nothing: `--spans` takes what the provider of the policy would.
#[test]
fn a_replay_exports_to_no_network() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (file, spans) = (folder.path().join("policy.yaml"), folder.path().join("spans"));
    let replay = |tracing: &str| {
        std::fs::write(&file, policy(GEP, tracing)).unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_telltale"))
            .args(["-q", "replay", "tests/recordings/pair.jsonl", "--policy"])
            .arg(&file)
            .arg("--spans")
            .arg(&spans)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read_to_string(&spans).unwrap().matches("\"spanId\"").count()
    };
    let own = replay("mode: ImplementationDefault");
    assert!(own > 0, "--spans counts as an exporter");
    let endpoint = format!("mode: Enabled, provider: {{endpoint: '{}'}}", listener.local_addr().unwrap());
    assert_eq!(replay(&endpoint), own);
    assert_eq!(replay("mode: Disabled"), 0);
    let missing = "mode: Enabled, provider: {backendRef: {name: nobody, port: 4317}}";
    assert_eq!(replay(missing), 0, "a reference that does not resolve has no receiver");
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}
