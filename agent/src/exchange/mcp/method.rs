//! The methods of MCP: one row each, of all revisions and of the extension for tasks.

/// What the parameters of a method name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Nothing that has an attribute.
    Nothing,
    /// `params.name` is a tool.
    Tool,
    /// `params.name` is a prompt.
    Prompt,
    /// `params.uri` is a resource.
    Resource,
    /// `params.ref` is a prompt or a resource.
    Reference,
}

/// Whether the name of a method alone tells that a message of JSON-RPC is one of MCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// No other protocol over JSON-RPC has a method of this name.
    Own,
    /// Others have: the Language Server Protocol, A2A, servers of all kinds.
    Shared,
}

/// A method.
#[derive(Debug)]
pub(super) struct Method {
    /// As sent.
    pub(super) name: &'static str,
    /// What its parameters name.
    pub(super) target: Target,
    /// Whether it tells MCP.
    pub(super) evidence: Evidence,
    /// First and last revision that has it, as [`REVISIONS`] counts; only the tests and the documentation ask.
    #[cfg(test)]
    pub(super) revisions: [u8; 2],
}

/// The revisions, in order.
#[cfg(test)]
pub(super) const REVISIONS: [&str; 5] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];

const fn row(name: &'static str, target: Target, evidence: Evidence, revisions: [u8; 2]) -> Method {
    #[cfg(not(test))]
    let _ = revisions;
    Method {
        name,
        target,
        evidence,
        #[cfg(test)]
        revisions,
    }
}

use Evidence::{Own, Shared};
use Target::{Nothing, Prompt, Reference, Resource, Tool};

/// Sorted by name. The numbers are the first and the last revision: 0 is 2024-11-05, 4 is 2026-07-28.
pub(super) static METHODS: &[Method] = &[
    row("completion/complete", Reference, Own, [0, 4]),
    row("elicitation/create", Nothing, Own, [2, 4]),
    row("initialize", Nothing, Shared, [0, 3]),
    row("logging/setLevel", Nothing, Own, [0, 3]),
    row("notifications/cancelled", Nothing, Own, [0, 4]),
    row("notifications/elicitation/complete", Nothing, Own, [3, 3]),
    row("notifications/initialized", Nothing, Own, [0, 3]),
    row("notifications/message", Nothing, Own, [0, 4]),
    row("notifications/progress", Nothing, Own, [0, 4]),
    row("notifications/prompts/list_changed", Nothing, Own, [0, 4]),
    row("notifications/resources/list_changed", Nothing, Own, [0, 4]),
    row("notifications/resources/updated", Resource, Own, [0, 4]),
    row("notifications/roots/list_changed", Nothing, Own, [0, 3]),
    row("notifications/subscriptions/acknowledged", Nothing, Own, [4, 4]),
    row("notifications/tasks", Nothing, Own, [4, 4]),
    row("notifications/tasks/status", Nothing, Own, [3, 3]),
    row("notifications/tools/list_changed", Nothing, Own, [0, 4]),
    row("ping", Nothing, Shared, [0, 3]),
    row("prompts/get", Prompt, Own, [0, 4]),
    row("prompts/list", Nothing, Own, [0, 4]),
    row("resources/list", Nothing, Own, [0, 4]),
    row("resources/read", Resource, Own, [0, 4]),
    row("resources/subscribe", Resource, Own, [0, 3]),
    row("resources/templates/list", Nothing, Own, [0, 4]),
    row("resources/unsubscribe", Resource, Own, [0, 3]),
    row("roots/list", Nothing, Own, [0, 4]),
    row("sampling/createMessage", Nothing, Own, [0, 4]),
    row("server/discover", Nothing, Shared, [4, 4]),
    row("subscriptions/listen", Nothing, Shared, [4, 4]),
    row("tasks/cancel", Nothing, Shared, [3, 4]),
    row("tasks/get", Nothing, Shared, [3, 4]),
    row("tasks/list", Nothing, Shared, [3, 3]),
    row("tasks/result", Nothing, Shared, [3, 3]),
    row("tasks/update", Nothing, Shared, [4, 4]),
    row("tools/call", Tool, Own, [0, 4]),
    row("tools/list", Nothing, Own, [0, 4]),
];

/// The row of this method; names are compared with case.
pub(super) fn find(name: &str) -> Option<&'static Method> {
    METHODS.binary_search_by(|method| method.name.cmp(name)).ok().map(|index| &METHODS[index])
}

/// Whether a method of this name wants no answer, where the message itself could not be seen whole.
pub(super) fn is_notification(name: &str) -> bool {
    name.starts_with("notifications/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_true_to_itself() {
        assert!(METHODS.is_sorted_by(|one, next| one.name < next.name));
        for method in METHODS {
            let [first, last] = method.revisions.map(usize::from);
            assert!(first <= last && last < REVISIONS.len(), "{}", method.name);
            assert!(std::ptr::eq(find(method.name).unwrap(), method));
            assert!(method.target == Nothing || method.evidence == Own, "{}", method.name);
        }
        for other in ["", "Tools/call", "tools/call ", "message/send", "SendMessage", "textDocument/hover"] {
            assert!(find(other).is_none(), "{other}");
        }
    }

    #[test]
    fn each_revision_has_its_methods() {
        let has = |revision: u8, name: &str| {
            let [first, last] = find(name).unwrap().revisions;
            (first..=last).contains(&revision)
        };
        let counts = [0, 1, 2, 3, 4].map(|revision| METHODS.iter().filter(|method| has(revision, method.name)).count());
        assert_eq!(counts, [24, 24, 25, 31, 25]);
        assert!(!has(4, "initialize") && has(3, "initialize") && has(4, "server/discover"));
        assert!(!has(1, "elicitation/create") && has(2, "elicitation/create"));
        assert!(has(3, "tasks/result") && !has(4, "tasks/result") && has(4, "tasks/update"));
    }
}
