//! Whether an API server takes the definitions (apiextensions, `ValidateCustomResourceDefinition` and the rules of structural schemas), and whether
//! those in `deploy/crds` are these.

use std::{fs, path::Path};

use serde_json::Value;

use super::*;
use crate::policy::{document::to_yaml, model::Dialect, schema::check_default};

/// Keywords that a structural schema may have.
const KEYWORDS: [&str; 20] = [
    "type",
    "description",
    "properties",
    "required",
    "items",
    "enum",
    "default",
    "format",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-validations",
    "additionalProperties",
];

fn texts<'a>(schema: &'a Value, key: &str) -> Vec<&'a str> {
    schema[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Pushes what is not structural.
fn structural(dialect: Dialect, path: &str, schema: &Value, wrong: &mut Vec<String>) {
    let mut say = |what: &str| wrong.push(format!("{path}: {what}"));
    let Some(fields) = schema.as_object() else { return say("is no schema") };
    for key in fields.keys().filter(|key| !KEYWORDS.contains(&key.as_str())) {
        say(&format!("{key} is not allowed, or nothing that we use"));
    }
    let kind = schema["type"].as_str().unwrap_or_default();
    let has = |key: &str| fields.contains_key(key);
    match kind {
        "object" => {
            if has("additionalProperties") == has("properties") {
                say("an object has properties or additionalProperties, not both and not none");
            }
            for name in texts(schema, "required") {
                if schema["properties"][name].is_null() {
                    say(&format!("{name} is required and no property"));
                }
            }
        }
        "array" => {
            if !schema["items"].is_object() {
                say("a list has one schema for its items");
            }
            let keys = texts(schema, "x-kubernetes-list-map-keys");
            match schema["x-kubernetes-list-type"].as_str() {
                Some("map") if keys.is_empty() => say("a map list has keys"),
                Some("map") => {
                    for key in keys {
                        let property = &schema["items"]["properties"][key];
                        let is_there =
                            texts(&schema["items"], "required").contains(&key) || !property["default"].is_null();
                        if !is_there || !matches!(property["type"].as_str(), Some("string" | "integer" | "boolean")) {
                            say(&format!("the key {key} must be a scalar that is required or has a default"));
                        }
                    }
                }
                Some("atomic") if keys.is_empty() => {}
                _ => say("a list says how it is merged"),
            }
            if !has("maxItems") {
                say("a list has a limit, or the cost of its rules has none");
            }
        }
        "string" | "integer" | "number" | "boolean" => {}
        _ => say("has no type"),
    }
    if kind == "string" && !has("enum") && !has("maxLength") && schema["format"] != "date-time" {
        say("a text has a limit, or the cost of its rules has none");
    }
    if has("enum") && (kind != "string" || texts(schema, "enum").is_empty()) {
        say("an enum lists texts");
    }
    for (least, most) in [("minLength", "maxLength"), ("minItems", "maxItems"), ("minimum", "maximum")] {
        if let (Some(least), Some(most)) = (schema[least].as_f64(), schema[most].as_f64())
            && least > most
        {
            say("a minimum is above its maximum");
        }
    }
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        if rule["rule"].as_str().is_none_or(str::is_empty) || rule["message"].as_str().is_none_or(str::is_empty) {
            say("a rule has an expression and a message");
        }
    }
    if schema["description"].as_str().is_none_or(str::is_empty) && !path.ends_with("[]") {
        say("is not described");
    }
    if has("default") {
        for finding in check_default(dialect, schema) {
            say(&format!("its default is not valid: {finding}"));
        }
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        structural(dialect, &format!("{path}.{name}"), property, wrong);
    }
    if has("items") {
        structural(dialect, &format!("{path}[]"), &schema["items"], wrong);
    }
}

