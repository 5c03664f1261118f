use super::*;
use crate::{
    capture::Role,
    exchange::{genai::Operation, mcp::RpcError},
    policy::{Trust, attribute::Program, model::FieldPath},
    telemetry::{
        subject::tests::{ask, full_genai, full_messages, value},
        test_support::{
            Sample,
            calls::{chat, failed, session, tool_call},
        },
    },
};

#[test]
fn values_of_a_call_of_a_language_model() {
    let sample = Sample::genai(Role::Client, full_genai());
    for (key, expected) in [
        (Key::GenAiOperationName, "chat"),
        (Key::GenAiProviderName, "openai"),
        (Key::GenAiRequestModel, "gpt-4o"),
        (Key::GenAiRequestStream, "true"),
        (Key::GenAiRequestTopK, "40"),
        (Key::GenAiRequestStopSequences, "END"),
        (Key::GenAiResponseModel, "gpt-4o-2024-08-06"),
        (Key::GenAiResponseTimeToFirstChunk, "0.002"),
        (Key::GenAiTimeToFirstToken, "0.003"),
        // 7 ms for 19 steps.
        (Key::GenAiTimePerOutputToken, "0.000368421"),
        (Key::GenAiUsageInputTokens, "100"),
        (Key::GenAiUsageCacheReadInputTokens, "40"),
        (Key::GenAiUsageCacheCreationInputTokens, "6"),
        (Key::GenAiUsageCacheWriteInputTokens, "6"),
        (Key::GenAiUsageReasoningOutputTokens, "5"),
        (Key::GenAiToolCalls, "search"),
        (Key::GenAiCost, "0.25"),
        (Key::GenAiCurrency, "USD"),
        (Key::OpenaiApiType, "chat_completions"),
    ] {
        assert_eq!(value(&sample, key).as_deref(), Some(expected), "{key:?}");
    }
    for key in [Key::GenAiToolName, Key::McpMethodName, Key::JsonrpcRequestId, Key::RpcSystemName, Key::ErrorType] {
        assert_eq!(value(&sample, key), None, "{key:?}");
    }
}

/// What the wire does not say is absent: never a zero.
#[test]
fn what_is_not_said_is_absent() {
    let silent = GenAi { operation: Operation::Chat, provider: "openai".into(), ..GenAi::default() };
    let sample = Sample::genai(Role::Client, silent);
    let said: Vec<_> = Key::ALL.iter().filter(|key| format!("{key:?}").starts_with("GenAi")).collect();
    let said: Vec<_> = said.into_iter().filter(|key| value(&sample, **key).is_some()).collect();
    assert_eq!(said, [&Key::GenAiOperationName, &Key::GenAiProviderName, &Key::GenAiCut]);
}

#[test]
fn values_of_a_message() {
    let sample = Sample::mcp(Role::Server, full_messages());
    for (key, expected) in [
        (Key::McpMethodName, "tools/call"),
        (Key::GenAiOperationName, "execute_tool"),
        (Key::GenAiToolName, "search"),
        (Key::McpResourceUri, "https://files.example/a?token=REDACTED&page=2"),
        (Key::McpSessionId, "s-1"),
        (Key::McpProtocolVersion, "2025-06-18"),
        (Key::JsonrpcRequestId, "7"),
        (Key::JsonrpcProtocolVersion, "2.1"),
        (Key::JsonrpcBatchSize, "2"),
        (Key::RpcResponseStatusCode, "-32603"),
        (Key::ErrorType, "-32603"),
        (Key::McpServerName, "files"),
    ] {
        assert_eq!(value(&sample, key).as_deref(), Some(expected), "{key:?}");
    }
    assert_eq!(value(&sample, Key::RpcSystemName), None, "the conventions of MCP hold instead of those of RPC");
    let listed = Message { method: "tools/list".into(), tool: None, ..tool_call() };
    assert_eq!(value(&Sample::mcp(Role::Client, session(vec![listed])), Key::GenAiOperationName), None);
}

#[test]
fn json_rpc_has_its_own_keys() {
    let sample = |message| Sample::new(Role::Client).call(Call::JsonRpc(Box::new(session(vec![message]))));
    let plain = sample(Message { method: "eth_call".into(), tool: None, ..tool_call() });
    let is = |key, expected: Option<&str>| assert_eq!(value(&plain, key).as_deref(), expected, "{key:?}");
    is(Key::RpcSystemName, Some("jsonrpc"));
    is(Key::RpcMethod, Some("eth_call"));
    is(Key::JsonrpcProtocolVersion, Some("2.0"));
    is(Key::JsonrpcRequestId, Some("7"));
    is(Key::RpcResponseStatusCode, None);
    is(Key::McpMethodName, None);
    is(Key::McpSessionId, None);
    let old = sample(Message { jsonrpc: Some("1.0".into()), error: Some(RpcError::default()), ..failed(-3) });
    assert_eq!(value(&old, Key::JsonrpcProtocolVersion), None);
    assert_eq!(value(&old, Key::RpcResponseStatusCode).as_deref(), Some("0"));
}

/// What policies write (DESIGN section 6).
#[test]
fn policies_filter_by_calls() {
    let holds = |sample: &Sample, expression: &str| {
        let program = Program::filter(expression, &FieldPath::default(), &Trust::own(), &mut Vec::new()).unwrap();
        ask(sample, |subject| program.holds(subject))
    };
    let long = Sample::genai(
        Role::Client,
        GenAi { usage: crate::exchange::genai::Usage { output: Some(4001), ..chat().usage }, ..chat() },
    );
    let short = Sample::genai(Role::Client, chat());
    let tool = Sample::mcp(Role::Client, session(vec![Message { tool: Some("execute".into()), ..tool_call() }]));
    let plain = Sample::new(Role::Client);
    let of = |expression| [&long, &short, &tool, &plain].map(|sample| holds(sample, expression));
    assert_eq!(of("gen_ai.usage.output_tokens > 4000"), [true, false, false, false]);
    assert_eq!(of("mcp.tool.name == 'execute'"), [false, false, true, false]);
    assert_eq!(of("has(gen_ai.operation.name)"), [true, true, true, false]);
    assert_eq!(of("gen_ai.provider.name == 'openai' && !has(error.type)"), [true, true, false, false]);
    assert_eq!(of("telltale.gen_ai.cost > 0.0"), [false; 4]);
}
