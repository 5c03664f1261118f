//! Reads a call of a language model out of an exchange, and says whether it is one.

use std::borrow::Cow;

use super::{
    GenAi, Operation, Response,
    answer::Answer,
    asked::Asked,
    content::{CallContent, Gathering, Kept},
    endpoint::{Endpoint, Streams},
    format::Format,
    provider::{self, Told},
    shape::{Count, Evidence, Shape},
};
use crate::{
    capture::Timestamp,
    exchange::{
        Call, Half,
        content::Which,
        reader::{Reader, Standing},
    },
    protocol::{Head, Headers, StartLine, media::Media},
};

/// What the head of a request says.
#[derive(Debug)]
pub(super) struct Place {
    /// Endpoints that the path may be of.
    pub(super) endpoints: Vec<&'static Endpoint>,
    /// Model in the path.
    pub(super) model: Option<Box<str>>,
    /// By host.
    pub(super) host: Option<Told>,
    /// By header fields.
    pub(super) headers: Option<Told>,
    /// Its content can be JSON.
    pub(super) may_be_json: bool,
}

/// One exchange.
#[derive(Debug)]
pub(super) struct GenAiReader {
    place: Place,
    asked: Asked,
    answer: Answer,
    /// By header fields of the answer.
    answered: Option<Told>,
    /// The answer's content is of a kind that calls do not have.
    foreign: bool,
    /// The content type of the answer is that of streams.
    typed_stream: bool,
}

impl GenAiReader {
    pub(super) fn new(place: Place, kept: Option<&Kept>) -> Self {
        Self {
            place,
            asked: Asked::new(Gathering::of(kept, Which::Request)),
            answer: Answer::new(Gathering::of(kept, Which::Response)),
            answered: None,
            foreign: false,
            typed_stream: false,
        }
    }

