//! Families of wire formats. A family is apart from the provider: many speak OpenAI's.

/// The form that a request and its answer have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Format {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's completions.
    Completions,
    /// OpenAI's responses.
    Responses,
    /// OpenAI's embeddings, images, audio and moderations.
    OpenAi,
    /// Anthropic's messages, and completions of old.
    Anthropic,
    /// Google's `generateContent` and embeddings.
    Gemini,
    /// Bedrock's Converse.
    Converse,
    /// Bedrock's invocation, in which the form is the model's.
    Invoke,
    /// Cohere's chat, generate, embed and rerank.
    Cohere,
    /// Ollama's own.
    Ollama,
    /// Text Generation Inference's own.
    Tgi,
    /// llama.cpp's own.
    LlamaCpp,
    /// SGLang's own.
    Sglang,
    /// IBM watsonx.ai's own.
    Watsonx,
}

impl Format {
    /// The provider where neither host nor headers nor content say another one. The conventions have `gen_ai.provider.name` name the flavour of the
    /// telemetry, so that an unknown gateway has the name of the API that it speaks.
    pub(super) const fn provider(self) -> &'static str {
        match self {
            Self::Chat | Self::Completions | Self::Responses | Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gcp.gemini",
            Self::Converse | Self::Invoke => "aws.bedrock",
            Self::Cohere => "cohere",
            Self::Ollama => "ollama",
            Self::Tgi => "tgi",
            Self::LlamaCpp => "llama.cpp",
            Self::Sglang => "sglang",
            Self::Watsonx => "ibm.watsonx.ai",
        }
    }

    /// `openai.api.type`.
    pub(super) const fn openai_api(self) -> Option<&'static str> {
        match self {
            Self::Chat => Some("chat_completions"),
            Self::Responses => Some("responses"),
            _ => None,
        }
    }
}
