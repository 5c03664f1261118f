//! Members of answers, and of the parts of streamed ones.

use super::super::format::Format;

/// A number of tokens. Of each kind the last one holds: numbers of streams are sums so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(in super::super) enum Count {
    /// All of the input, cached tokens included.
    Prompt,
    /// The input; cached tokens are beside it if they are told by [`Self::CacheReadBeside`] or [`Self::CacheWriteBeside`].
    Input,
    /// The input, of which the parts of a stream tell zero later: the most holds.
    MostInput,
    /// The input of one of several; the sum holds.
    EachInput,
    /// Input of tools (Gemini), beside [`Self::Prompt`].
    ToolPrompt,
    /// Input that is billed: holds over all others.
    BilledInput,
    /// Read from a cache, part of the input as told.
    CacheReadWithin,
    /// Read from a cache, beside the input as told (Anthropic, Bedrock).
    CacheReadBeside,
    /// Written to a cache, part of the input as told.
    CacheWriteWithin,
    /// Written to a cache, beside the input as told.
    CacheWriteBeside,
    /// The output.
    Output,
    /// The output, of which the most holds.
    MostOutput,
    /// The output of one of several; the sum holds.
    EachOutput,
    /// Output that is billed: holds over all others.
    BilledOutput,
    /// Reasoning, part of the output as told, unless the total says otherwise.
    Reasoning,
    /// Reasoning beside the output as told (Gemini).
    Thoughts,
    /// Both together.
    Total,
    /// Of the input, audio.
    AudioInput,
    /// Of the output, audio.
    AudioOutput,
    /// Of the output, pictures.
    ImageOutput,
    /// Of what was read from a cache, audio.
    AudioCached,
    /// Of what was written to a cache, what stays there for an hour.
    CacheWriteHour,
    /// Pictures in the input that are billed, beside [`Self::BilledInput`].
    BilledImages,
    /// llama.cpp's timings, where there is no usage: input that was evaluated, was cached, and output.
    TimedInput,
    TimedCache,
    TimedOutput,
}

impl Count {
    /// How many kinds there are.
    pub(in super::super) const KINDS: usize = Self::TimedOutput as usize + 1;
}

/// What a member of an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum ResponseField {
    Id,
    /// An id that holds if there is no other.
    OtherId,
    Model,
    Fingerprint,
    Tier,
    Conversation,
    /// `type` or `event_type` of a document or event.
    Kind,
    /// `object`: OpenAI's names for what there is.
    Object,
    /// Number of the choice at this place.
    Index,
    /// Why the choice at this place ended.
    Reason,
    /// Why the output ended, where there is one.
    OnlyReason,
    /// State of a response of OpenAI.
    Status,
    /// Why such a response is incomplete, or why Gemini gives none.
    InsteadOfReason,
    /// Only answers of models in this form have it.
    Own(Format),
    /// The same, and it is text.
    OwnText(Format),
    /// Text of an answer in this form, or of something else.
    LikelyText(Format),
    /// A vector, or several.
    Vector,
    /// Others have it too.
    Common,
    /// Text, reasoning or a part of a tool call.
    Text,
    /// The same, if the event is one of OpenAI's deltas.
    Delta,
    /// A number of tokens.
    Tokens(Count),
    /// What the call costs.
    Cost,
    /// `modality` of Gemini's details; the count is that of audio in the same whole.
    Modality(Count),
    /// The tokens of it.
    ModalityTokens(Count),
    /// The end, if it is `true`.
    Done,
    /// Only the last part of a stream has it, and only answers of models.
    Last(Format),
    /// A tool call: that there is one, its number, its id, its name.
    Tool,
    ToolIndex,
    ToolId,
    ToolName,
    /// Of something that is a tool call if its kind says so: the kind, ids, name.
    BlockKind,
    BlockId,
    BlockCallId,
    BlockName,
    /// Name of a tool call that is told again at the end.
    ToolNameAgain,
    /// An error: an object or a message.
    Error,
    /// Its code; its type; its status.
    ErrorCode,
    ErrorType,
    ErrorStatus,
    /// A code that says something only if there is an error.
    CodeOfError,
    /// An element of a vector: the last index tells how long it is.
    Element,
    /// The kind of an error, in a form that only answers of this format have.
    OwnErrorType(Format),
    /// Only this provider has it.
    Hint(&'static str),
}

