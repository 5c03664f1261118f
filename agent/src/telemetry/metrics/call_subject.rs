//! A call beyond HTTP as the attributes of its series see it: one message of several, where the exchange has several.

use std::borrow::Cow;

use crate::{
    capture::Role,
    exchange::{
        genai::GenAi,
        mcp::{Message, Messages},
    },
    policy::attribute::{Key, Side, Subject, Value},
    telemetry::{
        ExchangeSubject,
        calls::{genai_error, message_error, message_role},
        names::Conventions,
    },
};

/// `gen_ai.operation.name` of a call of a tool (semconv mcp).
const EXECUTE_TOOL: &str = "execute_tool";
/// The method that is one.
const TOOLS_CALL: &str = "tools/call";

/// What of an exchange is measured.
#[derive(Clone, Copy)]
pub(super) enum Of<'a> {
    /// A call of a language model.
    GenAi(&'a GenAi),
    /// A message of MCP.
    Mcp(&'a Messages, &'a Message),
    /// A message of JSON-RPC.
    JsonRpc(&'a Message),
    /// A session of MCP that is over.
    Session {
        /// Revision of the protocol.
        protocol: Option<&'a str>,
        /// The server did not know it any more.
        expired: bool,
    },
}

/// The exchange, seen from one call. What the call does not tell, the exchange does.
pub(super) struct CallSubject<'a> {
    pub(super) exchange: ExchangeSubject<'a>,
    pub(super) of: Of<'a>,
    pub(super) conventions: Conventions,
}

impl<'a> CallSubject<'a> {
    /// Which end of the call the process is.
    pub(super) const fn role(&self) -> Role {
        let role = self.exchange.facts.role;
        match self.of {
            Of::Mcp(_, message) | Of::JsonRpc(message) => message_role(role, message),
            Of::GenAi(_) | Of::Session { .. } => role,
        }
    }

    /// The value that the call gives; the outer `None` where it is the exchange's to give.
    #[expect(clippy::option_option, reason = "absent and not asked here are two things")]
    fn own(&self, key: Key) -> Option<Option<Value<'a>>> {
        let facts = self.exchange.facts;
        Some(match (self.of, key) {
            (Of::GenAi(call), Key::GenAiOperationName) => Some(call.operation.name().into()),
            (Of::GenAi(call), Key::GenAiProviderName) => Some(Value::from(&*call.provider)),
            (Of::GenAi(call), Key::GenAiRequestModel) => text(call.request.model.as_deref()),
            (Of::GenAi(call), Key::GenAiResponseModel) => text(call.response.model.as_deref()),
            (Of::GenAi(call), Key::ErrorType) => genai_error(facts, call).map(Value::Text),
            (Of::Mcp(_, message), Key::McpMethodName) => Some(Value::from(&*message.method)),
            (Of::Mcp(_, message), Key::GenAiOperationName) => {
                (&*message.method == TOOLS_CALL).then(|| EXECUTE_TOOL.into())
            }
            (Of::Mcp(_, message), Key::GenAiToolName) => text(message.tool.as_deref()),
            (Of::Mcp(_, message), Key::GenAiPromptName) => text(message.prompt.as_deref()),
            (Of::Mcp(_, message), Key::McpResourceUri) => text(message.resource.as_deref()),
            (Of::Mcp(messages, _), Key::McpProtocolVersion) => text(messages.protocol_version.as_deref()),
            (Of::JsonRpc(_), Key::RpcSystemName) => Some("jsonrpc".into()),
            (Of::JsonRpc(message), Key::RpcMethod) => Some(Value::from(&*message.method)),
            (Of::Mcp(_, message) | Of::JsonRpc(message), key) => return self.of_message(message, key),
            (Of::Session { protocol, .. }, Key::McpProtocolVersion) => text(protocol),
            (Of::Session { expired, .. }, Key::ErrorType) => expired.then(|| "404".into()),
            _ => return None,
        })
    }

    #[expect(clippy::option_option, reason = "absent and not asked here are two things")]
    fn of_message(&self, message: &'a Message, key: Key) -> Option<Option<Value<'a>>> {
        Some(match key {
            Key::ErrorType => message_error(self.exchange.facts, message, self.conventions).map(Value::Text),
            Key::RpcResponseStatusCode => {
                message.error.as_ref().map(|error| Value::Text(error.code.to_string().into()))
            }
            Key::JsonrpcProtocolVersion => text(message.jsonrpc.as_deref()),
            Key::JsonrpcRequestId => text(message.id.as_deref()),
            // The receiver of what a server sends is the client, which nobody addresses.
            Key::ServerAddress | Key::ServerPort if message.from_server => None,
            _ => return None,
        })
    }
}

fn text(text: Option<&str>) -> Option<Value<'_>> {
    text.map(Value::from)
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
        self.own(key).unwrap_or_else(|| self.exchange.key(key))
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
