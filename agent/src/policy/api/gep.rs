//! The dialect of GEP-4768 as merged (`gateway.networking.x-k8s.io/v1alpha1`): targets and tracing as the GEP has them, metrics and access logs as its
//! last draft with three signals had them, in the idiom of the merged text.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::{
    attribute::{Attribute, AttributeType, LogField, Mode, Source},
    proposal::MetricsProvider,
};
use super::{
    extension::{self, LogFormat},
    status::PolicyStatus,
};

/// What is observed, and where it goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "gateway.networking.x-k8s.io",
    version = "v1alpha1",
    kind = "TelemetryPolicy",
    namespaced,
    status = "PolicyStatus",
    category = "telemetry",
    shortname = "xtpol",
    label("gateway.networking.k8s.io/policy", "Inherited"),
    doc = "TelemetryPolicy configures metrics, tracing and access logs of Gateways and Namespaces (GEP-4768). Fields that are described as extensions are Telltale's.",
    printcolumn = r#"{"name":"Target Kind","type":"string","jsonPath":".spec.targetRefs[*].kind"}"#,
    printcolumn = r#"{"name":"Target Name","type":"string","jsonPath":".spec.targetRefs[*].name"}"#,
    printcolumn = r#"{"name":"Accepted","type":"string","jsonPath":".status.ancestors[*].conditions[?(@.type==\"Accepted\")].status"}"#,
    printcolumn = r#"{"name":"Programmed","type":"string","jsonPath":".status.ancestors[*].conditions[?(@.type==\"Programmed\")].status"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
pub struct TelemetryPolicySpec {
    /// What the policy attaches to: Gateways and Namespaces.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "atomic", "x-kubernetes-validations" = [{
        "rule": "self.all(p1, self.exists_one(p2, p1.group == p2.group && p1.kind == p2.kind && p1.name == p2.name && (has(p1.__namespace__) ? p1.__namespace__ : '') == (has(p2.__namespace__) ? p2.__namespace__ : '') && (has(p1.sectionName) ? p1.sectionName : '') == (has(p2.sectionName) ? p2.sectionName : '')))",
        "message": "targetRefs must be distinct"
    }]))]
    pub target_refs: Vec<TargetReference>,
    /// Spans. An absent stanza is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracing: Option<TracingConfig>,
    /// Metrics. An absent stanza is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsConfig>,
    /// Access logs. An absent stanza is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_logs: Option<AccessLogsConfig>,
    /// What Telltale adds.
    #[serde(flatten)]
    pub extension: extension::Spec,
}

/// An object that the policy attaches to (GEP-713, `NamespacedPolicyTargetReference`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetReference {
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
    /// Its namespace; that of the policy if it is absent. Another one needs a `ReferenceGrant` there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub namespace: Option<String>,
    /// A part of it. This implementation refuses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub section_name: Option<String>,
}

/// `tracing`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!has(self.mode) || self.mode != 'Enabled' || has(self.provider)", "message": "provider must be specified when mode is Enabled"},
    {"rule": "!has(self.mode) || self.mode != 'Disabled' || !has(self.provider)", "message": "provider must be empty when mode is Disabled"}
]))]
pub struct TracingConfig {
    /// Whether spans are made.
    #[serde(default)]
    pub mode: Mode,
    /// Where spans go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<TracingProvider>,
    /// The share of the new traces that is kept; all if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling_rate: Option<Fraction>,
    /// What the decision of the caller means. Absent: the policy's own rate decides for every trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_based_sampling: Option<ParentBasedSampling>,
    /// `service.name` of the spans, instead of the workload's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub service_name: Option<String>,
    /// The name of every span, instead of the convention's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub span_name: Option<String>,
    /// Attributes that are added to spans.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub attributes: Vec<Attribute>,
    /// Extension (a portable field of the proposal): formats of the propagated context, in order of preference: `W3C`, `B3`, `B3Multi`, `Jaeger`. W3C if it is absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 64)), extend("x-kubernetes-list-type" = "atomic"))]
    pub context: Vec<String>,
}

