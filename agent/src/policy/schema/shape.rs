//! A custom resource definition's schema (`OpenAPI` v3, structural), made ready to check values with.

use std::{
    collections::BTreeMap,
    sync::{LazyLock, OnceLock},
};

use regex::Regex;
use serde_json::Value;

use super::rule::Rule;
use crate::policy::{api, model::Dialect};

/// What a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Object,
    Array,
    Text,
    Integer,
    Number,
    Boolean,
}

impl Type {
    /// With its article, for messages.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::Array => "a list",
            Self::Text => "text",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Boolean => "a boolean",
        }
    }
}

/// The schema of one value.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) kind: Type,
    /// Members of an object. None is an object that is not described, which is not looked into.
    pub(super) properties: BTreeMap<String, Shape>,
    pub(super) required: Vec<String>,
    /// Elements of a list.
    pub(super) items: Option<Box<Shape>>,
    /// `x-kubernetes-list-map-keys`: no two elements agree in all of them.
    pub(super) map_keys: Vec<String>,
    pub(super) default: Option<Value>,
    pub(super) words: Vec<String>,
    pub(super) pattern: Option<Pattern>,
    /// `minLength` or `minItems`, in characters or elements.
    pub(super) min_size: Option<u64>,
    /// `maxLength` or `maxItems`.
    pub(super) max_size: Option<u64>,
    pub(super) minimum: Option<f64>,
    pub(super) maximum: Option<f64>,
    pub(super) rules: Vec<Rule>,
}

static PROPOSAL: LazyLock<Shape> = LazyLock::new(|| Shape::new(api::schema(Dialect::Proposal)));
static GEP: LazyLock<Shape> = LazyLock::new(|| Shape::new(api::schema(Dialect::Gep)));

/// A pattern, compiled when the first text comes: a schema has many, and a policy few of the fields.
#[derive(Debug)]
pub(super) struct Pattern {
    text: String,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    fn new(text: &str) -> Self {
        Self { text: text.to_owned(), compiled: OnceLock::new() }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it occurs in a text. One that cannot be compiled, of which a test finds none in our schemas, occurs in all.
    pub(super) fn is_match(&self, text: &str) -> bool {
        self.regex().is_none_or(|regex| regex.is_match(text))
    }

    fn regex(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| Regex::new(&self.text).ok()).as_ref()
    }
}

impl Shape {
    /// Of the objects of a dialect.
    pub(super) fn of(dialect: Dialect) -> &'static Self {
        match dialect {
            Dialect::Proposal => &PROPOSAL,
            Dialect::Gep => &GEP,
        }
    }

    /// Reads a schema. What is no structural schema would be read as less than it says; a test checks that ours are.
    pub(super) fn new(schema: &Value) -> Self {
        let texts = |key: &str| {
            let values = schema[key].as_array().into_iter().flatten();
            values.filter_map(|value| value.as_str().map(str::to_owned)).collect::<Vec<_>>()
        };
        let kind = match schema["type"].as_str() {
            Some("array") => Type::Array,
            Some("string") => Type::Text,
            Some("integer") => Type::Integer,
            Some("number") => Type::Number,
            Some("boolean") => Type::Boolean,
            _ => Type::Object,
        };
        let properties = schema["properties"].as_object().into_iter().flatten();
        // An integer that does not fit its format is refused too.
        let format = match schema["format"].as_str() {
            Some("int32") => Some((f64::from(i32::MIN), f64::from(i32::MAX))),
            _ => None,
        };
        Self {
            kind,
            properties: properties.map(|(name, schema)| (name.clone(), Self::new(schema))).collect(),
            required: texts("required"),
            items: schema.get("items").map(|items| Box::new(Self::new(items))),
            map_keys: texts("x-kubernetes-list-map-keys"),
            default: schema.get("default").cloned(),
            words: texts("enum"),
            pattern: schema["pattern"].as_str().map(Pattern::new),
            min_size: schema["minLength"].as_u64().or_else(|| schema["minItems"].as_u64()),
            max_size: schema["maxLength"].as_u64().or_else(|| schema["maxItems"].as_u64()),
            minimum: schema["minimum"].as_f64().or(format.map(|bounds| bounds.0)),
            maximum: schema["maximum"].as_f64().or(format.map(|bounds| bounds.1)),
            rules: schema["x-kubernetes-validations"].as_array().into_iter().flatten().map(Rule::new).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(schema: &Value, key: &str) -> usize {
        match schema {
            Value::Object(fields) => {
                usize::from(fields.contains_key(key)) + fields.values().map(|value| count(value, key)).sum::<usize>()
            }
            Value::Array(items) => items.iter().map(|value| count(value, key)).sum(),
            _ => 0,
        }
    }

    fn patterns(shape: &Shape) -> usize {
        usize::from(shape.pattern.as_ref().is_some_and(|pattern| pattern.regex().is_some()))
            + shape.items.as_deref().map_or(0, patterns)
            + shape.properties.values().map(patterns).sum::<usize>()
    }

    #[test]
    fn every_pattern_is_one_that_we_can_check() {
        for dialect in Dialect::ALL {
            let found = count(api::schema(dialect), "pattern");
            // `content.redact[].pattern` is a field of that name.
            assert_eq!(patterns(Shape::of(dialect)), found - 1);
            assert!(found > 20, "{found}");
        }
    }
}
