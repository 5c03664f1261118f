//! What is to be said about a policy.

use super::model::FieldPath;

/// What a finding does to its policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// `Accepted` is False with reason `Invalid`; an error of `validate`.
    Invalid,
    /// `Accepted` stays True, its message tells; `Programmed` is `PartiallyProgrammed`: this data plane cannot do it.
    Partial,
    /// `Accepted` stays True, its message tells. A warning of `validate`.
    Message,
    /// Only `validate` tells.
    Warning,
}

/// One sentence about one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which field.
    pub field: FieldPath,
    /// What it does.
    pub effect: Effect,
    /// What is wrong.
    pub problem: String,
    /// What would be right.
    pub remedy: Option<String>,
}

impl Finding {
    /// A finding without a remedy.
    pub fn new(field: &FieldPath, effect: Effect, problem: impl Into<String>) -> Self {
        Self { field: field.clone(), effect, problem: problem.into(), remedy: None }
    }

    /// That makes the policy invalid.
    pub fn invalid(field: &FieldPath, problem: impl Into<String>) -> Self {
        Self::new(field, Effect::Invalid, problem)
    }

    /// What would be right.
    #[must_use]
    pub fn instead(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl std::fmt::Display for Finding {
    /// `FIELD: what is wrong; what would be right`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)?;
        match &self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}
