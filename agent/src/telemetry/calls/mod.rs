//! What the conventions say of a call beyond HTTP, where spans and metrics must say the same (semconv recording-errors: `error.type` is that of both).

mod attributes;
mod facts;
mod parts;

use std::borrow::Cow;

pub use self::parts::Parts;
pub(super) use self::{attributes::attributes, parts::leading};

use super::{ErrorType, Facts, method::OTHER, names::Conventions};
use crate::{
    capture::{Role, Timestamp},
    exchange::{
        genai::GenAi,
        mcp::{Message, is_method},
    },
};

/// The method by which MCP calls a tool.
pub const TOOLS_CALL: &str = "tools/call";

/// `error.type` of a tool that answered that it failed (semconv mcp).
pub const TOOL_ERROR: &str = "tool_error";

/// Codes that tell a server that its caller was wrong (semconv mcp, newest draft: they are no errors of the server): parse error, invalid request, method not
/// found, invalid params, resource not found.
const CALLER_FAULTS: &[i64] = &[-32700, -32600, -32601, -32602, -32002];

/// `error.type` of a call of a language model: the provider's code, else the status of the answer (at either end from 400 on, since the API says so), else what
/// became of the connection.
pub fn genai_error<'a>(facts: &Facts<'_>, call: &'a GenAi) -> Option<Cow<'a, str>> {
    if let Some(code) = &call.error {
        return Some(Cow::Borrowed(code));
    }
    match facts.status {
        Some(status @ 400..) => Some(ErrorType::Status(status).name()),
        _ => facts.error.map(ErrorType::name),
    }
}

/// Codes that may say that there is no such tool or prompt: method not found, invalid params (MCP, "Error Handling" of tools and prompts).
const NO_SUCH_NAME: &[i64] = &[-32601, -32602];

/// The method of a message where few are wanted: one that MCP does not have is `_OTHER`.
pub fn method_name(message: &Message) -> &str {
    if is_method(&message.method) { &message.method } else { OTHER }
}

/// Whether tool and prompt of a message are there: what nobody has is named by whoever asks.
pub fn names_target(message: &Message) -> bool {
    !message.error.as_ref().is_some_and(|error| NO_SUCH_NAME.contains(&error.code))
}

/// Which end of a message the process is: who sends a message is its client, also where the server of the exchange sends it.
pub const fn message_role(role: Role, message: &Message) -> Role {
    match (role, message.from_server) {
        (Role::Client, false) | (Role::Server, true) => Role::Client,
        (Role::Server, false) | (Role::Client, true) => Role::Server,
    }
}

