//! Which paths are those of which APIs. Only the end of a path counts, so that gateways may put anything before it.

use super::{Operation, format::Format, shape::Shape};
use crate::percent;

/// Whether an answer is a stream, as far as the path tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Streams {
    /// As the request says; if it says nothing, it is none.
    Asked,
    /// As the request says; if it says nothing, it is one.
    UnlessAsked,
    /// Always.
    Always,
}

/// An API by the end of its path.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// Segments; `{model}` stands for the name of the model, which may be followed by `:` and a word. Empty: there is no path.
    suffix: &'static str,
    /// The form; `None` if the answer decides.
    pub(super) format: Option<Format>,
    /// What is asked for.
    pub(super) operation: Operation,
    /// Whether the answer is a stream.
    pub(super) streams: Streams,
    /// Of what a request has one at least; nothing if any will do.
    pub(super) needs: Shape,
    /// And all of these.
    pub(super) all: Shape,
    /// Nothing else has such a path: with a request of its form it is a call whatever the answer.
    pub(super) sure: bool,
}

const fn row(suffix: &'static str, format: Format, operation: Operation, needs: Shape) -> Endpoint {
    Endpoint { suffix, format: Some(format), operation, streams: Streams::Asked, needs, all: Shape::ANY, sure: true }
}

impl Endpoint {
    /// Paths like it are found elsewhere: the answer, or all of the request, has to confirm it.
    const fn unsure(self) -> Self {
        Self { sure: false, ..self }
    }

    const fn streamed(self, streams: Streams) -> Self {
        Self { streams, ..self }
    }

    /// A request has all of these too.
    const fn with(self, all: Shape) -> Self {
        Self { all, ..self }
    }

    /// Whether a request of this form may be for it.
    pub(super) const fn fits(&self, shape: Shape) -> bool {
        shape.fits(self.needs) && shape.has_all(self.all)
    }

    /// Whether its path names what the answer comes from, whatever the request does.
    pub(super) fn is_deployment(&self) -> bool {
        self.suffix.starts_with("deployments/")
    }

    /// Whether few other paths end so.
    pub(super) fn is_long(&self) -> bool {
        self.suffix.contains('/')
    }

    /// The answer decides on the form.
    const fn of_any_format(self) -> Self {
        Self { format: None, ..self }
    }
}

use Format::{
    Anthropic, Chat, Cohere, Completions, Converse, Gemini, Invoke, LlamaCpp, Ollama, OpenAi, Responses, Sglang, Tgi,
    Watsonx,
};
use Operation::{Audio, Embeddings, GenerateContent, ImageGeneration, Moderation, Rerank, TextCompletion};
use Streams::{Always, UnlessAsked};

