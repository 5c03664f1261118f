//! What the files of prices call the providers of the conventions.

/// One provider.
pub(super) struct Provider {
    /// `gen_ai.provider.name`.
    pub name: &'static str,
    /// Before a slash in keys of litellm. Without any of these a key is of that provider if its `litellm_provider` begins so.
    pub litellm: &'static [&'static str],
    /// Ids in genai-prices.
    pub genai_prices: &'static [&'static str],
}

const fn row(name: &'static str, litellm: &'static [&'static str], genai_prices: &'static [&'static str]) -> Provider {
    Provider { name, litellm, genai_prices }
}

/// A provider that is not here goes by its own name in both.
static PROVIDERS: &[Provider] = &[
    row("openai", &["openai", "text-completion-openai"], &["openai"]),
    row("azure.ai.openai", &["azure"], &["azure"]),
    row("azure.ai.inference", &["azure_ai"], &["azure"]),
    row("anthropic", &["anthropic"], &["anthropic"]),
    row("gcp.gemini", &["gemini"], &["google"]),
    row("gcp.gen_ai", &["gemini", "vertex_ai"], &["google"]),
    row("gcp.vertex_ai", &["vertex_ai"], &["google"]),
    row("aws.bedrock", &["bedrock"], &["aws"]),
    row("cohere", &["cohere"], &["cohere"]),
    row("mistral_ai", &["mistral"], &["mistral"]),
    row("groq", &["groq"], &["groq"]),
    row("deepseek", &["deepseek"], &["deepseek"]),
    row("x_ai", &["xai"], &["x-ai"]),
    row("perplexity", &["perplexity"], &["perplexity"]),
    row("ibm.watsonx.ai", &["watsonx"], &["watsonx"]),
    row("moonshot_ai", &["moonshot"], &["moonshotai"]),
    row("together", &["together_ai"], &["together"]),
    row("fireworks", &["fireworks_ai"], &["fireworks"]),
    row("voyage", &["voyage"], &["voyageai"]),
];

pub(super) fn find(name: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.name == name)
}