use Count::{
    AudioCached, AudioInput, AudioOutput, BilledImages, BilledInput, BilledOutput, CacheReadBeside, CacheReadWithin,
    CacheWriteBeside, CacheWriteHour, CacheWriteWithin, EachInput, EachOutput, Input, MostInput, MostOutput, Output,
    Prompt, Reasoning, Thoughts, TimedCache, TimedInput, TimedOutput, ToolPrompt, Total,
};
use ResponseField::{
    BlockCallId, BlockId, BlockKind, BlockName, CodeOfError, Common, Conversation, Cost, Delta, Done, Element, Error,
    ErrorCode, ErrorStatus, ErrorType, Fingerprint, Hint, Id, Index, InsteadOfReason, Kind, Last, LikelyText, Modality,
    ModalityTokens, Model, Object, OnlyReason, OtherId, Own, OwnErrorType, OwnText, Reason, Status, Text, Tier, Tokens,
    Tool, ToolId, ToolIndex, ToolName, ToolNameAgain, Vector,
};

pub(super) static ROWS: &[(&str, ResponseField)] = &[
    // Of nearly all.
    ("id", Id),
    ("model", Model),
    ("object", Object),
    ("type", Kind),
    ("service_tier", Tier),
    ("error", Error),
    ("error.code", ErrorCode),
    ("error.type", ErrorType),
    ("error.status", ErrorStatus),
    ("code", CodeOfError),
    ("status", Status),
    // OpenAI: chat completions and completions.
    ("system_fingerprint", Fingerprint),
    ("choices[].index", Index),
    ("choices[].finish_reason", Reason),
    ("choices[].message", Own(Format::Chat)),
    ("choices[].delta", Own(Format::Chat)),
    ("choices[].text", LikelyText(Format::Completions)),
    ("choices[].delta.content", Text),
    ("choices[].delta.content[].text", Text),
    ("choices[].delta.content[].thinking[].text", Text),
    ("choices[].delta.reasoning_content", Text),
    ("choices[].delta.reasoning", Text),
    ("choices[].delta.refusal", Text),
    ("choices[].delta.audio.data", Text),
    ("choices[].delta.audio.transcript", Text),
    ("choices[].delta.tool_calls[].index", ToolIndex),
    ("choices[].delta.tool_calls[].id", ToolId),
    ("choices[].delta.tool_calls[].function.name", ToolName),
    ("choices[].delta.tool_calls[].function.arguments", Text),
    ("choices[].delta.function_call.name", ToolName),
    ("choices[].delta.function_call.arguments", Text),
    ("choices[].message.tool_calls[].id", ToolId),
    ("choices[].message.tool_calls[].function.name", ToolName),
    ("choices[].message.tool_calls[].custom.name", ToolName),
    ("choices[].message.function_call.name", ToolName),
    ("choices[].error.code", ErrorCode),
    ("usage.prompt_tokens", Tokens(Prompt)),
    ("usage.completion_tokens", Tokens(Output)),
    ("usage.total_tokens", Tokens(Total)),
    ("usage.prompt_tokens_details.cached_tokens", Tokens(CacheReadWithin)),
    ("usage.prompt_tokens_details.cache_write_tokens", Tokens(CacheWriteWithin)),
    ("usage.prompt_tokens_details.audio_tokens", Tokens(AudioInput)),
    ("usage.completion_tokens_details.reasoning_tokens", Tokens(Reasoning)),
    ("usage.completion_tokens_details.audio_tokens", Tokens(AudioOutput)),
    // OpenAI: embeddings, images, audio, moderations.
    ("data[].embedding", Own(Format::OpenAi)),
    ("data[].embedding[]", Element),
    ("data[].b64_json", Own(Format::OpenAi)),
    ("data[].url", Common),
    ("results[].flagged", Own(Format::OpenAi)),
    ("usage.input_token_details.audio_tokens", Tokens(AudioInput)),
    // OpenAI: responses.
    ("incomplete_details.reason", InsteadOfReason),
    ("conversation.id", Conversation),
    ("output[].type", BlockKind),
    ("output[].id", BlockId),
    ("output[].call_id", BlockCallId),
    ("output[].name", BlockName),
    ("usage.input_tokens", Tokens(Input)),
    ("usage.output_tokens", Tokens(Output)),
    ("usage.input_tokens_details.cached_tokens", Tokens(CacheReadWithin)),
    ("usage.input_tokens_details.cache_write_tokens", Tokens(CacheWriteWithin)),
    ("usage.output_tokens_details.reasoning_tokens", Tokens(Reasoning)),
    ("response.id", Id),
    ("response.model", Model),
    ("response.object", Object),
    ("response.status", Status),
    ("response.service_tier", Tier),
    ("response.conversation.id", Conversation),
    ("response.incomplete_details.reason", InsteadOfReason),
    ("response.error", Error),
    ("response.error.code", ErrorCode),
    ("response.output[].type", BlockKind),
    ("response.output[].id", BlockId),
    ("response.output[].call_id", BlockCallId),
    ("response.output[].name", BlockName),
    ("response.usage.input_tokens", Tokens(Input)),
    ("response.usage.output_tokens", Tokens(Output)),
    ("response.usage.total_tokens", Tokens(Total)),
    ("response.usage.input_tokens_details.cached_tokens", Tokens(CacheReadWithin)),
    ("response.usage.input_tokens_details.cache_write_tokens", Tokens(CacheWriteWithin)),
    ("response.usage.output_tokens_details.reasoning_tokens", Tokens(Reasoning)),
    ("response.usage.cost", Cost),
    ("item.type", BlockKind),
    ("item.id", BlockId),
    ("item.call_id", BlockCallId),
    ("item.name", BlockName),
    ("delta", Delta),
    // Anthropic. Output that the start of a stream tells is not yet the answer's; the deltas tell it.
    ("stop_reason", OnlyReason),
    ("content[].type", BlockKind),
    ("content[].id", BlockId),
    ("content[].name", BlockName),
    ("usage.cache_read_input_tokens", Tokens(CacheReadBeside)),
    ("usage.cache_creation_input_tokens", Tokens(CacheWriteBeside)),
    ("usage.cache_creation.ephemeral_1h_input_tokens", Tokens(CacheWriteHour)),
    ("usage.output_tokens_details.thinking_tokens", Tokens(Reasoning)),
    ("usage.service_tier", Tier),
    ("message.id", Id),
    ("message.model", Model),
    ("message.usage.input_tokens", Tokens(Input)),
    ("message.usage.cache_read_input_tokens", Tokens(CacheReadBeside)),
    ("message.usage.cache_creation_input_tokens", Tokens(CacheWriteBeside)),
    ("message.usage.cache_creation.ephemeral_1h_input_tokens", Tokens(CacheWriteHour)),
    ("message.usage.service_tier", Tier),
    ("content_block.type", BlockKind),
    ("content_block.id", BlockId),
    ("content_block.name", BlockName),
    ("content_block.text", Text),
    ("content_block.thinking", Text),
    ("delta.text", Text),
    ("delta.thinking", Text),
    ("delta.partial_json", Text),
    ("delta.stop_reason", OnlyReason),
    ("completion", Text),
    // Gemini and Vertex.
    ("candidates[].index", Index),
    ("candidates[].finishReason", Reason),
    ("candidates[].content", Own(Format::Gemini)),
    ("candidates[].content.parts[].text", Text),
    ("candidates[].content.parts[].inlineData.data", Text),
    ("candidates[].content.parts[].executableCode.code", Text),
    ("candidates[].content.parts[].functionCall", Tool),
    ("candidates[].content.parts[].functionCall.id", ToolId),
    ("candidates[].content.parts[].functionCall.name", ToolName),
    ("promptFeedback.blockReason", InsteadOfReason),
    ("modelVersion", Model),
    ("responseId", Id),
    ("usageMetadata", Own(Format::Gemini)),
    ("usageMetadata.promptTokenCount", Tokens(Prompt)),
    ("usageMetadata.toolUsePromptTokenCount", Tokens(ToolPrompt)),
    ("usageMetadata.candidatesTokenCount", Tokens(Output)),
    ("usageMetadata.thoughtsTokenCount", Tokens(Thoughts)),
    ("usageMetadata.cachedContentTokenCount", Tokens(CacheReadWithin)),
    ("usageMetadata.promptTokensDetails[].modality", Modality(AudioInput)),
    ("usageMetadata.promptTokensDetails[].tokenCount", ModalityTokens(AudioInput)),
    ("usageMetadata.cacheTokensDetails[].modality", Modality(AudioCached)),
    ("usageMetadata.cacheTokensDetails[].tokenCount", ModalityTokens(AudioCached)),
    ("usageMetadata.candidatesTokensDetails[].modality", Modality(AudioOutput)),
    ("usageMetadata.candidatesTokensDetails[].tokenCount", ModalityTokens(AudioOutput)),
    ("usageMetadata.serviceTier", Tier),
    ("embedding", Vector),
    ("embedding[]", Element),
    ("embedding.values[]", Element),
    ("embeddings", Vector),
    ("embeddings[].values[]", Element),
    ("predictions[].embeddings.values[]", Element),
    ("predictions[].bytesBase64Encoded", Own(Format::Gemini)),
    ("predictions[].embeddings.statistics", Own(Format::Gemini)),
    ("predictions[].embeddings.statistics.token_count", Tokens(EachInput)),
    // Bedrock: Converse.
    ("output.message", Own(Format::Converse)),
    ("output.message.content[].toolUse.toolUseId", ToolId),
    ("output.message.content[].toolUse.name", ToolName),
    ("stopReason", OnlyReason),
    ("usage.inputTokens", Tokens(Input)),
    ("usage.outputTokens", Tokens(Output)),
    ("usage.cacheReadInputTokens", Tokens(CacheReadBeside)),
    ("usage.cacheReadInputTokenCount", Tokens(CacheReadBeside)),
    ("usage.cacheWriteInputTokens", Tokens(CacheWriteBeside)),
    ("usage.cacheWriteInputTokenCount", Tokens(CacheWriteBeside)),
    ("serviceTier.type", Tier),
    ("start.toolUse.toolUseId", ToolId),
    ("start.toolUse.name", ToolName),
    ("delta.toolUse.input", Text),
    ("delta.reasoningContent.text", Text),
    ("__type", ErrorType),
    // Bedrock: models of Amazon, Meta, Mistral, Cohere and AI21 in their own form; the last event of each stream.
    ("contentBlockStart.start.toolUse.toolUseId", ToolId),
    ("contentBlockStart.start.toolUse.name", ToolName),
    ("contentBlockDelta.delta", Own(Format::Converse)),
    ("contentBlockDelta.delta.text", Text),
    ("contentBlockDelta.delta.toolUse.input", Text),
    ("contentBlockDelta.delta.reasoningContent.reasoningText.text", Text),
    ("messageStop.stopReason", OnlyReason),
    ("metadata.usage.inputTokens", Tokens(Input)),
    ("metadata.usage.outputTokens", Tokens(Output)),
    ("metadata.usage.cacheReadInputTokenCount", Tokens(CacheReadBeside)),
    ("metadata.usage.cacheWriteInputTokenCount", Tokens(CacheWriteBeside)),
    ("inputTextTokenCount", Tokens(Prompt)),
    ("results[].tokenCount", Tokens(EachOutput)),
    ("results[].outputText", OwnText(Format::Invoke)),
    ("results[].completionReason", Reason),
    ("outputText", OwnText(Format::Invoke)),
    ("completionReason", OnlyReason),
    ("totalOutputTextTokenCount", Tokens(Output)),
    ("generation", Text),
    ("prompt_token_count", Tokens(Prompt)),
    ("generation_token_count", Tokens(Output)),
    ("outputs[].text", Text),
    ("outputs[].stop_reason", Reason),
    ("generations[].text", Text),
    ("generations[].finish_reason", Reason),
    ("completions[].data.text", Text),
    ("completions[].finishReason.reason", Reason),
    ("amazon-bedrock-invocationMetrics", Last(Format::Invoke)),
    ("amazon-bedrock-invocationMetrics.inputTokenCount", Tokens(Input)),
    ("amazon-bedrock-invocationMetrics.outputTokenCount", Tokens(Output)),
    ("amazon-bedrock-invocationMetrics.cacheReadInputTokenCount", Tokens(CacheReadBeside)),
    ("amazon-bedrock-invocationMetrics.cacheWriteInputTokenCount", Tokens(CacheWriteBeside)),
    // Cohere: version 2 and 1, generate, embed and rerank.
    ("finish_reason", OnlyReason),
    ("message.content[].text", Text),
    ("message.tool_calls[].id", ToolId),
    ("message.tool_calls[].function.name", ToolName),
    ("usage.billed_units", Own(Format::Cohere)),
    ("usage.billed_units.input_tokens", Tokens(BilledInput)),
    ("usage.billed_units.output_tokens", Tokens(BilledOutput)),
    ("usage.tokens.input_tokens", Tokens(Prompt)),
    ("usage.tokens.output_tokens", Tokens(Output)),
    ("usage.cached_tokens", Tokens(CacheReadWithin)),
    ("delta.message.content.text", Text),
    ("delta.message.content.thinking", Text),
    ("delta.message.tool_plan", Text),
    ("delta.message.tool_calls.id", ToolId),
    ("delta.message.tool_calls.function.name", ToolName),
    ("delta.message.tool_calls.function.arguments", Text),
    ("delta.finish_reason", OnlyReason),
    ("delta.usage", Last(Format::Cohere)),
    ("delta.usage.billed_units.input_tokens", Tokens(BilledInput)),
    ("delta.usage.billed_units.output_tokens", Tokens(BilledOutput)),
    ("delta.usage.tokens.input_tokens", Tokens(Prompt)),
    ("delta.usage.tokens.output_tokens", Tokens(Output)),
    ("delta.usage.cached_tokens", Tokens(CacheReadWithin)),
    ("event_type", Kind),
    ("text", Text),
    ("response_id", Id),
    ("generation_id", OtherId),
    ("tool_calls[].name", ToolName),
    ("meta.billed_units", Own(Format::Cohere)),
    ("meta.billed_units.input_tokens", Tokens(BilledInput)),
    ("meta.billed_units.image_tokens", Tokens(BilledImages)),
    ("meta.billed_units.output_tokens", Tokens(BilledOutput)),
    ("meta.tokens.input_tokens", Tokens(Prompt)),
    ("meta.tokens.output_tokens", Tokens(Output)),
    ("meta.cached_tokens", Tokens(CacheReadWithin)),
    ("is_finished", Done),
    ("response.response_id", Id),
    ("response.generation_id", OtherId),
    ("response.finish_reason", OnlyReason),
    ("response.tool_calls[].name", ToolNameAgain),
    ("response.meta.billed_units.input_tokens", Tokens(BilledInput)),
    ("response.meta.billed_units.output_tokens", Tokens(BilledOutput)),
    ("response.meta.tokens.input_tokens", Tokens(Prompt)),
    ("response.meta.tokens.output_tokens", Tokens(Output)),
    ("embeddings[][]", Element),
    ("embeddings.float[][]", Element),
    ("results[].relevance_score", Own(Format::Cohere)),
    ("data[].relevance_score", Own(Format::Cohere)),
    // Mistral, DeepSeek, Perplexity, SGLang, Writer, OpenRouter and Groq beyond OpenAI's.
    ("usage.num_cached_tokens", Tokens(CacheReadWithin)),
    ("usage.prompt_cache_hit_tokens", Tokens(CacheReadWithin)),
    ("usage.reasoning_tokens", Tokens(Reasoning)),
    ("usage.prompt_token_details.cached_tokens", Tokens(CacheReadWithin)),
    ("usage.completion_token_details.reasoning_tokens", Tokens(Reasoning)),
    ("usage.cost", Cost),
    ("usage.cost.total_cost", Cost),
    ("value", Text),
    ("choices[].native_finish_reason", Hint("openrouter")),
    ("x_groq", Hint("groq")),
    ("x_groq.usage.prompt_tokens", Tokens(Prompt)),
    ("x_groq.usage.completion_tokens", Tokens(Output)),
    ("x_groq.usage.total_tokens", Tokens(Total)),
    ("x_groq.usage.prompt_tokens_details.cached_tokens", Tokens(CacheReadWithin)),
    ("x_groq.usage.completion_tokens_details.reasoning_tokens", Tokens(Reasoning)),
    // Ollama.
    ("message.content", Text),
    ("message.thinking", Text),
    ("message.tool_calls[].function", Tool),
    ("response", Text),
    ("thinking", Text),
    ("done", Done),
    ("done_reason", OnlyReason),
    ("prompt_eval_count", Tokens(Prompt)),
    ("eval_count", Tokens(Output)),
    ("eval_duration", Own(Format::Ollama)),
    ("load_duration", Own(Format::Ollama)),
    // Servers of one's own: vLLM, SGLang, Text Generation Inference, llama.cpp.
    ("choices[].stop_reason", Hint("vllm")),
    ("choices[].matched_stop", Hint("sglang")),
    ("meta_info.id", Id),
    ("meta_info.finish_reason.type", OnlyReason),
    ("meta_info.prompt_tokens", Tokens(Prompt)),
    ("meta_info.completion_tokens", Tokens(Output)),
    ("meta_info.cached_tokens", Tokens(CacheReadWithin)),
    ("generated_text", OwnText(Format::Tgi)),
    ("token.text", OwnText(Format::Tgi)),
    ("details.finish_reason", OnlyReason),
    ("details.generated_tokens", Tokens(Output)),
    ("details.input_length", Tokens(Prompt)),
    ("error_type", OwnErrorType(Format::Tgi)),
    ("content", Text),
    ("stop", Done),
    ("stop_type", OnlyReason),
    ("tokens_evaluated", Tokens(Prompt)),
    ("tokens_predicted", Tokens(Output)),
    ("timings", Hint("llama.cpp")),
    ("timings.prompt_n", Tokens(TimedInput)),
    ("timings.cache_n", Tokens(TimedCache)),
    ("timings.predicted_n", Tokens(TimedOutput)),
    // watsonx.
    ("model_id", Model),
    ("results[].generated_text", OwnText(Format::Watsonx)),
    ("results[].stop_reason", Reason),
    ("results[].input_token_count", Tokens(MostInput)),
    ("results[].generated_token_count", Tokens(MostOutput)),
    ("results[].embedding", Own(Format::Watsonx)),
    ("results[].embedding[]", Element),
    ("input_token_count", Tokens(Prompt)),
    ("errors[].code", ErrorCode),
];
