//! What the span of a call is called, whose end it is and how it ended: by the call's own convention, else by that of HTTP.

use opentelemetry_proto::tonic::trace::v1::{
    Status,
    span::{Link, SpanKind},
    status::StatusCode,
};

use crate::{
    capture::Role,
    exchange::Call,
    telemetry::{
        Facts,
        calls::{message_role, method_name, names_target},
        method::OTHER,
        trace_context::Identity,
    },
};

/// The name: `{operation} {model}` (semconv gen-ai-spans), `{method} {tool or prompt}` (semconv mcp, which never takes the URI of a resource; of few methods,
/// and of tools and prompts that there are), `jsonrpc` where no
/// method is known to be one of few (semconv json-rpc), else `{method}` of HTTP.
pub(super) fn name(facts: &Facts<'_>, method: &str) -> String {
    let pair = |first: &str, second: Option<&str>| match second {
        Some(second) => format!("{first} {second}"),
        None => first.to_owned(),
    };
    match (&facts.exchange.call, facts.message) {
        (Some(Call::GenAi(call)), _) => pair(call.operation.name(), call.request.model.as_deref()),
        (Some(Call::Mcp(_)), Some(message)) => {
            let target = message.tool.as_deref().or(message.prompt.as_deref());
            pair(method_name(message), target.filter(|_| names_target(message)))
        }
        (Some(Call::JsonRpc(_)), Some(_)) => "jsonrpc".to_owned(),
        _ if method == OTHER => "HTTP".to_owned(),
        _ => method.to_owned(),
    }
}

/// Whose end it is: of a message who sends it is the client.
pub(super) fn kind(facts: &Facts<'_>) -> SpanKind {
    let role = facts.message.map_or(facts.role, |message| message_role(facts.role, message));
    match role {
        Role::Client => SpanKind::Client,
        Role::Server => SpanKind::Server,
    }
}

/// An error has no message where the code and `error.type` say it (semconv recording-errors); that of JSON-RPC is its own (semconv mcp).
pub(super) fn status(facts: &Facts<'_>) -> Option<Status> {
    facts.failure()?;
    let error = facts.message.and_then(|message| message.error.as_ref());
    let message = error.map(|error| error.message.to_string()).unwrap_or_default();
    Some(Status { code: StatusCode::Error.into(), message })
}

/// To the context of HTTP, where a message carries its own.
pub(super) fn links(identity: &Identity) -> Vec<Link> {
    let around = identity.around.as_ref().and_then(|around| Some((around, around.parent?)));
    let link = around.map(|(around, parent)| Link {
        trace_id: parent.trace_id.0.to_be_bytes().to_vec(),
        span_id: parent.span_id.0.to_be_bytes().to_vec(),
        trace_state: around.state.clone(),
        flags: super::FLAG_HAS_IS_REMOTE | super::FLAG_IS_REMOTE | u32::from(around.sampled == Some(true)),
        ..Link::default()
    });
    link.into_iter().collect()
}
