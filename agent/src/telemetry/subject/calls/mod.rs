//! Keys of language models, of the Model Context Protocol and of other JSON-RPC.

#[cfg(test)]
mod tests;

use std::{borrow::Cow, time::Duration};

use super::ExchangeSubject;
use crate::{
    exchange::{
        Call,
        genai::{CallContent, GenAi},
        mcp::{Message, Messages, Party},
    },
    policy::attribute::{Key, Value},
    protocol::secret::redact_url,
    telemetry::calls::TOOLS_CALL,
};

impl<'a> ExchangeSubject<'a> {
    /// Keys of what an exchange is beyond HTTP.
    pub(super) fn of_call(&self, key: Key) -> Option<Value<'a>> {
        match self.facts.exchange.call.as_ref()? {
            Call::GenAi(call) => {
                let said = || of_request(call, key).or_else(|| self.of_answer(call, key));
                said().or_else(|| of_usage(call, key)).or_else(|| of_content(call.content.as_deref()?, key))
            }
            Call::Mcp(messages) => (self.facts.message.and_then(|message| of_message(message, key)))
                .or_else(|| self.of_json_rpc(messages, key))
                .or_else(|| of_session(messages, key)),
            Call::JsonRpc(messages) => match key {
                Key::RpcSystemName => Some("jsonrpc".into()),
                Key::RpcMethod => Some(text(&self.facts.message?.method)),
                _ => self.of_json_rpc(messages, key),
            },
        }
    }

    fn of_answer(&self, call: &'a GenAi, key: Key) -> Option<Value<'a>> {
        let response = &call.response;
        let is_openai = call.request.openai_api.is_some();
        let stream = call.stream.as_ref();
        Some(match key {
            Key::GenAiEmbeddingsDimensionCount => Value::Int(response.dimension_count?),
            Key::GenAiResponseId => text(response.id.as_ref()?),
            Key::GenAiResponseModel => text(response.model.as_ref()?),
            Key::GenAiResponseFinishReasons => list(&response.finish_reasons)?,
            Key::GenAiResponseTimeToFirstChunk => seconds(self.facts.time_to_first_chunk()?),
            Key::GenAiTimeToFirstToken => seconds(self.facts.time_to_first_token()?),
            Key::GenAiTimePerOutputToken => seconds(self.facts.time_per_output_token()?),
            Key::GenAiChunks => count(self.facts.stream()?.chunks)?,
            Key::GenAiStreamComplete => Value::Bool(stream?.complete),
            // Others have tiers too, which are none of OpenAI's.
            Key::OpenaiResponseServiceTier | Key::OpenaiResponseSystemFingerprint if !is_openai => return None,
            Key::OpenaiResponseServiceTier => text(response.service_tier.as_ref()?),
            Key::OpenaiResponseSystemFingerprint => text(response.system_fingerprint.as_ref()?),
            Key::GenAiToolCalls if response.tool_calls.is_empty() => return None,
            Key::GenAiToolCalls => {
                Value::List(response.tool_calls.iter().filter_map(|call| Some(call.name.as_deref()?.into())).collect())
            }
            Key::GenAiCost => Value::Double(self.facts.cost.dollars()?),
            Key::GenAiCurrency => self.facts.cost.dollars().map(|_| "USD")?.into(),
            Key::GenAiCut => Value::Bool(call.cut),
            _ => return None,
        })
    }

    /// Keys that all messages of JSON-RPC have.
    fn of_json_rpc(&self, messages: &'a Messages, key: Key) -> Option<Value<'a>> {
        let message = self.facts.message;
        Some(match key {
            Key::JsonrpcRequestId => text(message?.id.as_ref()?),
            Key::JsonrpcProtocolVersion => version(message?, matches!(self.facts.exchange.call, Some(Call::Mcp(_))))?,
            Key::RpcResponseStatusCode => message?.error.as_ref()?.code.to_string().into(),
            Key::JsonrpcBatchSize if messages.batch => {
                let own = messages.messages.iter().filter(|message| !message.from_server).count() as u64;
                count(own + messages.beyond)?
            }
            Key::McpCut => Value::Bool(messages.cut || messages.beyond > 0),
            _ => return None,
        })
    }
}

fn of_request(call: &GenAi, key: Key) -> Option<Value<'_>> {
    let request = &call.request;
    Some(match key {
        Key::GenAiOperationName => call.operation.name().into(),
        Key::GenAiProviderName => (&*call.provider).into(),
        Key::GenAiConversationId => text(request.conversation_id.as_ref()?),
        Key::GenAiOutputType => request.output_type?.into(),
        Key::GenAiRequestModel => text(request.model.as_ref()?),
        Key::GenAiRequestStream => Value::Bool(request.stream?),
        Key::GenAiRequestChoiceCount => Value::Int(request.choice_count?),
        Key::GenAiRequestSeed => Value::Int(request.seed?),
        Key::GenAiRequestMaxTokens => Value::Int(request.max_tokens?),
        Key::GenAiRequestTemperature => Value::Double(request.temperature?),
        Key::GenAiRequestTopP => Value::Double(request.top_p?),
        Key::GenAiRequestTopK => Value::Double(request.top_k?),
        Key::GenAiRequestFrequencyPenalty => Value::Double(request.frequency_penalty?),
        Key::GenAiRequestPresencePenalty => Value::Double(request.presence_penalty?),
        Key::GenAiRequestStopSequences => list(&request.stop_sequences)?,
        Key::GenAiRequestEncodingFormats => list(&request.encoding_formats)?,
        Key::GenAiRequestReasoningLevel => text(request.reasoning_level.as_ref()?),
        Key::OpenaiApiType => request.openai_api?.into(),
        Key::OpenaiRequestServiceTier if request.openai_api.is_none() => return None,
        Key::OpenaiRequestServiceTier => text(request.service_tier.as_ref()?),
        _ => return None,
    })
}

