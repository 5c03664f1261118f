//! What a policy asks of each signal, and the extensions (POLICY.md section 1).

use super::{Attribute, BackendRef, FieldPath};

/// Whether a signal is on (GEP-4768).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// On.
    Enabled,
    /// Off.
    Disabled,
    /// As the implementation documents (POLICY.md section 1).
    #[default]
    ImplementationDefault,
}

/// A share: `numerator / denominator`, at most 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    /// At most the denominator.
    pub numerator: u32,
    /// At least 1.
    pub denominator: u32,
}

impl Ratio {
    /// All.
    pub const ALL: Self = Self { numerator: 100, denominator: 100 };

    /// From 0 to 1.
    pub fn value(self) -> f64 {
        f64::from(self.numerator) / f64::from(self.denominator.max(1))
    }
}

/// `metrics`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    /// Where the stanza stands.
    pub at: FieldPath,
    /// On or off.
    pub mode: Mode,
    /// `provider.type`, of the proposal.
    pub provider: Option<MetricsProvider>,
    /// Which names and labels.
    pub profile: Profile,
    /// Series per instrument, beyond which they go to the overflow series.
    pub cardinality_limit: Option<u32>,
    /// Changes of single instruments.
    pub overrides: Vec<MetricOverride>,
}

/// Who takes metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricsProvider {
    /// Whoever scrapes.
    Prometheus,
    /// The agent's exporter.
    Otlp,
    /// Something else: the agent's default is used, and status says so.
    Other(String),
}

/// Which names and label rules metrics have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// The semantic conventions.
    #[default]
    OpenTelemetry,
    /// Istio's standard metrics.
    Istio,
}

/// A view of one instrument (OpenTelemetry metrics SDK, "View").
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricOverride {
    /// Where it stands.
    pub at: FieldPath,
    /// OpenTelemetry name, Prometheus name or alias.
    pub name: String,
    /// `type` of the proposal: `Counter`, `Histogram`, `Gauge`, or any word.
    pub instrument_type: Option<String>,
    /// `Disabled` drops the instrument.
    pub mode: Mode,
    /// Its new name.
    pub rename: Option<String>,
    /// Upper bounds of its buckets.
    pub buckets: Option<Vec<f64>>,
    /// Attributes added.
    pub attributes: Vec<Attribute>,
    /// Attributes of the instrument that are left out.
    pub remove_attributes: Vec<String>,
}

/// `tracing`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tracing {
    /// Where the stanza stands.
    pub at: FieldPath,
    /// On or off. In the proposal a stanza that is present is on.
    pub mode: Mode,
    /// Who takes spans; without one the agent's default exporter.
    pub provider: Option<Provider>,
    /// Share of the new traces; absent is all.
    pub sampling_rate: Option<Ratio>,
    /// What the parent's decision means.
    pub parent_based: Option<ParentBased>,
    /// Propagation formats in order of preference, as written; empty is W3C.
    pub context: Vec<String>,
    /// `service.name` instead of the workload's.
    pub service_name: Option<String>,
    /// Name of every span instead of the convention's.
    pub span_name: Option<String>,
    /// Attributes added to spans.
    pub attributes: Vec<Attribute>,
}

/// `parentBasedSampling`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParentBased {
    /// Whether the parent's decision is respected; `ImplementationDefault` is `Enabled`.
    pub mode: Mode,
    /// The governor: share of the traces that an upstream decided to keep; absent is all.
    pub sampling_rate: Option<Ratio>,
}

/// Who takes spans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provider {
    /// Where it stands.
    pub at: FieldPath,
    /// `type`, of the proposal; `OTLP` is the one that is known.
    pub provider_type: Option<String>,
    /// The object behind which the receiver is.
    pub backend_ref: Option<BackendRef>,
    /// Its address instead.
    pub endpoint: Option<Endpoint>,
    /// Headers of every request.
    pub headers: Vec<(String, String)>,
}

impl Provider {
    /// Whether it is an OTLP receiver: the one type that is known, and what it is without a type.
    pub fn is_otlp(&self) -> bool {
        self.provider_type.as_deref().is_none_or(is_otlp)
    }
}

/// Whether `type` names OTLP, in whatever case: the proposal names no list of types.
pub fn is_otlp(provider_type: &str) -> bool {
    provider_type.eq_ignore_ascii_case("OTLP")
}

