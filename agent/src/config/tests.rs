use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::{
    export::otlp::{Choice, Compression, Protocol, Signal},
    policy::{Defaults, document::Source, plan::access_log::Sink as CompiledSink},
    telemetry::names::Conventions,
};

/// Set to anything, the test of the schema writes the file instead of comparing it.
const UPDATE: &str = "TELLTALE_UPDATE_DOCS";

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");

fn read(text: &str) -> Result<Config, Vec<String>> {
    let read = Config::read(&Source::new("c.yaml", text));
    read.map_err(|error| error.0.iter().map(ToString::to_string).collect())
}

fn setting(config: &Config, author: Author) -> Setting {
    Setting { defaults: Defaults::EVERYTHING, trust: config.trust(author, false) }
}

fn page() -> String {
    std::fs::read_to_string(format!("{DOCS}/config.md")).unwrap()
}

/// The YAML of the page, with the number of its first line.
fn examples(page: &str) -> Vec<(usize, String)> {
    let mut examples = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in page.lines().enumerate() {
        match (&mut open, line) {
            (None, "```yaml") => open = Some((number + 2, String::new())),
            (Some(_), "```") => examples.extend(open.take()),
            (Some((_, text)), line) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, _) => {}
        }
    }
    examples
}

#[test]
fn the_examples_of_the_page_are_read() {
    let page = page();
    let examples = examples(&page);
    assert!(examples.len() >= 8, "{}", examples.len());
    for (line, example) in examples {
        let config = read(&example).unwrap_or_else(|errors| panic!("docs/config.md:{line}: {errors:?}"));
        for author in [Author::Operator, Author::Tenant] {
            let (_, warnings) =
                config.fallback(&setting(&config, author)).unwrap_or_else(|errors| panic!("{errors:?}"));
            assert_eq!(warnings, [], "docs/config.md:{line}");
        }
    }
}

/// The paths of all keys below a schema that have none below themselves.
fn keys(path: &str, schema: &Value, found: &mut BTreeSet<String>) {
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if schema["properties"].is_object() {
            keys(&path, schema, found);
        } else {
            found.insert(path);
        }
    }
}

#[test]
fn the_page_names_every_key_and_its_default() {
    let page = page();
    let mut found = BTreeSet::new();
    keys("", schema::of_file(), &mut found);
    assert!(found.contains("accessLogs.defaultSinks") && found.len() > 20, "{found:?}");
    for key in &found {
        assert!(page.contains(&format!("`{key}`")), "docs/config.md does not explain {key}");
    }
    let limits = Limits::default();
    for (key, default) in [
        ("attributes", limits.attributes as u64),
        ("expressionCharacters", limits.expression as u64),
        ("expressionCost", limits.expression_cost),
        ("patternBytes", limits.pattern as u64),
        ("textBytes", limits.text as u64),
        ("series", limits.series.into()),
        ("contentBytes", limits.content.into()),
    ] {
        let row = page.lines().find(|line| line.starts_with(&format!("| `policies.limits.{key}`"))).unwrap();
        assert!(row.ends_with(&format!("| {default} |")), "{row}");
        let described = &schema::of_file()["properties"]["policies"]["properties"]["limits"]["properties"][key];
        let description = described["description"].as_str().unwrap();
        assert!(description.ends_with(&format!("; {default} if it is absent.")), "{description}");
    }
}

#[test]
fn the_published_schema_is_what_the_types_say() {
    let path = format!("{DOCS}/config.schema.json");
    let text = format!("{:#}\n", json_schema());
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == text,
        "docs/config.schema.json is not what the types say; set {UPDATE} and run this test to write it"
    );
    assert!(!text.contains("x-kubernetes-") && !text.contains("\"targetRefs\"") && !text.contains("$ref"));
}

