//! What a run saw, for people: a table of peers, and where there were calls of language models and tools, tables of these and their order.

mod models;
mod peers;
#[cfg(test)]
mod tests;
mod text;
mod tools;
mod tree;

use std::{collections::BTreeMap, fmt::Write as _};

pub use models::MAX_MODELS;
pub use peers::MAX_PEERS;
pub use tools::MAX_TOOLS;
pub use tree::MAX_NODES;
use {models::Models, peers::Peers, tools::Tools, tree::Tree};

use super::Facts;
use crate::{capture::Role, protocol::Incomplete};

/// Whose side a row is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Client,
    Server,
    /// Of those that have no row of their own.
    Others,
}

impl Side {
    const fn text(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Others => "-",
        }
    }
}

impl From<Role> for Side {
    fn from(role: Role) -> Self {
        match role {
            Role::Client => Self::Client,
            Role::Server => Self::Server,
        }
    }
}

/// Collects one worker's share; the shares are merged at the end.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    peers: Peers,
    models: Models,
    tools: Tools,
    /// Where somebody wants to see it.
    tree: Option<Tree>,
    incomplete: BTreeMap<&'static str, u64>,
}

impl Summary {
    /// One that keeps the order of calls too, for [`Self::render_tree`].
    pub fn with_tree() -> Self {
        Self { tree: Some(Tree::default()), ..Self::default() }
    }

    /// Adds an exchange that [`super::Recorder::record`] recorded.
    pub fn record(&mut self, facts: &Facts<'_>) {
        self.peers.record(facts);
        if facts.exchange.call.is_some() {
            self.models.record(facts);
            self.tools.record(facts);
            if let Some(tree) = &mut self.tree {
                tree.record(facts);
            }
        }
        if let Some(reason) = facts.exchange.incomplete.map(Incomplete::name) {
            *self.incomplete.entry(reason).or_default() += 1;
        }
    }

    /// Adds another worker's share.
    pub fn merge(&mut self, other: &Self) {
        self.peers.merge(&other.peers);
        self.models.merge(&other.models);
        self.tools.merge(&other.tools);
        if let Some(theirs) = &other.tree {
            self.tree.get_or_insert_default().merge(theirs);
        }
        for (reason, count) in &other.incomplete {
            *self.incomplete.entry(reason).or_default() += count;
        }
    }

    /// What it holds; it is empty then, and keeps what it kept.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let empty = if self.tree.is_some() { Self::with_tree() } else { Self::default() };
        std::mem::replace(self, empty)
    }

    /// How many exchanges it holds.
    pub fn exchanges(&self) -> u64 {
        self.peers.requests()
    }

    /// The tables, and below them what was not seen whole. `losses` are more lines of that kind. With `pretty` they have lines drawn
    /// around them, for a terminal.
    pub fn render(&self, pretty: bool, losses: &[String]) -> String {
        let mut text = String::new();
        if self.exchanges() == 0 {
            text.push_str("no HTTP exchanges\n");
        } else {
            let _ = writeln!(text, "{}", self.peers.table(pretty));
        }
        self.models.render(pretty, &mut text);
        self.tools.render(pretty, &mut text);
        let incomplete: u64 = self.incomplete.values().sum();
        if incomplete > 0 {
            let reasons: Vec<String> =
                self.incomplete.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
            let _ = writeln!(text, "not seen whole: {incomplete} ({})", reasons.join(", "));
        }
        for loss in losses {
            let _ = writeln!(text, "{loss}");
        }
        text
    }

    /// What is shown at the end: the tables with these losses if they are wanted, and the tree if it was kept, with an empty line between them.
    pub fn render_all(&self, pretty: bool, losses: Option<&[String]>) -> String {
        let parts = [losses.map(|losses| self.render(pretty, losses)).unwrap_or_default(), self.render_tree(pretty)];
        let separator = if parts.iter().any(String::is_empty) { "" } else { "\n" };
        parts.join(separator)
    }

    /// The calls of language models and tools in their order, each below what it followed from; empty if it was not kept.
    pub fn render_tree(&self, pretty: bool) -> String {
        self.tree.as_ref().map(|tree| tree.render(pretty)).unwrap_or_default()
    }
}
