//! Words and shapes of older drafts, read as what became of them: those of the proposal (A1 to A12 in the history of the pull request) and of GEP-4768
//! (B1 to B15). Only `convert` reads them; the schemas do not know them.

use serde_json::{Map, Value, json};

use super::reference;
use crate::policy::model::{Dialect, FieldPath, GEP_GROUP, PROPOSAL_GROUP};

/// Groups in which drafts were published.
const GROUPS: [&str; 4] = [PROPOSAL_GROUP, GEP_GROUP, "agentic.networking.x-k8s.io", "agentic.networking.k8s.io"];
/// The kind, also as an experimental kind of the Gateway API would be named.
const KINDS: [&str; 2] = ["TelemetryPolicy", "XTelemetryPolicy"];

/// Whether an object is a policy of either dialect or of a draft.
pub(super) fn is_policy(api_version: &str, kind: &str) -> bool {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    KINDS.contains(&kind) && GROUPS.contains(&group)
}

/// A policy in the words of a dialect that is served.
#[derive(Debug)]
pub(super) struct Modern {
    pub(super) dialect: Dialect,
    pub(super) object: Value,
    /// Targets, where the draft has several and the dialect one.
    pub(super) targets: Option<Value>,
    /// `tracing.enabled: false` of draft A9, which the dialect cannot say.
    pub(super) is_tracing_off: bool,
    /// What was dropped, and why.
    pub(super) dropped: Vec<(FieldPath, String)>,
}

/// Reads a policy of any draft. One in the words of a dialect comes out as it is.
pub(super) fn modern(mut object: Value) -> Modern {
    let api_version = object["apiVersion"].as_str().unwrap_or_default().to_owned();
    let is_served = Dialect::of(&api_version);
    let dialect = match is_served {
        Some(Dialect::Gep) => Dialect::Gep,
        _ if is_proposal(&object["spec"]) => Dialect::Proposal,
        Some(Dialect::Proposal) if object["spec"].get("targetRefs").is_none() => Dialect::Proposal,
        _ => Dialect::Gep,
    };
    object["apiVersion"] = dialect.api_version().into();
    object["kind"] = KINDS[0].into();
    let mut modern = Modern { dialect, object: Value::Null, targets: None, is_tracing_off: false, dropped: Vec::new() };
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        match dialect {
            Dialect::Proposal => modern.proposal(spec),
            Dialect::Gep => modern.gep(spec, is_served.is_none() || is_served == Some(Dialect::Proposal)),
        }
    }
    modern.object = object;
    modern
}

/// Whether a specification has words that only the proposal has.
fn is_proposal(spec: &Value) -> bool {
    let has = |value: &Value, key: &str| value.get(key).is_some();
    let (tracing, metrics, logs) = (&spec["tracing"], &spec["metrics"], &spec["accessLogs"]);
    let items = |value: &Value| value.as_array().cloned().unwrap_or_default();
    has(spec, "targetRef")
        || [metrics, logs, tracing, &tracing["parentBasedSampling"]]
            .iter()
            .any(|stanza| has(stanza, "enabled") || has(stanza, "enable"))
        || has(tracing, "customSpanAttributes")
        || items(&tracing["customAttributes"]).iter().any(|attribute| has(attribute, "attributeName"))
        || has(&tracing["samplingRate"], "percent")
        || has(&tracing["parentBasedSampling"]["samplingRate"], "percent")
        || items(&metrics["overrides"]).iter().any(|change| has(change, "dimensions"))
        || logs["matches"].is_array()
        || items(&logs["fields"]).iter().any(Value::is_string)
}

/// Gives a field its new name, unless there is one of that name.
fn rename(object: &mut Value, from: &str, to: &str) {
    if let Some(fields) = object.as_object_mut()
        && let Some(value) = fields.remove(from)
    {
        fields.entry(to).or_insert(value);
    }
}

fn items_mut(value: &mut Value) -> impl Iterator<Item = &mut Value> {
    value.as_array_mut().into_iter().flatten()
}

impl Modern {
    fn proposal(&mut self, spec: &mut Map<String, Value>) {
        // A6: several targets; A11: with namespaces.
        if let Some(targets) = spec.remove("targetRefs") {
            let mut first = targets[0].clone();
            if let Some(first) = first.as_object_mut() {
                first.remove("namespace");
            }
            spec.entry("targetRef").or_insert(first);
            self.targets = Some(targets);
        }
        if let Some(tracing) = spec.get_mut("tracing").filter(|tracing| tracing.is_object()) {
            // A1.
            rename(tracing, "customSpanAttributes", "customAttributes");
            // A8: the type was always OTLP.
            if let Some(provider) = tracing.get_mut("provider").and_then(Value::as_object_mut) {
                provider.entry("type").or_insert("OTLP".into());
            }
            // A9.
            let enabled = tracing.as_object_mut().and_then(|tracing| tracing.remove("enabled"));
            self.is_tracing_off = enabled == Some(Value::Bool(false));
        }
        // A1.
        if let Some(metrics) = spec.get_mut("metrics") {
            rename(metrics, "enable", "enabled");
        }
    }