/// Every object of the published schema describes its keys, allows no others, and has a description.
#[test]
fn the_published_schema_knows_every_key() {
    fn walk(path: &str, schema: &Value) {
        assert!(schema["description"].is_string(), "{path}");
        assert!(schema["type"].is_string(), "{path}");
        if schema["type"] == "object" {
            assert_eq!(schema["additionalProperties"], false, "{path}");
        }
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            walk(&format!("{path}.{name}"), schema);
        }
        if schema["type"] == "array" && schema["items"]["type"] != "string" && schema["items"]["type"] != "number" {
            walk(&format!("{path}[]"), &schema["items"]);
        }
    }
    walk("", &json_schema());
}

#[test]
fn what_is_wrong_is_said_all_at_once_with_its_line() {
    let errors = read(
        "\
secrets:
  header: [x-a]
  headers: [x a, User-Agent]
prometheus: {port: 65536}
otlp: {protocol: htpp}
accessLogs:
  stdoutLinesPerSecond: 0
  defaultSinks: [{type: File}, {type: Stdin}]
  directory: /d
  directory: 5
policies:
  limits: {series: many}
  enabled: true
defaultPolicy:
  metrics: {enabled: true}
  tracing: {mode: Enabled}
",
    )
    .unwrap_err();
    insta::assert_snapshot!(errors.join("\n"), @r"
    c.yaml:2: secrets.header: is no field here; did you mean `headers`?
    c.yaml:3: secrets.headers[0]: `x a` has characters that it must not have; it must match ^[!#$%&'*+.^_`|~0-9A-Za-z-]+$
    c.yaml:4: prometheus.port: is 65536; it may be at most 65535
    c.yaml:5: otlp.protocol: `htpp` is no value of it; did you mean `http`? It is one of `grpc`, `http`
    c.yaml:5: otlp.endpoint: is missing; it must be text
    c.yaml:7: accessLogs.stdoutLinesPerSecond: is 0; it must be at least 1
    c.yaml:8: accessLogs.defaultSinks[0]: path is required when type is File, and must be absent otherwise
    c.yaml:8: accessLogs.defaultSinks[1].type: `Stdin` is no value of it; it is one of `Stdout`, `File`, `OTLP`
    c.yaml:10: accessLogs.directory: is a number, must be text; put it in quotes
    c.yaml:10: accessLogs.directory: is given twice; write it once
    c.yaml:12: policies.limits.series: is text, must be a whole number
    c.yaml:13: policies.enabled: is no field here; the fields here are `endpoints`, `environment`, `limits`
    c.yaml:15: defaultPolicy.metrics.enabled: is no field here; it is `mode: Enabled` in this dialect
    c.yaml:16: defaultPolicy.tracing: provider must be specified when mode is Enabled
    ");
    for (text, expected) in [
        (
            "secrets: {headers: [User-Agent]}",
            "c.yaml:1: secrets.headers[0]: `User-Agent` is what agents know each other's exports by; leave it out",
        ),
        ("otlp: {}", "c.yaml:1: otlp.endpoint: is missing; it must be text"),
        (
            "otlp: {endpoint: 'c:4317'}",
            "c.yaml:1: otlp.endpoint: has no scheme; write http://HOST:PORT or https://HOST:PORT",
        ),
        ("otlp: {endpoint: 'http://me:pw@c'}", "c.yaml:1: otlp.endpoint: holds credentials; write them as a header"),
        (
            "otlp: {endpoint: 'ftp://c'}",
            "c.yaml:1: otlp.endpoint: not an http or https URL with a host; write http://HOST:PORT or https://HOST:PORT",
        ),
        (
            "otlp: {endpoint: 'http://c', tls: {caFile: a}}",
            "c.yaml:1: otlp.tls: the endpoint is in plaintext; write https://HOST:PORT",
        ),
        (
            "otlp: {endpoint: 'https://c', tls: {certFile: a}}",
            "c.yaml:1: otlp.tls: a client certificate has a certFile and a keyFile",
        ),
        (
            "otlp:\n  endpoint: http://c\n  headers:\n  - {name: a, value: \"b\\nc\"}",
            "c.yaml:4: otlp.headers[0].value: has characters that no header field can have",
        ),
        (
            "policies: {endpoints: ['http://c']}",
            "c.yaml:1: policies.endpoints[0]: \"http://c\" is neither a host name, an address, nor ADDRESS/BITS; write collector.infra.svc, 10.0.0.7 or 10.0.0.0/8",
        ),
        ("defaultPolicy: {spec: {}}", "c.yaml:1: defaultPolicy.spec: is no field here; write its fields here"),
        (
            "defaultPolicy: {targetRefs: []}",
            "c.yaml:1: defaultPolicy.targetRefs: is no field here; leave it out: this policy holds wherever no other does",
        ),
        (
            "defaultPolicy:\n  tracing:\n    provider: {backendRef: {name: c, port: 4317}}",
            "c.yaml:3: defaultPolicy.tracing.provider.backendRef: the default policy is in no namespace, and refers to no object; write endpoint: NAME.NAMESPACE.svc:PORT",
        ),
        ("- a", "c.yaml:1: has no keys; write KEY: VALUE"),
        ("defaultPolicy: 5", "c.yaml:1: defaultPolicy: is a number, must be an object"),
    ] {
        assert_eq!(read(text).unwrap_err(), [expected], "{text}");
    }
}

#[test]
fn nothing_is_the_default() {
    let config = read("# nothing\n").unwrap();
    assert_eq!(config.secrets(), Additions::default());
    assert_eq!((config.log_directory(), config.stdout_limit(Author::Operator)), (None, None));
    assert_eq!(config.stdout_limit(Author::Tenant).map(NonZeroU32::get), Some(1000));
    let limited = read("accessLogs: {stdoutLinesPerSecond: 5}").unwrap();
    for author in [Author::Operator, Author::Tenant] {
        assert_eq!(limited.stdout_limit(author).map(NonZeroU32::get), Some(5));
    }
    for author in [Author::Operator, Author::Tenant] {
        let trust = config.trust(author, false);
        let expected = if author == Author::Tenant { Trust::tenant() } else { Trust::own() };
        assert_eq!(
            (&trust.limits, &trust.environment, trust.log_files),
            (&expected.limits, &expected.environment, expected.log_files)
        );
        assert_eq!(trust.reach.is_restricted(), expected.reach.is_restricted());
    }
    assert!(config.fallback(&setting(&config, Author::Tenant)).unwrap().0.policy.is_none());
}

#[test]
fn tenants_may_what_the_file_names_and_operators_everything() {
    let config =
        read("policies: {environment: [REGION], endpoints: [127.0.0.1], limits: {series: 7, attributes: 3}}").unwrap();
    let (tenant, operator) = (config.trust(Author::Tenant, false), config.trust(Author::Operator, false));
    assert!(tenant.may_read("REGION") && !tenant.may_read("HOME") && operator.may_read("HOME"));
    let reaches = |trust: &Trust, address: &str| trust.reach.check("c", address.parse().unwrap()).is_ok();
    assert!(reaches(&tenant, "127.0.0.1") && !reaches(&tenant, "127.0.0.2") && reaches(&operator, "127.0.0.2"));
    for trust in [&tenant, &operator] {
        assert_eq!((trust.limits.series, trust.limits.attributes, trust.limits.text), (7, 3, 1024));
    }
    assert_eq!((tenant.log_files, operator.log_files), (LogFiles::Nowhere, LogFiles::Anywhere));
    for (config, flag) in [(&config, true), (&read("accessLogs: {directory: /d}").unwrap(), false)] {
        for author in [Author::Tenant, Author::Operator] {
            assert_eq!(config.trust(author, flag).log_files, LogFiles::Below);
        }
    }
}

#[test]
fn credentials_of_the_file_are_in_no_debug_output() {
    let config = read("otlp: {endpoint: 'https://c', headers: [{name: authorization, value: s3cret}]}").unwrap();
    assert!(!format!("{config:?}").contains("s3cret"), "{config:?}");
}

fn receiver(config: &str, environment: &[(&str, &str)]) -> Choice {
    let lookup = |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    read(config).unwrap().receiver(Signal::Traces, &lookup).unwrap()
}

#[test]
fn a_variable_comes_before_the_key_beside_it() {
    const CONFIG: &str = "otlp: {endpoint: 'https://c:1', headers: [{name: X-Key, value: 'a b,c=%'}], compression: gzip, tls: {caFile: /ca}}";
    let Choice::Otlp(own) = receiver(CONFIG, &[]) else { panic!("an endpoint is configured") };
    assert_eq!(
        (own.endpoint.as_str(), own.protocol, own.compression),
        ("https://c:1/v1/traces", Protocol::HttpProtobuf, Compression::Gzip)
    );
    assert_eq!(own.headers, [("x-key".to_owned(), "a b,c=%".to_owned())]);
    assert_eq!(own.certificate.as_deref(), Some(Path::new("/ca")));
    let Choice::Otlp(mixed) =
        receiver(CONFIG, &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_HEADERS", "k=v")])
    else {
        panic!("an endpoint is configured")
    };
    assert_eq!((mixed.endpoint.as_str(), mixed.protocol), ("https://c:1", Protocol::Grpc));
    assert_eq!(mixed.headers, [("k".to_owned(), "v".to_owned())]);
    // Headers of the file are for its endpoint only.
    for name in ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] {
        let Choice::Otlp(other) = receiver(CONFIG, &[(name, "http://d:2/v1/traces")]) else {
            panic!("an endpoint is set")
        };
        assert!(other.endpoint.starts_with("http://d:2/") && other.headers.is_empty() && other.certificate.is_none());
    }
    let Choice::Otlp(other_signal) = receiver(CONFIG, &[("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://d:2")]) else {
        panic!("an endpoint is configured")
    };
    assert_eq!(other_signal.endpoint, own.endpoint);
    assert_eq!(receiver(CONFIG, &[("OTEL_TRACES_EXPORTER", "none")]), Choice::None);
    assert_eq!(receiver(CONFIG, &[("OTEL_SDK_DISABLED", "true")]), Choice::None);
    assert_eq!(receiver("{}", &[]), Choice::None);
}

#[test]
fn the_address_for_prometheus_has_each_part_from_where_it_is_said_first() {
    let address = |config: &str, environment: &[(&str, &str)]| {
        let config = read(config).unwrap();
        let lookup =
            |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        crate::admin::default_metrics_address(&|name| config.variable(name, &lookup))
    };
    assert_eq!(address("{}", &[]), "127.0.0.1:9464");
    assert_eq!(address("prometheus: {host: 0.0.0.0, port: 1}", &[]), "0.0.0.0:1");
    let port = ("OTEL_EXPORTER_PROMETHEUS_PORT", "2");
    assert_eq!(address("prometheus: {host: 0.0.0.0, port: 1}", &[port]), "0.0.0.0:2");
    assert_eq!(address("prometheus: {port: 1}", &[("OTEL_EXPORTER_PROMETHEUS_HOST", "")]), "127.0.0.1:1");
}

#[test]
fn a_default_sink_and_a_default_policy_are_checked_as_what_they_are() {
    let config = read(
        "accessLogs: {defaultSinks: [{type: File, path: a.log}]}\ndefaultPolicy:\n  accessLogs: {mode: Enabled}\n",
    )
    .unwrap();
    let (fallback, _) = config.fallback(&setting(&config, Author::Operator)).unwrap();
    let plan = fallback.policy.unwrap().plan;
    assert_eq!(plan.access_logs.as_ref().unwrap().sinks, [CompiledSink::File("a.log".into())]);
    let refused = config.fallback(&setting(&config, Author::Tenant)).unwrap_err();
    let said: Vec<String> = refused.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "c.yaml:1: accessLogs.defaultSinks[0].path: this agent writes no files for policies; start it with --log-dir, or use another sink"
        ]
    );
    // The default policy is the operator's.
    let config = read("defaultPolicy:\n  accessLogs:\n    attributes:\n    - {name: a, type: Environment, variable: HOME}\n    - {name: b, type: Attribute, attributeKey: no.such}\n    - {name: c, type: CEL, expression: 'no.such'}\n").unwrap();
    let refused = config.fallback(&setting(&config, Author::Tenant)).unwrap_err();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(
        refused[0].to_string().starts_with("c.yaml:6: defaultPolicy.accessLogs.attributes[2].expression: "),
        "{}",
        refused[0]
    );
}

