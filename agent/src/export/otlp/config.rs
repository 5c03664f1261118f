//! What the `OTEL_*` variables say about exporting (OpenTelemetry specification: protocol/exporter.md, sdk-environment-variables.md).

use std::{path::PathBuf, time::Duration};

use crate::{
    percent,
    policy::{Reach, model, plan::Receiver},
};

/// How variables are looked up: the environment, or a test's table. An empty value counts as absent, as the specification says.
type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A variable that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}={value:?}: {problem}")]
pub struct ConfigError {
    variable: String,
    value: String,
    problem: String,
}

impl ConfigError {
    /// What is wrong with the value, which it does not repeat.
    pub(crate) fn problem(&self) -> &str {
        &self.problem
    }
}

/// A signal, as the names of variables spell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metrics.
    Metrics,
    /// Logs: of the agent itself.
    Logs,
}

impl Signal {
    const fn variable(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
            Self::Logs => "LOGS",
        }
    }

    /// The variable that names the endpoint of this signal only.
    pub(crate) const fn endpoint_variable(self) -> &'static str {
        match self {
            Self::Traces => "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            Self::Metrics => "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
            Self::Logs => "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Traces => "v1/traces",
            Self::Metrics => "v1/metrics",
            Self::Logs => "v1/logs",
        }
    }
}

/// How requests are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC.
    Grpc,
    /// Protobuf in HTTP POST.
    HttpProtobuf,
}

/// How request bodies are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
}

/// One endpoint and how to speak to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpConfig {
    /// gRPC or HTTP.
    pub protocol: Protocol,
    /// With scheme. For HTTP the whole URL, path included; for gRPC the authority.
    pub endpoint: String,
    /// Sent with every request.
    pub headers: Vec<(String, String)>,
    /// Of one attempt.
    pub timeout: Duration,
    /// Of request bodies.
    pub compression: Compression,
    /// PEM file of certificates to trust instead of the system's.
    pub certificate: Option<PathBuf>,
    /// PEM files of the client's certificate and key.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Name that the receiver's certificate must have, instead of the host of the endpoint.
    pub server_name: Option<String>,
    /// Which addresses the host may resolve to.
    pub reach: Reach,
}

/// Where the spans of observed traffic go by `OTEL_TRACES_EXPORTER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Nowhere.
    None,
    /// To the terminal.
    Console,
    /// To an endpoint.
    Otlp(OtlpConfig),
}

/// The batch span processor's limits (`OTEL_BSP_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchConfig {
    /// Longest wait for a batch to fill.
    pub schedule_delay: Duration,
    /// Spans that may wait.
    pub queue_size: usize,
    /// Spans per request.
    pub batch_size: usize,
    /// Longest time for one batch, retries included.
    pub export_timeout: Duration,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            schedule_delay: Duration::from_secs(5),
            queue_size: 2048,
            batch_size: 512,
            export_timeout: Duration::from_secs(30),
        }
    }
}

/// More waiting spans than this are not accepted from the environment: memory is bounded whatever it says.
const MAX_QUEUE: u64 = 1 << 20;

