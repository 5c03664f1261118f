//! Where the values of attributes come from: one union for spans, metrics and logs (GEP-4768, "Attribute"), with the sources that Telltale adds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether a signal is on (GEP-4768, `TracingMode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// On.
    Enabled,
    /// Off.
    Disabled,
    /// Metrics are on; tracing is on if an exporter is configured; access logs are on if a default sink is.
    #[default]
    ImplementationDefault,
}

impl Mode {
    /// Whether it is what an absent field means.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if wants a reference")]
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Which member of an attribute holds its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AttributeType {
    /// The value of a header of the request, else of the response.
    Header,
    /// The text that is given.
    Literal,
    /// A key of the semantic conventions of OpenTelemetry, or one that the implementation documents.
    Attribute,
    /// Extension: the result of a CEL expression.
    #[serde(rename = "CEL")]
    Cel,
    /// Extension: a label of the pod that reports.
    PodLabel,
    /// Extension: an annotation of the pod that reports.
    PodAnnotation,
    /// Extension: a label of its namespace.
    NamespaceLabel,
    /// Extension: an environment variable of the agent that its configuration names.
    Environment,
}

/// Where a value comes from: a union, of which the type names the member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Which member holds the value.
    #[serde(rename = "type")]
    pub kind: AttributeType,
    /// The header, if type is `Header`. The request's is taken first, then the response's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$"))]
    pub header_name: Option<String>,
    /// The value, if type is `Literal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub literal_value: Option<String>,
    /// The key, if type is `Attribute`; in a log line also a key of the default line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[a-z0-9_.-]+$"))]
    pub attribute_key: Option<String>,
    /// Extension: the CEL expression, if type is `CEL`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub expression: Option<String>,
    /// Extension: the label, if type is `PodLabel` or `NamespaceLabel`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 317),
        regex(pattern = r"^([a-zA-Z0-9.-]+/)?[a-zA-Z0-9]([a-zA-Z0-9_.-]*[a-zA-Z0-9])?$")
    )]
    pub label_key: Option<String>,
    /// Extension: the annotation, if type is `PodAnnotation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 317),
        regex(pattern = r"^([a-zA-Z0-9.-]+/)?[a-zA-Z0-9]([a-zA-Z0-9_.-]*[a-zA-Z0-9])?$")
    )]
    pub annotation_key: Option<String>,
    /// Extension: the variable, if type is `Environment`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]*$"))]
    pub variable: Option<String>,
    /// Extension: the value where the source has none; without it the attribute or field is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub default: Option<String>,
}

impl Source {
    /// A source of this type, its member not yet said.
    pub const fn new(kind: AttributeType) -> Self {
        Self {
            kind,
            header_name: None,
            literal_value: None,
            attribute_key: None,
            expression: None,
            label_key: None,
            annotation_key: None,
            variable: None,
            default: None,
        }
    }
}

/// A named value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = super::rule::source_rules()))]
pub struct Attribute {
    /// The name under which the value is given out.
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[a-zA-Z0-9_.:/-]+$"))]
    pub name: String,
    /// Where it comes from.
    #[serde(flatten)]
    pub source: Source,
}

/// A value in a log line, nested by its path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = super::rule::source_rules()))]
pub struct LogField {
    /// Keys from the outermost object inwards. A dot in a key stays a dot.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 256)), extend("x-kubernetes-list-type" = "atomic"))]
    pub path: Vec<String>,
    /// Where it comes from.
    #[serde(flatten)]
    pub source: Source,
}
