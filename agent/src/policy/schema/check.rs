//! Checks a value against a schema, and completes it as an API server would: what is unknown is left out, what has a default gets it.

use serde_json::{Map, Value};

use super::{
    hint,
    rule::seen,
    shape::{Shape, Type},
};
use crate::policy::{
    Effect, Finding,
    model::{Dialect, FieldPath},
};

/// Findings of one policy are this many at most.
const MAX_FINDINGS: usize = 200;

pub(super) struct Checker<'a> {
    /// Whose words are explained where they are wrong.
    pub(super) dialect: Option<Dialect>,
    /// What an unknown field is: an API server leaves it out and warns.
    pub(super) unknown: Effect,
    pub(super) findings: &'a mut Vec<Finding>,
}

impl Checker<'_> {
    fn push(&mut self, finding: Finding) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        } else if self.findings.len() == MAX_FINDINGS {
            // Whatever is left out, the policy must not come out as valid.
            let problem = format!("there are more than {MAX_FINDINGS} findings; the rest is left out");
            self.findings.push(Finding::invalid(&FieldPath::new("spec"), problem));
        }
    }

    fn invalid(&mut self, at: &FieldPath, problem: impl Into<String>, remedy: impl Into<String>) {
        self.push(Finding::invalid(at, problem).instead(remedy));
    }

    /// Checks and completes a value. True if nothing in it is invalid.
    pub(super) fn check(&mut self, at: &FieldPath, shape: &Shape, value: &mut Value) -> bool {
        if !self.has_type(at, shape, value) {
            return false;
        }
        let is_valid = match value {
            Value::Object(fields) => self.object(at, shape, fields),
            Value::Array(items) => self.array(at, shape, items),
            Value::String(text) => self.text(at, shape, text),
            Value::Number(number) => self.number(at, shape, number.as_f64().unwrap_or(f64::NAN)),
            Value::Bool(_) | Value::Null => true,
        };
        // As an API server: rules are not asked about what is wrong already.
        is_valid && self.rules(at, shape, value)
    }

    fn has_type(&mut self, at: &FieldPath, shape: &Shape, value: &mut Value) -> bool {
        let is = match (shape.kind, &*value) {
            (Type::Object, Value::Object(_))
            | (Type::Array, Value::Array(_))
            | (Type::Text, Value::String(_))
            | (Type::Number, Value::Number(_))
            | (Type::Boolean, Value::Bool(_)) => true,
            (Type::Integer, Value::Number(number)) => {
                match number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() < 9e15) {
                    // YAML's `5.0` is JSON's `5`.
                    Some(float) => {
                        *value = Value::from(float as i64);
                        true
                    }
                    None => !number.is_f64(),
                }
            }
            _ => false,
        };
        if !is {
            let remedy = match (shape.kind, &*value) {
                (Type::Text, Value::Bool(_) | Value::Number(_)) => Some("put it in quotes"),
                (Type::Object, Value::Null) => Some("give it fields, or leave it out; `{}` is an empty object"),
                (_, Value::Null) => Some("give it a value, or leave it out"),
                _ => None,
            };
            let mut finding = Finding::invalid(at, format!("is {}, must be {}", words(value), shape.kind.words()));
            finding.remedy = remedy.map(str::to_owned);
            self.push(finding);
        }
        is
    }

    fn object(&mut self, at: &FieldPath, shape: &Shape, fields: &mut Map<String, Value>) -> bool {
        if shape.properties.is_empty() {
            return true;
        }
        let mut is_valid = true;
        let unknown: Vec<String> =
            fields.keys().filter(|name| !shape.properties.contains_key(*name)).cloned().collect();
        for name in unknown {
            fields.remove(&name);
            if self.findings.len() > MAX_FINDINGS {
                continue;
            }
            let known = shape.properties.keys().map(String::as_str);
            let problem = match self.unknown {
                Effect::Invalid => "is no field here",
                _ => "is no field here and is left out",
            };
            let mut finding = Finding::new(&at.field(&name), self.unknown, problem);
            is_valid &= self.unknown != Effect::Invalid;
            finding.remedy = hint::for_field(self.dialect, &name, known);
            self.push(finding);
        }
        for (name, shape) in &shape.properties {
            // An API server leaves out a null that has a default, and then sets that.
            if let Some(default) = shape.default.as_ref().filter(|_| fields.get(name).is_none_or(Value::is_null)) {
                fields.insert(name.clone(), default.clone());
            }
            if let Some(value) = fields.get_mut(name) {
                is_valid &= self.check(&at.field(name), shape, value);
            }
        }
        for name in &shape.required {
            if !fields.contains_key(name) {
                let kind = shape.properties.get(name).map_or("a value", |shape| shape.kind.words());
                self.invalid(&at.field(name), "is missing", format!("it must be {kind}"));
                is_valid = false;
            }
        }
        is_valid
    }

    fn array(&mut self, at: &FieldPath, shape: &Shape, items: &mut [Value]) -> bool {
        let mut is_valid = self.size(at, shape, items.len(), "element");
        // What is beyond the limit is not looked at: that is what limits are for.
        let limit = shape.max_size.map_or(usize::MAX, |size| usize::try_from(size).unwrap_or(usize::MAX));
        let Some(shape_of_item) = shape.items.as_deref() else { return is_valid };
        for (index, item) in items.iter_mut().enumerate().take(limit) {
            is_valid &= self.check(&at.index(index), shape_of_item, item);
        }
        if !shape.map_keys.is_empty() {
            let key = |item: &Value| shape.map_keys.iter().map(|key| item.get(key).cloned()).collect::<Vec<_>>();
            let mut seen: Vec<(Vec<Option<Value>>, usize)> = Vec::new();
            for (index, item) in items.iter().enumerate().take(limit) {
                let key = key(item);
                match seen.iter().find(|(other, _)| *other == key) {
                    Some((_, first)) => {
                        let (at, names) = (at.index(index), shape.map_keys.join(" and "));
                        let problem = format!("has the same {names} as element {first}");
                        self.invalid(&at, problem, format!("every element needs its own {names}"));
                        is_valid = false;
                    }
                    None => seen.push((key, index)),
                }
            }
        }
        is_valid
    }

    fn text(&mut self, at: &FieldPath, shape: &Shape, text: &str) -> bool {
        if !shape.words.is_empty() && !shape.words.iter().any(|word| word == text) {
            let words: Vec<_> = shape.words.iter().map(|word| format!("`{word}`")).collect();
            let remedy = match hint::nearest(text, shape.words.iter().map(String::as_str)) {
                Some(nearest) => format!("did you mean `{nearest}`? It is one of {}", words.join(", ")),
                None => format!("it is one of {}", words.join(", ")),
            };
            self.invalid(at, format!("`{}` is no value of it", short(text)), remedy);
            return false;
        }
        if !self.size(at, shape, text.chars().count(), "character") {
            return false;
        }
        match &shape.pattern {
            Some(pattern) if !pattern.is_match(text) => {
                let problem = format!("`{}` has characters that it must not have", short(text));
                self.invalid(at, problem, format!("it must match {}", pattern.as_str()));
                false
            }
            _ => true,
        }
    }

    fn size(&mut self, at: &FieldPath, shape: &Shape, size: usize, unit: &str) -> bool {
        let size = size as u64;
        if let Some(least) = shape.min_size.filter(|least| size < *least) {
            let problem = if size == 0 { "is empty".to_owned() } else { format!("has {}", counted(size, unit)) };
            self.invalid(at, problem, format!("it must have at least {}", counted(least, unit)));
            return false;
        }
        if let Some(most) = shape.max_size.filter(|most| size > *most) {
            self.invalid(
                at,
                format!("has {}", counted(size, unit)),
                format!("it may have at most {}", counted(most, unit)),
            );
            return false;
        }
        true
    }

    fn number(&mut self, at: &FieldPath, shape: &Shape, number: f64) -> bool {
        if let Some(least) = shape.minimum.filter(|least| number < *least) {
            self.invalid(at, format!("is {number}"), format!("it must be at least {least}"));
            return false;
        }
        if let Some(most) = shape.maximum.filter(|most| number > *most) {
            self.invalid(at, format!("is {number}"), format!("it may be at most {most}"));
            return false;
        }
        true
    }

    fn rules(&mut self, at: &FieldPath, shape: &Shape, value: &Value) -> bool {
        if shape.rules.is_empty() {
            return true;
        }
        let this = seen(shape, value);
        let mut is_valid = true;
        for rule in &shape.rules {
            let problem = match rule.check(&this) {
                Ok(true) => continue,
                Ok(false) => rule.message.clone(),
                Err(error) => format!("{} (cannot be decided: {error})", rule.message),
            };
            self.push(Finding::invalid(at, problem));
            is_valid = false;
        }
        is_valid
    }
}

fn counted(number: u64, unit: &str) -> String {
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

/// What a value is, with its article.
fn words(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The beginning of a text, for messages.
fn short(text: &str) -> String {
    const MOST: usize = 60;
    if text.chars().count() <= MOST { text.to_owned() } else { text.chars().take(MOST).chain(['…']).collect() }
}
