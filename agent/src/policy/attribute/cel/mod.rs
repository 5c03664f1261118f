//! CEL, compiled once and evaluated for each exchange.
//!
//! The `cel` crate parses. The check against the dictionary and the evaluation are ours: types are known when a policy is read, only what an
//! expression names is looked up, texts are borrowed, what is absent is told from what is wrong, and the work is bounded.

mod check;
mod cost;
mod dictionary;
mod eval;
mod function;
mod kind;
mod macros;
#[cfg(test)]
mod tests;
mod tree;

use cel::parser::PrattParser;

use self::{
    check::{Check, Wrong},
    eval::{Evaluation, Stop},
    kind::Kind,
    tree::Node,
};
use super::{Faults, Key, Subject, Value, When};
use crate::policy::{Capture, Effect, Finding, Trust, model::FieldPath};

/// A compiled expression.
#[derive(Debug)]
pub struct Program {
    node: Node,
    keys: Vec<Key>,
    /// It is true or false.
    is_flag: bool,
    fuel: u64,
    /// Bytes of its value.
    limit: usize,
    faults: Faults,
}

impl Program {
    /// Compiles an expression that gives the value of an attribute. What is wrong with it makes the policy `Invalid`.
    pub fn compile(expression: &str, at: &FieldPath, trust: &Trust, findings: &mut Vec<Finding>) -> Option<Self> {
        Self::checked(expression, at, trust, findings, |kind| {
            let remedy = "give a string, number, bool, duration, timestamp or list of strings";
            (!kind.is_value())
                .then(|| Wrong { problem: format!("a {kind} cannot be an attribute"), remedy: Some(remedy.to_owned()) })
        })
    }

    /// Compiles an expression that decides something: it has to be boolean.
    pub fn filter(expression: &str, at: &FieldPath, trust: &Trust, findings: &mut Vec<Finding>) -> Option<Self> {
        Self::checked(expression, at, trust, findings, |kind| {
            (*kind != Kind::Bool).then(|| Wrong {
                problem: format!("a filter is bool, this is {kind}"),
                remedy: Some("compare it with something".to_owned()),
            })
        })
    }

    fn checked(
        expression: &str,
        at: &FieldPath,
        trust: &Trust,
        findings: &mut Vec<Finding>,
        wants: impl FnOnce(&Kind) -> Option<Wrong>,
    ) -> Option<Self> {
        let mut check = Check::new(trust.limits.pattern);
        let result = parse(expression, trust).and_then(|parsed| {
            let (node, kind) = check.expression(&parsed)?;
            if let Some(wrong) = wants(&kind) {
                return Err(wrong);
            }
            let (cost, limit) = (cost::worst_case(&node), trust.limits.expression_cost);
            if cost > limit {
                let problem = format!("the expression may take {cost} steps, more than {limit}");
                return Err(Wrong { problem, remedy: Some("go over fewer or shorter things".to_owned()) });
            }
            Ok((node, kind == Kind::Bool))
        });
        let Check { keys, secrets, .. } = check;
        match result {
            Ok((node, is_flag)) => {
                for name in secrets {
                    findings.push(left_out(at, &name));
                }
                for key in &keys {
                    findings.extend(absent(at, *key, trust));
                }
                let (limits, faults) = (&trust.limits, trust.faults.clone());
                let content = !is_flag && keys.iter().any(|key| key.is_content());
                let limit = if content { limits.result.max(limits.content as usize) } else { limits.result };
                Some(Self { node, keys, is_flag, fuel: limits.expression_cost, limit, faults })
            }
            Err(Wrong { problem, remedy }) => {
                let finding = Finding::invalid(at, problem);
                findings.push(match remedy {
                    Some(remedy) => finding.instead(remedy),
                    None => finding,
                });
                None
            }
        }
    }