fn value(lookup: Lookup<'_>, name: &str) -> Option<String> {
    lookup(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

fn problem(variable: &str, value: &str, problem: impl Into<String>) -> ConfigError {
    ConfigError { variable: variable.to_owned(), value: value.to_owned(), problem: problem.into() }
}

fn number(lookup: Lookup<'_>, name: &str, default: u64) -> Result<u64, ConfigError> {
    value(lookup, name)
        .map_or(Ok(default), |value| value.parse().map_err(|_| problem(name, &value, "not a whole number")))
}

impl BatchConfig {
    /// From `OTEL_BSP_*`. A batch larger than the queue is cut to it.
    pub fn from_environment(lookup: Lookup<'_>) -> Result<Self, ConfigError> {
        let queue_size = number(lookup, "OTEL_BSP_MAX_QUEUE_SIZE", 2048)?.clamp(1, MAX_QUEUE) as usize;
        let batch_size = number(lookup, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512)?.clamp(1, MAX_QUEUE) as usize;
        Ok(Self {
            schedule_delay: Duration::from_millis(number(lookup, "OTEL_BSP_SCHEDULE_DELAY", 5000)?),
            queue_size,
            batch_size: batch_size.min(queue_size),
            export_timeout: Duration::from_millis(number(lookup, "OTEL_BSP_EXPORT_TIMEOUT", 30_000)?),
        })
    }
}

/// `OTEL_METRIC_EXPORT_INTERVAL`; one minute by default.
pub fn metric_interval(lookup: Lookup<'_>) -> Result<Duration, ConfigError> {
    const NAME: &str = "OTEL_METRIC_EXPORT_INTERVAL";
    match number(lookup, NAME, 60_000)? {
        0 => Err(problem(NAME, "0", "not a number of milliseconds above 0")),
        millis => Ok(Duration::from_millis(millis)),
    }
}

impl Choice {
    /// From `OTEL_SDK_DISABLED`, `OTEL_<SIGNAL>_EXPORTER` and `OTEL_EXPORTER_OTLP_*`.
    ///
    /// Unlike an SDK, Telltale exports by default only where an endpoint is named: it never calls out to anything that is not configured. An exporter
    /// that is named without an endpoint goes to the specification's default on this machine.
    pub fn from_environment(signal: Signal, lookup: Lookup<'_>) -> Result<Self, ConfigError> {
        if value(lookup, "OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(Self::None);
        }
        let variable = format!("OTEL_{}_EXPORTER", signal.variable());
        let exporter = value(lookup, &variable);
        match exporter.as_deref() {
            Some("none") => Ok(Self::None),
            Some("console") => Ok(Self::Console),
            // Metrics are always there for Prometheus; that exporter needs nothing here.
            Some("prometheus") if signal == Signal::Metrics => Ok(Self::None),
            Some("otlp") => OtlpConfig::from_environment(signal, lookup).map(Self::Otlp),
            Some(other) => Err(problem(&variable, other, "not one of otlp, console, none")),
            None if endpoint(signal, lookup).is_some() => OtlpConfig::from_environment(signal, lookup).map(Self::Otlp),
            None => Ok(Self::None),
        }
    }
}

/// The endpoint that is named, the variable that named it, and whether the signal's path must be appended.
fn endpoint(signal: Signal, lookup: Lookup<'_>) -> Option<(String, String, bool)> {
    let own = signal.endpoint_variable();
    if let Some(endpoint) = value(lookup, own) {
        return Some((own.to_owned(), endpoint, false));
    }
    let base = "OTEL_EXPORTER_OTLP_ENDPOINT";
    value(lookup, base).map(|endpoint| (base.to_owned(), endpoint, true))
}

impl OtlpConfig {
    /// To this endpoint with the defaults of the specification.
    pub fn new(protocol: Protocol, endpoint: impl Into<String>) -> Self {
        Self {
            protocol,
            endpoint: endpoint.into(),
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
            compression: Compression::None,
            certificate: None,
            client: None,
            server_name: None,
            reach: Reach::ANYWHERE,
        }
    }

    /// To a receiver that a policy names.
    pub fn of_receiver(receiver: &Receiver, reach: Reach) -> Self {
        let protocol = match receiver.protocol {
            model::Protocol::Grpc => Protocol::Grpc,
            model::Protocol::Http => Protocol::HttpProtobuf,
        };
        let tls = &receiver.tls;
        Self {
            headers: receiver.headers.clone(),
            certificate: tls.ca_file.as_ref().map(Into::into),
            client: tls.cert_file.as_ref().map(Into::into).zip(tls.key_file.as_ref().map(Into::into)),
            server_name: tls.server_name.clone(),
            reach,
            ..Self::new(protocol, receiver.url.clone())
        }
    }

    /// From `OTEL_EXPORTER_OTLP_*`, where the variable of the signal wins over the general one.
    pub fn from_environment(signal: Signal, lookup: Lookup<'_>) -> Result<Self, ConfigError> {
        let setting = |name: &str| {
            let own = format!("OTEL_EXPORTER_OTLP_{}_{name}", signal.variable());
            let general = format!("OTEL_EXPORTER_OTLP_{name}");
            value(lookup, &own)
                .map(|value| (own, value))
                .or_else(|| value(lookup, &general).map(|value| (general, value)))
        };
        let protocol = match setting("PROTOCOL") {
            None => Protocol::HttpProtobuf,
            Some((variable, value)) => match value.as_str() {
                "grpc" => Protocol::Grpc,
                "http/protobuf" => Protocol::HttpProtobuf,
                _ => return Err(problem(&variable, &value, "not one of grpc, http/protobuf")),
            },
        };
        let mut config = Self::new(protocol, String::new());
        let insecure = setting("INSECURE").is_some_and(|(_, value)| value.eq_ignore_ascii_case("true"));
        config.endpoint = resolve_endpoint(protocol, signal, insecure, endpoint(signal, lookup))?;
        if let Some((variable, value)) = setting("HEADERS") {
            config.headers = parse_headers(&variable, &value)?;
        }
        if let Some((variable, value)) = setting("TIMEOUT") {
            let millis = value.parse().map_err(|_| problem(&variable, &value, "not a whole number of milliseconds"))?;
            config.timeout = Duration::from_millis(millis);
        }
        config.compression = match setting("COMPRESSION") {
            None => Compression::None,
            Some((variable, value)) => match value.as_str() {
                "gzip" => Compression::Gzip,
                "none" => Compression::None,
                _ => return Err(problem(&variable, &value, "not one of gzip, none")),
            },
        };
        config.certificate = setting("CERTIFICATE").map(|(_, path)| path.into());
        config.client = match (setting("CLIENT_CERTIFICATE"), setting("CLIENT_KEY")) {
            (Some((_, certificate)), Some((_, key))) => Some((certificate.into(), key.into())),
            (None, None) => None,
            (Some((variable, value)), None) | (None, Some((variable, value))) => {
                return Err(problem(
                    &variable,
                    &value,
                    "a client certificate needs both CLIENT_CERTIFICATE and CLIENT_KEY",
                ));
            }
        };
        Ok(config)
    }
}

fn resolve_endpoint(
    protocol: Protocol,
    signal: Signal,
    insecure: bool,
    named: Option<(String, String, bool)>,
) -> Result<String, ConfigError> {
    let default = match protocol {
        Protocol::Grpc => "http://localhost:4317",
        Protocol::HttpProtobuf => "http://localhost:4318",
    };
    let (variable, named, append) = named.unwrap_or_else(|| (String::new(), default.to_owned(), true));
    let endpoint = match (protocol, named.contains("://")) {
        (_, true) => named,
        // gRPC endpoints may come without scheme; INSECURE says which is meant (protocol/exporter.md).
        (Protocol::Grpc, false) if insecure => format!("http://{named}"),
        (Protocol::Grpc, false) => format!("https://{named}"),
        (Protocol::HttpProtobuf, false) => {
            return Err(problem(&variable, &named, "has no scheme; write http://HOST:PORT or https://HOST:PORT"));
        }
    };
    let uri: http::Uri =
        endpoint.parse().map_err(|error| problem(&variable, &endpoint, format!("not a URL: {error}")))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
        return Err(problem(&variable, &endpoint, "not an http or https URL with a host"));
    }
    if protocol == Protocol::HttpProtobuf && append {
        return Ok(format!("{}/{}", endpoint.trim_end_matches('/'), signal.path()));
    }
    Ok(endpoint)
}

/// `key=value` pairs in the format of W3C Baggage, values percent-encoded.
fn parse_headers(variable: &str, list: &str) -> Result<Vec<(String, String)>, ConfigError> {
    let pairs = list.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').ok_or_else(|| {
                // The value may be a credential: it is not repeated.
                problem(variable, "...", "a pair without '='; write key=value,key2=value2")
            })?;
            Ok((key.trim().to_ascii_lowercase(), percent_decode(value.trim())))
        })
        .collect()
}