#[test]
fn a_provider_has_hosts() {
    let config = read(
        "providers:\n- {name: mine, hosts: ['*.models.example.com', '[::1]:8000']}\n- {name: other, hosts: [a]}\n",
    )
    .unwrap();
    let rows = [("mine", "*.models.example.com"), ("mine", "[::1]:8000"), ("other", "a")];
    assert_eq!(config.providers(), Providers::with(rows));
    assert_eq!(read("{}").unwrap().providers(), Providers::default());
    for wrong in [
        "{name: mine}",
        "{hosts: [a]}",
        "{name: mine, hosts: []}",
        "{name: mine, hosts: [http://a/b]}",
        "{name: '', hosts: [a]}",
    ] {
        assert!(read(&format!("providers: [{wrong}]")).is_err(), "{wrong}");
    }
}

#[test]
fn the_environment_opts_into_the_latest_conventions() {
    let conventions = |config: &str, variable: Option<&str>| {
        let lookup = |name: &str| variable.filter(|_| name == "OTEL_SEMCONV_STABILITY_OPT_IN").map(str::to_owned);
        read(config).unwrap().conventions(&lookup)
    };
    assert_eq!(conventions("{}", None), Conventions::V1_41);
    assert_eq!(conventions("conventions: latest", None), Conventions::Latest);
    assert_eq!(conventions("conventions: latest", Some("http")), Conventions::Latest);
    assert_eq!(conventions("conventions: v1.41", Some("http,gen_ai_latest_experimental")), Conventions::Latest);
}

