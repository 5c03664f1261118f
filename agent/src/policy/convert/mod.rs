//! `telltale policy convert`: policies of the proposal, and of older drafts, in the dialect of GEP-4768.

mod dialect;
mod draft;
mod matches;
mod reference;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::Value;

use super::{
    Effect, Finding,
    api::{gep, proposal},
    document::{Node, Problem, Source, objects},
    model::{self, Dialect, FieldPath},
    schema,
};

/// What files become.
#[derive(Clone, Debug, Default)]
pub struct Conversion {
    /// Objects in the order of the files: policies in the dialect of GEP-4768, all others as they are.
    pub objects: Vec<Value>,
    /// What is to be said about policies, with file and line; one that has an error is not among the objects.
    pub remarks: Vec<Remark>,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

/// A sentence about a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The file.
    pub file: Arc<str>,
    /// The line in it, from 1.
    pub line: u32,
    /// Whether the policy could not be converted.
    pub is_error: bool,
    /// About which field, and what.
    pub finding: Finding,
}

impl Conversion {
    /// Whether something could not be converted.
    pub fn has_errors(&self) -> bool {
        !self.problems.is_empty() || self.remarks.iter().any(|remark| remark.is_error)
    }
}

/// Converts whatever policies the sources hold. One that is in the dialect of GEP-4768 comes out as it is.
pub fn convert(sources: &[Source]) -> Conversion {
    let (read, problems) = objects(sources);
    let mut conversion = Conversion { problems, ..Conversion::default() };
    for object in read {
        let value = object.tree.value();
        if !draft::is_policy(&object.api_version, &object.kind) {
            conversion.objects.push(value);
            continue;
        }
        let mut findings = Vec::new();
        let converted = policy(value, &mut findings);
        let is_error = converted.is_none();
        conversion.objects.extend(converted);
        conversion.remarks.extend(findings.into_iter().map(|finding| Remark {
            file: Arc::clone(&object.file),
            line: line_of(&object.tree, &finding.field),
            is_error: is_error && finding.effect == Effect::Invalid,
            finding,
        }));
    }
    conversion
}

fn line_of(tree: &Node, field: &FieldPath) -> u32 {
    tree.line_of(field)
}

/// A reference into another namespace needs the permission of whoever owns that; an address did not.
fn needs_grant(metadata: &Value, spec: &gep::TelemetryPolicySpec) -> Option<Finding> {
    let reference = spec.tracing.as_ref()?.provider.as_ref()?.backend_ref.as_ref()?;
    let namespace = reference.namespace.as_deref()?;
    if namespace == metadata["namespace"].as_str().unwrap_or("default") {
        return None;
    }
    let problem =
        format!("becomes a reference to Service {namespace}/{}, which needs a ReferenceGrant", reference.name);
    let remedy = format!(
        "create one in namespace {namespace}, from {} {} of this namespace to Service {}",
        model::GEP_GROUP,
        model::KIND,
        reference.name
    );
    Some(Finding::new(&FieldPath::new("spec.tracing.provider.endpoint"), Effect::Warning, problem).instead(remedy))
}

/// One policy; `None` if it cannot be said in the dialect of GEP-4768, and then a finding is `Invalid`.
fn policy(object: Value, findings: &mut Vec<Finding>) -> Option<Value> {
    let is_gep = object["apiVersion"] == Dialect::Gep.api_version();
    let mut modern = draft::modern(object);
    let mut converted = match modern.dialect {
        Dialect::Gep => modern.object.take(),
        Dialect::Proposal => {
            let kept = schema::check(Dialect::Proposal, &modern.object, findings);
            if findings.iter().any(|finding| finding.effect == Effect::Invalid) {
                return None;
            }
            let spec: proposal::TelemetryPolicySpec = match serde::Deserialize::deserialize(&kept["spec"]) {
                Ok(spec) => spec,
                Err(error) => {
                    findings.push(Finding::invalid(&FieldPath::new("spec"), error.to_string()));
                    return None;
                }
            };
            let mut lost = Vec::new();
            let spec = dialect::spec(&spec, &mut lost);
            findings.extend(lost.into_iter().map(|lost| {
                let effect = if lost.is_error { Effect::Invalid } else { Effect::Warning };
                Finding::new(&lost.at, effect, lost.problem)
            }));
            findings.extend(needs_grant(&kept["metadata"], &spec).filter(|_| !modern.is_tracing_off));
            let mut object = modern.object.take();
            object["apiVersion"] = Dialect::Gep.api_version().into();
            object["spec"] = serde_json::to_value(spec).unwrap_or_default();
            object
        }
    };
    if let Some(targets) = modern.targets.take() {
        converted["spec"]["targetRefs"] = targets;
    }
    if modern.is_tracing_off {
        let tracing = &mut converted["spec"]["tracing"];
        modern.without_provider(&FieldPath::new("spec.tracing"), tracing);
        tracing["mode"] = "Disabled".into();
    }
    let dropped = modern.dropped.into_iter();
    findings.extend(dropped.map(|(at, problem)| Finding::new(&at, Effect::Warning, problem)));
    // What was in this dialect already is only translated word by word; whether it is right, `validate` says.
    if !is_gep {
        schema::check(Dialect::Gep, &converted, findings);
    }
    findings.iter().all(|finding| finding.effect != Effect::Invalid).then_some(converted)
}