fn percent_decode(text: &str) -> String {
    let decoded: Vec<u8> = percent::decode(text.as_bytes()).collect();
    String::from_utf8_lossy(&decoded).into_owned()
}

/// What the environment says about the resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvironmentResource {
    /// `OTEL_SERVICE_NAME`, else `service.name` of the attributes.
    pub service_name: Option<String>,
    /// `OTEL_RESOURCE_ATTRIBUTES` without `service.name`.
    pub attributes: Vec<(String, String)>,
}

/// `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`.
///
/// Both describe the agent in its own telemetry. The attributes, without `service.name`, also describe local workloads, which are of no pod: whoever sets
/// `deployment.environment.name` for `telltale run` means what it observes.
pub fn environment_resource(lookup: Lookup<'_>) -> Result<EnvironmentResource, ConfigError> {
    let variable = "OTEL_RESOURCE_ATTRIBUTES";
    let list = value(lookup, variable).unwrap_or_default();
    let mut attributes = Vec::new();
    for pair in list.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or_else(|| problem(variable, pair, "a pair without '='"))?;
        attributes.push((percent_decode(key.trim()), percent_decode(value.trim())));
    }
    let named = attributes.iter().find(|(key, _)| key == "service.name").map(|(_, value)| value.clone());
    attributes.retain(|(key, _)| key != "service.name");
    Ok(EnvironmentResource { service_name: value(lookup, "OTEL_SERVICE_NAME").or(named), attributes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup<'a>(table: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        move |name| table.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    fn traces(table: &[(&str, &str)]) -> Result<Choice, ConfigError> {
        Choice::from_environment(Signal::Traces, &lookup(table))
    }

    fn otlp(table: &[(&str, &str)]) -> OtlpConfig {
        match traces(table) {
            Ok(Choice::Otlp(config)) => config,
            other => panic!("{other:?}"),
        }
    }

    const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";

    #[test]
    fn nothing_configured_is_nowhere() {
        assert_eq!(traces(&[]), Ok(Choice::None));
        assert_eq!(traces(&[(ENDPOINT, "  ")]), Ok(Choice::None));
        assert_eq!(traces(&[(ENDPOINT, "http://c"), ("OTEL_SDK_DISABLED", "TRUE")]), Ok(Choice::None));
        assert_eq!(traces(&[(ENDPOINT, "http://c"), ("OTEL_TRACES_EXPORTER", "none")]), Ok(Choice::None));
        assert_eq!(traces(&[("OTEL_TRACES_EXPORTER", "console")]), Ok(Choice::Console));
        assert!(traces(&[("OTEL_TRACES_EXPORTER", "zipkin")]).is_err());
    }

    #[test]
    fn endpoints() {
        let endpoint = |table: &[(&str, &str)]| otlp(table).endpoint;
        assert_eq!(endpoint(&[("OTEL_TRACES_EXPORTER", "otlp")]), "http://localhost:4318/v1/traces");
        assert_eq!(endpoint(&[(ENDPOINT, "http://c:1/base/")]), "http://c:1/base/v1/traces");
        assert_eq!(endpoint(&[(ENDPOINT, "http://c:1"), (TRACES, "http://d:2/x")]), "http://d:2/x");
        assert_eq!(endpoint(&[(ENDPOINT, "http://c:1"), (PROTOCOL, "grpc")]), "http://c:1");
        assert_eq!(endpoint(&[(ENDPOINT, "c:1"), (PROTOCOL, "grpc")]), "https://c:1");
        let insecure = ("OTEL_EXPORTER_OTLP_INSECURE", "true");
        assert_eq!(endpoint(&[(ENDPOINT, "c:1"), (PROTOCOL, "grpc"), insecure]), "http://c:1");
        for bad in ["c:4318", "ftp://c", "http://", "http://a b"] {
            assert!(traces(&[(ENDPOINT, bad)]).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_signal_wins_over_the_general() {
        let config = otlp(&[
            (ENDPOINT, "http://c"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=general"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "Api-Key=a%20b, x = y"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ]);
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(config.headers, [pair("api-key", "a b"), pair("x", "y")]);
        assert_eq!(config.timeout, Duration::from_millis(1500));
        assert_eq!(config.compression, Compression::Gzip);
    }

    #[test]
    fn a_bad_header_list_does_not_show_its_values() {
        let error = traces(&[(ENDPOINT, "http://c"), ("OTEL_EXPORTER_OTLP_HEADERS", "secret")]).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn batches() {
        assert_eq!(BatchConfig::from_environment(&lookup(&[])), Ok(BatchConfig::default()));
        let small = BatchConfig::from_environment(&lookup(&[("OTEL_BSP_MAX_QUEUE_SIZE", "10")])).unwrap();
        assert_eq!((small.queue_size, small.batch_size), (10, 10));
        let huge = u64::MAX.to_string();
        let table = [("OTEL_BSP_MAX_QUEUE_SIZE", huge.as_str()), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", huge.as_str())];
        let huge = BatchConfig::from_environment(&lookup(&table)).unwrap();
        assert_eq!((huge.queue_size, huge.batch_size), (MAX_QUEUE as usize, MAX_QUEUE as usize));
        let error = BatchConfig::from_environment(&lookup(&[("OTEL_BSP_SCHEDULE_DELAY", "soon")])).unwrap_err();
        assert_eq!(error.to_string(), "OTEL_BSP_SCHEDULE_DELAY=\"soon\": not a whole number");
    }

    #[test]
    fn resources() {
        let table = [("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,deployment.environment.name=x%2Cy")];
        let resource = environment_resource(&lookup(&table)).unwrap();
        assert_eq!(resource.service_name.as_deref(), Some("a"));
        assert_eq!(resource.attributes, [("deployment.environment.name".to_owned(), "x,y".to_owned())]);
        let table = [("OTEL_RESOURCE_ATTRIBUTES", "service.name=a"), ("OTEL_SERVICE_NAME", "b")];
        assert_eq!(environment_resource(&lookup(&table)).unwrap().service_name.as_deref(), Some("b"));
    }
}
