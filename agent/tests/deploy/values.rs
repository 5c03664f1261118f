//! The values of the chart: their schema, their page.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::rendered::{root, text, yaml};

const SCHEMA: &str = "deploy/helm/telltale/values.schema.json";

/// Every value that the schema has no fields for, with its default.
fn leaves(at: &str, schema: &Value, default: &Value, found: &mut BTreeMap<String, Value>) {
    let fields = schema["properties"].as_object().filter(|_| at != "config");
    for (name, schema) in fields.into_iter().flatten().filter(|(name, _)| *name != "global") {
        let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        leaves(&path, schema, &default[name], found);
    }
    if fields.is_none() {
        found.insert(at.to_owned(), default.clone());
    }
}

#[test]
fn every_value_is_explained() {
    let schema: Value = serde_json::from_str(&text(SCHEMA)).unwrap();
    let values = yaml("deploy/helm/telltale/values.yaml");
    let mut expected = BTreeMap::new();
    leaves("", &schema, &values, &mut expected);
    let page = text("deploy/helm/telltale/README.md");
    let rows = page.lines().filter_map(|line| {
        let (path, rest) = line.strip_prefix("| `")?.split_once("` | `")?;
        let (default, meaning) = rest.split_once("` | ")?;
        assert!(meaning.len() > 10, "{line}");
        Some((path.to_owned(), serde_json::from_str(default).unwrap_or_else(|error| panic!("{line}: {error}"))))
    });
    assert_eq!(rows.collect::<BTreeMap<String, Value>>(), expected);
}

/// A typing error in `config` is found before anything is installed, since the chart's schema holds the agent's.
#[test]
fn the_schema_of_the_configuration_is_that_of_the_agent() {
    let mut schema: Value = serde_json::from_str(&text(SCHEMA)).unwrap();
    let mut expected = telltale::config::json_schema();
    let fields = expected.as_object_mut().unwrap();
    fields.remove("$schema");
    fields.remove("title");
    if std::env::var_os("TELLTALE_UPDATE_DOCS").is_some() {
        schema["properties"]["config"] = expected.clone();
        fs::write(root().join(SCHEMA), serde_json::to_string_pretty(&schema).unwrap() + "\n").unwrap();
    }
    assert!(schema["properties"]["config"] == expected, "run this test with TELLTALE_UPDATE_DOCS=1");
}
