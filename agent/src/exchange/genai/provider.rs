//! Whose API it is: by host, then by header fields.

use std::borrow::Cow;

use crate::protocol::Headers;

/// A host that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    /// Host, in lower case, without port unless the row has one; `*` stands for any characters.
    host: Cow<'static, str>,
    /// `gen_ai.provider.name`.
    provider: Cow<'static, str>,
    /// Other services have such hosts too: it names the provider, and proves nothing.
    shared: bool,
}

const fn own(host: &'static str, provider: &'static str) -> Row {
    Row { host: Cow::Borrowed(host), provider: Cow::Borrowed(provider), shared: false }
}

const fn shared(host: &'static str, provider: &'static str) -> Row {
    Row { host: Cow::Borrowed(host), provider: Cow::Borrowed(provider), shared: true }
}

/// The first row that fits holds. Names are those of the conventions where these have one.
static HOSTS: [Row; 47] = [
    own("api.openai.com", "openai"),
    own("*.api.openai.com", "openai"),
    own("*.openai.azure.com", "azure.ai.openai"),
    shared("*.cognitiveservices.azure.com", "azure.ai.openai"),
    shared("*.azure-api.net", "azure.ai.openai"),
    shared("*.services.ai.azure.com", "azure.ai.inference"),
    own("*.models.ai.azure.com", "azure.ai.inference"),
    own("*.inference.ai.azure.com", "azure.ai.inference"),
    own("models.inference.ai.azure.com", "azure.ai.inference"),
    own("api.anthropic.com", "anthropic"),
    own("generativelanguage.googleapis.com", "gcp.gemini"),
    shared("aiplatform.googleapis.com", "gcp.vertex_ai"),
    shared("*-aiplatform.googleapis.com", "gcp.vertex_ai"),
    shared("aiplatform.*.rep.googleapis.com", "gcp.vertex_ai"),
    own("bedrock-runtime.*.amazonaws.com*", "aws.bedrock"),
    own("bedrock-runtime-fips.*.amazonaws.com*", "aws.bedrock"),
    own("*.bedrock-runtime.*.vpce.amazonaws.com*", "aws.bedrock"),
    own("bedrock-mantle.*.api.aws", "aws.bedrock"),
    own("api.cohere.com", "cohere"),
    own("api.cohere.ai", "cohere"),
    own("api.mistral.ai", "mistral_ai"),
    own("codestral.mistral.ai", "mistral_ai"),
    own("api.groq.com", "groq"),
    own("api.deepseek.com", "deepseek"),
    own("api.x.ai", "x_ai"),
    own("*.api.x.ai", "x_ai"),
    own("api.perplexity.ai", "perplexity"),
    own("openrouter.ai", "openrouter"),
    own("api.together.xyz", "together"),
    own("api.together.ai", "together"),
    own("api.fireworks.ai", "fireworks"),
    own("api.cerebras.ai", "cerebras"),
    own("api.writer.com", "writer"),
    own("api.voyageai.com", "voyage"),
    own("api.jina.ai", "jina"),
    own("router.huggingface.co", "huggingface"),
    own("api-inference.huggingface.co", "huggingface"),
    shared("*.endpoints.huggingface.cloud", "huggingface"),
    own("api.moonshot.ai", "moonshot_ai"),
    own("api.moonshot.cn", "moonshot_ai"),
    own("api.z.ai", "z.ai"),
    own("*.ml.cloud.ibm.com", "ibm.watsonx.ai"),
    shared("*.snowflakecomputing.com", "snowflake"),
    shared("*.azuredatabricks.net", "databricks"),
    shared("*.cloud.databricks.com", "databricks"),
    own("ollama.com", "ollama"),
    own("api.inference.crusoecloud.com", "crusoe"),
];

/// A header field that tells the provider.
struct Sign {
    name: &'static str,
    provider: &'static str,
    /// Nothing else has it: it proves that it is a call.
    proves: bool,
}

const fn sign(name: &'static str, provider: &'static str, proves: bool) -> Sign {
    Sign { name, provider, proves }
}

/// Of requests. The first one that is there holds.
static REQUEST_SIGNS: [Sign; 4] = [
    sign("anthropic-version", "anthropic", true),
    sign("x-amzn-bedrock-accept", "aws.bedrock", true),
    sign("x-amzn-bedrock-guardrailidentifier", "aws.bedrock", true),
    sign("x-goog-user-project", "gcp.vertex_ai", false),
];