/// Where an OTLP receiver is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// Where `endpoint` stands; `protocol` and `tls` are beside it.
    pub at: FieldPath,
    /// As written: with a scheme, or `host:port`, which is OTLP gRPC in plaintext (port 4318: HTTP).
    pub address: String,
    /// Which OTLP; by the port if it is absent.
    pub protocol: Option<Protocol>,
    /// How TLS is set up, where the scheme asks for it.
    pub tls: Option<TlsSettings>,
}

/// Which OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP with protobuf.
    Http,
}

/// TLS towards a receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlsSettings {
    /// File of PEM certificates that are trusted; those of the system if it is absent.
    pub ca_file: Option<String>,
    /// File of the PEM client certificate.
    pub cert_file: Option<String>,
    /// File of its PEM key.
    pub key_file: Option<String>,
    /// Name that the certificate must have, instead of the host of the endpoint.
    pub server_name: Option<String>,
}

/// `accessLogs`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AccessLogs {
    /// Where the stanza stands.
    pub at: FieldPath,
    /// On or off.
    pub mode: Mode,
    /// How a line is written.
    pub format: LogFormat,
    /// `text`: the format string of [`LogFormat::Text`].
    pub text: Option<String>,
    /// Any one suffices; none is all exchanges.
    pub matches: Vec<Match>,
    /// The whole line, if it is not empty.
    pub fields: Vec<LogField>,
    /// Attributes added to the line (the proposal's dialect: fields with a source).
    pub attributes: Vec<Attribute>,
    /// Where lines go; none is [`SinkKind::Stdout`].
    pub sinks: Vec<Sink>,
}

/// How a line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object.
    #[default]
    Json,
    /// Envoy's command operators.
    Text,
}

/// A condition of access logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Where it stands.
    pub at: FieldPath,
    /// What it asks.
    pub kind: MatchKind,
}

/// What a condition asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MatchKind {
    /// The path without query has these segments first.
    Path(String),
    /// This CEL expression is true.
    Cel(String),
}

/// One entry of `fields`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogField {
    /// A name to look up: Istio's JSON keys, our keys, then headers.
    Named {
        /// Where it stands.
        at: FieldPath,
        /// The name.
        name: String,
    },
    /// A value with a source, nested by path.
    Attribute {
        /// Keys from the outermost object inwards.
        path: Vec<String>,
        /// The value; its name is the path joined by dots.
        attribute: Attribute,
    },
}

/// A place for lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sink {
    /// Where it stands.
    pub at: FieldPath,
    /// Which.
    pub kind: SinkKind,
}

/// Which place for lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkKind {
    /// The agent's standard output, or what `--logs` says.
    Stdout,
    /// A file.
    File(String),
    /// OTLP logs; without an endpoint the agent's default.
    Otlp(Option<Endpoint>),
    /// The audit log, which is never sampled.
    Audit,
}

/// `content`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Where the stanza stands.
    pub at: FieldPath,
    /// Whose content is kept.
    pub capture: ContentCapture,
    /// Bytes of each message that are kept.
    pub max_bytes: Option<u32>,
    /// What is overwritten in it.
    pub redact: Vec<Redaction>,
}

/// Whose content is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContentCapture {
    /// None.
    #[default]
    None,
    /// That of requests.
    Request,
    /// That of responses.
    Response,
    /// Both.
    All,
}

impl ContentCapture {
    /// Whether that of requests is among it.
    pub const fn has_requests(self) -> bool {
        matches!(self, Self::Request | Self::All)
    }

    /// Whether that of responses is among it.
    pub const fn has_responses(self) -> bool {
        matches!(self, Self::Response | Self::All)
    }
}

/// What is overwritten in content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redaction {
    /// What a JSON path selects.
    JsonPath(FieldPath, String),
    /// What a regular expression finds.
    Pattern(FieldPath, String),
}

/// Which end of a connection is reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Where the pod is the client.
    Client,
    /// Where it is the server.
    Server,
    /// Both.
    #[default]
    Both,
}

/// `tls`: whether what is inside TLS is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// Where it can be.
    #[default]
    Enabled,
    /// Never.
    Disabled,
}