    /// The endpoint that fits the request, as far as it was seen.
    fn endpoint(&self) -> Option<&'static Endpoint> {
        let shape = self.asked.told.shape;
        self.place.endpoints.iter().find(|endpoint| endpoint.fits(shape)).copied()
    }

    /// The endpoint, where the host or a header field proves that it is a call: those that are sure need no form, of which a request that is refused may
    /// have nothing, and the others only what is vaguely like it.
    fn endpoint_if_proven(&self) -> Option<&'static Endpoint> {
        let weak = self.asked.told.shape.is_weak();
        self.endpoint().or_else(|| {
            self.place.endpoints.iter().find(|endpoint| endpoint.sure || endpoint.needs == Shape::ANY || weak).copied()
        })
    }

    /// A host or a header field proves that it is a call, if the path is one of an API.
    fn is_proven(&self) -> bool {
        [&self.place.host, &self.place.headers, &self.answered].into_iter().flatten().any(|told| told.proves)
    }

    /// Whether it is a call, now that all is seen that will be.
    fn is_call(&self, status: Option<u16>) -> bool {
        let shape = self.asked.told.shape;
        let evidence = self.answer.said.evidence.weight();
        let failed = status.is_none_or(|status| status >= 400);
        let silent = self.answer.items + self.answer.others == 0;
        if shape.has(Shape::JSON_RPC) || self.asked.is_list {
            return false;
        }
        // A stream that broke off before anything was said is as little as none.
        let says_nothing = failed || silent;
        if self.place.endpoints.is_empty() {
            return if says_nothing {
                self.is_proven() && shape.is_strong()
            } else {
                evidence >= 3 && shape.is_weak()
                    || evidence >= 2 && (shape.is_strong() || self.is_proven() && shape.is_weak())
            };
        }
        let unread = !self.asked.whole && shape == Shape::ANY;
        if self.is_proven() {
            return self.endpoint_if_proven().is_some() || unread;
        }
        // Of a request that could not be read only the answer tells.
        if unread && self.place.may_be_json {
            return evidence >= 3;
        }
        let Some(endpoint) = self.endpoint() else { return false };
        let names_model = shape.is_weak() || self.place.model.is_some();
        if failed {
            // An error that says so, where both path and request are those of a call, or one that only a server of models tells.
            let told = endpoint.is_long() && names_model && self.answer.said.failure.is_there();
            return endpoint.sure || shape.is_strong() || told || evidence >= 2;
        }
        if silent {
            // Speech is no text, and a stream may break off before anything is said. Of what says nothing else the request has to be one of a call.
            let streams = endpoint.streams == Streams::Always || self.asked.told.request.stream == Some(true);
            return endpoint.sure && (names_model || streams || endpoint.operation == Operation::Audio)
                || self.typed_stream && shape.is_strong();
        }
        evidence >= if endpoint.sure && names_model { 1 } else { 2 }
    }

    fn format(&self) -> Option<Format> {
        let said = &self.answer.said;
        let by_path = self.endpoint().or(self.place.endpoints.first().copied()).and_then(|endpoint| endpoint.format);
        let shape = self.asked.told.shape;
        let by_shape = || {
            Some(match () {
                () if shape.has(Shape::CONTENTS) => Format::Gemini,
                () if shape.has(Shape::MESSAGES) => Format::Chat,
                () if shape.has(Shape::MESSAGE) || shape.has(Shape::DOCUMENTS) => Format::Cohere,
                () if shape.has(Shape::PROMPT) => Format::Completions,
                () if shape.has(Shape::INPUT) => Format::OpenAi,
                () => return None,
            })
        };
        by_path.or(said.format).or(said.likely).or_else(by_shape)
    }

    /// What is asked for: by the path, or else by what there is.
    fn operation(&self, format: Option<Format>) -> Operation {
        let shape = self.asked.told.shape;
        let invoked = format == Some(Format::Invoke);
        let conversation = shape.has(Shape::MESSAGES) || shape.has(Shape::MESSAGE);
        let endpoint = self.endpoint().or(self.place.endpoints.first().copied());
        let by_model = || {
            let model = self.place.model.as_deref()?.to_ascii_lowercase();
            MODELS.iter().find(|(part, _)| model.contains(part)).map(|(_, operation)| *operation)
        };
        if let Some(operation) = invoked.then(by_model).flatten() {
            return operation;
        }
        match endpoint {
            // Imagen and Veo are asked as embeddings are.
            Some(endpoint) if endpoint.operation == Operation::Embeddings && shape.has_all(PICTURES) => {
                Operation::ImageGeneration
            }
            Some(endpoint) if !invoked => endpoint.operation,
            _ if self.answer.said.dimension.is_some() => Operation::Embeddings,
            Some(_) if shape.has(Shape::DOCUMENTS) && !conversation => Operation::Rerank,
            Some(_) if shape.has(Shape::TEXTS) => Operation::Embeddings,
            Some(_) if !conversation && (shape.has(Shape::PROMPT) || shape.has(Shape::TEXT)) => {
                Operation::TextCompletion
            }
            Some(endpoint) => endpoint.operation,
            None if shape.has(Shape::CONTENTS) => Operation::GenerateContent,
            None if shape.has(Shape::MESSAGES) || format == Some(Format::Responses) => Operation::Chat,
            None if shape.has(Shape::DOCUMENTS) => Operation::Rerank,
            None if shape.has(Shape::PROMPT) => Operation::TextCompletion,
            None if shape.has(Shape::TEXTS) || shape.has(Shape::INPUT) && format == Some(Format::OpenAi) => {
                Operation::Embeddings
            }
            None => Operation::Chat,
        }
    }

    fn provider(&self, format: Option<Format>) -> Cow<'static, str> {
        let told = [&self.place.host, &self.place.headers, &self.answered].into_iter().flatten().next();
        match (told, self.answer.said.hint, format) {
            (Some(told), _, _) => told.provider.clone(),
            (None, Some(hint), _) => Cow::Borrowed(hint),
            (None, None, format) => Cow::Borrowed(format.unwrap_or(Format::Chat).provider()),
        }
    }
}

impl Reader for GenAiReader {
    fn response_head(&mut self, head: &Head) {
        self.answered = provider::by_response(&head.headers);
        let media = Media::of(&head.headers);
        self.answer.is_aws = media == Media::EventStream;
        self.typed_stream = media.is_stream();
        if self.typed_stream {
            self.answer.is_stream();
        }
        // No answer of a call whose path is unknown is of another kind than those that are read.
        self.foreign = !self.is_proven() && self.place.endpoints.is_empty() && media == Media::Other;
    }

    fn array(&mut self, which: Which) {
        match which {
            Which::Request => self.asked.is_list = true,
            Which::Response => self.answer.is_stream(),
        }
    }

    fn begin(&mut self, which: Which, event: &[u8]) {
        match which {
            Which::Request => self.asked.begin(),
            Which::Response => self.answer.begin(event),
        }
    }