/// Where spans go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.backendRef) != has(self.endpoint)", "message": "exactly one of backendRef and endpoint must be set"},
    {"rule": "has(self.endpoint) || (!has(self.protocol) && !has(self.tls))", "message": "protocol and tls need an endpoint"}
]))]
pub struct TracingProvider {
    /// The object behind which an OTLP receiver is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_ref: Option<BackendObjectReference>,
    /// Headers of every request to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub headers: Vec<HttpHeader>,
    /// Extension: the address of the receiver, instead of backendRef. Without a scheme it is OTLP/gRPC in plaintext (port 4318: OTLP/HTTP).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub endpoint: Option<String>,
    /// How the endpoint is spoken to.
    #[serde(flatten)]
    pub transport: extension::Transport,
}

/// An object that receives telemetry (Gateway API, `BackendObjectReference`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "(size(self.group) == 0 && self.kind == 'Service') ? has(self.port) : true", "message": "Must have port for Service reference"}
]))]
pub struct BackendObjectReference {
    /// Its API group; empty for the core group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(extend("default" = ""), 
        length(max = 253),
        regex(pattern = r"^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub group: String,
    /// Its kind.
    #[serde(default = "service", skip_serializing_if = "is_service")]
    #[schemars(extend("default" = "Service"), length(min = 1, max = 63), regex(pattern = r"^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$"))]
    pub kind: String,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace; that of the policy if it is absent. Another one needs a `ReferenceGrant` there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub namespace: Option<String>,
    /// Its port; required of a Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
}

fn service() -> String {
    "Service".to_owned()
}

fn is_service(kind: &str) -> bool {
    kind == "Service"
}

/// A header (Gateway API, `HTTPHeader`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HttpHeader {
    /// Its name.
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$"))]
    pub name: String,
    /// Its value.
    #[schemars(length(min = 1, max = 4096))]
    pub value: String,
}

/// A share (Gateway API, `Fraction`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [{"rule": "self.numerator <= self.denominator", "message": "numerator must be less than or equal to denominator"}]))]
pub struct Fraction {
    /// At most the denominator.
    #[schemars(range(min = 0))]
    pub numerator: i32,
    /// What the numerator counts in.
    #[serde(default = "hundred", skip_serializing_if = "is_hundred")]
    #[schemars(range(min = 1), extend("default" = 100))]
    pub denominator: i32,
}

fn hundred() -> i32 {
    100
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if wants a reference")]
fn is_hundred(number: &i32) -> bool {
    *number == 100
}

/// `parentBasedSampling`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParentBasedSampling {
    /// Whether the decision of the caller is respected. `ImplementationDefault` is `Enabled`.
    #[serde(default)]
    pub mode: Mode,
    /// The share of the traces that a caller decided to keep which is kept here too.
    #[serde(default = "all", skip_serializing_if = "Option::is_none")]
    // Written out: an API server evaluates the rules of a default before the defaults inside it are there.
    #[schemars(extend("default" = {"numerator": 100, "denominator": 100}))]
    pub sampling_rate: Option<Fraction>,
}

#[expect(clippy::unnecessary_wraps, reason = "the default of an optional field")]
fn all() -> Option<Fraction> {
    Some(Fraction { numerator: 100, denominator: 100 })
}

/// `metrics`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricsConfig {
    /// Whether metrics are recorded.
    #[serde(default)]
    pub mode: Mode,
    /// Changes of single instruments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub overrides: Vec<MetricOverride>,
    /// Extension (a portable field of the proposal): who takes metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<MetricsProvider>,
    /// What Telltale adds.
    #[serde(flatten)]
    pub extension: extension::Metrics,
}

/// A view of one instrument.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricOverride {
    /// The exact name of the instrument: OpenTelemetry's, Prometheus', or an alias.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// Attributes that are added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub attributes: Vec<Attribute>,
    /// Extension (a portable field of the proposal): the kind of the instrument, which is only compared.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub kind: Option<String>,
    /// What Telltale adds.
    #[serde(flatten)]
    pub extension: extension::MetricOverride,
}

/// `accessLogs`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!has(self.text) || (has(self.format) && self.format == 'Text')", "message": "text must be empty unless format is Text"}
]))]
pub struct AccessLogsConfig {
    /// Whether lines are written.
    #[serde(default)]
    pub mode: Mode,
    /// A CEL expression; only exchanges for which it is true are logged. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub matches: Option<String>,
    /// The whole line; the documented default line if it is absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub fields: Vec<LogField>,
    /// Extension (a portable field of the proposal): how a line is written; `JSON` if it is absent.
    #[serde(default, skip_serializing_if = "LogFormat::is_default")]
    pub format: LogFormat,
    /// What Telltale adds.
    #[serde(flatten)]
    pub extension: extension::AccessLogs,
}
