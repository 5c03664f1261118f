//! Members of requests.

use super::Shape;

/// What a member of a request says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum RequestField {
    Model,
    Stream,
    ChoiceCount,
    Seed,
    MaxTokens,
    Temperature,
    TopP,
    TopK,
    /// `p` and `k`, which say something in Cohere's form only.
    CohereP,
    CohereK,
    FrequencyPenalty,
    PresencePenalty,
    /// A text, or one of an array.
    Stop,
    EncodingFormat,
    /// Length of the vectors that are asked for.
    Dimensions,
    /// `json_object`, `json_schema`, `text`, or of another kind.
    OutputType,
    /// A media type.
    OutputMediaType,
    /// Ollama's: `json`, or a schema.
    OutputFormat,
    Conversation,
    Tier,
    /// An effort; holds over [`Self::Thinking`].
    Effort,
    Thinking,
    /// Of one of the messages.
    Role,
    /// Something that calls have.
    Has(Shape),
    /// The same, of an array only.
    HasList(Shape),
    /// The same, of a text only.
    HasText(Shape),
}

use RequestField::{
    ChoiceCount, CohereK, CohereP, Conversation, Dimensions, Effort, EncodingFormat, FrequencyPenalty, Has, HasList,
    HasText, MaxTokens, Model, OutputFormat, OutputMediaType, OutputType, PresencePenalty, Role, Seed, Stop, Stream,
    Temperature, Thinking, Tier, TopK, TopP,
};

pub(super) static ROWS: &[(&str, RequestField)] = &[
    // What makes it a call.
    ("model", Model),
    ("messages", HasList(Shape::MESSAGES)),
    ("messages[].role", Role),
    ("input", Has(Shape::INPUT)),
    ("prompt", Has(Shape::PROMPT)),
    // Vertex takes one content without a list.
    ("contents.parts", Has(Shape::CONTENTS)),
    ("contents[].parts", Has(Shape::CONTENTS)),
    ("inputs", Has(Shape::INPUTS)),
    ("documents", HasList(Shape::DOCUMENTS)),
    ("texts", HasList(Shape::TEXTS)),
    ("message", HasText(Shape::MESSAGE)),
    ("instances", HasList(Shape::INSTANCES)),
    ("requests", HasList(Shape::REQUESTS)),
    ("content", Has(Shape::CONTENT)),
    ("text", Has(Shape::TEXT)),
    ("inputText", Has(Shape::TEXT)),
    ("jsonrpc", Has(Shape::JSON_RPC)),
    // OpenAI and all that speak it; Anthropic; Cohere.
    ("stream", Stream),
    ("n", ChoiceCount),
    ("seed", Seed),
    ("max_tokens", MaxTokens),
    ("max_completion_tokens", MaxTokens),
    ("max_output_tokens", MaxTokens),
    ("temperature", Temperature),
    ("top_p", TopP),
    ("top_k", TopK),
    ("p", CohereP),
    ("k", CohereK),
    ("frequency_penalty", FrequencyPenalty),
    ("presence_penalty", PresencePenalty),
    ("stop", Stop),
    ("stop[]", Stop),
    ("stop_sequences[]", Stop),
    ("encoding_format", EncodingFormat),
    ("embedding_types[]", EncodingFormat),
    ("dimensions", Dimensions),
    ("output_dimension", Dimensions),
    ("response_format.type", OutputType),
    ("text.format.type", OutputType),
    ("conversation", Conversation),
    ("conversation.id", Conversation),
    ("conversation_id", Conversation),
    ("service_tier", Tier),
    ("reasoning_effort", Effort),
    ("reasoning.effort", Effort),
    ("output_config.effort", Effort),
    ("output_config.format.type", OutputType),
    ("thinking.type", Thinking),
    ("random_seed", Seed),
    ("num_generations", ChoiceCount),
    ("max_tokens_to_sample", MaxTokens),
    // Gemini and Vertex.
    ("generationConfig.candidateCount", ChoiceCount),
    ("generationConfig.seed", Seed),
    ("generationConfig.maxOutputTokens", MaxTokens),
    ("generationConfig.temperature", Temperature),
    ("generationConfig.topP", TopP),
    ("generationConfig.topK", TopK),
    ("generationConfig.frequencyPenalty", FrequencyPenalty),
    ("generationConfig.presencePenalty", PresencePenalty),
    ("generationConfig.stopSequences[]", Stop),
    ("generationConfig.responseMimeType", OutputMediaType),
    ("generationConfig.thinkingConfig.thinkingLevel", Effort),
    ("generation_config.max_output_tokens", MaxTokens),
    ("generation_config.temperature", Temperature),
    ("generation_config.top_p", TopP),
    ("generation_config.top_k", TopK),
    ("generation_config.response_mime_type", OutputMediaType),
    ("outputDimensionality", Dimensions),
    ("output_dimensionality", Dimensions),
    ("parameters.outputDimensionality", Dimensions),
    // Bedrock: Converse, and the models' own.
    ("inferenceConfig.maxTokens", MaxTokens),
    ("inferenceConfig.max_new_tokens", MaxTokens),
    ("inferenceConfig.temperature", Temperature),
    ("inferenceConfig.topP", TopP),
    ("inferenceConfig.topK", TopK),
    ("inferenceConfig.stopSequences[]", Stop),
    ("serviceTier.type", Tier),
    ("max_gen_len", MaxTokens),
    ("maxTokens", MaxTokens),
    ("textGenerationConfig.maxTokenCount", MaxTokens),
    ("textGenerationConfig.temperature", Temperature),
    ("textGenerationConfig.topP", TopP),
    ("textGenerationConfig.stopSequences[]", Stop),
    // Ollama.
    ("options.num_predict", MaxTokens),
    ("options.seed", Seed),
    ("options.temperature", Temperature),
    ("options.top_p", TopP),
    ("options.top_k", TopK),
    ("options.frequency_penalty", FrequencyPenalty),
    ("options.presence_penalty", PresencePenalty),
    ("options.stop", Stop),
    ("options.stop[]", Stop),
    ("format", OutputFormat),
    ("think", Thinking),
    // Text Generation Inference; watsonx.
    ("model_id", Model),
    ("parameters.max_new_tokens", MaxTokens),
    ("parameters.seed", Seed),
    ("parameters.random_seed", Seed),
    ("parameters.temperature", Temperature),
    ("parameters.top_p", TopP),
    ("parameters.top_k", TopK),
    ("parameters.frequency_penalty", FrequencyPenalty),
    ("parameters.stop[]", Stop),
    ("parameters.stop_sequences[]", Stop),
    // llama.cpp.
    ("n_predict", MaxTokens),
    // SGLang.
    ("sampling_params.max_new_tokens", MaxTokens),
    ("sampling_params.temperature", Temperature),
    ("sampling_params.top_p", TopP),
    ("sampling_params.top_k", TopK),
    ("sampling_params.stop", Stop),
    ("sampling_params.stop[]", Stop),
];
