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
