//! Custom resource definitions, as an API server wants them.

use std::sync::LazyLock;

use kube::CustomResourceExt as _;
use serde_json::Value;

use super::{gep, proposal};
use crate::policy::model::Dialect;

static PROPOSAL: LazyLock<Value> = LazyLock::new(|| made(&proposal::TelemetryPolicy::crd()));
static GEP: LazyLock<Value> = LazyLock::new(|| made(&gep::TelemetryPolicy::crd()));

/// The definition of a dialect (`apiextensions.k8s.io/v1`).
pub fn definition(dialect: Dialect) -> &'static Value {
    match dialect {
        Dialect::Proposal => &PROPOSAL,
        Dialect::Gep => &GEP,
    }
}

/// The schema of its objects.
pub fn schema(dialect: Dialect) -> &'static Value {
    &definition(dialect)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
}

fn made(definition: &impl serde::Serialize) -> Value {
    // The types are fixed, and a test makes both.
    let mut value = serde_json::to_value(definition).unwrap_or_default();
    let schema = &mut value["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    if let Some(root) = schema.as_object_mut() {
        root.remove("title");
    }
    tidy(schema);
    value
}

/// What the derive does otherwise than the tools of the Gateway API: an optional field there may be absent, not null; and bounds of whole numbers are whole.
pub(crate) fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.remove("nullable");
            for bound in ["minimum", "maximum"] {
                if let Some(number) = fields.get(bound).and_then(Value::as_f64).filter(|number| number.fract() == 0.0) {
                    fields.insert(bound.to_owned(), (number as i64).into());
                }
            }
            fields.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}
