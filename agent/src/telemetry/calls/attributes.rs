//! Which keys spans and default lines have of a call, in order: a table for each convention.

use crate::{
    exchange::Call,
    policy::attribute::{Key, Value},
    telemetry::{ExchangeSubject, names::Conventions},
};

/// One row.
#[derive(Clone, Copy, Debug)]
pub(in crate::telemetry) struct Attribute {
    /// Whose value it is; it goes by its name in the table of keys.
    pub key: Key,
    /// Whether default lines have it too. What can be long, or is the same for every call of a program, is on spans only.
    pub in_lines: bool,
    /// The profile that has it; `None` for both.
    profile: Option<Conventions>,
    /// Whether it is there with this value.
    when: fn(&Value<'_>) -> bool,
}

const fn span(key: Key) -> Attribute {
    Attribute { key, in_lines: false, profile: None, when: |_| true }
}

const fn line(key: Key) -> Attribute {
    Attribute { in_lines: true, ..span(key) }
}

impl Attribute {
    const fn of(self, profile: Conventions) -> Self {
        Self { profile: Some(profile), ..self }
    }

    const fn when(self, when: fn(&Value<'_>) -> bool) -> Self {
        Self { when, ..self }
    }

    /// Its name: of the conventions, or ours.
    pub(in crate::telemetry) fn name(self) -> &'static str {
        self.key.name()
    }

    /// Its value in a profile; absent where the conventions say nothing of such a value.
    pub(in crate::telemetry) fn value<'a>(
        self,
        subject: &ExchangeSubject<'a>,
        conventions: Conventions,
    ) -> Option<Value<'a>> {
        let value = subject.value(self.key).filter(self.when)?;
        Some(match (self.key, value) {
            // A double in v1.41, and a whole number since.
            (Key::GenAiRequestTopK, Value::Double(k)) if conventions == Conventions::Latest => Value::Int(k as i64),
            (_, value) => value,
        })
    }
}

/// Inference and embeddings (semconv gen-ai-spans); at the end what is ours.
const GEN_AI: &[Attribute] = &[
    line(Key::GenAiOperationName),
    line(Key::GenAiProviderName),
    line(Key::GenAiRequestModel),
    line(Key::GenAiResponseModel),
    line(Key::GenAiConversationId),
    line(Key::GenAiResponseId),
    span(Key::GenAiOutputType),
    // Only of streams.
    line(Key::GenAiRequestStream).when(|value| *value == Value::Bool(true)),
    // Only if it is not one.
    span(Key::GenAiRequestChoiceCount).when(|value| *value != Value::Int(1)),
    span(Key::GenAiRequestSeed),
    span(Key::GenAiRequestMaxTokens),
    span(Key::GenAiRequestTemperature),
    span(Key::GenAiRequestTopP),
    span(Key::GenAiRequestTopK),
    span(Key::GenAiRequestFrequencyPenalty),
    span(Key::GenAiRequestPresencePenalty),
    span(Key::GenAiRequestStopSequences),
    span(Key::GenAiRequestEncodingFormats),
    span(Key::GenAiRequestReasoningLevel).of(Conventions::Latest),
    span(Key::GenAiEmbeddingsDimensionCount),
    line(Key::GenAiResponseFinishReasons),
    line(Key::GenAiResponseTimeToFirstChunk),
    line(Key::GenAiUsageInputTokens),
    line(Key::GenAiUsageOutputTokens),
    line(Key::GenAiUsageCacheReadInputTokens),
    line(Key::GenAiUsageCacheCreationInputTokens).of(Conventions::V1_41),
    line(Key::GenAiUsageCacheWriteInputTokens).of(Conventions::Latest),
    line(Key::GenAiUsageReasoningOutputTokens),
    line(Key::GenAiUsageAudioInputTokens).of(Conventions::Latest),
    line(Key::GenAiUsageAudioOutputTokens).of(Conventions::Latest),
    span(Key::OpenaiApiType),
    span(Key::OpenaiRequestServiceTier),
    span(Key::OpenaiResponseServiceTier),
    span(Key::OpenaiResponseSystemFingerprint),
    line(Key::GenAiTimeToFirstToken),
    span(Key::GenAiTimePerOutputToken),
    span(Key::GenAiChunks),
    span(Key::GenAiStreamComplete),
    line(Key::GenAiToolCalls),
    line(Key::GenAiCost),
    span(Key::GenAiCurrency),
    line(Key::GenAiCut).when(|value| *value == Value::Bool(true)),
];

