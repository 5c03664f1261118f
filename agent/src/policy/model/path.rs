//! Where in a document a value stands.

use std::fmt;

/// The path of a field as its author spelled it: `spec.metrics.overrides[0].name`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldPath(String);

impl FieldPath {
    /// The path of a top-level field.
    pub fn new(field: &str) -> Self {
        Self(field.to_owned())
    }

    /// The path of a field of the object here.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        if self.0.is_empty() { Self(name.to_owned()) } else { Self(format!("{}.{name}", self.0)) }
    }

    /// The path of an element of the list here.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// The path of another field of the object that this field is in.
    #[must_use]
    pub fn beside(&self, name: &str) -> Self {
        self.0.rsplit_once('.').map_or_else(|| Self::new(name), |(object, _)| Self(format!("{object}.{name}")))
    }

    /// Whether this field is that one, or in it.
    pub fn is_in(&self, other: &Self) -> bool {
        self.0.strip_prefix(&other.0).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