/// The first row that fits holds.
static ENDPOINTS: [Endpoint; 71] = [
    row("deployments/{model}/chat/completions", Chat, Operation::Chat, Shape::MESSAGES),
    row("chat/completions", Chat, Operation::Chat, Shape::MESSAGES),
    row("agents/completions", Chat, Operation::Chat, Shape::MESSAGES),
    row("fim/completions", Completions, TextCompletion, Shape::PROMPT),
    row("deployments/{model}/completions", Completions, TextCompletion, Shape::PROMPT),
    row("v1/completions", Completions, TextCompletion, Shape::PROMPT),
    row("completions", Completions, TextCompletion, Shape::PROMPT).unsure(),
    row("v1/responses", Responses, Operation::Chat, Shape::INPUT).with(Shape::MODEL),
    row("responses", Responses, Operation::Chat, Shape::INPUT).with(Shape::MODEL).unsure(),
    row("deployments/{model}/embeddings", OpenAi, Embeddings, Shape::INPUT),
    row("api/embeddings", Ollama, Embeddings, Shape::PROMPT).unsure(),
    row("v1/embeddings", OpenAi, Embeddings, Shape::INPUT),
    row("text/embeddings", Watsonx, Embeddings, Shape::INPUTS).unsure(),
    row("embeddings", OpenAi, Embeddings, Shape::INPUT).unsure(),
    row("multimodalembeddings", OpenAi, Embeddings, Shape::INPUTS).unsure(),
    row("images/generations", OpenAi, ImageGeneration, Shape::PROMPT),
    row("images/edits", OpenAi, ImageGeneration, Shape::ANY).unsure(),
    row("images/variations", OpenAi, ImageGeneration, Shape::ANY).unsure(),
    row("audio/speech", OpenAi, Audio, Shape::INPUT),
    row("audio/transcriptions", OpenAi, Audio, Shape::ANY).unsure(),
    row("audio/translations", OpenAi, Audio, Shape::ANY).unsure(),
    row("v1/moderations", OpenAi, Moderation, Shape::INPUT),
    row("moderations", OpenAi, Moderation, Shape::INPUT).unsure(),
    row("rerank", Cohere, Rerank, Shape::DOCUMENTS).unsure(),
    row("messages", Anthropic, Operation::Chat, Shape::ROLES).unsure(),
    row("v1/complete", Anthropic, TextCompletion, Shape::PROMPT).unsure(),
    row("{model}:generateContent", Gemini, GenerateContent, Shape::CONTENTS),
    row("{model}:streamGenerateContent", Gemini, GenerateContent, Shape::CONTENTS).streamed(Always),
    row("v1beta/interactions", Gemini, GenerateContent, Shape::INPUT),
    row("{model}:embedContent", Gemini, Embeddings, Shape::CONTENT),
    row("{model}:batchEmbedContents", Gemini, Embeddings, Shape::REQUESTS),
    row("{model}:predict", Gemini, Embeddings, Shape::INSTANCES).unsure(),
    row("{model}:rawPredict", Chat, Operation::Chat, Shape::MESSAGES).of_any_format(),
    row("{model}:streamRawPredict", Chat, Operation::Chat, Shape::MESSAGES).of_any_format().streamed(Always),
    row("model/{model}/converse", Converse, Operation::Chat, Shape::MESSAGES),
    row("model/{model}/converse-stream", Converse, Operation::Chat, Shape::MESSAGES).streamed(Always),
    row("model/{model}/invoke", Invoke, Operation::Chat, Shape::ANY).unsure(),
    row("model/{model}/invoke-with-response-stream", Invoke, Operation::Chat, Shape::ANY).unsure().streamed(Always),
    row("api/chat", Ollama, Operation::Chat, Shape::MESSAGES).unsure().streamed(UnlessAsked),
    row("api/generate", Ollama, TextCompletion, Shape::PROMPT).unsure().streamed(UnlessAsked),
    row("api/embed", Ollama, Embeddings, Shape::INPUT).unsure(),
    row("v2/chat", Cohere, Operation::Chat, Shape::MESSAGES).unsure(),
    row("v1/chat", Chat, Operation::Chat, Shape::MESSAGES.or(Shape::MESSAGE)).unsure().of_any_format(),
    row("v1/generate", Cohere, TextCompletion, Shape::PROMPT).unsure(),
    row("v1/embed", Cohere, Embeddings, Shape::TEXTS.or(Shape::INPUTS)).unsure(),
    row("v2/embed", Cohere, Embeddings, Shape::TEXTS.or(Shape::INPUTS)).unsure(),
    row("ml/v1/text/generation", Watsonx, TextCompletion, Shape::INPUT),
    row("ml/v1/text/generation_stream", Watsonx, TextCompletion, Shape::INPUT).streamed(Always),
    row("ml/v1-beta/text/generation", Watsonx, TextCompletion, Shape::INPUT),
    row("ml/v1/deployments/{model}/text/generation", Watsonx, TextCompletion, Shape::ANY),
    row("ml/v1/deployments/{model}/text/generation_stream", Watsonx, TextCompletion, Shape::ANY).streamed(Always),
    row("ml/v1/deployments/{model}/text/chat", Chat, Operation::Chat, Shape::MESSAGES),
    row("ml/v1/deployments/{model}/text/chat_stream", Chat, Operation::Chat, Shape::MESSAGES).streamed(Always),
    row("ml/v1/text/chat", Chat, Operation::Chat, Shape::MESSAGES),
    row("ml/v1/text/chat_stream", Chat, Operation::Chat, Shape::MESSAGES).streamed(Always),
    row("serving-endpoints/{model}/invocations", Chat, Operation::Chat, Shape::MESSAGES).unsure().of_any_format(),
    row("invocations", Chat, Operation::Chat, Shape::MESSAGES).unsure().of_any_format(),
    row("generate_stream", Tgi, TextCompletion, Shape::INPUTS).unsure().streamed(Always),
    row("generate", Tgi, TextCompletion, Shape::INPUTS).unsure(),
    row("generate", Sglang, TextCompletion, Shape::TEXT).unsure(),
    row("completion", LlamaCpp, TextCompletion, Shape::PROMPT).unsure(),
    row("infill", LlamaCpp, TextCompletion, Shape::ANY).unsure(),
    row("embedding", LlamaCpp, Embeddings, Shape::CONTENT).unsure(),
    row("", Tgi, TextCompletion, Shape::INPUTS).unsure(),
    // The same without the version that a gateway may leave out.
    row("openai/responses", Responses, Operation::Chat, Shape::INPUT).with(Shape::MODEL),
    row("text/generation", Watsonx, TextCompletion, Shape::INPUT).unsure(),
    row("text/generation_stream", Watsonx, TextCompletion, Shape::INPUT).unsure().streamed(Always),
    row("text/chat", Chat, Operation::Chat, Shape::MESSAGES).unsure(),
    row("text/chat_stream", Chat, Operation::Chat, Shape::MESSAGES).unsure().streamed(Always),
    row("embed", Cohere, Embeddings, Shape::TEXTS.or(Shape::INPUTS)).unsure(),
    row("chat", Chat, Operation::Chat, Shape::ROLES).unsure().of_any_format(),
];

