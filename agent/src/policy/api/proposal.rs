//! The dialect of the proposal (`gateway.networking.k8s.io/v1alpha2`): every field of its Go types as it is there, with the limits of GEP-4768 where that
//! has the same field.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    attribute::Attribute,
    extension::{self, LogFormat},
    status::PolicyStatus,
};

/// What is observed, and where it goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "gateway.networking.k8s.io",
    version = "v1alpha2",
    kind = "TelemetryPolicy",
    namespaced,
    status = "PolicyStatus",
    category = "telemetry",
    shortname = "tpol",
    label("gateway.networking.k8s.io/policy", "Inherited"),
    annotation("api-approved.kubernetes.io", "unapproved, experimental"),
    // The Gateway API's own admission policy refuses a definition in its group without these, or of an older bundle than its own.
    annotation("gateway.networking.k8s.io/bundle-version", "v1.6.3"),
    annotation("gateway.networking.k8s.io/channel", "experimental"),
    doc = "TelemetryPolicy defines a direct policy attachment to configure observability signals for Gateway API resources and Service Mesh resources. Fields that are described as extensions are Telltale's.",
    printcolumn = r#"{"name":"Target Kind","type":"string","jsonPath":".spec.targetRef.kind"}"#,
    printcolumn = r#"{"name":"Target Name","type":"string","jsonPath":".spec.targetRef.name"}"#,
    printcolumn = r#"{"name":"Accepted","type":"string","jsonPath":".status.ancestors[*].conditions[?(@.type==\"Accepted\")].status"}"#,
    printcolumn = r#"{"name":"Programmed","type":"string","jsonPath":".status.ancestors[*].conditions[?(@.type==\"Programmed\")].status"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
pub struct TelemetryPolicySpec {
    /// Identifies the target resource (Gateway or Namespace) to which this policy attaches.
    pub target_ref: TargetRef,
    /// Configuration for distributed tracing options. An absent stanza is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracing: Option<TracingConfig>,
    /// Configuration for metric generation and exports. An absent stanza is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsConfig>,
    /// Configuration for access log generation. An absent stanza is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_logs: Option<AccessLogsConfig>,
    /// What Telltale adds.
    #[serde(flatten)]
    pub extension: extension::Spec,
}

/// `targetRef`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetRef {
    /// Its API group; empty for the core group.
    #[schemars(
        length(max = 253),
        regex(pattern = r"^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub group: String,
    /// Its kind.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$"))]
    pub kind: String,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// `tracing`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TracingConfig {
    /// Specifies the tracing backend. Includes type (e.g., "OTLP") and endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<TracingProvider>,
    /// The base sampling probability for traces. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling_rate: Option<Percentage>,
    /// Configures whether to respect the sampling decision of the parent span.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_based_sampling: Option<ParentBasedSampling>,
    /// Specifies the context propagation formats to use (`W3C`, `B3`, `B3Multi`, `Jaeger`), in order of preference. Absent: W3C.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 64)), extend("x-kubernetes-list-type" = "atomic"))]
    pub context: Vec<String>,
    /// Allows appending custom tags/attributes to spans.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["attributeName"]))]
    pub custom_attributes: Vec<CustomAttribute>,
    /// Extension (a portable field of GEP-4768): attributes that are added to spans.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub attributes: Vec<Attribute>,
}

/// `tracing.provider`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.endpoint) || (!has(self.protocol) && !has(self.tls))", "message": "protocol and tls need an endpoint"}
]))]
pub struct TracingProvider {
    /// `OTLP`, or implementation-specific.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 64))]
    pub kind: String,
    /// The address of the receiver. Without a scheme it is OTLP/gRPC in plaintext (port 4318: OTLP/HTTP). Absent: the agent's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub endpoint: Option<String>,
    /// How the endpoint is spoken to.
    #[serde(flatten)]
    pub transport: extension::Transport,
}

/// A share (`Fraction` of the proposal).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Percentage {
    /// Of 100. Absent: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub percent: Option<i32>,
}

/// `parentBasedSampling`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParentBasedSampling {
    /// Whether the decision of the caller is respected.
    pub enabled: bool,
    /// The share of the traces that a caller decided to keep which is kept here too. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling_rate: Option<Percentage>,
}

/// A text on every span.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomAttribute {
    /// Its name.
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[a-zA-Z0-9_.:/-]+$"))]
    pub attribute_name: String,
    /// Its value.
    #[schemars(length(max = 1024))]
    pub literal_value: String,
}

/// `metrics`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricsConfig {
    /// Global switch to enable or disable metric generation.
    pub enabled: bool,
    /// Specifies the metrics backend (e.g., Prometheus).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<MetricsProvider>,
    /// List of configurations to customize specific metric families.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub overrides: Vec<MetricOverride>,
    /// What Telltale adds.
    #[serde(flatten)]
    pub extension: extension::Metrics,
}

/// `metrics.provider`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MetricsProvider {
    /// `Prometheus` (whoever scrapes), `OTLP` (the agent's exporter), or implementation-specific.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 64))]
    pub kind: String,
}

/// A change of one instrument.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricOverride {
    /// The instrument: OpenTelemetry name, Prometheus name, or an alias such as `request_count`.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// The kind of the instrument (Counter, Histogram, ...), which is only compared.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub kind: Option<String>,
    /// Defines custom dimensions (labels). Can extract values from headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["key"]))]
    pub dimensions: Vec<Dimension>,
    /// Extension (a portable field of GEP-4768): attributes that are added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub attributes: Vec<Attribute>,
    /// What Telltale adds.
    #[serde(flatten)]
    pub extension: extension::MetricOverride,
}

/// A label of an instrument.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dimension {
    /// Its name.
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[a-zA-Z0-9_.:/-]+$"))]
    pub key: String,
    /// The header that it is taken from, the request's first, then the response's. Absent: the attribute of that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$"))]
    pub from_header: Option<String>,
}

/// `accessLogs`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.enabled) || has(self.enable)", "message": "enabled is required"},
    {"rule": "!has(self.enabled) || !has(self.enable) || self.enabled == self.enable", "message": "enabled and enable must not differ"},
    {"rule": "!has(self.text) || (has(self.format) && self.format == 'Text')", "message": "text must be empty unless format is Text"}
]))]
pub struct AccessLogsConfig {
    /// Global switch to enable or disable access logging.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The same as enabled, as the example of the proposal spells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable: Option<bool>,
    /// The format of the logs; `JSON` if it is absent.
    #[serde(default, skip_serializing_if = "LogFormat::is_default")]
    pub format: LogFormat,
    /// Conditions for logging, allowing filtering to specific paths or events. Any one suffices; none is all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub matches: Vec<MatchCondition>,
    /// A list of specific fields or headers to include in the logs: the whole line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256), regex(pattern = r"^(:authority|:method|:path|:scheme|:status|[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+)$")), extend("x-kubernetes-list-type" = "atomic"))]
    pub fields: Vec<String>,
    /// What Telltale adds.
    #[serde(flatten)]
    pub extension: extension::AccessLogs,
}

/// A condition for logging: exactly one member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [{"rule": "has(self.path) != has(self.cel)", "message": "exactly one of path and cel must be set"}]))]
pub struct MatchCondition {
    /// The path of the request, without its query, has these segments first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^/[^?#]*$"))]
    pub path: Option<String>,
    /// This CEL expression is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub cel: Option<String>,
}
