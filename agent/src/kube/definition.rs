//! What the definition of a kind says: in which versions it is served, and which fields of ours it would drop.

use serde_json::Value;

use super::kinds::Defined;
use crate::policy::api;

/// So many fields are named at most.
const MAX_PRUNED: usize = 32;

/// What is installed of a dialect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Definition {
    /// The version that is watched; `None` where none that we read is served.
    pub version: Option<String>,
    /// All versions that are served.
    pub served: Vec<String>,
    /// Fields that our definition has and this one does not, so that the API server drops them: the topmost of each. Messages of policies name them.
    pub pruned: Vec<String>,
}

impl Definition {
    /// From the object. `None` while it is not established, which is as if it were not there.
    pub(super) fn of(defined: Defined, object: &Value) -> Option<Self> {
        let conditions = object["status"]["conditions"].as_array()?;
        let is_established = conditions.iter().any(|is| is["type"] == "Established" && is["status"] == "True");
        if !is_established || object["metadata"]["deletionTimestamp"].is_string() {
            return None;
        }
        let versions = || object["spec"]["versions"].as_array().into_iter().flatten();
        let is_served = |version: &&Value| version["served"] == true;
        let served: Vec<String> =
            versions().filter(is_served).filter_map(|version| version["name"].as_str().map(str::to_owned)).collect();
        let read = defined.subject().kind().versions;
        let version = read.iter().find(|&&version| served.iter().any(|name| name == version));
        let mut pruned = Vec::new();
        if let (Defined::Policies(dialect), Some(&name)) = (defined, version)
            && let Some(theirs) = versions().find(|version| version["name"] == name)
        {
            let (ours, theirs) = (api::schema(dialect), &theirs["schema"]["openAPIV3Schema"]);
            compare("spec", &ours["properties"]["spec"], &theirs["properties"]["spec"], &mut pruned);
        }
        Some(Self { version: version.map(|&version| version.to_owned()), served, pruned })
    }
}

/// Adds what `theirs` does not have of `ours`.
fn compare(path: &str, ours: &Value, theirs: &Value, missing: &mut Vec<String>) {
    if theirs["x-kubernetes-preserve-unknown-fields"] == true || missing.len() >= MAX_PRUNED {
        return;
    }
    for (name, ours) in ours["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        match theirs["properties"]
            .get(name)
            .or_else(|| theirs.get("additionalProperties").filter(|any| any.is_object()))
        {
            Some(theirs) => compare(&path, ours, theirs, missing),
            None if theirs["additionalProperties"] == true => {}
            None => missing.push(path),
        }
    }
    for inner in ["items", "additionalProperties"] {
        if ours[inner].is_object() && theirs[inner].is_object() {
            compare(&format!("{path}[]"), &ours[inner], &theirs[inner], missing);
        }
    }
    missing.truncate(MAX_PRUNED);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::model::Dialect;

    fn established(mut definition: Value) -> Value {
        definition["status"] = json!({"conditions": [{"type": "Established", "status": "True"}]});
        definition
    }

    #[test]
    fn our_own_definition_drops_nothing() {
        for dialect in Dialect::ALL {
            let defined = Defined::Policies(dialect);
            let ours = api::definition(dialect);
            assert_eq!(Definition::of(defined, ours), None, "it is not established");
            let definition = Definition::of(defined, &established(ours.clone())).unwrap();
            assert_eq!(definition.pruned, [""; 0]);
            assert_eq!(definition.version.as_deref(), dialect.api_version().split('/').nth(1));
        }
    }

    #[test]
    fn fields_that_another_definition_lacks_are_named_by_the_topmost() {
        let mut theirs = established(api::definition(Dialect::Gep).clone());
        let spec = &mut theirs["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
        let fields = spec.as_object_mut().unwrap();
        fields.remove("content");
        fields["tracing"]["properties"].as_object_mut().unwrap().remove("context");
        fields["metrics"] = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let definition = Definition::of(Defined::Policies(Dialect::Gep), &theirs).unwrap();
        assert_eq!(definition.pruned, ["spec.content", "spec.tracing.context"]);
    }

    #[test]
    fn versions_that_are_not_read_or_not_served_do_not_count() {
        let gateways = |versions: Value| established(json!({"spec": {"versions": versions}}));
        let version = |versions: Value| Definition::of(Defined::Gateways, &gateways(versions)).unwrap().version;
        let both = json!([{"name": "v1beta1", "served": true}, {"name": "v1", "served": true}]);
        assert_eq!(version(both).as_deref(), Some("v1"));
        let old = json!([{"name": "v1beta1", "served": true}, {"name": "v1", "served": false}]);
        assert_eq!(version(old).as_deref(), Some("v1beta1"));
        assert_eq!(version(json!([{"name": "v9", "served": true}])), None);
    }
}
