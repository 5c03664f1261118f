use super::*;
use crate::policy::Reach;

const PATH: &str = "/v1/traces";

fn endpoint(address: &str, protocol: Option<Protocol>) -> Endpoint {
    let at = FieldPath::new("spec").field("tracing").field("provider").field("endpoint");
    Endpoint { at, address: address.to_owned(), protocol, tls: None }
}

fn compile(endpoint: &Endpoint, trust: &Trust) -> Result<Receiver, String> {
    let mut findings = Vec::new();
    let receiver = Receiver::of_endpoint(endpoint, PATH, trust, &mut findings);
    assert_eq!(receiver.is_some(), findings.is_empty(), "{findings:?}");
    receiver.ok_or_else(|| findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn own(address: &str, protocol: Option<Protocol>) -> Result<(Protocol, String), String> {
    compile(&endpoint(address, protocol), &Trust::own()).map(|receiver| (receiver.protocol, receiver.url))
}

#[test]
fn forms_of_an_endpoint() {
    for (address, protocol, expected) in [
        ("otel-collector.default.svc:4317", None, (Protocol::Grpc, "http://otel-collector.default.svc:4317")),
        ("collector", None, (Protocol::Grpc, "http://collector:4317")),
        ("collector:4318", None, (Protocol::Http, "http://collector:4318/v1/traces")),
        ("collector", Some(Protocol::Http), (Protocol::Http, "http://collector:4318/v1/traces")),
        ("collector:9999", Some(Protocol::Http), (Protocol::Http, "http://collector:9999/v1/traces")),
        ("http://collector:4318", None, (Protocol::Http, "http://collector:4318/v1/traces")),
        ("http://collector:4318/", None, (Protocol::Http, "http://collector:4318/v1/traces")),
        (
            "https://c.example/otlp/v1/traces?x=1",
            Some(Protocol::Http),
            (Protocol::Http, "https://c.example/otlp/v1/traces?x=1"),
        ),
        ("https://c.example", None, (Protocol::Grpc, "https://c.example")),
        ("http://collector:4318", Some(Protocol::Grpc), (Protocol::Grpc, "http://collector:4318")),
        ("[2001:db8::1]:4317", None, (Protocol::Grpc, "http://[2001:db8::1]:4317")),
        (" 10.0.0.7:4317 ", None, (Protocol::Grpc, "http://10.0.0.7:4317")),
    ] {
        let expected = (expected.0, expected.1.to_owned());
        assert_eq!(own(address, protocol), Ok(expected), "{address}");
    }
}

#[test]
fn endpoints_that_cannot_be() {
    for (address, protocol, problem) in [
        ("", None, "not a URL"),
        ("http://", None, "not a URL"),
        ("grpc://c:4317", None, "neither http nor https"),
        ("unix:///run/otlp.sock", None, "not a URL"),
        ("c:0", None, "port 0"),
        ("c:99999", None, "no number"),
        ("c:", None, "no number"),
        ("a b", None, "not a URL"),
        ("http://user:secret@c:4317", None, "holds credentials"),
        ("http://c:4317/v1/traces", None, "set protocol: http"),
    ] {
        let error = own(address, protocol).unwrap_err();
        assert!(error.starts_with("spec.tracing.provider.endpoint: ") && error.contains(problem), "{address}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn tenants_reach_no_special_address_and_no_file() {
    let tenant = Trust { reach: Reach::restricted(Vec::new()), ..Trust::own() };
    for address in
        ["127.0.0.1:4317", "http://[::1]:4318", "localhost:4317", "LOCALHOST.:4317", "a.localhost:1", "169.254.169.254"]
    {
        let error = compile(&endpoint(address, None), &tenant).unwrap_err();
        assert!(error.contains("policies may not send to"), "{address}: {error}");
        assert!(own(address, None).is_ok());
    }
    assert!(compile(&endpoint("collector.infra.svc:4317", None), &tenant).is_ok());
    let mut secured = endpoint("https://c.example:4317", None);
    secured.tls = Some(TlsSettings { ca_file: Some("/etc/ca.pem".into()), ..TlsSettings::default() });
    assert!(compile(&secured, &Trust::own()).is_ok());
    let error = compile(&secured, &tenant).unwrap_err();
    assert_eq!(error, "spec.tracing.provider.tls.caFile: policies may not name files of the node");
}

#[test]
fn tls_that_does_not_fit() {
    let with = |address, tls| compile(&Endpoint { tls: Some(tls), ..endpoint(address, None) }, &Trust::own());
    let named = TlsSettings { server_name: Some("c".into()), ..TlsSettings::default() };
    assert!(with("c:4317", named.clone()).unwrap_err().contains("write https://HOST:PORT"));
    assert_eq!(with("https://10.0.0.7:4317", named.clone()).unwrap().tls, named);
    let half = TlsSettings { cert_file: Some("c.pem".into()), ..TlsSettings::default() };
    assert!(with("https://c:4317", half).unwrap_err().contains("keyFile"));
}

#[test]
fn a_service_is_its_name_in_dns() {
    let service = |namespace: Option<&str>, port| BackendRef {
        at: FieldPath::default(),
        group: String::new(),
        kind: "Service".into(),
        name: "collector".into(),
        namespace: namespace.map(Into::into),
        port,
    };
    let url = |backend: &BackendRef| Receiver::of_service(backend, "shop", PATH).map(|receiver| receiver.url);
    assert_eq!(url(&service(None, Some(4317))).as_deref(), Some("http://collector.shop.svc:4317"));
    assert_eq!(url(&service(Some("infra"), Some(4318))).as_deref(), Some("http://collector.infra.svc:4318/v1/traces"));
    assert_eq!(url(&service(None, None)), None);
    assert_eq!(url(&BackendRef { kind: "Pod".into(), ..service(None, Some(4317)) }), None);
}

#[test]
fn headers_are_checked_and_never_shown() {
    let at = FieldPath::new("headers");
    let mut findings = Vec::new();
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let given = [
        header("Authorization", "Bearer secret"),
        header("User-Agent", "curl"),
        header("grpc-timeout", "1S"),
        header("a b", "x"),
        header("x-y", "secret\n"),
        header("Trace-Bin", "x"),
    ];
    let backend = endpoint("c:4317", None);
    let receiver = Receiver::of_endpoint(&backend, PATH, &Trust::own(), &mut findings).unwrap();
    let receiver = receiver.with_headers(&given, &at, &mut findings);
    assert_eq!(receiver.headers, [header("authorization", "Bearer secret")]);
    let said: Vec<_> = findings.iter().map(|finding| format!("{:?} {finding}", finding.effect)).collect();
    assert_eq!(
        said,
        [
            "Message headers[1].name: `User-Agent` is the exporter's own; it is left out",
            "Message headers[2].name: `grpc-timeout` is the exporter's own; it is left out",
            "Invalid headers[3].name: \"a b\" is not the name of a header field",
            "Invalid headers[4].value: has characters that no header field can have",
            "Invalid headers[5].name: is a name of binary metadata in gRPC, whose value is not a text; choose a name without -bin",
        ]
    );
    assert!(!format!("{receiver:?}{said:?}").contains("secret"));
}
