//! The types of expressions, for the check that the `cel` crate leaves to its user.

use std::fmt;

use crate::policy::attribute::{Key, Type};

/// The type of an expression. Every expression has one: there is no `dyn`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int,
    Double,
    Text,
    Duration,
    Time,
    List(Box<Self>),
    /// A map of the dictionary. Its names and values are texts; it can only be looked into.
    Map(Key),
    /// The element of an empty list.
    Any,
}

impl Kind {
    pub(super) fn of(key: Key) -> Self {
        match key.row().kind {
            Type::Text => Self::Text,
            Type::Int => Self::Int,
            Type::Double => Self::Double,
            Type::Bool => Self::Bool,
            Type::Duration => Self::Duration,
            Type::Time => Self::Time,
            Type::List => Self::List(Box::new(Self::Text)),
            Type::Map => Self::Map(key),
        }
    }

    /// Whether values of both can be compared for equality.
    pub(super) fn is_comparable_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Map(_), _) | (_, Self::Map(_)) => false,
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::List(left), Self::List(right)) => left.is_comparable_with(right),
            _ => self == other || (self.is_number() && other.is_number()),
        }
    }

    /// Whether one of both comes before the other.
    pub(super) fn is_ordered_with(&self, other: &Self) -> bool {
        !matches!(self, Self::List(_) | Self::Map(_) | Self::Any) && self.is_comparable_with(other)
    }

    pub(super) const fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Double)
    }

    /// The type of a list that holds both.
    pub(super) fn common(self, other: Self) -> Result<Self, (Self, Self)> {
        match (self, other) {
            (Self::Any, kind) | (kind, Self::Any) => Ok(kind),
            (Self::List(left), Self::List(right)) => match left.common(*right) {
                Ok(kind) => Ok(Self::List(Box::new(kind))),
                Err((left, right)) => Err((Self::List(Box::new(left)), Self::List(Box::new(right)))),
            },
            (left, right) if left == right => Ok(left),
            (left, right) => Err((left, right)),
        }
    }

    /// Whether it can be the value of an attribute.
    pub(super) fn is_value(&self) -> bool {
        match self {
            Self::List(element) => matches!(**element, Self::Text | Self::Any),
            Self::Map(_) | Self::Any => false,
            _ => true,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Double => "double",
            Self::Text => "string",
            Self::Duration => "duration",
            Self::Time => "timestamp",
            Self::List(element) => return write!(f, "list({element})"),
            Self::Map(_) => "map(string, string)",
            Self::Any => "dyn",
        })
    }
}