/// `error.type` of a message: the code of its error, `tool_error`, or, where no answer came in the protocol, what HTTP or the connection says.
pub fn message_error(facts: &Facts<'_>, message: &Message, conventions: Conventions) -> Option<Cow<'static, str>> {
    if let Some(error) = &message.error {
        // Those of JSON-RPC say that every code is an error.
        let callers = conventions == Conventions::Latest
            && facts.mcp().is_some()
            && message_role(facts.role, message) == Role::Server
            && CALLER_FAULTS.contains(&error.code);
        return (!callers).then(|| error.code.to_string().into());
    }
    if message.tool_error {
        return Some(Cow::Borrowed(TOOL_ERROR));
    }
    // Of an answer that was cut nobody knows what it said.
    if message.answered && message.end.is_some() || message.from_server {
        return None;
    }
    facts.error.map(ErrorType::name)
}

/// When a message was over: its answer was there; of one that HTTP alone answered (202 for a notification, or an error status), the end of the response. `None`
/// where no answer was seen: 202 to a request says that its answer comes elsewhere (transport of 2024-11-05).
pub fn message_end(facts: &Facts<'_>, message: &Message) -> Option<Timestamp> {
    let tells = match facts.status {
        Some(202) => message.notification,
        // Some servers say so with another success, if there is nothing else to answer.
        Some(200..=299) => message.notification && facts.messages().is_some_and(|all| all.messages.len() == 1),
        Some(400..) => true,
        _ => false,
    };
    let by_http = tells && !message.answered && !message.from_server && facts.both_ends;
    match &facts.exchange.response {
        Some(response) if by_http => Some(response.last_byte),
        _ => message.end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        exchange::Call,
        protocol::Incomplete,
        telemetry::test_support::{
            Sample,
            calls::{after, chat, failed, session, tool_call},
        },
    };

    #[test]
    fn the_code_of_the_provider_comes_before_the_status() {
        let coded = GenAi { error: Some("rate_limit_exceeded".into()), ..chat() };
        let error = |sample: Sample, call: &GenAi| sample.facts(|facts| genai_error(facts, call).map(Cow::into_owned));
        for role in [Role::Client, Role::Server] {
            let sample = || Sample::genai(role, chat());
            assert_eq!(error(sample().status(429), &coded).as_deref(), Some("rate_limit_exceeded"));
            assert_eq!(error(sample(), &coded).as_deref(), Some("rate_limit_exceeded"));
            assert_eq!(error(sample().status(429), &chat()).as_deref(), Some("429"));
            let closed = sample().unanswered(Incomplete::Closed);
            assert_eq!(error(closed, &chat()).as_deref(), Some("connection_closed"));
            assert_eq!(error(sample(), &chat()), None);
        }
    }

    #[test]
    fn errors_of_messages() {
        let error = |role, message: Message, status, conventions| {
            let sample = Sample::mcp(role, session(vec![message.clone()])).status(status);
            sample.facts(|facts| message_error(facts, &message, conventions).map(Cow::into_owned))
        };
        let known = Conventions::V1_41;
        assert_eq!(error(Role::Client, failed(-32602), 200, known).as_deref(), Some("-32602"));
        assert_eq!(error(Role::Server, failed(-32602), 200, known).as_deref(), Some("-32602"));
        assert_eq!(error(Role::Client, failed(-32602), 200, Conventions::Latest).as_deref(), Some("-32602"));
        assert_eq!(error(Role::Server, failed(-32602), 200, Conventions::Latest), None);
        assert_eq!(error(Role::Server, failed(-32603), 200, Conventions::Latest).as_deref(), Some("-32603"));
        let plain = Sample::new(Role::Server).call(Call::JsonRpc(Box::new(session(vec![failed(-32602)]))));
        let of_plain =
            plain.facts(|facts| message_error(facts, &failed(-32602), Conventions::Latest).map(Cow::into_owned));
        assert_eq!(of_plain.as_deref(), Some("-32602"), "it is not MCP");
        // What the server sent, it is the client of.
        let asked = Message { from_server: true, ..failed(-32602) };
        assert_eq!(error(Role::Server, asked, 200, Conventions::Latest).as_deref(), Some("-32602"));
        let tool = Message { tool_error: true, ..tool_call() };
        assert_eq!(error(Role::Client, tool, 200, known).as_deref(), Some("tool_error"));
        let cut = Message { end: None, ..tool_call() };
        assert_eq!(error(Role::Client, cut.clone(), 500, known).as_deref(), Some("500"));
        assert_eq!(error(Role::Client, cut, 200, known), None);
        let unanswered = Message { answered: false, end: None, ..tool_call() };
        assert_eq!(error(Role::Client, unanswered, 401, known).as_deref(), Some("401"));
        assert_eq!(error(Role::Client, tool_call(), 200, known), None);
    }

    #[test]
    fn ends_of_messages() {
        let end = |message: Message, status| {
            let sample = Sample::mcp(Role::Client, session(vec![message.clone()])).status(status);
            sample.facts(|facts| message_end(facts, &message).map(|end| end.since(after(0)).as_micros()))
        };
        let unanswered = Message { answered: false, end: None, ..tool_call() };
        let notification = Message { notification: true, answered: false, end: Some(after(10)), ..tool_call() };
        assert_eq!(end(tool_call(), 200), Some(9_000));
        assert_eq!(end(unanswered.clone(), 500), Some(12_345));
        // Its answer is on another connection.
        assert_eq!(end(unanswered.clone(), 200), None);
        assert_eq!(end(unanswered, 202), None);
        // The acknowledgement ends it, whichever it is.
        for status in [200, 202, 204] {
            assert_eq!(end(notification.clone(), status), Some(12_345));
        }
        let both = Sample::mcp(Role::Client, session(vec![tool_call(), notification.clone()]));
        let beside = both.facts(|facts| message_end(facts, &notification).map(|end| end.since(after(0)).as_micros()));
        assert_eq!(beside, Some(10));
    }
}
