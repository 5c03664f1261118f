//! Our entries into a status that several controllers write.

use serde_json::{Map, Value, json};

use super::{CONTROLLER_NAME, MAX_ANCESTORS, condition::OURS};
use crate::policy::{
    api::status::{AncestorReference, PolicyStatus},
    model::{PROPOSAL_GROUP as GATEWAY_GROUP, PolicyKey},
};

/// What to do with the status that was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Merged {
    /// The status to write with the `resourceVersion` that was read; `None` if nothing changes.
    pub status: Option<Value>,
    /// Our entries for which a list of [`MAX_ANCESTORS`] entries had no room: an Event on the policy says so.
    pub left_out: Vec<AncestorReference>,
}

/// Puts our entries into a status.
///
/// Entries of other controllers, and conditions of types that are not ours, stay as they are, in their places. Our entries for targets that the
/// policy no longer has go. Where one of ours was written for a newer generation, nothing is written: whoever wrote it knew more.
pub fn merge(policy: &PolicyKey, existing: Option<&Value>, ours: &PolicyStatus) -> Merged {
    let old: &[Value] =
        existing.and_then(|status| status.get("ancestors")).and_then(Value::as_array).map_or(&[], Vec::as_slice);
    let generation =
        ours.ancestors.iter().flat_map(|entry| &entry.conditions).filter_map(|of| of.observed_generation).max();
    if old.iter().filter(|entry| is_ours(entry)).filter_map(newest_generation).max() > generation {
        return Merged::default();
    }

    let mut written = vec![false; ours.ancestors.len()];
    let mut merged = Vec::with_capacity(MAX_ANCESTORS);
    for entry in old {
        if !is_ours(entry) {
            merged.push(entry.clone());
            continue;
        }
        let old = &entry["ancestorRef"];
        let place = |is: &dyn Fn(&AncestorReference) -> bool| {
            ours.ancestors.iter().zip(&written).position(|(our, written)| !written && is(&our.ancestor_ref))
        };
        // Two of ours can mean the same target in other words: each has the entry that is spelled as it is.
        if let Some(place) = place(&|our| *old == json!(our)).or_else(|| place(&|our| is_same(old, our, policy))) {
            written[place] = true;
            merged.push(updated(entry, &json!(ours.ancestors[place])));
        }
    }
    let mut left_out = Vec::new();
    for (our, _) in ours.ancestors.iter().zip(written).filter(|(_, written)| !written) {
        if merged.len() < MAX_ANCESTORS {
            merged.push(json!(our));
        } else {
            left_out.push(our.ancestor_ref.clone());
        }
    }

    let changed = merged != old || existing.is_none_or(|status| status.get("ancestors").is_none());
    let status = changed.then(|| {
        let mut status = existing.and_then(Value::as_object).cloned().unwrap_or_else(Map::new);
        status.insert("ancestors".to_owned(), Value::Array(merged));
        Value::Object(status)
    });
    Merged { status, left_out }
}

fn is_ours(entry: &Value) -> bool {
    entry["controllerName"] == CONTROLLER_NAME
}

fn conditions(entry: &Value) -> &[Value] {
    entry["conditions"].as_array().map_or(&[], Vec::as_slice)
}

fn newest_generation(entry: &Value) -> Option<i64> {
    let is_our_type = |condition: &&Value| OURS.iter().any(|our| condition["type"] == *our);
    conditions(entry).iter().filter(is_our_type).filter_map(|condition| condition["observedGeneration"].as_i64()).max()
}

/// Whether an entry is about this target: what is absent has the defaults of the Gateway API's `ParentReference`.
fn is_same(old: &Value, our: &AncestorReference, policy: &PolicyKey) -> bool {
    let text = |field: &str| old[field].as_str();
    let of_namespaced = |namespace: Option<&str>| namespace.unwrap_or(&policy.namespace).to_owned();
    let kind = text("kind").unwrap_or("Gateway");
    text("group").unwrap_or(GATEWAY_GROUP) == our.group
        && kind == our.kind
        && text("name") == Some(our.name.as_str())
        && text("sectionName") == our.section_name.as_deref()
        && (kind == "Namespace" || of_namespaced(text("namespace")) == of_namespaced(our.namespace.as_deref()))
}

/// Our entry with what has to be kept of the one that is there.
fn updated(old: &Value, our: &Value) -> Value {
    let mut entry = our.clone();
    let Some(new) = entry["conditions"].as_array_mut() else { return entry };
    for condition in new.iter_mut() {
        let before = conditions(old).iter().find(|before| before["type"] == condition["type"]);
        if let Some(before) = before
            && before["status"] == condition["status"]
            && before["lastTransitionTime"].is_string()
        {
            condition["lastTransitionTime"] = before["lastTransitionTime"].clone();
        }
    }
    let foreign = conditions(old).iter().filter(|condition| OURS.iter().all(|our| condition["type"] != *our));
    new.extend(foreign.cloned());
    entry
}