/// Of answers. Azure comes before OpenAI, whose fields it may hand on.
static RESPONSE_SIGNS: [Sign; 17] = [
    sign("x-ms-deployment-name", "azure.ai.openai", true),
    sign("x-ms-rai-invoked", "azure.ai.openai", true),
    sign("openai-processing-ms", "openai", true),
    sign("openai-version", "openai", true),
    sign("openai-organization", "openai", true),
    sign("openai-model", "openai", true),
    sign("anthropic-organization-id", "anthropic", true),
    sign("anthropic-ratelimit-requests-limit", "anthropic", true),
    sign("anthropic-ratelimit-tokens-limit", "anthropic", true),
    sign("x-amzn-bedrock-invocation-latency", "aws.bedrock", true),
    sign("x-amzn-bedrock-input-token-count", "aws.bedrock", true),
    sign("x-amzn-bedrock-content-type", "aws.bedrock", true),
    sign("x-groq-region", "groq", true),
    sign("x-ratelimit-tokens-query-cost", "mistral_ai", true),
    sign("x-generated-tokens", "tgi", true),
    sign("x-time-per-token", "tgi", true),
    sign("apim-request-id", "azure.ai.openai", false),
];

/// What a host or a header field says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// `gen_ai.provider.name`.
    pub(super) provider: Cow<'static, str>,
    /// It is a call if its path is that of an API.
    pub(super) proves: bool,
}

/// Providers by host: the built-in ones, and before them those that an operator adds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Providers {
    added: Vec<Row>,
}

impl Providers {
    /// The built-in ones, and these: name of a provider, and a host that is one of its own or of a gateway to it. A host may have `*` for any
    /// characters, and a port; without one it is that host on any port.
    pub fn with<'a>(rows: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let row = |(provider, host): (&str, &str)| Row {
            host: Cow::Owned(host.to_ascii_lowercase()),
            provider: Cow::Owned(provider.to_owned()),
            shared: false,
        };
        Self { added: rows.into_iter().map(row).collect() }
    }

    /// What the authority of a request says.
    pub(super) fn by_host(&self, authority: &str) -> Option<Told> {
        let authority = authority.rsplit('@').next()?.to_ascii_lowercase();
        let host = without_port(&authority);
        let row = self.added.iter().chain(&HOSTS).find(|row| {
            let whole = without_port(&row.host) != &*row.host;
            matches(&row.host, if whole { &authority } else { host })
        })?;
        Some(Told { provider: row.provider.clone(), proves: !row.shared })
    }
}

/// What the header fields of a request say.
pub(super) fn by_request(headers: &Headers) -> Option<Told> {
    by(&REQUEST_SIGNS, headers)
}

/// What the header fields of an answer say.
pub(super) fn by_response(headers: &Headers) -> Option<Told> {
    by(&RESPONSE_SIGNS, headers)
}

fn by(signs: &[Sign], headers: &Headers) -> Option<Told> {
    let sign = signs.iter().find(|sign| headers.contains(sign.name))?;
    Some(Told { provider: Cow::Borrowed(sign.provider), proves: sign.proves })
}

/// An IPv6 address in brackets keeps them.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.is_empty() && !host.ends_with(':') =>
        {
            if host.contains(':') && !host.ends_with(']') { authority } else { host }
        }
        _ => authority,
    }
}

/// Whether a text is what a pattern stands for; each `*` takes as little as it can, which for one wildcard is all that matters.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return text.ends_with(part);
        }
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_providers() {
        let providers =
            Providers::with([("openai", "LLM.example.com"), ("mine", "*.gateway:4000"), ("six", "[::1]:80")]);
        let told = |authority: &str| {
            providers.by_host(authority).map(|told| format!("{}{}", told.provider, if told.proves { "!" } else { "" }))
        };
        for (authority, expected) in [
            ("api.openai.com", Some("openai!")),
            ("API.OpenAI.com:443", Some("openai!")),
            ("eu.api.openai.com", Some("openai!")),
            ("api.openai.com.evil.example", None),
            ("xapi.openai.com", None),
            ("my.openai.azure.com", Some("azure.ai.openai!")),
            ("my.azure-api.net", Some("azure.ai.openai")),
            ("us-central1-aiplatform.googleapis.com", Some("gcp.vertex_ai")),
            ("storage.googleapis.com", None),
            ("bedrock-runtime.us-east-1.amazonaws.com", Some("aws.bedrock!")),
            ("bedrock-runtime.cn-north-1.amazonaws.com.cn", Some("aws.bedrock!")),
            ("vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com", Some("aws.bedrock!")),
            ("s3.us-east-1.amazonaws.com", None),
            ("us-south.ml.cloud.ibm.com", Some("ibm.watsonx.ai!")),
            ("llm.example.com:8443", Some("openai!")),
            ("a.gateway:4000", Some("mine!")),
            ("a.gateway:4001", None),
            ("[::1]:80", Some("six!")),
            ("[::1]", None),
            ("localhost:11434", None),
            ("user@api.groq.com", Some("groq!")),
            ("", None),
        ] {
            assert_eq!(told(authority).as_deref(), expected, "{authority}");
        }
    }
}
