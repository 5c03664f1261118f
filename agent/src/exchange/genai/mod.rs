//! Calls of language models: who is asked for what, and what the answer says of tokens, as the wire tells (semantic conventions for
//! generative AI). A number that the wire does not say is absent.

mod answer;
mod asked;
mod chunks;
mod content;
mod endpoint;
mod failure;
mod format;
mod kind;
mod provider;
mod reader;
mod said;
mod shape;
#[cfg(test)]
mod tests;
mod tokens;
mod tools;

use std::borrow::Cow;

pub use content::CallContent;
pub(super) use content::{Gathering, Kept};
pub use provider::Providers;

use super::reader::Reader;
use crate::{
    capture::Timestamp,
    protocol::{Head, StartLine},
};

/// Most gaps between chunks that are kept of one stream; those after it are left out of the histogram of chunks.
pub const MAX_INTERVALS: usize = 8192;
/// Most tool calls, finish reasons and stop sequences that are kept of one call.
pub const MAX_LISTED: usize = 64;
/// Longest name or id that is kept, in bytes; a longer one is cut between characters.
pub const MAX_NAME: usize = 256;

/// What is asked for (`gen_ai.operation.name`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A conversation.
    #[default]
    Chat,
    /// Gemini's form of it.
    GenerateContent,
    /// Text that goes on.
    TextCompletion,
    /// Vectors.
    Embeddings,
    /// Documents in the order in which they fit; not of the conventions.
    Rerank,
    /// Pictures; not of the conventions.
    ImageGeneration,
    /// Speech or transcripts; not of the conventions.
    Audio,
    /// Whether text is harmful; not of the conventions.
    Moderation,
}

impl Operation {
    /// The value of `gen_ai.operation.name`; the conventions allow values of one's own.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::GenerateContent => "generate_content",
            Self::TextCompletion => "text_completion",
            Self::Embeddings => "embeddings",
            Self::Rerank => "rerank",
            Self::ImageGeneration => "image_generation",
            Self::Audio => "audio",
            Self::Moderation => "moderation",
        }
    }

    /// Whether it is an inference: in the newest conventions these have instruments of their own.
    pub const fn is_inference(self) -> bool {
        matches!(self, Self::Chat | Self::GenerateContent | Self::TextCompletion)
    }
}

/// A call of a language model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GenAi {
    /// What is asked for.
    pub operation: Operation,
    /// Whose API it is, as far as host, headers and path tell (`gen_ai.provider.name`).
    pub provider: Cow<'static, str>,
    /// Parameters of the request.
    pub request: Request,
    /// What the answer says of itself.
    pub response: Response,
    /// Tokens.
    pub usage: Usage,
    /// When the parts of a streamed answer came; `None` if it was not one, or none came.
    pub stream: Option<Stream>,
    /// The provider's code of an error: in an error response, inside a 200, or as an event of a stream.
    pub error: Option<Box<str>>,
    /// Content was cut, lost or beyond a bound: what is here was complete before that, more may be missing.
    pub cut: bool,
    /// What is said in it, where the policy keeps content and it is an inference.
    pub content: Option<Box<CallContent>>,
}

/// Parameters of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// Model.
    pub model: Option<Box<str>>,
    /// `Some(true)` if a stream is asked for, `Some(false)` if the request says that none is.
    pub stream: Option<bool>,
    /// Number of candidates.
    pub choice_count: Option<i64>,
    /// Seed.
    pub seed: Option<i64>,
    /// Most tokens that may be given.
    pub max_tokens: Option<i64>,
    /// Temperature.
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    pub top_p: Option<f64>,
    /// Top-k sampling.
    pub top_k: Option<f64>,
    /// Frequency penalty.
    pub frequency_penalty: Option<f64>,
    /// Presence penalty.
    pub presence_penalty: Option<f64>,
    /// Sequences that end the output.
    pub stop_sequences: Vec<Box<str>>,
    /// Encodings of embeddings.
    pub encoding_formats: Vec<Box<str>>,
    /// Kind of output (`gen_ai.output.type`): `text`, `json`, `image`, `speech`.
    pub output_type: Option<&'static str>,
    /// Conversation.
    pub conversation_id: Option<Box<str>>,
    /// Service tier that is asked for, if it is not `auto`.
    pub service_tier: Option<Box<str>>,
    /// How much the model should reason.
    pub reasoning_level: Option<Box<str>>,
    /// `openai.api.type`: `chat_completions` or `responses`, of requests in OpenAI's form.
    pub openai_api: Option<&'static str>,
}

