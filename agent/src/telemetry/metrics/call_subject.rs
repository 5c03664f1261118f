//! A call beyond HTTP as the attributes of its series see it.

use std::borrow::Cow;

use crate::{
    exchange::mcp::is_revision,
    policy::attribute::{Key, Side, Subject, Value},
    telemetry::{
        ExchangeSubject,
        calls::{message_error, method_name, names_target},
        names::Conventions,
    },
};

/// A session of MCP that is over.
#[derive(Clone, Copy)]
pub(super) struct Session<'a> {
    /// Revision of the protocol.
    pub(super) protocol: Option<&'a str>,
    /// The server did not know it any more.
    pub(super) expired: bool,
}

/// The exchange, or one message of it, with what series say in another way than spans and lines.
pub(super) struct CallSubject<'a> {
    pub(super) exchange: ExchangeSubject<'a>,
    /// The session, where it is that.
    pub(super) session: Option<Session<'a>>,
    /// Whose rules hold.
    pub(super) conventions: Conventions,
}

impl Subject for CallSubject<'_> {
    fn header(&self, side: Side, name: &str) -> Option<Cow<'_, str>> {
        self.exchange.header(side, name)
    }

    fn pod_label(&self, key: &str) -> Option<&str> {
        self.exchange.pod_label(key)
    }

    fn pod_annotation(&self, key: &str) -> Option<&str> {
        self.exchange.pod_annotation(key)
    }

    fn namespace_label(&self, key: &str) -> Option<&str> {
        self.exchange.namespace_label(key)
    }

    fn key(&self, key: Key) -> Option<Value<'_>> {
        let facts = self.exchange.facts;
        match (key, self.session, facts.message) {
            (Key::McpProtocolVersion, Some(session), _) => {
                session.protocol.filter(|version| is_revision(version)).map(Value::from)
            }
            (Key::McpProtocolVersion, None, _) => {
                self.exchange.key(key).filter(|version| matches!(version, Value::Text(text) if is_revision(text)))
            }
            // Series are few: what only a caller's imagination bounds is no label.
            (Key::McpMethodName, None, Some(message)) if facts.mcp().is_some() => Some(method_name(message).into()),
            (Key::GenAiToolName | Key::GenAiPromptName, None, Some(message)) if !names_target(message) => None,
            // It is HTTP's status that says so.
            (Key::ErrorType, Some(session), _) => session.expired.then(|| "404".into()),
            (Key::ErrorType, None, Some(message)) => message_error(facts, message, self.conventions).map(Value::Text),
            // The receiver of what a server sends is the client, which nobody addresses.
            (Key::ServerAddress | Key::ServerPort, None, Some(message)) if message.from_server => None,
            _ => self.exchange.key(key),
        }
    }

    fn entry(&self, map: Key, name: &str) -> Option<Cow<'_, str>> {
        self.exchange.entry(map, name)
    }

    fn entries(&self, map: Key) -> Option<Vec<(Cow<'_, str>, Cow<'_, str>)>> {
        self.exchange.entries(map)
    }

    fn fields(&self, map: Key) -> Option<usize> {
        self.exchange.fields(map)
    }
}
