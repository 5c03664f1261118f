//! The schema of the custom resource definitions, checked here as an API server checks it, so that `validate` says the same without one.
//!
//! What an API server refuses is [`Effect::Invalid`](super::Effect); what it leaves out and warns about is
//! [`Effect::Warning`](super::Effect).

mod check;
mod hint;
mod metadata;
mod rule;
mod shape;
#[cfg(test)]
mod tests;

use serde_json::Value;

use super::{
    Effect, Finding,
    model::{Dialect, FieldPath},
};

/// Checks an object, and gives it as an API server would keep it: without unknown fields, with defaults.
pub(super) fn check(dialect: Dialect, object: &Value, findings: &mut Vec<Finding>) -> Value {
    metadata::check(object, findings);
    let mut kept = object.clone();
    // Neither is the schema's: `metadata` is checked above, `status` is written by controllers only and ignored in what people apply.
    let parts = kept
        .as_object_mut()
        .map(|fields| ["apiVersion", "kind", "metadata", "status"].map(|name| (name, fields.remove(name))));
    let shape = shape::Shape::of(dialect);
    let mut checker = check::Checker { dialect: Some(dialect), unknown: Effect::Warning, findings };
    checker.check(&FieldPath::default(), shape, &mut kept);
    if let (Some(fields), Some(parts)) = (kept.as_object_mut(), parts) {
        fields.extend(parts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    }
    kept
}

/// Checks and completes a value that no API server sees, against a structural schema. Unknown fields are as wrong as anything else.
pub(crate) fn check_strictly(
    dialect: Option<Dialect>,
    schema: &Value,
    at: &FieldPath,
    value: &mut Value,
    findings: &mut Vec<Finding>,
) {
    let shape = shape::Shape::new(schema);
    check::Checker { dialect, unknown: Effect::Invalid, findings }.check(at, &shape, value);
}

/// What is wrong with the default of a schema, which an API server would refuse.
#[cfg(test)]
pub(super) fn check_default(dialect: Dialect, schema: &Value) -> Vec<Finding> {
    let (mut findings, mut default) = (Vec::new(), schema["default"].clone());
    let shape = shape::Shape::new(schema);
    let mut checker = check::Checker { dialect: Some(dialect), unknown: Effect::Warning, findings: &mut findings };
    checker.check(&FieldPath::default(), &shape, &mut default);
    findings
}
