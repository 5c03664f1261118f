//! Which members of JSON say what, in all formats at once: names do not collide where it matters, and what an unknown gateway speaks shows in what it
//! says. A format is a row here, not code.

mod request;
mod response;

use std::sync::LazyLock;

pub(super) use request::RequestField;
pub(super) use response::{Count, ResponseField};

use crate::protocol::body::json::Paths;

/// A table of paths and what they say.
pub(super) struct Table<F: 'static> {
    /// For the scanner: a path's number is that of its row.
    pub(super) paths: Paths,
    rows: &'static [(&'static str, F)],
}

impl<F: Copy> Table<F> {
    fn new(rows: &'static [(&'static str, F)]) -> Self {
        let numbered: Vec<_> = rows.iter().enumerate().map(|(number, &(path, _))| (path, number as u16)).collect();
        Self { paths: Paths::new(&numbered), rows }
    }

    /// What the path of this number says.
    pub(super) fn field(&self, path: u16) -> Option<F> {
        self.rows.get(usize::from(path)).map(|&(_, field)| field)
    }
}

/// Of requests.
pub(super) static REQUEST: LazyLock<Table<RequestField>> = LazyLock::new(|| Table::new(request::ROWS));
/// Of answers.
pub(super) static RESPONSE: LazyLock<Table<ResponseField>> = LazyLock::new(|| Table::new(response::ROWS));
/// Of the events of an invocation of Bedrock, which hold the model's own event.
pub(super) static WRAPPED: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[("bytes", 0)]));

/// What a request has of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape(u16);

impl Shape {
    /// Nothing in particular.
    pub(super) const ANY: Self = Self(0);
    /// `model`, a text.
    pub(super) const MODEL: Self = Self(1);
    /// `messages`, an array.
    pub(super) const MESSAGES: Self = Self(1 << 1);
    /// `messages`, of which one has a role of a conversation.
    pub(super) const ROLES: Self = Self(1 << 2);
    /// `input`.
    pub(super) const INPUT: Self = Self(1 << 3);
    /// `prompt`.
    pub(super) const PROMPT: Self = Self(1 << 4);
    /// `contents`, of which one has parts.
    pub(super) const CONTENTS: Self = Self(1 << 5);
    /// `inputs`.
    pub(super) const INPUTS: Self = Self(1 << 6);
    /// `query` and `documents` of a rerank.
    pub(super) const DOCUMENTS: Self = Self(1 << 7);
    /// `texts`.
    pub(super) const TEXTS: Self = Self(1 << 8);
    /// `message`, a text.
    pub(super) const MESSAGE: Self = Self(1 << 9);
    /// `instances`.
    pub(super) const INSTANCES: Self = Self(1 << 10);
    /// `requests`.
    pub(super) const REQUESTS: Self = Self(1 << 11);
    /// `content`.
    pub(super) const CONTENT: Self = Self(1 << 12);
    /// `text`, or `inputText`.
    pub(super) const TEXT: Self = Self(1 << 13);
    /// `jsonrpc`: it is something else.
    pub(super) const JSON_RPC: Self = Self(1 << 14);

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    pub(super) const fn has(self, any_of: Self) -> bool {
        self.0 & any_of.0 != 0
    }

    pub(super) const fn has_all(self, all: Self) -> bool {
        self.0 & all.0 == all.0
    }

    /// Whether there is what an endpoint needs.
    pub(super) const fn fits(self, needs: Self) -> bool {
        needs.0 == 0 || self.has(needs)
    }

    /// A model and a conversation: nearly nothing else looks like it.
    pub(super) const fn is_strong(self) -> bool {
        self.has(Self::MODEL) && self.has(Self::ROLES) || self.has(Self::CONTENTS)
    }

    /// A model and something that may be for it, or a form of its own.
    pub(super) const fn is_weak(self) -> bool {
        let for_it =
            Self::MESSAGES.or(Self::INPUT).or(Self::PROMPT).or(Self::TEXTS).or(Self::DOCUMENTS).or(Self::MESSAGE);
        self.is_strong() || self.has(Self::MODEL) && self.has(for_it)
    }
}

/// What an answer has of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Evidence(u8);

impl Evidence {
    /// A member, or a name of a kind, that only answers of models have.
    pub(super) const OWN: Self = Self(1);
    /// A member that others have too.
    pub(super) const COMMON: Self = Self(1 << 1);
    /// The reason why, or that, the output ended.
    pub(super) const END: Self = Self(1 << 2);
    /// Tokens.
    pub(super) const USAGE: Self = Self(1 << 3);

    pub(super) const fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// What it weighs: a member of its own is worth two others.
    pub(super) const fn weight(self) -> u32 {
        self.0.count_ones() + (self.0 & Self::OWN.0) as u32
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_path_has_one_row() {
        let request: HashSet<_> = request::ROWS.iter().map(|(path, _)| path).collect();
        assert_eq!(request.len(), request::ROWS.len());
        let response: HashSet<_> = response::ROWS.iter().map(|(path, _)| path).collect();
        assert_eq!(response.len(), response::ROWS.len());
    }
}