fn of_usage(call: &GenAi, key: Key) -> Option<Value<'_>> {
    let usage = &call.usage;
    count(match key {
        Key::GenAiUsageInputTokens => usage.input?,
        Key::GenAiUsageOutputTokens => usage.output?,
        Key::GenAiUsageCacheReadInputTokens => usage.cache_read?,
        Key::GenAiUsageCacheCreationInputTokens | Key::GenAiUsageCacheWriteInputTokens => usage.cache_creation?,
        Key::GenAiUsageReasoningOutputTokens => usage.reasoning?,
        Key::GenAiUsageAudioInputTokens => usage.input_audio?,
        Key::GenAiUsageAudioOutputTokens => usage.output_audio?,
        _ => return None,
    })
}

/// What `content` keeps of what is said in a call.
fn of_content(content: &CallContent, key: Key) -> Option<Value<'_>> {
    Some(match key {
        Key::GenAiSystemInstructions => text(content.system_instructions.as_ref()?),
        Key::GenAiInputMessages => text(content.input_messages.as_ref()?),
        Key::GenAiToolDefinitions => text(content.tool_definitions.as_ref()?),
        Key::GenAiInputIncomplete => content.input_incomplete?.name().into(),
        Key::GenAiOutputMessages => text(content.output_messages.as_ref()?),
        Key::GenAiOutputIncomplete => content.output_incomplete?.name().into(),
        _ => return None,
    })
}

/// Keys of a message of MCP.
fn of_message(message: &Message, key: Key) -> Option<Value<'_>> {
    Some(match key {
        Key::McpMethodName => text(&message.method),
        Key::GenAiOperationName if &*message.method == TOOLS_CALL => "execute_tool".into(),
        Key::GenAiToolName => text(message.tool.as_ref()?),
        Key::GenAiPromptName => text(message.prompt.as_ref()?),
        Key::McpResourceUri => match redact_url(message.resource.as_ref()?.as_bytes()) {
            Cow::Borrowed(_) => text(message.resource.as_ref()?),
            Cow::Owned(redacted) => String::from_utf8_lossy(&redacted).into_owned().into(),
        },
        Key::McpClientName => party(message.client.as_ref(), |party| party.name.as_ref())?,
        Key::McpClientVersion => party(message.client.as_ref(), |party| party.version.as_ref())?,
        Key::McpServerName => party(message.server.as_ref(), |party| party.name.as_ref())?,
        Key::McpServerVersion => party(message.server.as_ref(), |party| party.version.as_ref())?,
        Key::McpResultType => text(message.result_type.as_ref()?),
        Key::GenAiToolCallArguments => text(message.arguments.as_ref()?),
        Key::GenAiToolCallResult => text(message.result.as_ref()?),
        _ => return None,
    })
}

/// Keys that all messages of an exchange share.
fn of_session(messages: &Messages, key: Key) -> Option<Value<'_>> {
    Some(match key {
        Key::McpSessionId => text(messages.session_id.as_ref()?),
        Key::McpProtocolVersion => text(messages.protocol_version.as_ref()?),
        _ => return None,
    })
}

/// `jsonrpc.protocol.version`: the convention of MCP leaves 2.0 out, that of JSON-RPC 1.0.
fn version(message: &Message, is_mcp: bool) -> Option<Value<'_>> {
    match message.jsonrpc.as_deref() {
        None if is_mcp => None,
        None => Some("2.0".into()),
        Some("1.0") if !is_mcp => None,
        Some(version) => Some(version.into()),
    }
}

fn party<'a>(party: Option<&'a Party>, part: fn(&'a Party) -> Option<&'a Box<str>>) -> Option<Value<'a>> {
    part(party?).map(|part| text(part))
}

fn text(value: &str) -> Value<'_> {
    value.into()
}

/// A list that is empty is one that the wire does not say.
fn list(values: &[Box<str>]) -> Option<Value<'_>> {
    (!values.is_empty()).then(|| Value::List(values.iter().map(|value| Cow::Borrowed(&**value)).collect()))
}

fn count(value: u64) -> Option<Value<'static>> {
    i64::try_from(value).ok().map(Value::Int)
}

fn seconds(duration: Duration) -> Value<'static> {
    Value::Double(duration.as_secs_f64())
}
