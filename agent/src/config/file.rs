//! The keys of the file. Each is optional, and says nothing where it is absent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::inside_tls::InsideTls;
use crate::telemetry::names::Conventions;

/// What the operator of the agent says, once, for all policies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct File {
    /// What is never given out, beside what never is anyway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Secrets>,
    /// Where metrics are served for Prometheus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Prometheus>,
    /// Who may see the agent's live state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<Admin>,
    /// The receiver of the spans, metrics and log records that no policy sends elsewhere, and of the agent's own telemetry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otlp: Option<Otlp>,
    /// Where access logs go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_logs: Option<AccessLogs>,
    /// Which version of OpenTelemetry's semantic conventions names follow; `v1.41` if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conventions: Option<Conventions>,
    /// Whose language models answer at which hosts, beside those that are known; what stands here comes before them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub providers: Vec<Provider>,
    /// What calls of language models cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<Prices>,
    /// What is inside TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<InsideTls>,
    /// What policies may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies: Option<Policies>,
    /// What `agent` follows of its cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Cluster>,
    /// What holds in namespaces without an accepted policy, never beside one: the `spec` of a TelemetryPolicy in the dialect of GEP-4768, without
    /// `targetRefs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_policy: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Additions to the lists of what is never given out. Nothing can be taken from these lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Secrets {
    /// Names of header fields whose values are never kept; compared without case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 256),
        inner(length(min = 1, max = 128), regex(pattern = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"))
    )]
    pub headers: Vec<String>,
    /// Keys in the query of a URL whose values are never kept; compared without case, after percent-decoding.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 128)))]
    pub query_keys: Vec<String>,
}

/// Where metrics are served for Prometheus.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Prometheus {
    /// Name or address; `127.0.0.1` if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub host: Option<String>,
    /// Port; 9464 if it is absent, 0 picks a free one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 65535))]
    pub port: Option<u16>,
}

/// Who may see the agent's live state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Admin {
    /// Whether `--admin-addr` may be an address that other machines reach. The live state names pods, processes and addresses; nobody is asked who they
    /// are.
    #[serde(default)]
    pub allow_remote: bool,
}

/// The receiver of what no policy sends elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Otlp {
    /// `http://HOST:PORT` or `https://HOST:PORT`. With `protocol: http` the path of each signal is appended.
    #[schemars(length(min = 1, max = 512))]
    pub endpoint: String,
    /// Which OTLP it speaks; `http` if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// Sent with every request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub headers: Vec<Header>,
    /// How requests are compressed; `none` if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// TLS towards the receiver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// Which OTLP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP with protobuf.
    Http,
}

/// How requests are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// With gzip.
    Gzip,
    /// Not at all.
    None,
}

/// A header field that is sent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Header {
    /// Its name.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"))]
    pub name: String,
    /// Its value.
    #[schemars(length(max = 4096))]
    pub value: String,
}

impl std::fmt::Debug for Header {
    /// The value may be a credential: it is left out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Header({})", self.name)
    }
}

/// TLS towards the receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.certFile) == has(self.keyFile)", "message": "a client certificate has a certFile and a keyFile"}
]))]
pub struct Tls {
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
}

/// Where access logs go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessLogs {
    /// The folder below which policies may write files; paths of policies are relative to it then. If it is absent, `run` writes wherever a policy says and
    /// `agent` nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub directory: Option<String>,
    /// Where the access logs of a policy go that names no sink; `Stdout` if it is absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub default_sinks: Vec<DefaultSink>,
    /// Lines per second that each policy may write to standard output. If it is absent, there is no limit under `run`, and 1000 under `agent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub stdout_lines_per_second: Option<u32>,
}

/// A place for access logs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.type == 'File' ? has(self.path) : !has(self.path)", "message": "path is required when type is File, and must be absent otherwise"}
]))]
pub struct DefaultSink {
    /// Which place.
    #[serde(rename = "type")]
    pub kind: DefaultSinkType,
    /// The file, if type is `File`; below `accessLogs.directory` where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub path: Option<String>,
}

/// Which place for access logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DefaultSinkType {
    /// The agent's standard output, or what `--logs` says.
    Stdout,
    /// A file.
    File,
    /// OTLP log records, to the receiver of `OTEL_*` variables or of `otlp`.
    #[serde(rename = "OTLP")]
    Otlp,
}

/// A provider of language models, or a gateway to one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Provider {
    /// Its name, `gen_ai.provider.name`.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    pub name: String,
    /// Hosts as requests name them, compared without case; `*` stands for any characters. With a port it is that port, without one any.
    #[schemars(
        length(min = 1, max = 64),
        inner(length(min = 1, max = 261), regex(pattern = r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9*._-]+)(:[0-9]{1,5})?$"))
    )]
    pub hosts: Vec<String>,
}

/// What calls of language models cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Prices {
    /// File of prices in US dollars: litellm's `model_prices_and_context_window.json`, or `data.json` of genai-prices (version 2). It is read once; nothing is
    /// fetched.
    #[schemars(length(min = 1, max = 4096))]
    pub file: String,
}

/// What `agent` follows of its cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cluster {
    /// Whether pods of other nodes are followed, so that peers have names; `true` if it is absent. What that costs is in `docs/kubernetes.md`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peers: Option<bool>,
    /// Whether the labels `app.kubernetes.io/instance`, `app.kubernetes.io/name` and `app.kubernetes.io/version` of pods name services and their versions,
    /// before what controls the pods; `false` if it is absent, as the conventions have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_labels: Option<bool>,
}

/// What policies may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Policies {
    /// Environment variables of the agent that policies may read; none if it is absent. Under `run` and `replay` all may be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 256), regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]*$")))]
    pub environment: Vec<String>,
    /// Where policies may send although it is loopback, link-local, a metadata service or a node: a host name, an address, or `ADDRESS/BITS`. Under `run` and
    /// `replay` that is no matter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 253)))]
    pub endpoints: Vec<String>,
    /// Maxima: a number of a policy above one of them is clamped to it, and a message says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

/// Maxima.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Attributes that one list of a policy may add; 64 if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub attributes: Option<u32>,
    /// Characters of a CEL expression; 2048 if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2048))]
    pub expression_characters: Option<u32>,
    /// Steps that a CEL expression may take at worst; 100000 if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub expression_cost: Option<u32>,
    /// Bytes of memory that a compiled regular expression may take; 262144 if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 16_777_216))]
    pub pattern_bytes: Option<u32>,
    /// Bytes of a literal, a default or the value of an environment variable; 1024 if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_536))]
    pub text_bytes: Option<u32>,
    /// Series of one instrument and policy; 20000 if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 1_000_000))]
    pub series: Option<u32>,
    /// Bytes of content that are kept of a message; 1048576 if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 16_777_216))]
    pub content_bytes: Option<u32>,
}

impl Limits {
    /// The agent's maxima with these in place of theirs.
    pub(super) fn over_the_default(&self) -> crate::policy::Limits {
        let default = crate::policy::Limits::default();
        let size = |own: Option<u32>, default: usize| own.map_or(default, |own| own as usize);
        crate::policy::Limits {
            attributes: size(self.attributes, default.attributes),
            expression: size(self.expression_characters, default.expression),
            expression_cost: self.expression_cost.map_or(default.expression_cost, u64::from),
            pattern: size(self.pattern_bytes, default.pattern),
            text: size(self.text_bytes, default.text),
            result: default.result,
            series: self.series.unwrap_or(default.series),
            content: self.content_bytes.unwrap_or(default.content),
        }
    }
}