/// The Model Context Protocol (semconv mcp); at the end what is ours.
const MCP: &[Attribute] = &[
    line(Key::McpMethodName),
    line(Key::GenAiOperationName),
    line(Key::GenAiToolName),
    line(Key::GenAiPromptName),
    line(Key::McpResourceUri),
    line(Key::McpSessionId),
    line(Key::McpProtocolVersion),
    line(Key::JsonrpcRequestId),
    span(Key::JsonrpcProtocolVersion),
    span(Key::RpcResponseStatusCode),
    span(Key::NetworkProtocolName),
    span(Key::NetworkTransport),
    line(Key::JsonrpcBatchSize),
    line(Key::McpClientName),
    span(Key::McpClientVersion),
    line(Key::McpServerName),
    span(Key::McpServerVersion),
    line(Key::McpResultType),
    line(Key::McpCut).when(|value| *value == Value::Bool(true)),
];

/// JSON-RPC (semconv json-rpc). The method is opt-in there, since nothing bounds it: who wants it asks for `rpc.method`.
const JSON_RPC: &[Attribute] = &[
    line(Key::RpcSystemName),
    line(Key::JsonrpcRequestId),
    span(Key::JsonrpcProtocolVersion),
    span(Key::RpcResponseStatusCode),
    line(Key::JsonrpcBatchSize),
    line(Key::McpCut).when(|value| *value == Value::Bool(true)),
];

/// The rows of a call in a profile, in order.
pub(in crate::telemetry) fn attributes(call: &Call, conventions: Conventions) -> impl Iterator<Item = Attribute> {
    let rows = match call {
        Call::GenAi(_) => GEN_AI,
        Call::Mcp(_) => MCP,
        Call::JsonRpc(_) => JSON_RPC,
    };
    rows.iter().copied().filter(move |row| row.profile.is_none_or(|profile| profile == conventions))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::test_support::calls::{chat, session};

    /// Nothing leaves the agent under a name that is neither of the conventions nor ours, nothing twice, and no content.
    #[test]
    fn names_are_of_the_conventions_or_ours() {
        let messages = || Box::new(session(Vec::new()));
        for call in [Call::GenAi(Box::new(chat())), Call::Mcp(messages()), Call::JsonRpc(messages())] {
            for conventions in [Conventions::V1_41, Conventions::Latest] {
                let rows: Vec<_> = attributes(&call, conventions).collect();
                let mut names: Vec<_> = rows.iter().map(|row| row.name()).collect();
                let prefixes = ["gen_ai.", "openai.", "mcp.", "jsonrpc.", "rpc.", "network.", "telltale."];
                assert!(names.iter().all(|name| prefixes.iter().any(|prefix| name.starts_with(prefix))), "{names:?}");
                assert!(rows.iter().all(|row| !row.key.is_content()));
                names.sort_unstable();
                assert!(names.is_sorted_by(|left, right| left < right), "{names:?}");
            }
        }
    }

    #[test]
    fn the_profile_names_what_is_written_to_a_cache() {
        let has =
            |conventions, name| attributes(&Call::GenAi(Box::new(chat())), conventions).any(|row| row.name() == name);
        let (old, new) = ("gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_write.input_tokens");
        assert!(has(Conventions::V1_41, old) && !has(Conventions::V1_41, new));
        assert!(has(Conventions::Latest, new) && !has(Conventions::Latest, old));
    }
}
