//! The schema of the file, for the checks here and for the editors of others.

use std::sync::LazyLock;

use kube::core::schema::{OptionalEnum, StructuralSchemaRewriter};
use schemars::{generate::SchemaSettings, transform::AddNullable};
use serde_json::{Map, Value, json};

use super::file::File;
use crate::policy::{api, model::Dialect};

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let generator = SchemaSettings::openapi3()
        .with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        })
        .with_transform(AddNullable::default())
        .with_transform(StructuralSchemaRewriter)
        .with_transform(OptionalEnum)
        .into_generator();
    // The types are fixed, and a test makes it.
    let mut schema = serde_json::to_value(generator.into_root_schema_for::<File>()).unwrap_or_default();
    api::tidy(&mut schema);
    schema
});

static DEFAULT_POLICY: LazyLock<Value> = LazyLock::new(|| {
    let mut schema = api::schema(Dialect::Gep)["properties"]["spec"].clone();
    schema["description"] = SCHEMA["properties"]["defaultPolicy"]["description"].clone();
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.remove("targetRefs");
    }
    if let Some(required) = schema["required"].as_array_mut() {
        required.retain(|name| name != "targetRefs");
    }
    schema
});

/// Of the whole file; `defaultPolicy` is any object there.
pub(super) fn of_file() -> &'static Value {
    &SCHEMA
}

/// Of `defaultPolicy`.
pub(super) fn of_default_policy() -> &'static Value {
    &DEFAULT_POLICY
}

/// The schema as it is published (JSON Schema 2020-12): what an editor can check. `docs/config.schema.json`.
pub fn published() -> Value {
    let mut schema = of_file().clone();
    schema["properties"]["defaultPolicy"] = of_default_policy().clone();
    plain(&mut schema);
    let mut published = Map::new();
    published.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    published.insert("title".to_owned(), json!("Configuration of Telltale"));
    if let Value::Object(mut fields) = schema {
        fields.remove("title");
        published.append(&mut fields);
    }
    Value::Object(published)
}

/// Without the words that only Kubernetes knows, and with what it takes for granted: no other keys than these.
fn plain(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    fields.retain(|word, _| !word.starts_with("x-kubernetes-"));
    if let Some(Value::String(words)) = fields.get_mut("description") {
        *words = words.replace('\n', " ");
    }
    if fields.get("required").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        fields.remove("required");
    }
    if fields.contains_key("properties") {
        fields.insert("additionalProperties".to_owned(), json!(false));
    }
    for schema in fields.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        plain(schema);
    }
    if let Some(items) = fields.get_mut("items") {
        plain(items);
    }
}
