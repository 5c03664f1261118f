//! Both dialects -> [`Policy`]. Nothing is decided here and nothing is lost; fields keep the paths that their authors know.

mod gep;
mod proposal;
mod shared;

use serde_json::Value;

use super::{
    Finding, api,
    model::{Dialect, FieldPath, Policy, PolicyKey, TargetRef},
};

/// The policy that an object says, with the defaults of its schema applied. What contradicts itself is pushed.
///
/// # Errors
/// The first field that is not of its type. The schema has said so before, and more of it.
pub(super) fn policy(key: PolicyKey, object: &Value, findings: &mut Vec<Finding>) -> Result<Policy, serde_json::Error> {
    let at = FieldPath::new("spec");
    let (targets, spec) = match key.dialect {
        Dialect::Proposal => {
            let spec: api::proposal::TelemetryPolicySpec = serde::Deserialize::deserialize(&object["spec"])?;
            proposal::read(&at, &spec, findings)
        }
        Dialect::Gep => {
            let spec: api::gep::TelemetryPolicySpec = serde::Deserialize::deserialize(&object["spec"])?;
            gep::read(&at, &spec)
        }
    };
    let metadata = &object["metadata"];
    Ok(Policy {
        key,
        created: metadata["creationTimestamp"].as_str().and_then(|time| time.parse().ok()),
        generation: metadata["generation"].as_i64().unwrap_or(0),
        targets,
        spec,
    })
}

/// The policy that `--config` says, a specification of the GEP's dialect without targets: it holds wherever no other does.
///
/// # Errors
/// The first field that is not of its type.
pub(crate) fn default_policy(at: &FieldPath, specification: &Value) -> Result<Policy, serde_json::Error> {
    let mut whole = specification.clone();
    if let Some(fields) = whole.as_object_mut() {
        fields.insert("targetRefs".to_owned(), Value::Array(Vec::new()));
    }
    let specification: api::gep::TelemetryPolicySpec = serde::Deserialize::deserialize(&whole)?;
    let (targets, spec) = gep::read(at, &specification);
    // Of no namespace, so no policy of a cluster has this key.
    let key = PolicyKey { namespace: String::new(), name: "default".to_owned(), dialect: Dialect::Gep };
    Ok(Policy { key, created: None, generation: 0, targets, spec })
}

/// The targets that can be made out in an object that is otherwise wrong: status has an entry for each.
pub(super) fn targets(dialect: Dialect, object: &Value) -> Vec<TargetRef> {
    let spec = &object["spec"];
    let read = |at: FieldPath, value: &Value| {
        let reference = serde::Deserialize::deserialize(value).ok()?;
        Some(gep::target(at, &reference))
    };
    let at = FieldPath::new("spec");
    match dialect {
        Dialect::Proposal => read(at.field("targetRef"), &spec["targetRef"]).into_iter().collect(),
        Dialect::Gep => {
            let at = at.field("targetRefs");
            let references = spec["targetRefs"].as_array().into_iter().flatten().enumerate();
            references.filter_map(|(index, value)| read(at.index(index), value)).collect()
        }
    }
}
