//! An attribute in words.

use crate::policy::model::{Attribute, AttributeSource};

/// Its name and where its value comes from.
pub(super) fn describe(attribute: &Attribute) -> String {
    let source = match &attribute.source {
        AttributeSource::Literal(text) => format!("the text {text:?}"),
        AttributeSource::Header(name) => format!("the header {name}"),
        AttributeSource::Key(key) => key.clone(),
        AttributeSource::Cel(expression) => format!("CEL `{expression}`"),
        AttributeSource::PodLabel(key) => format!("the pod's label {key}"),
        AttributeSource::PodAnnotation(key) => format!("the pod's annotation {key}"),
        AttributeSource::NamespaceLabel(key) => format!("the namespace's label {key}"),
        AttributeSource::Environment(variable) => format!("the agent's environment variable {variable}"),
    };
    match &attribute.default {
        Some(default) => format!("{} from {source} (else {default:?})", attribute.name),
        None => format!("{} from {source}", attribute.name),
    }
}

/// Several, in a sentence.
pub(super) fn describe_all(attributes: &[Attribute]) -> String {
    attributes.iter().map(describe).collect::<Vec<_>>().join(", ")
}