    fn bytes(&mut self, which: Which, bytes: &[u8]) {
        match which {
            Which::Request => self.asked.bytes(bytes),
            Which::Response => self.answer.bytes(bytes),
        }
    }

    fn end(&mut self, which: Which, time: Timestamp, whole: bool) {
        match which {
            Which::Request => self.asked.end(whole),
            Which::Response => self.answer.end(time, whole),
        }
    }

    fn cut(&mut self, which: Which) {
        match which {
            Which::Request => self.asked.cut(),
            Which::Response => self.answer.cut(),
        }
    }

    fn standing(&self) -> Standing {
        let shape = self.asked.told.shape;
        if self.foreign || shape.has(Shape::JSON_RPC) || self.asked.is_list {
            return Standing::IsNot;
        }
        if self.is_proven() && self.endpoint_if_proven().is_some() {
            return Standing::Is;
        }
        let fits = if self.place.endpoints.is_empty() { shape.is_weak() } else { self.endpoint().is_some() };
        match (fits, self.asked.ended) {
            (true, _) => Standing::Is,
            // What is missing may have had it.
            (false, true) if self.asked.whole || !self.asked.is_json => Standing::IsNot,
            (false, _) => Standing::Undecided,
        }
    }

    fn is_likely(&self) -> bool {
        !self.place.endpoints.is_empty() || self.asked.told.shape != Shape::ANY
    }

    fn finish(self: Box<Self>, request: &Half, response: Option<&Half>) -> Option<Call> {
        let status = response.and_then(|response| match response.head.start {
            StartLine::Response { status } => Some(status),
            StartLine::Request { .. } => None,
        });
        if self.foreign || !self.is_call(status) {
            return None;
        }
        Some(Call::GenAi(Box::new(self.into_call(request, response, status))))
    }
}

impl GenAiReader {
    fn into_call(mut self, request: &Half, response: Option<&Half>, status: Option<u16>) -> GenAi {
        if let Some(response) = response {
            self.read_headers(&response.head.headers);
        }
        let format = self.format();
        // Bedrock names its answers in a field, whatever the model calls them.
        let request_id = response.and_then(|response| response.head.headers.get_str("x-amzn-requestid"));
        if let (Some(id), Some(Format::Converse | Format::Invoke)) = (request_id, format) {
            self.answer.said.id = Some(super::cut(id).into());
        }
        let operation = self.operation(format);
        let provider = self.provider(format);
        let streams = self
            .endpoint()
            .or(self.place.endpoints.first().copied())
            .map_or(Streams::Asked, |endpoint| endpoint.streams);
        let is_deployment = self.endpoint().is_some_and(Endpoint::is_deployment);
        let failed = status.is_some_and(|status| status >= 400);
        let cut = self.asked.cut
            || self.answer.cut
            || !request.complete
            || response.is_some_and(|response| !response.complete);
        let is_whole = [request.complete, response.is_some_and(|response| response.complete)];
        let Self { place, mut asked, mut answer, .. } = self;
        let gathered = [asked.content.take(), answer.content.take().filter(|_| !failed)];
        let (is_read, said) = (asked.whole, answer.said);

        if matches!(format, Some(Format::Cohere | Format::Invoke) | None) {
            asked_of_cohere(&mut asked.told);
        }
        let asked_for_speech = asked.told.shape.has(Shape::INPUT);
        let (mut request, dimensions) = asked.told.finish();
        // Azure answers by the deployment, whatever the request names.
        request.model = if is_deployment { place.model.or(request.model) } else { request.model.or(place.model) };
        request.openai_api = format.and_then(Format::openai_api);
        request.output_type = match operation {
            Operation::ImageGeneration => Some("image"),
            Operation::Audio if asked_for_speech => Some("speech"),
            _ => request.output_type,
        };
        request.stream = match streams {
            Streams::Asked => request.stream,
            Streams::UnlessAsked => request.stream.or(is_read.then_some(true)),
            Streams::Always => Some(true),
        };
        // An error is none, whatever was asked for.
        let is_stream = !failed
            && (self.typed_stream || streams == Streams::Always || request.stream == Some(true) && answer.items > 1);

        let vectors = operation == Operation::Embeddings;
        // What says that it ended may be left before HTTP has ended.
        let ended = said.ended
            || response.is_some_and(|response| response.complete)
                && !answer.cut
                && said.reasons.iter().any(Option::is_some);
        let mut usage = said.tokens.usage(operation, &provider);
        usage.cost = said.cost;
        let by_status = said.status.filter(|status| is_last_status(status));
        let by_status = by_status.filter(|_| matches!(format, Some(Format::Responses | Format::Gemini)));
        let other_reason = said.instead_of_reason.or(by_status);
        let content = content(gathered, is_whole, operation, &said.reasons, other_reason.as_deref());
        let mut reasons: Vec<_> = said.reasons.into_iter().flatten().collect();
        if reasons.is_empty() {
            reasons.extend(other_reason);
        }
        let stream = if is_stream { answer.chunks.into_stream(ended) } else { None };
        request.stream = request.stream.or(stream.is_some().then_some(true));
        request.conversation_id = request.conversation_id.or(said.conversation);
        GenAi {
            operation,
            provider,
            request,
            response: Response {
                id: said.id.or(said.other_id).filter(|_| !failed),
                model: said.model,
                finish_reasons: reasons,
                service_tier: said.tier,
                system_fingerprint: said.fingerprint,
                dimension_count: said.dimension.map(i64::from).or(dimensions).filter(|_| vectors && !failed),
                tool_calls: said.tools.into_calls(),
            },
            usage,
            stream,
            error: said.failure.code(failed),
            cut,
            content,
        }
    }