/// Ends of paths to which requests in the form of calls go that ask for no inference.
static OTHERS: [&str; 7] = [
    "messages/count_tokens",
    "responses/input_tokens",
    "{model}:countTokens",
    "model/{model}/count-tokens",
    "batches",
    "tokenize",
    "apply-template",
];

/// What a path says.
#[derive(Debug)]
pub(super) enum Place {
    /// Endpoints whose ends it has, the first that fits the request holds, with the model that it names.
    Known(Vec<&'static Endpoint>, Option<Box<str>>),
    /// An endpoint that is no call.
    Other,
    /// None that is known.
    Unknown,
}

/// What is known of a path, without its query.
pub(super) fn place(path: &str) -> Place {
    let path = path.trim_matches('/');
    if OTHERS.iter().any(|suffix| ends_with(path, suffix).is_some()) {
        return Place::Other;
    }
    let mut model = None;
    let fitting = ENDPOINTS.iter().filter(|endpoint| match ends_with(path, endpoint.suffix) {
        Some(name) => {
            model = model.take().or_else(|| (!name.is_empty()).then(|| decoded(name)));
            true
        }
        None => false,
    });
    let known: Vec<_> = fitting.collect();
    if known.is_empty() { Place::Unknown } else { Place::Known(known, model) }
}

/// What stands for `{model}` in a path that ends with these segments; nothing, if they have none.
fn ends_with<'p>(path: &'p str, suffix: &str) -> Option<&'p str> {
    if suffix.is_empty() {
        return path.is_empty().then_some("");
    }
    let mut segments = path.rsplit('/');
    let mut model = "";
    for wanted in suffix.rsplit('/') {
        let segment = segments.next()?;
        match wanted.strip_prefix("{model}") {
            Some(verb) => model = segment.strip_suffix(verb).filter(|model| !model.is_empty())?,
            None if segment == wanted => {}
            None => return None,
        }
    }
    Some(model)
}

fn decoded(name: &str) -> Box<str> {
    let bytes: Vec<u8> = percent::decode(name.as_bytes()).collect();
    super::cut(&String::from_utf8_lossy(&bytes)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str) -> String {
        match place(path) {
            Place::Known(endpoints, model) => {
                let first = endpoints[0];
                let form = first.format.map_or("?".to_owned(), |format| format!("{format:?}"));
                format!(
                    "{form} {}{} {}",
                    first.operation.name(),
                    if first.sure { "!" } else { "" },
                    model.as_deref().unwrap_or("-")
                )
            }
            Place::Other => "other".to_owned(),
            Place::Unknown => "unknown".to_owned(),
        }
    }

    #[test]
    fn only_the_end_of_a_path_counts() {
        for (path, expected) in [
            ("/v1/chat/completions", "Chat chat! -"),
            ("/litellm/v1/chat/completions", "Chat chat! -"),
            ("/chat/completions/", "Chat chat! -"),
            ("/openai/deployments/gpt-4o%2Dmini/chat/completions", "Chat chat! gpt-4o-mini"),
            ("/openai/deployments/emb/embeddings", "OpenAi embeddings! emb"),
            ("/v1/completions", "Completions text_completion! -"),
            ("/beta/completions", "Completions text_completion -"),
            ("/openai/v1/responses", "Responses chat! -"),
            ("/v1/responses/input_tokens", "other"),
            ("/v1/responses/resp_1/cancel", "unknown"),
            ("/v1/messages", "Anthropic chat -"),
            ("/v1/messages/count_tokens", "other"),
            ("/v1/messages/batches", "other"),
            ("/v1beta/models/gemini-2.5-flash:generateContent", "Gemini generate_content! gemini-2.5-flash"),
            (
                "/v1/projects/p/locations/l/publishers/google/models/gemini-2.5-pro:streamGenerateContent",
                "Gemini generate_content! gemini-2.5-pro",
            ),
            ("/v1beta/models/gemini-2.5-flash:countTokens", "other"),
            ("/v1beta/models/:generateContent", "unknown"),
            ("/v1/models/m:predict", "Gemini embeddings m"),
            (
                "/model/anthropic.claude-3-5-sonnet-20241022-v2%3A0/converse",
                "Converse chat! anthropic.claude-3-5-sonnet-20241022-v2:0",
            ),
            (
                "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fx/invoke",
                "Invoke chat arn:aws:bedrock:us-east-1:1:inference-profile/x",
            ),
            ("/api/chat", "Ollama chat -"),
            ("/api/embeddings", "Ollama embeddings -"),
            ("/v1/embeddings", "OpenAi embeddings! -"),
            ("/ml/v1/text/generation", "Watsonx text_completion! -"),
            ("/", "Tgi text_completion -"),
            ("", "Tgi text_completion -"),
            ("/v1/chat", "? chat -"),
            ("/api/v2/rerank", "Cohere rerank -"),
            ("/v1/models", "unknown"),
            ("/xchat/completions", "Completions text_completion -"),
            ("/orders", "unknown"),
        ] {
            assert_eq!(told(path), expected, "{path}");
        }
    }
}
