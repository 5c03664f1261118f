use std::{collections::BTreeMap, sync::Arc};

use super::*;
use crate::{
    exchange::{
        Connection, Omission, OpaqueReason, Report, Visibility,
        genai::{self, CallContent, GenAi, ToolCall, Usage},
        mcp::{Message, Messages, Party},
    },
    policy::{
        Trust,
        attribute::{Extractor, Type},
        model::{Attribute, AttributeSource, FieldPath},
        objects::{ObjectName, Pod},
    },
    protocol::{
        Protocol,
        tls::{Hello, Version},
    },
    telemetry::{
        test_support::{
            Sample,
            calls::{failed, session, streamed, tool_call},
        },
        trace_context::{SpanId, TraceId},
    },
    workload::{PodIdentity, Workload, WorkloadKind},
};

pub(super) fn ask<T>(sample: &Sample, ask: impl FnOnce(&ExchangeSubject<'_>) -> T) -> T {
    let identity = Identity {
        trace_id: TraceId(0xabc),
        span_id: SpanId(0xdef),
        parent_span_id: None,
        context: None,
        around: None,
    };
    let methods = KnownMethods::default();
    sample.facts(|facts| ask(&ExchangeSubject { facts, identity: Some(&identity), methods: &methods }))
}

/// The value as text.
pub(super) fn value(sample: &Sample, key: Key) -> Option<String> {
    ask(sample, |subject| subject.key(key).map(|value| value.into_text().into_owned()))
}

/// What an attribute from this source comes to.
fn extracted(sample: &Sample, source: AttributeSource) -> Option<String> {
    let attribute = Attribute { at: FieldPath::default(), name: String::new(), source, default: None };
    let extractor = Extractor::compile(&attribute, &Trust::own(), &mut Vec::new()).expect("a valid attribute");
    ask(sample, |subject| extractor.text(subject).map(Cow::into_owned))
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn workload() -> Workload {
    let pod = Pod {
        labels: labels(&[("app", "cart"), ("version", "v2"), ("pod-template-hash", "7d")]).into(),
        annotations: labels(&[("note", "n")]).into(),
        service_account: Some("robot".into()),
        owner: Some(("ReplicaSet".into(), "cart-7d".into())),
        ..Pod::default()
    };
    let name = ObjectName::new("shop", "cart-7d-x");
    let identity = PodIdentity { name, pod: pod.into(), namespace_labels: labels(&[("stage", "prod")]) };
    let attributes = [
        "container.id",
        "container.image.name",
        "host.name",
        "k8s.container.name",
        "k8s.cronjob.name",
        "k8s.daemonset.name",
        "k8s.deployment.name",
        "k8s.job.name",
        "k8s.node.name",
        "k8s.pod.name",
        "k8s.pod.uid",
        "k8s.replicaset.name",
        "k8s.statefulset.name",
        "process.executable.name",
        "service.instance.id",
        "service.namespace",
        "service.version",
        "telltale.k8s.service_account.name",
    ];
    let mut attributes: Vec<_> = attributes.iter().map(|name| ((*name).into(), format!("<{name}>"))).collect();
    attributes.push(("process.pid".into(), "12".into()));
    Workload {
        service_name: "cart".into(),
        namespace: Some("shop".into()),
        attributes,
        pod: Some(Arc::new(identity)),
        kind: WorkloadKind::Pod,
    }
}

/// A call of a language model that says everything.
pub(super) fn full_genai() -> GenAi {
    let streamed = streamed();
    let text = |text: &str| Some(Box::<str>::from(text));
    GenAi {
        request: genai::Request {
            choice_count: Some(2),
            seed: Some(3),
            top_p: Some(0.9),
            top_k: Some(40.0),
            frequency_penalty: Some(0.1),
            presence_penalty: Some(0.2),
            stop_sequences: vec!["END".into()],
            encoding_formats: vec!["float".into()],
            output_type: Some("json"),
            conversation_id: text("c-1"),
            service_tier: text("flex"),
            reasoning_level: text("high"),
            ..streamed.request
        },
        response: genai::Response {
            service_tier: text("flex"),
            system_fingerprint: text("fp-1"),
            dimension_count: Some(256),
            tool_calls: vec![ToolCall { id: text("t-1"), name: text("search") }, ToolCall::default()],
            ..streamed.response
        },
        usage: Usage {
            cache_creation: Some(6),
            input_audio: Some(7),
            output_audio: Some(8),
            cost: Some(0.25),
            ..streamed.usage
        },
        content: Some(Box::new(CallContent {
            system_instructions: text(r#"[{"type":"text","content":"be brief"}]"#),
            input_messages: text(r#"[{"role":"user","parts":[{"type":"text","content":"hi"}]}]"#),
            tool_definitions: text(r#"[{"type":"function","name":"search"}]"#),
            input_incomplete: Some(Omission::Size),
            output_messages: text(r#"[{"role":"assistant","parts":[],"finish_reason":"stop"}]"#),
            output_incomplete: Some(Omission::NotSeen),
        })),
        ..streamed
    }
}

/// A batch that says everything, of which two are the client's.
pub(super) fn full_messages() -> Messages {
    let party = |name: &str| Some(Party { name: Some(name.into()), version: Some("1.2".into()) });
    let message = Message {
        prompt: Some("greet".into()),
        resource: Some("https://files.example/a?token=s3cret&page=2".into()),
        jsonrpc: Some("2.1".into()),
        client: party("editor"),
        server: party("files"),
        result_type: Some("complete".into()),
        arguments: Some(r#"{"q":"x"}"#.into()),
        result: Some(r#"{"isError":true}"#.into()),
        ..failed(-32603)
    };
    let asked = Message { method: "sampling/createMessage".into(), from_server: true, ..Message::default() };
    Messages { batch: true, ..session(vec![message, tool_call(), asked]) }
}

/// As many values as one exchange can have.
fn full(role: Role) -> Sample {
    Sample::new(role)
        .workload(workload())
        .target("BREW", "/a.B/Make?id=7")
        .header("content-type", "application/grpc+proto")
        .header("x-request-id", "r-1")
        .header("x-forwarded-for", "203.0.113.7")
        .header("referer", "http://me:pw@h/p?token=s3cret&a=1")
        .response_header("x-envoy-upstream-service-time", "9")
        .trailer("grpc-status", "0")
        .content(Some("hello"), Some(Omission::Size))
}

fn hello() -> Hello {
    let (name, protocol) = ("api.example".into(), "http/1.1".into());
    Hello {
        server_name: Some(name),
        chosen: Some(protocol),
        version: Some(Version::Tls13),
        offered: vec!["h2".into(), "http/1.1".into()],
    }
}

#[test]
fn every_key_that_can_be_known_is() {
    let samples = [
        full(Role::Client),
        full(Role::Server),
        Sample::new(Role::Client).target("GET", "/a?b").status(404),
        Sample::new(Role::Client).unanswered(Incomplete::Reset),
        Sample::new(Role::Client).inside_tls(hello()),
        Sample::new(Role::Client).incomplete(Incomplete::Truncated),
        Sample::genai(Role::Client, full_genai()),
        Sample::mcp(Role::Client, full_messages()),
    ];
    for &key in Key::ALL {
        // The latter of no exchange.
        let never = matches!(key.row().when, When::Never | When::Connection);
        let known = samples.iter().filter(|sample| {
            ask(sample, |subject| match key.row().kind {
                Type::Map => subject.entries(key).is_some(),
                kind => subject.key(key).is_some_and(|value| {
                    let fits = matches!(
                        (kind, &value),
                        (Type::Text, Value::Text(_))
                            | (Type::Int, Value::Int(_))
                            | (Type::Bool, Value::Bool(_))
                            | (Type::Duration, Value::Duration(_))
                            | (Type::Time, Value::Time(_))
                            | (Type::Double, Value::Double(_))
                            | (Type::List, Value::List(_))
                    );
                    assert!(fits, "{key:?} is not {kind}: {value:?}");
                    true
                }),
            })
        });
        assert_eq!(known.count() == 0, never, "{key:?}");
        if matches!(key.row().when, When::Always | When::Addresses) {
            for sample in &samples {
                assert!(ask(sample, |subject| subject.key(key).is_some() || subject.entries(key).is_some()), "{key:?}");
            }
        }
    }
}

#[test]
fn values_of_a_sample() {
    let client = full(Role::Client);
    for (key, expected) in [
        (Key::HttpRequestMethod, "_OTHER"),
        (Key::Method, "BREW"),
        (Key::Path, "/a.B/Make?id=7"),
        (Key::UrlPath, "/a.B/Make"),
        (Key::UrlFull, "http://shop.example:8080/a.B/Make?id=7"),
        (Key::Authority, "shop.example:8080"),
        (Key::ClientAddress, "10.0.0.1"),
        (Key::ClientPort, "4000"),
        (Key::RequestProtocol, "HTTP/1.1"),
        (Key::RequestDuration, "0.012345678s"),
        (Key::DurationMillis, "12"),
        (Key::ResponseBodySize, "512"),
        (Key::RpcMethod, "a.B/Make"),
        (Key::RpcResponseStatusCode, "OK"),
        (Key::EventAction, "allow"),
        (Key::Reporter, "client"),
        (Key::NetworkPeerAddress, "10.0.0.2"),
        (Key::SourceAddress, "10.0.0.1:4000"),
        (Key::DestinationAddress, "10.0.0.2:80"),
        (Key::Source, "shop/cart"),
        (Key::Destination, "shop.example:8080"),
        (Key::SourceWorkload, "cart"),
        (Key::SourceNamespace, "shop"),
        (Key::SourceServiceAccount, "robot"),
        (Key::SourceApp, "cart"),
        (Key::SourceVersion, "v2"),
        (Key::SourceCanonicalService, "cart"),
        (Key::SourceCanonicalRevision, "v2"),
        (Key::TraceId, "00000000000000000000000000000abc"),
        (Key::SpanId, "0000000000000def"),
        (Key::ProcessPid, "12"),
    ] {
        assert_eq!(value(&client, key).as_deref(), Some(expected), "{key:?}");
    }
    let server = full(Role::Server);
    assert_eq!(value(&server, Key::ClientAddress).as_deref(), Some("203.0.113.7"));
    assert_eq!(value(&server, Key::Source).as_deref(), Some("10.0.0.1:4000"));
    assert_eq!(value(&server, Key::Destination).as_deref(), Some("shop/cart"));
    assert_eq!(value(&server, Key::SourceWorkload), None);
    assert_eq!(value(&Sample::new(Role::Client), Key::SourceWorkload).as_deref(), Some("curl"));
    let edge = Sample::new(Role::Client).peer(workload());
    assert_eq!(value(&edge, Key::Destination).as_deref(), Some("shop/cart"));
    assert_eq!(value(&edge, Key::DestinationServiceAccount).as_deref(), Some("robot"));
    assert_eq!(value(&edge, Key::SourceWorkload).as_deref(), Some("curl"));
    // Labels of another namespace's pods are not for this policy's author.
    let label = || AttributeSource::Cel("destination.labels.app".into());
    assert_eq!(value(&edge, Key::DestinationApp).as_deref(), Some("cart"));
    assert_eq!(extracted(&edge, label()), None);
    assert_eq!(extracted(&edge.workload(workload()), label()).as_deref(), Some("cart"));
    assert_eq!(extracted(&client, AttributeSource::PodLabel("app".into())).as_deref(), Some("cart"));
    assert_eq!(extracted(&client, AttributeSource::PodAnnotation("note".into())).as_deref(), Some("n"));
    assert_eq!(extracted(&client, AttributeSource::NamespaceLabel("stage".into())).as_deref(), Some("prod"));
    assert_eq!(extracted(&client, AttributeSource::Cel("source.labels.app".into())).as_deref(), Some("cart"));
}

#[test]
fn the_code_is_zero_only_where_no_answer_came() {
    let code = |sample: Sample| value(&sample, Key::ResponseCode);
    assert_eq!(code(Sample::new(Role::Client)).as_deref(), Some("200"));
    assert_eq!(code(Sample::new(Role::Client).unanswered(Incomplete::Closed)).as_deref(), Some("0"));
    assert_eq!(code(Sample::new(Role::Client).unanswered(Incomplete::LateJoin)), None);
}

#[test]
fn an_outcome_is_never_invented() {
    let outcome = |sample: &Sample| (value(sample, Key::EventAction), value(sample, Key::EventOutcome));
    let is = |action: Option<&str>, outcome: &str| (action.map(str::to_owned), Some(outcome.to_owned()));
    assert_eq!(outcome(&Sample::new(Role::Server)), is(Some("allow"), "success"));
    assert_eq!(outcome(&Sample::new(Role::Server).status(403)), is(Some("deny"), "failure"));
    let challenged = Sample::new(Role::Server).status(400).response_header("WWW-Authenticate", "Bearer");
    assert_eq!(outcome(&challenged), is(Some("deny"), "failure"));
    assert_eq!(outcome(&Sample::new(Role::Server).status(500)), is(None, "unknown"));
    assert_eq!(outcome(&Sample::new(Role::Server).unanswered(Incomplete::Closed)), (None, None));
    assert_eq!(outcome(&full(Role::Client).trailer("grpc-status", "7")), is(Some("allow"), "success"));
    let denied =
        Sample::new(Role::Client).header("content-type", "application/grpc").response_header("grpc-status", "7");
    assert_eq!(outcome(&denied), is(Some("deny"), "failure"));
}

#[test]
fn fields_of_one_name_are_joined_and_compared_without_case() {
    let sample = Sample::new(Role::Client).another_header("X-Tag", "a").another_header("x-tag", "b");
    assert_eq!(extracted(&sample, AttributeSource::Header("x-TAG".into())).as_deref(), Some("a, b"));
    assert_eq!(extracted(&sample, AttributeSource::Cel("request.headers['x-tag']".into())).as_deref(), Some("a, b"));
    let names = "request.headers.filter(n, n.startsWith('x-')).join(' ')";
    assert_eq!(extracted(&sample, AttributeSource::Cel(names.into())).as_deref(), Some("x-tag"));
}

/// POLICY.md section 3, "Never given out": every way to every value, tried on an exchange that is full of secrets.
#[test]
fn nothing_gives_out_a_secret() {
    const SECRET: &str = "s3cret";
    let mut sample = Sample::new(Role::Server)
        .target("GET", "http://user:s3cret@shop.example/p?key=s3cret&access_token=s3cret&ok=1")
        .header("referer", "http://a:s3cret@h/?sig=s3cret")
        .response_header("location", "https://h/?X-Amz-Signature=s3cret#token=s3cret");
    let names = [
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "x-amz-security-token",
        "x-auth-token",
        "x-vault-token",
        "private-token",
        "ocp-apim-subscription-key",
        "cf-access-jwt-assertion",
    ];
    for name in names {
        sample =
            sample.another_header(&name.to_uppercase(), SECRET).response_header(name, SECRET).trailer(name, SECRET);
    }
    ask(&sample, |subject| {
        for &key in Key::ALL {
            let value = subject.key(key).map(|value| value.into_text().into_owned()).unwrap_or_default();
            assert!(!value.contains(SECRET), "{key:?}: {value}");
            for (name, value) in subject.entries(key).unwrap_or_default() {
                assert!(!value.contains(SECRET), "{key:?}: {name}: {value}");
                assert!(!names.contains(&&*name), "{key:?}: {name}");
            }
        }
        for name in names {
            for side in [Side::Request, Side::Response] {
                assert_eq!(subject.header(side, name), None);
            }
        }
    });
    for name in names {
        for source in [
            AttributeSource::Header(name.to_uppercase()),
            AttributeSource::Key(format!("http.request.header.{name}")),
            AttributeSource::Cel(format!("request.headers['{name}']")),
            AttributeSource::Cel(format!("response.trailers['{name}']")),
            // Names that the check cannot see.
            AttributeSource::Cel(format!("request.headers[['{name}'][response.code - 200]]")),
            AttributeSource::Cel(format!("request.headers.filter(n, n == '{name}').map(n, request.headers[n])[0]")),
            AttributeSource::Cel(format!("'{name}' in response.headers ? 'there' : request.headers['{name}']")),
        ] {
            assert_eq!(extracted(&sample, source.clone()), None, "{source:?}");
        }
    }
    let all = "request.headers.map(n, request.headers[n]).join(' ') + request.path + request.query + request.referer";
    let all = extracted(&sample, AttributeSource::Cel(all.into())).expect("all headers");
    assert!(!all.contains(SECRET) && all.contains("key=REDACTED") && all.contains("REDACTED:REDACTED@h"), "{all}");
}

#[test]
fn what_is_inside_tls_has_what_its_handshake_says() {
    let sample = Sample::new(Role::Client).without("host").inside_tls(hello());
    for (key, expected) in [
        (Key::UrlScheme, "https"),
        (Key::ServerAddress, "api.example"),
        (Key::ServerPort, "80"),
        (Key::ConnectionTls, "true"),
        (Key::ConnectionVisibility, "decrypted"),
        (Key::TlsProtocolName, "tls"),
        (Key::TlsProtocolVersion, "1.3"),
        (Key::TlsOfferedProtocols, "h2,http/1.1"),
        (Key::ConnectionTlsVersion, "TLSv1.3"),
        (Key::ConnectionServerName, "api.example"),
    ] {
        assert_eq!(value(&sample, key).as_deref(), Some(expected), "{key:?}");
    }
    // Whom the request addresses goes before whom the handshake does.
    let host = Sample::new(Role::Server).inside_tls(hello());
    assert_eq!(value(&host, Key::ServerAddress).as_deref(), Some("shop.example"));
    let without = Sample::new(Role::Server).without("host").inside_tls(hello());
    assert_eq!(value(&without, Key::ServerAddress).as_deref(), Some("api.example"));
    assert_eq!(value(&without, Key::ServerPort).as_deref(), Some("443"));
}

/// Through a tunnel the name is that of the server, the address and the port are those of the proxy.
#[test]
fn a_server_is_not_paired_with_the_port_of_a_proxy() {
    let exchange = Sample::new(Role::Client).peer_port(3128).inside_tls(hello()).exchange();
    let server = |protocol| {
        let connection = Arc::new(Connection { protocol, ..(*exchange.connection).clone() });
        let (visibility, bytes) = (Some(Visibility::Opaque(OpaqueReason::Tls)), [1; 2]);
        let report =
            Report { over: true, role: None, tls: true, protocol, visibility, duration: None, bytes, connection };
        let subject = ConnectionSubject(&report);
        let text = |key| subject.key(key).map(|value| value.into_text().into_owned());
        [Key::ServerAddress, Key::ServerPort].map(text)
    };
    assert_eq!(server(Protocol::Tls), [Some("api.example".to_owned()), Some("3128".to_owned())]);
    assert_eq!(server(Protocol::Upgraded), [Some("api.example".to_owned()), None]);
}

#[test]
fn of_a_connection_that_is_not_known_no_address_is_told() {
    let sample = |role| Sample::new(role).inside_tls(Hello::default()).at_no_address();
    for role in [Role::Client, Role::Server] {
        for &key in Key::ALL.iter().filter(|key| key.row().kind != Type::Map) {
            for sample in [sample(role), sample(role).without("host")] {
                let value = value(&sample, key).unwrap_or_default();
                assert!(!value.contains("0.0.0.0") && !value.contains("[::]"), "{key:?}: {value}");
            }
        }
        assert_eq!(value(&sample(role), Key::NetworkPeerAddress), None);
        assert_eq!(value(&sample(role), Key::NetworkType), None);
    }
    assert_eq!(value(&sample(Role::Client), Key::ServerAddress).as_deref(), Some("shop.example"));
    assert_eq!(value(&sample(Role::Client).without("host"), Key::ServerAddress), None);
    assert_eq!(value(&sample(Role::Client).without("host"), Key::UrlFull), None);
}