#[test]
fn the_schemas_are_structural() {
    for dialect in Dialect::ALL {
        let mut wrong = Vec::new();
        let schema = schema(dialect);
        assert_eq!(texts(schema, "required"), ["spec"]);
        assert!(schema["properties"]["metadata"].is_null());
        structural(dialect, "", schema, &mut wrong);
        assert_eq!(wrong, [""; 0], "{dialect:?}");
    }
}

#[test]
fn the_checker_finds_what_is_not_structural() {
    let mut wrong = Vec::new();
    let schema = serde_json::json!({"type": "object", "description": "x", "properties": {
        "a": {"description": "x", "nullable": true},
        "b": {"description": "x", "type": "array", "items": {"type": "object", "properties": {}}, "maxItems": 1, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]},
        "c": {"description": "x", "type": "integer", "minimum": 1, "default": 0},
        "d": {"$ref": "#/x", "type": "string"},
    }});
    structural(Dialect::Gep, "", &schema, &mut wrong);
    assert_eq!(wrong.len(), 7, "{wrong:#?}");
}

/// Paths of the fields that are not described as extensions.
fn portable(path: &str, schema: &Value, found: &mut Vec<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        if property["description"].as_str().is_some_and(|words| words.starts_with("Extension")) {
            continue;
        }
        let path = format!("{path}.{name}");
        found.push(path.clone());
        portable(&path, property, found);
        portable(&format!("{path}[]"), &property["items"], found);
    }
}

#[test]
fn what_is_not_described_as_an_extension_is_portable() {
    let fields = |dialect| {
        let mut found = Vec::new();
        portable("spec", &schema(dialect)["properties"]["spec"], &mut found);
        found.join("\n")
    };
    insta::assert_snapshot!("proposal", fields(Dialect::Proposal));
    insta::assert_snapshot!("gep", fields(Dialect::Gep));
}

#[test]
fn names_and_marks_are_those_of_the_gateway_api() {
    for (dialect, short) in [(Dialect::Proposal, "tpol"), (Dialect::Gep, "xtpol")] {
        let definition = definition(dialect);
        let names = &definition["spec"]["names"];
        assert_eq!(definition["metadata"]["name"], format!("telemetrypolicies.{}", dialect.group()));
        assert_eq!(definition["metadata"]["labels"]["gateway.networking.k8s.io/policy"], "Inherited");
        assert_eq!(names["shortNames"], serde_json::json!([short]));
        assert_eq!(names["categories"], serde_json::json!(["telemetry"]));
        assert_eq!(definition["spec"]["scope"], "Namespaced");
        let version = &definition["spec"]["versions"][0];
        assert_eq!(format!("{}/{}", dialect.group(), version["name"].as_str().unwrap()), dialect.api_version());
        assert_eq!(version["subresources"], serde_json::json!({"status": {}}));
        let columns: Vec<_> = version["additionalPrinterColumns"]
            .as_array()
            .unwrap()
            .iter()
            .map(|column| column["name"].as_str().unwrap())
            .collect();
        assert_eq!(columns, ["Target Kind", "Target Name", "Accepted", "Programmed", "Age"]);
    }
    let annotations = |dialect| &definition(dialect)["metadata"]["annotations"];
    assert_eq!(annotations(Dialect::Proposal)["api-approved.kubernetes.io"], "unapproved, experimental");
    assert_eq!(annotations(Dialect::Proposal)["gateway.networking.k8s.io/channel"], "experimental");
    assert!(annotations(Dialect::Gep).is_null(), "the group is not one that needs an approval");
}

#[test]
fn deploy_has_what_the_verb_prints() {
    for dialect in Dialect::ALL {
        let name = format!("{}_telemetrypolicies.yaml", dialect.group());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/crds").join(&name);
        let text = to_yaml(definition(dialect));
        if std::env::var_os("TELLTALE_WRITE_CRDS").is_some() {
            fs::write(&path, &text).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == text,
            "deploy/crds/{name} is not what the types say; write it with `TELLTALE_WRITE_CRDS=1 cargo test -p telltale --lib policy::api`"
        );
    }
}
