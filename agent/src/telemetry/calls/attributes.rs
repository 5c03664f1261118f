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
    /// The profile that has it; `None` for both.
    profile: Option<Conventions>,
    /// Whether it is there with this value.
    when: fn(&Value<'_>) -> bool,
}

const fn row(key: Key) -> Attribute {
    Attribute { key, profile: None, when: |_| true }
}

impl Attribute {
    const fn of(self, profile: Conventions) -> Self {
        Self { profile: Some(profile), ..self }
    }

    const fn when(self, when: fn(&Value<'_>) -> bool) -> Self {
        Self { when, ..self }
    }

    /// Whether default lines have it too.
    pub(in crate::telemetry) const fn is_in_lines(self) -> bool {
        self.key.is_in_default_lines()
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
    row(Key::GenAiOperationName),
    row(Key::GenAiProviderName),
    row(Key::GenAiRequestModel),
    row(Key::GenAiResponseModel),
    row(Key::GenAiConversationId),
    row(Key::GenAiResponseId),
    row(Key::GenAiOutputType),
    // Only of streams.
    row(Key::GenAiRequestStream).when(|value| *value == Value::Bool(true)),
    // Only if it is not one.
    row(Key::GenAiRequestChoiceCount).when(|value| *value != Value::Int(1)),
    row(Key::GenAiRequestSeed),
    row(Key::GenAiRequestMaxTokens),
    row(Key::GenAiRequestTemperature),
    row(Key::GenAiRequestTopP),
    row(Key::GenAiRequestTopK),
    row(Key::GenAiRequestFrequencyPenalty),
    row(Key::GenAiRequestPresencePenalty),
    row(Key::GenAiRequestStopSequences),
    row(Key::GenAiRequestEncodingFormats),
    row(Key::GenAiRequestReasoningLevel).of(Conventions::Latest),
    row(Key::GenAiEmbeddingsDimensionCount),
    row(Key::GenAiResponseFinishReasons),
    row(Key::GenAiResponseTimeToFirstChunk),
    row(Key::GenAiUsageInputTokens),
    row(Key::GenAiUsageOutputTokens),
    row(Key::GenAiUsageCacheReadInputTokens),
    row(Key::GenAiUsageCacheCreationInputTokens).of(Conventions::V1_41),
    row(Key::GenAiUsageCacheWriteInputTokens).of(Conventions::Latest),
    row(Key::GenAiUsageReasoningOutputTokens),
    row(Key::GenAiUsageAudioInputTokens).of(Conventions::Latest),
    row(Key::GenAiUsageAudioOutputTokens).of(Conventions::Latest),
    row(Key::OpenaiApiType),
    row(Key::OpenaiRequestServiceTier),
    row(Key::OpenaiResponseServiceTier),
    row(Key::OpenaiResponseSystemFingerprint),
    row(Key::GenAiTimeToFirstToken),
    row(Key::GenAiTimePerOutputToken),
    row(Key::GenAiChunks),
    row(Key::GenAiStreamComplete),
    row(Key::GenAiToolCalls),
    row(Key::GenAiCost),
    row(Key::GenAiCurrency),
    row(Key::GenAiCut).when(|value| *value == Value::Bool(true)),
    // Opt-in: they have a value where the policy's `content` keeps it.
    row(Key::GenAiSystemInstructions),
    row(Key::GenAiInputMessages),
    row(Key::GenAiToolDefinitions),
    row(Key::GenAiOutputMessages),
    row(Key::GenAiInputIncomplete),
    row(Key::GenAiOutputIncomplete),
];

/// The Model Context Protocol (semconv mcp); at the end what is ours.
const MCP: &[Attribute] = &[
    row(Key::McpMethodName),
    row(Key::GenAiOperationName),
    row(Key::GenAiToolName),
    row(Key::GenAiPromptName),
    row(Key::McpResourceUri),
    row(Key::McpSessionId),
    row(Key::McpProtocolVersion),
    row(Key::JsonrpcRequestId),
    row(Key::JsonrpcProtocolVersion),
    row(Key::RpcResponseStatusCode),
    row(Key::NetworkProtocolName),
    row(Key::NetworkTransport),
    row(Key::JsonrpcBatchSize),
    row(Key::McpClientName),
    row(Key::McpClientVersion),
    row(Key::McpServerName),
    row(Key::McpServerVersion),
    row(Key::McpResultType),
    row(Key::McpCut).when(|value| *value == Value::Bool(true)),
    // Opt-in: they have a value where the policy's `content` keeps it.
    row(Key::GenAiToolCallArguments),
    row(Key::GenAiToolCallResult),
];

/// JSON-RPC (semconv json-rpc). The method is opt-in there, since nothing bounds it: who wants it asks for `rpc.method`.
const JSON_RPC: &[Attribute] = &[
    row(Key::RpcSystemName),
    row(Key::JsonrpcRequestId),
    row(Key::JsonrpcProtocolVersion),
    row(Key::RpcResponseStatusCode),
    row(Key::JsonrpcBatchSize),
    row(Key::McpCut).when(|value| *value == Value::Bool(true)),
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

    /// Nothing leaves the agent under a name that is neither of the conventions nor ours, nothing twice, and lines have no content.
    #[test]
    fn names_are_of_the_conventions_or_ours() {
        let messages = || Box::new(session(Vec::new()));
        for call in [Call::GenAi(Box::new(chat())), Call::Mcp(messages()), Call::JsonRpc(messages())] {
            for conventions in [Conventions::V1_41, Conventions::Latest] {
                let rows: Vec<_> = attributes(&call, conventions).collect();
                let mut names: Vec<_> = rows.iter().map(|row| row.name()).collect();
                let prefixes = ["gen_ai.", "openai.", "mcp.", "jsonrpc.", "rpc.", "network.", "telltale."];
                assert!(names.iter().all(|name| prefixes.iter().any(|prefix| name.starts_with(prefix))), "{names:?}");
                assert!(rows.iter().all(|row| !row.key.is_content() || !row.is_in_lines()));
                assert!(rows.iter().filter(|row| row.is_in_lines()).count() > 2);
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
