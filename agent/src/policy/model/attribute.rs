//! One model of attributes for spans, metrics and logs (POLICY.md section 3).

use super::FieldPath;

/// A name and where its value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Where it stands.
    pub at: FieldPath,
    /// Under which name it is given out.
    pub name: String,
    /// Where its value comes from.
    pub source: AttributeSource,
    /// Its value where the source has none; without it the attribute is left out.
    pub default: Option<String>,
}

/// Where the value of an attribute comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeSource {
    /// This text.
    Literal(String),
    /// A header field of the request, else of the response.
    Header(String),
    /// A key of the semantic conventions or of ours.
    Key(String),
    /// A CEL expression.
    Cel(String),
    /// A label of the pod.
    PodLabel(String),
    /// An annotation of the pod.
    PodAnnotation(String),
    /// A label of the pod's namespace.
    NamespaceLabel(String),
    /// An environment variable of the agent.
    Environment(String),
}

impl AttributeSource {
    /// The member that holds it, as both dialects spell it.
    pub const fn member(&self) -> &'static str {
        match self {
            Self::Literal(_) => "literalValue",
            Self::Header(_) => "headerName",
            Self::Key(_) => "attributeKey",
            Self::Cel(_) => "expression",
            Self::PodLabel(_) | Self::NamespaceLabel(_) => "labelKey",
            Self::PodAnnotation(_) => "annotationKey",
            Self::Environment(_) => "variable",
        }
    }
}
