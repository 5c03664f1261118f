//! `COALESCE(JSON)`: the first operator that has a value.

use serde::Deserialize;

use super::{Command, Problem, Source, compile as compile_command, operator};
use crate::policy::{model::FieldPath, plan::access_log::Compiler};

/// Operators in a list at most.
const MAX_OPERATORS: usize = 16;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    operators: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Name(String),
    Command(Object),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    command: String,
    param: Option<String>,
    max_length: Option<usize>,
}

/// The operators that the argument lists. In it a `)` is written `\u0029`.
pub(super) fn compile(
    argument: &str,
    at: &FieldPath,
    unknown: &mut Vec<String>,
    compiler: &mut Compiler<'_>,
) -> Result<Vec<(Source, Option<usize>)>, Problem> {
    let document: Document = serde_json::from_str(argument).map_err(|error| {
        Problem::new(
            format!("its argument is not as it should be: {error}"),
            r#"write {"operators": ["NAME", {"command": "NAME", "param": "ARGUMENT", "max_length": 10}]}"#,
        )
    })?;
    if document.operators.is_empty() || document.operators.len() > MAX_OPERATORS {
        return Err(Problem::new(
            format!("has {} operators", document.operators.len()),
            format!("write 1 to {MAX_OPERATORS}"),
        ));
    }
    let mut choices = Vec::new();
    for entry in document.operators {
        let object = match entry {
            Entry::Name(command) => Object { command, param: None, max_length: None },
            Entry::Command(object) => object,
        };
        if operator::find(&object.command) == Some(operator::Meaning::Coalesce) {
            return Err(Problem::new("is not allowed in itself", "list the operators in one list"));
        }
        let command = Command {
            position: 0,
            name: &object.command,
            argument: object.param.as_deref(),
            length: object.max_length,
        };
        let operand = compile_command(command, at, unknown, compiler)
            .map_err(|inner| Problem { problem: format!("{}: {}", object.command, inner.problem), ..inner })?;
        choices.extend(operand.choices.into_iter().map(|(source, _)| (source, object.max_length)));
    }
    Ok(choices)
}