#[cfg(target_os = "linux")]
#[test]
fn tls_targets_come_before_the_known_ones() {
    let config = read(
        "tls:\n  targets:\n  - {name: aws-lc, like: boringssl, symbolPrefix: aws_lc_0_29_0_}\n  - name: gateway\n    like: openssl\n    \
         buildId: ebeaf2df364d5eeb\n    functions: [{symbol: SSL_read, offset: 4096}, {symbol: SSL_write, offset: 4112}, {symbol: SSL_free, offset: 1}]\n",
    )
    .unwrap();
    let names: Vec<_> = config.tls_targets().iter().map(|target| target.name.to_string()).collect();
    assert_eq!(names, ["aws-lc", "gateway", "boringssl", "openssl"]);
    for wrong in [
        "{name: a, like: gnutls, symbolPrefix: x}",
        "{name: a, like: openssl}",
        "{name: a, like: openssl, buildId: '00112233'}",
        "{name: a, like: openssl, buildId: '001122334', functions: [{symbol: SSL_read, offset: 1}]}",
        "{name: a, like: openssl, buildId: '00112233', functions: [{symbol: SSL_read, offset: 1}, {symbol: SSL_write, offset: 2}]}",
        "{name: a, like: openssl, symbolPrefix: x, functions: [{symbol: SSL_read, offset: 1}]}",
    ] {
        assert!(read(&format!("tls: {{targets: [{wrong}]}}")).is_err(), "{wrong}");
    }
}