    /// The value for an exchange; `None` if it depends on something absent, and on a fault, which is counted. One that is too long is cut, which
    /// is counted too: an expression can make much more text than an exchange has.
    pub fn value<'a>(&'a self, subject: &'a dyn Subject) -> Option<Value<'a>> {
        let value = Evaluation::new(subject, self.fuel).of(&self.node);
        let mut value = self.settle(value).map(tree::Val::into_value)?;
        if value.cut(self.limit) {
            self.faults.count_cut();
        }
        Some(value)
    }

    /// Whether a filter says yes: not if it depends on something absent, nor on a fault, which is counted.
    pub fn holds(&self, subject: &dyn Subject) -> bool {
        let flag = Evaluation::new(subject, self.fuel).flag(&self.node);
        self.settle(flag).unwrap_or(false)
    }

    fn settle<T>(&self, result: eval::Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(Stop::Absent) => None,
            Err(Stop::Fault) => {
                self.faults.count();
                None
            }
        }
    }

    /// The variables that it names.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// What must be captured for it.
    pub fn needs(&self) -> Capture {
        self.keys.iter().map(|key| key.row().asks()).max().unwrap_or_default()
    }

    /// Whether its value may be a piece of content.
    pub fn may_give_content(&self) -> bool {
        !self.is_flag && self.keys.iter().any(|key| key.is_content())
    }
}

fn parse(expression: &str, trust: &Trust) -> Result<cel::IdedExpr, Wrong> {
    let (length, limit) = (expression.chars().count(), trust.limits.expression);
    if length > limit {
        return Err(Wrong::new(format!("the expression has {length} characters, more than {limit}")));
    }
    PrattParser::default().parse(expression).map_err(|errors| {
        let Some(error) = errors.errors.into_iter().next() else { return Wrong::new("not a CEL expression") };
        let place = match error.pos {
            (line, column) if column > 0 => format!(", at line {line} column {column}"),
            _ => String::new(),
        };
        let remedy =
            error.msg.contains("has() macro").then(|| "has(x.y) takes a variable; ask \"name\" in map".to_owned());
        Wrong { problem: format!("not a CEL expression{place}: {}", error.msg), remedy }
    })
}

/// What is said of a credential that is asked for.
pub(in crate::policy) fn left_out(at: &FieldPath, name: &str) -> Finding {
    Finding::new(at, Effect::Message, format!("header `{name}` holds credentials and is left out"))
}

/// What is said of a key that has no value under the policy that is compiled.
pub(in crate::policy) fn absent(at: &FieldPath, key: Key, trust: &Trust) -> Option<Finding> {
    not_kept(at, key, trust).or_else(|| never(at, key))
}

/// What is said of content that the policy does not keep.
pub(in crate::policy) fn not_kept(at: &FieldPath, key: Key, trust: &Trust) -> Option<Finding> {
    let (kept, whose, capture) = match key {
        Key::HttpRequestBody
        | Key::HttpRequestBodyIncomplete
        | Key::GenAiSystemInstructions
        | Key::GenAiInputMessages
        | Key::GenAiToolDefinitions
        | Key::GenAiInputIncomplete
        | Key::GenAiToolCallArguments => (trust.content.has_requests(), "requests", "Request"),
        Key::HttpResponseBody
        | Key::HttpResponseBodyIncomplete
        | Key::GenAiOutputMessages
        | Key::GenAiOutputIncomplete
        | Key::GenAiToolCallResult => (trust.content.has_responses(), "responses", "Response"),
        _ => return None,
    };
    let problem = format!("`{}` has no value, since the policy does not keep the content of {whose}", key.name());
    let finding = Finding::new(at, Effect::Message, problem);
    (!kept).then(|| finding.instead(format!("set content.capture to {capture} or All")))
}

/// What is said of a key that a passive observer cannot know.
fn never(at: &FieldPath, key: Key) -> Option<Finding> {
    (key.row().when == When::Never).then(|| {
        Finding::new(at, Effect::Partial, format!("`{}` is known to a proxy only and always absent here", key.name()))
    })
}