    /// What the header fields of an answer say of it: all that Bedrock tells of some models.
    fn read_headers(&mut self, headers: &Headers) {
        let said = &mut self.answer.said;
        for (name, count) in TOKENS {
            let tokens = headers.get_str(name).and_then(|value| value.trim().parse().ok());
            if let Some(tokens) = tokens {
                said.evidence.add(Evidence::USAGE);
                said.tokens.tell_if_absent(count, tokens);
            }
        }
        if let Some(kind) = headers.get_str("x-amzn-errortype") {
            said.failure.named(kind.split(':').next().unwrap_or_default());
        }
    }
}

/// What was gathered of request and answer, redacted. The conventions give messages to inferences only.
fn content(
    gathered: [Option<Box<Gathering>>; 2],
    is_whole: [bool; 2],
    operation: Operation,
    reasons: &[Option<Box<str>>],
    other_reason: Option<&str>,
) -> Option<Box<CallContent>> {
    if !operation.is_inference() || gathered.iter().all(Option::is_none) {
        return None;
    }
    let (mut content, [asked, answered]) = (Box::<CallContent>::default(), gathered);
    if let Some(asked) = asked {
        content.take_request(asked, is_whole[0]);
    }
    if let Some(answered) = answered {
        let finish = |choice: u32| {
            let reason = reasons.get(choice as usize).and_then(Option::as_deref);
            reason.or(other_reason).unwrap_or_default().to_owned()
        };
        content.take_response(answered, is_whole[1], &finish);
    }
    (*content != CallContent::default()).then_some(content)
}

/// Prompts that are instances.
const PICTURES: Shape = Shape::INSTANCES.or(Shape::PROMPT);

/// Parts of ids of models of Bedrock that are no conversations.
const MODELS: [(&str, Operation); 5] = [
    ("embed", Operation::Embeddings),
    ("rerank", Operation::Rerank),
    ("image", Operation::ImageGeneration),
    ("canvas", Operation::ImageGeneration),
    ("stability.", Operation::ImageGeneration),
];

/// Numbers of tokens in header fields: of Bedrock, of Text Generation Inference.
const TOKENS: [(&str, Count); 6] = [
    ("x-amzn-bedrock-input-token-count", Count::Input),
    ("x-amzn-bedrock-output-token-count", Count::Output),
    ("x-amzn-bedrock-cache-read-input-token-count", Count::CacheReadBeside),
    ("x-amzn-bedrock-cache-write-input-token-count", Count::CacheWriteBeside),
    ("x-prompt-tokens", Count::Prompt),
    ("x-generated-tokens", Count::Output),
];

fn asked_of_cohere(told: &mut super::asked::Told) {
    told.request.top_p = told.request.top_p.or(told.cohere_p);
    told.request.top_k = told.request.top_k.or(told.cohere_k);
}

/// Whether a response of OpenAI or an interaction of Gemini with this status has ended.
fn is_last_status(status: &str) -> bool {
    matches!(status, "completed" | "incomplete" | "failed" | "cancelled" | "requires_action" | "budget_exceeded")
}