    fn gep(&mut self, spec: &mut Map<String, Value>, is_draft: bool) {
        for stanza in ["tracing", "metrics", "accessLogs"] {
            let at = FieldPath::new("spec").field(stanza);
            let Some(value) = spec.get_mut(stanza).filter(|value| value.is_object()) else { continue };
            // B1 to B7: modes were On, unless they said Off.
            if is_draft && value.get("mode").is_none() {
                value["mode"] = "On".into();
            }
            mode(value);
            match stanza {
                "tracing" => self.tracing(&at, value, is_draft),
                "metrics" => {
                    let at = at.field("overrides");
                    for (index, change) in items_mut(&mut value["overrides"]).enumerate() {
                        if !change.is_object() {
                            continue;
                        }
                        let at = at.index(index).field("attributes");
                        self.sources(&at, &mut change["attributes"]);
                        tidy(change, "attributes");
                    }
                    tidy(value, "overrides");
                }
                _ => {
                    for field in items_mut(&mut value["fields"]) {
                        // B1 to B3: fields were attributes.
                        if field.get("path").is_none()
                            && let Some(name) = field.as_object_mut().and_then(|field| field.remove("name"))
                        {
                            field["path"] = json!([name]);
                        }
                    }
                    self.sources(&at.field("fields"), &mut value["fields"]);
                    tidy(value, "fields");
                }
            }
        }
    }

    fn tracing(&mut self, at: &FieldPath, tracing: &mut Value, is_draft: bool) {
        // B1 and B2.
        rename(tracing, "customAttributes", "attributes");
        self.sources(&at.field("attributes"), &mut tracing["attributes"]);
        tidy(tracing, "attributes");
        if tracing["parentBasedSampling"].is_object() {
            mode(&mut tracing["parentBasedSampling"]);
        }
        tidy(tracing, "parentBasedSampling");
        // B1: an address, not a reference. In the merged dialect that is our extension, and stays.
        if is_draft
            && let Some(provider) = tracing.get_mut("provider").and_then(Value::as_object_mut)
            && let Some(found) = provider.get("endpoint").and_then(Value::as_str).and_then(reference::of_address)
        {
            provider.remove("endpoint");
            provider.insert("backendRef".to_owned(), serde_json::to_value(found).unwrap_or_default());
        }
        if !is_draft {
            return;
        }
        // B8: what is Enabled has a provider, and what is Disabled has none.
        let has_provider = tracing.get("provider").is_some();
        match tracing["mode"].as_str() {
            Some("Enabled") if !has_provider => tracing["mode"] = "ImplementationDefault".into(),
            Some("Disabled") if has_provider => self.without_provider(at, tracing),
            _ => {}
        }
    }

    /// Drops the provider of tracing that is off.
    pub(super) fn without_provider(&mut self, at: &FieldPath, tracing: &mut Value) {
        if let Some(fields) = tracing.as_object_mut()
            && fields.remove("provider").is_some()
        {
            let problem = "GEP-4768 refuses a provider where mode is Disabled; it is left out";
            self.dropped.push((at.field("provider"), problem.to_owned()));
        }
    }

    /// Sources of attributes, as B1 to B15 had them.
    fn sources(&mut self, at: &FieldPath, list: &mut Value) {
        let Some(items) = list.as_array_mut() else { return };
        let mut index = 0;
        items.retain_mut(|item| {
            let at = at.index(index);
            index += 1;
            rename(item, "attributeRef", "attributeKey");
            match item["type"].as_str() {
                Some("Reference") => item["type"] = "Attribute".into(),
                Some("Standard") => {
                    let key = match item["standardValue"].as_str() {
                        Some("RequestStartTime") => "start_time",
                        Some("ResponseCode") => "response_code",
                        _ => {
                            self.dropped.push((at, "this standard value became nothing; it is left out".to_owned()));
                            return false;
                        }
                    };
                    item["type"] = "Attribute".into();
                    item["attributeKey"] = key.into();
                    tidy_member(item, "standardValue");
                }
                Some("Metadata") => {
                    let problem = "metadata of a proxy became nothing in GEP-4768; it is left out";
                    self.dropped.push((at, problem.to_owned()));
                    return false;
                }
                _ => {}
            }
            true
        });
    }
}

/// `On` and `Off`, which Kubernetes YAML reads as booleans unless they are quoted.
fn mode(stanza: &mut Value) {
    let modern = match stanza.get("mode") {
        Some(Value::Bool(true)) => "Enabled",
        Some(Value::Bool(false)) => "Disabled",
        Some(Value::String(word)) if word == "On" => "Enabled",
        Some(Value::String(word)) if word == "Off" => "Disabled",
        _ => return,
    };
    stanza["mode"] = modern.into();
}

/// Removes a field that was only looked at: indexing a mutable value makes it.
fn tidy(object: &mut Value, key: &str) {
    if object[key].is_null() {
        tidy_member(object, key);
    }
}

fn tidy_member(object: &mut Value, key: &str) {
    if let Some(fields) = object.as_object_mut() {
        fields.remove(key);
    }
}
