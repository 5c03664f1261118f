//! Calls made by hand, as the readers of the wire formats make them, to be changed as the test needs.

use super::{START, Sample};
use crate::{
    capture::{Role, Timestamp},
    exchange::{
        Call,
        genai::{self, GenAi, Operation, Stream, Usage},
        mcp::{Message, Messages, RpcError},
    },
};

/// So many microseconds after the first byte of the sample.
pub(crate) const fn after(micros: u64) -> Timestamp {
    Timestamp(START + micros * 1000)
}

/// A chat of `gpt-4o` with 100 input tokens, 40 of them from a cache, and 20 output tokens, 5 of them reasoning.
pub(crate) fn chat() -> GenAi {
    GenAi {
        operation: Operation::Chat,
        provider: "openai".into(),
        request: genai::Request {
            model: Some("gpt-4o".into()),
            max_tokens: Some(256),
            temperature: Some(0.5),
            openai_api: Some("chat_completions"),
            ..genai::Request::default()
        },
        response: genai::Response {
            id: Some("chatcmpl-1".into()),
            model: Some("gpt-4o-2024-08-06".into()),
            finish_reasons: vec!["stop".into()],
            ..genai::Response::default()
        },
        usage: Usage {
            input: Some(100),
            output: Some(20),
            cache_read: Some(40),
            reasoning: Some(5),
            ..Usage::default()
        },
        ..GenAi::default()
    }
}

/// The same as a stream: chunks after 2, 3, 10 and 11 ms, of which the two in the middle have tokens.
pub(crate) fn streamed() -> GenAi {
    let chat = chat();
    GenAi {
        request: genai::Request { stream: Some(true), ..chat.request },
        stream: Some(Stream {
            first_chunk: after(2_000),
            first_token: Some(after(3_000)),
            last_token: Some(after(10_000)),
            last_chunk: after(11_000),
            chunks: 4,
            intervals: vec![1_000, 7_000, 1_000],
            complete: true,
        }),
        ..chat
    }
}

/// A call of the tool `search`, answered after 9 ms.
pub(crate) fn tool_call() -> Message {
    Message {
        method: "tools/call".into(),
        id: Some("7".into()),
        tool: Some("search".into()),
        answered: true,
        start: after(0),
        end: Some(after(9_000)),
        ..Message::default()
    }
}

/// That call, answered by an error of JSON-RPC.
pub(crate) fn failed(code: i64) -> Message {
    Message { error: Some(RpcError { code, message: "it failed".into() }), ..tool_call() }
}

/// These messages in a session of MCP.
pub(crate) fn session(messages: Vec<Message>) -> Messages {
    Messages {
        messages,
        protocol_version: Some("2025-06-18".into()),
        session_id: Some("s-1".into()),
        ..Messages::default()
    }
}

impl Sample {
    /// `POST /v1/chat/completions` to `api.openai.com`.
    pub(crate) fn genai(role: Role, call: GenAi) -> Self {
        Self::new(role)
            .target("POST", "/v1/chat/completions")
            .header("host", "api.openai.com")
            .call(Call::GenAi(Box::new(call)))
    }

    /// `POST /mcp` to `tools.example:8000`.
    pub(crate) fn mcp(role: Role, messages: Messages) -> Self {
        Self::new(role).target("POST", "/mcp").header("host", "tools.example:8000").call(Call::Mcp(Box::new(messages)))
    }
}
