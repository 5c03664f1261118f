//! `x-kubernetes-validations`: CEL rules of a schema.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use cel::{
    Context, Program, Value as Cel,
    objects::{Key, Map},
};
use serde_json::Value;

use super::shape::{Shape, Type};

/// Words that CEL keeps for itself; a field of such a name is `__name__` in rules (Kubernetes, "Validation rules": escaping).
const RESERVED: [&str; 20] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
];

/// A rule, compiled when it is first asked.
#[derive(Debug)]
pub(super) struct Rule {
    text: String,
    program: OnceLock<Result<Program, String>>,
    /// What is wrong where it does not hold.
    pub(super) message: String,
}

impl Rule {
    /// From the schema.
    pub(super) fn new(rule: &Value) -> Self {
        let text = rule["rule"].as_str().unwrap_or_default();
        let message = rule["message"].as_str().map_or_else(|| format!("failed rule: {text}"), str::to_owned);
        Self { text: text.to_owned(), program: OnceLock::new(), message }
    }

    /// Whether it holds for a value.
    pub(super) fn check(&self, this: &Cel) -> Result<bool, String> {
        let compile = || Program::compile(&self.text).map_err(|error| error.to_string());
        let program = self.program.get_or_init(compile).as_ref().map_err(Clone::clone)?;
        let mut context = Context::default();
        context.add_variable_from_value("self", this.clone());
        match program.execute(&context) {
            Ok(Cel::Bool(holds)) => Ok(holds),
            Ok(other) => Err(format!("the rule gives {}, no boolean", other.type_of())),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// A value as rules see it: only fields of the schema, and whole numbers as such.
pub(super) fn seen(shape: &Shape, value: &Value) -> Cel {
    match (shape.kind, value) {
        (Type::Object, Value::Object(fields)) => {
            let fields = fields.iter().filter_map(|(name, value)| {
                let shape = shape.properties.get(name)?;
                let name = if RESERVED.contains(&name.as_str()) { format!("__{name}__") } else { name.clone() };
                Some((Key::String(Arc::new(name)), seen(shape, value)))
            });
            Cel::Map(Map { map: Arc::new(fields.collect::<HashMap<_, _>>()) })
        }
        (Type::Array, Value::Array(items)) => {
            let seen = items.iter().filter_map(|item| Some(seen(shape.items.as_deref()?, item)));
            Cel::List(Arc::new(seen.collect()))
        }
        (Type::Integer, Value::Number(number)) => Cel::Int(number.as_i64().unwrap_or(i64::MAX)),
        (_, Value::Number(number)) => Cel::Float(number.as_f64().unwrap_or(f64::NAN)),
        (_, Value::String(text)) => Cel::String(Arc::new(text.clone())),
        (_, Value::Bool(truth)) => Cel::Bool(*truth),
        _ => Cel::Null,
    }
}
