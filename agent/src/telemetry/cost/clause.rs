//! Which names a model of genai-prices goes by.

use regex::{Regex, RegexBuilder};
use serde_json::Value;

/// A condition on a name. Names and conditions are compared without case.
#[derive(Debug)]
pub(super) enum Clause {
    Equals(Box<str>),
    StartsWith(Box<str>),
    EndsWith(Box<str>),
    Contains(Box<str>),
    Regex(Regex),
    Or(Vec<Self>),
    And(Vec<Self>),
}

/// Conditions within conditions.
const MAX_DEPTH: u32 = 8;
/// Memory of a compiled pattern, in bytes.
const MAX_PATTERN: usize = 1 << 20;

impl Clause {
    /// `None` if it cannot be understood: nothing goes by it then.
    pub(super) fn read(value: &Value) -> Option<Self> {
        Self::read_within(value, MAX_DEPTH)
    }

    fn read_within(value: &Value, depth: u32) -> Option<Self> {
        let depth = depth.checked_sub(1)?;
        let (word, value) = value.as_object()?.iter().next()?;
        let text = || value.as_str().map(|text| text.to_lowercase().into());
        let list = || value.as_array()?.iter().map(|clause| Self::read_within(clause, depth)).collect::<Option<_>>();
        Some(match word.as_str() {
            "equals" => Self::Equals(text()?),
            "starts_with" => Self::StartsWith(text()?),
            "ends_with" => Self::EndsWith(text()?),
            "contains" => Self::Contains(text()?),
            "regex" => {
                let mut builder = RegexBuilder::new(value.as_str()?);
                Self::Regex(builder.case_insensitive(true).size_limit(MAX_PATTERN).build().ok()?)
            }
            "or" => Self::Or(list()?),
            "and" => Self::And(list()?),
            _ => return None,
        })
    }

    /// Whether a name, in lower case, meets it.
    pub(super) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Equals(text) => name == &**text,
            Self::StartsWith(text) => name.starts_with(&**text),
            Self::EndsWith(text) => name.ends_with(&**text),
            Self::Contains(text) => name.contains(&**text),
            Self::Regex(pattern) => pattern.is_match(name),
            Self::Or(clauses) => clauses.iter().any(|clause| clause.matches(name)),
            Self::And(clauses) => clauses.iter().all(|clause| clause.matches(name)),
        }
    }
}
