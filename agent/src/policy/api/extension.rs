//! What Telltale adds to both dialects, spelled the same in both (POLICY.md section 1). None of it changes what a portable field means.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::attribute::{Attribute, Mode};

/// What is added to the specification itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// Extension: whether the content of messages is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// Extension: which end of a connection is reported; both if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Extension: whether what is inside TLS is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// What is added to an address of an OTLP receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Transport {
    /// Extension: which OTLP the endpoint speaks; by its port if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// Extension: TLS towards the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
}

/// What is added to `metrics`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// Extension: which names and label rules metrics have; the semantic conventions' if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// Extension: series per instrument, beyond which values go to one overflow series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub cardinality_limit: Option<i32>,
}

/// What is added to `metrics.overrides[]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricOverride {
    /// Extension: `Disabled` drops the instrument.
    #[serde(default, skip_serializing_if = "Mode::is_default")]
    pub mode: Mode,
    /// Extension: the new name of the instrument.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^[a-zA-Z][a-zA-Z0-9_./-]*$"))]
    pub rename: Option<String>,
    /// Extension: upper bounds of the buckets, ascending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128), extend("x-kubernetes-list-type" = "atomic"))]
    pub buckets: Option<Vec<f64>>,
    /// Extension: attributes of the instrument that are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)), extend("x-kubernetes-list-type" = "atomic"))]
    pub remove_attributes: Vec<String>,
}

/// What is added to `accessLogs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessLogs {
    /// Extension: the format string of `Text`, with Envoy's command operators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8192))]
    pub text: Option<String>,
    /// Extension: attributes that are added to the line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub attributes: Vec<Attribute>,
    /// Extension: where lines go; standard output if it is absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "atomic"))]
    pub sinks: Vec<Sink>,
}

/// `content`: whether the content of messages is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Content {
    /// Whose content is kept. Without a policy that says so, nobody's.
    #[serde(default)]
    pub capture: ContentCapture,
    /// Bytes of each message that are kept; 65536 if it is absent. The agent's own limit holds too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_bytes: Option<i32>,
    /// What is overwritten in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub redact: Vec<Redaction>,
}

/// Whose content is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ContentCapture {
    /// Nobody's.
    #[default]
    None,
    /// That of requests.
    Request,
    /// That of responses.
    Response,
    /// That of both.
    All,
}

/// What is overwritten in content: exactly one member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{"rule": "has(self.jsonPath) != has(self.pattern)", "message": "exactly one of jsonPath and pattern must be set"}]))]
pub struct Redaction {
    /// A JSON path; the values that it selects are overwritten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub json_path: Option<String>,
    /// A regular expression; what it finds is overwritten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub pattern: Option<String>,
}

/// Extension: which end of a connection is reported; both if it is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tls {
    /// `Enabled` reads it where the agent can.
    #[serde(default)]
    pub mode: TlsMode,
}

/// Whether what is inside TLS is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsMode {
    /// Where it can be.
    #[default]
    Enabled,
    /// Never.
    Disabled,
}

/// Extension: which OTLP the endpoint speaks; by its port if it is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP with protobuf.
    Http,
}

/// TLS towards a receiver. Files are those of the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsSettings {
    /// File of PEM certificates that are trusted; those of the system if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub ca_file: Option<String>,
    /// File of the PEM client certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub cert_file: Option<String>,
    /// File of its PEM key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub key_file: Option<String>,
    /// Name that the certificate must have, instead of the host of the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub server_name: Option<String>,
}

/// Extension: which names and label rules metrics have; the semantic conventions' if it is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Profile {
    /// The semantic conventions of OpenTelemetry.
    #[default]
    OpenTelemetry,
    /// Istio's standard metrics.
    Istio,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LogFormat {
    /// One JSON object.
    #[default]
    #[serde(rename = "JSON")]
    Json,
    /// Text with Envoy's command operators.
    Text,
}

impl LogFormat {
    /// Whether it is what an absent field means.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if wants a reference")]
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A place for log lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.type == 'File' ? has(self.path) : !has(self.path)", "message": "path is required when type is File, and must be empty otherwise"},
    {"rule": "self.type == 'OTLP' || !has(self.endpoint)", "message": "endpoint must be empty unless type is OTLP"},
    {"rule": "has(self.endpoint) || (!has(self.protocol) && !has(self.tls))", "message": "protocol and tls need an endpoint"}
]))]
pub struct Sink {
    /// Which place.
    #[serde(rename = "type")]
    pub kind: SinkType,
    /// The file, if type is `File`. Under `telltale agent` it is relative to the folder that `--log-dir` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub path: Option<String>,
    /// The receiver, if type is `OTLP`; the agent's default if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub endpoint: Option<String>,
    /// How it is spoken to.
    #[serde(flatten)]
    pub transport: Transport,
}

/// Which place for log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SinkType {
    /// The agent's standard output.
    Stdout,
    /// A file.
    File,
    /// OTLP logs.
    #[serde(rename = "OTLP")]
    Otlp,
    /// The audit log, which is never sampled.
    Audit,
}