/// What an answer says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Response {
    /// Id of the completion.
    pub id: Option<Box<str>>,
    /// Model that answered.
    pub model: Option<Box<str>>,
    /// Why the output ended, one for each choice, in their order.
    pub finish_reasons: Vec<Box<str>>,
    /// Service tier.
    pub service_tier: Option<Box<str>>,
    /// OpenAI's fingerprint of the backend.
    pub system_fingerprint: Option<Box<str>>,
    /// Length of the vectors.
    pub dimension_count: Option<i64>,
    /// Tools that the model wants called, in the order in which they came.
    pub tool_calls: Vec<ToolCall>,
}

/// A tool that a model wants called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// Id by which the result is given back.
    pub id: Option<Box<str>>,
    /// Name.
    pub name: Option<Box<str>>,
}

/// Tokens, by the arithmetic of the conventions: cached ones are part of the input, reasoning is part of the output, billable ones are preferred.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Input.
    pub input: Option<u64>,
    /// Output.
    pub output: Option<u64>,
    /// Of the input, read from a cache.
    pub cache_read: Option<u64>,
    /// Of the input, written to a cache.
    pub cache_creation: Option<u64>,
    /// Of the output, reasoning.
    pub reasoning: Option<u64>,
    /// Of the input, audio.
    pub input_audio: Option<u64>,
    /// Of the output, audio.
    pub output_audio: Option<u64>,
    /// Of what was read from a cache, audio.
    pub cache_read_audio: Option<u64>,
    /// Of what was written to a cache, what stays there for an hour.
    pub cache_creation_hour: Option<u64>,
    /// Of the output, pictures.
    pub output_image: Option<u64>,
    /// What the provider says that it costs, in US dollars.
    pub cost: Option<f64>,
}

/// When the parts of a streamed answer came, on the clock of the application's reads (of a server: its writes).
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    /// The first chunk: event, line or element that has content of its own.
    pub first_chunk: Timestamp,
    /// The first chunk that has text, reasoning or a part of a tool call; no role, ping or start.
    pub first_token: Option<Timestamp>,
    /// The last of those.
    pub last_token: Option<Timestamp>,
    /// The last chunk.
    pub last_chunk: Timestamp,
    /// How many chunks.
    pub chunks: u64,
    /// Microseconds between each chunk and the one before it, at most [`MAX_INTERVALS`].
    pub intervals: Vec<u32>,
    /// It ended as its format says that it ends.
    pub complete: bool,
}

/// What reads the call that this request may be; `None` if it certainly is none.
/// Of a call, what is said in it is read where that is kept.
pub(in crate::exchange) fn recognise(
    request: &Head,
    providers: &Providers,
    kept: Option<&Kept>,
) -> Option<Box<dyn Reader>> {
    let StartLine::Request { method, target } = &request.start else { return None };
    if &**method != "POST" {
        return None;
    }
    let (authority, path) = split(target);
    let (endpoints, model) = match endpoint::place(path) {
        endpoint::Place::Known(endpoints, model) => (endpoints, model),
        endpoint::Place::Other => return None,
        endpoint::Place::Unknown => (Vec::new(), None),
    };
    let media_type = request.headers.media_type().to_ascii_lowercase();
    let is_form = media_type == "multipart/form-data" && !endpoints.is_empty();
    let may_be_json = media_type.is_empty()
        || media_type.ends_with("json")
        || OTHER_JSON.contains(&&*media_type)
        // What curl says of whatever it is given.
        || media_type == FORM && !endpoints.is_empty();
    if !may_be_json && !is_form {
        return None;
    }
    let authority =
        authority.or_else(|| request.headers.get_str("host")).or_else(|| request.headers.get_str(":authority"));
    let host = authority.and_then(|authority| providers.by_host(authority));
    let headers = provider::by_request(&request.headers);
    let place = reader::Place { endpoints, model, host, headers, may_be_json };
    Some(Box::new(reader::GenAiReader::new(place, kept)))
}

/// The media type of forms.
const FORM: &str = "application/x-www-form-urlencoded";

/// Media types under which programs send JSON although they are those of something else.
const OTHER_JSON: [&str; 3] = ["text/plain", "application/octet-stream", "application/x-ndjson"];

/// The authority of an absolute target, and the path of any (RFC 9112 section 3.2).
fn split(target: &str) -> (Option<&str>, &str) {
    let (authority, path) = match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => {
            let at = rest.find(['/', '?']).unwrap_or(rest.len());
            (Some(&rest[..at]), &rest[at..])
        }
        _ => (None, target),
    };
    (authority, path.split(['?', '#']).next().unwrap_or_default())
}

/// A text up to [`MAX_NAME`], cut between characters.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_NAME)]
}
