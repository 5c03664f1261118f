//! Reads what a request asks for.

use super::{
    MAX_LISTED, MAX_NAME, Request,
    content::Gathering,
    shape::{REQUEST, RequestField, Shape},
};
use crate::protocol::body::json::{Found, Outcome, Scanner, Value};

/// Roles of those who speak in a conversation with a model.
const ROLES: [&str; 9] =
    ["system", "developer", "user", "assistant", "tool", "function", "model", "ipython", "chatbot"];

/// The request so far.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each says something of the content by itself")]
pub(super) struct Asked {
    scanner: Scanner<'static>,
    pub(super) told: Told,
    /// It is an array, as the batches of other protocols are.
    pub(super) is_list: bool,
    begun: u32,
    /// It had an item, which is over.
    pub(super) ended: bool,
    /// All of a document was there.
    pub(super) whole: bool,
    pub(super) is_json: bool,
    pub(super) cut: bool,
    /// What is said in it, where that is kept.
    pub(super) content: Option<Box<Gathering>>,
}

/// What it said.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) shape: Shape,
    pub(super) request: Request,
    pub(super) dimensions: Option<i64>,
    /// Cohere's names for parameters.
    pub(super) cohere_p: Option<f64>,
    pub(super) cohere_k: Option<f64>,
    thinking: Option<Box<str>>,
}

impl Asked {
    pub(super) fn new(content: Option<Box<Gathering>>) -> Self {
        Self {
            scanner: Scanner::new(&REQUEST.paths, MAX_NAME),
            told: Told::default(),
            is_list: false,
            begun: 0,
            ended: false,
            whole: false,
            is_json: true,
            cut: false,
            content,
        }
    }

    pub(super) fn begin(&mut self) {
        self.begun += 1;
        if let Some(content) = &mut self.content {
            content.begin();
        }
    }

    /// Something was lost between items.
    pub(super) fn cut(&mut self) {
        self.cut = true;
        if let Some(content) = &mut self.content {
            content.cut();
        }
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        if self.begun == 1 {
            self.scanner.push(bytes, &mut self.told);
            if let Some(content) = &mut self.content {
                content.bytes(bytes);
            }
        }
    }

    pub(super) fn end(&mut self, whole: bool) {
        self.ended = true;
        if self.begun == 1 {
            let outcome = self.scanner.end();
            self.is_json = outcome != Outcome::Bad;
            self.whole = whole && outcome == Outcome::Whole;
            self.cut |= !self.whole;
            if let Some(content) = &mut self.content {
                content.end(whole);
            }
        }
    }
}

impl Told {
    /// How much the model should reason, by its effort or else by whether it thinks.
    pub(super) fn finish(mut self) -> (Request, Option<i64>) {
        self.request.reasoning_level = self.request.reasoning_level.take().or(self.thinking);
        (self.request, self.dimensions)
    }

    fn listed(list: &mut Vec<Box<str>>, value: Value<'_>) {
        if let Some(text) = text(value)
            && list.len() < MAX_LISTED
        {
            list.push(text);
        }
    }
}

fn text(value: Value<'_>) -> Option<Box<str>> {
    value.as_str().filter(|text| !text.is_empty()).map(|text| super::cut(text).into())
}

impl Found for Told {
    fn found(&mut self, path: u16, _at: &[u32], value: Value<'_>) {
        use RequestField as F;
        let Some(field) = REQUEST.field(path) else { return };
        let request = &mut self.request;
        match field {
            F::Model => {
                if let Some(model) = text(value) {
                    request.model = Some(model);
                    self.shape.add(Shape::MODEL);
                }
            }
            F::Stream => request.stream = value.as_bool().or(request.stream),
            F::ChoiceCount => request.choice_count = value.as_i64().or(request.choice_count),
            F::Seed => request.seed = value.as_i64().or(request.seed),
            F::MaxTokens => request.max_tokens = value.as_i64().or(request.max_tokens),
            F::Temperature => request.temperature = value.as_f64().or(request.temperature),
            F::TopP => request.top_p = value.as_f64().or(request.top_p),
            F::TopK => request.top_k = value.as_f64().or(request.top_k),
            F::CohereP => self.cohere_p = value.as_f64(),
            F::CohereK => self.cohere_k = value.as_f64(),
            F::FrequencyPenalty => request.frequency_penalty = value.as_f64().or(request.frequency_penalty),
            F::PresencePenalty => request.presence_penalty = value.as_f64().or(request.presence_penalty),
            F::Stop => Self::listed(&mut request.stop_sequences, value),
            F::EncodingFormat => Self::listed(&mut request.encoding_formats, value),
            F::Dimensions => self.dimensions = value.as_i64().filter(|length| *length > 0),
            F::OutputType => {
                request.output_type = match value.as_str() {
                    Some("json_object" | "json_schema" | "json") => Some("json"),
                    Some("text") => Some("text"),
                    _ => request.output_type,
                }
            }
            F::OutputMediaType => {
                request.output_type = match value.as_str() {
                    Some("application/json" | "text/x.enum") => Some("json"),
                    Some("text/plain") => Some("text"),
                    _ => request.output_type,
                }
            }
            F::OutputFormat => {
                if matches!(value, Value::Object | Value::Text { text: "json", .. }) {
                    request.output_type = Some("json");
                }
            }
            F::Conversation => request.conversation_id = text(value).or(request.conversation_id.take()),
            F::Tier => request.service_tier = text(value).filter(|tier| &**tier != "auto"),
            F::Effort => request.reasoning_level = text(value).or(request.reasoning_level.take()),
            F::Thinking => {
                self.thinking = match value {
                    Value::Bool(true) => Some("enabled".into()),
                    Value::Bool(false) => Some("disabled".into()),
                    value => text(value),
                }
            }
            F::Role => {
                if value.as_str().is_some_and(|role| ROLES.iter().any(|known| known.eq_ignore_ascii_case(role))) {
                    self.shape.add(Shape::ROLES);
                }
            }
            F::Has(shape) if value != Value::Null => self.shape.add(shape),
            F::HasList(shape) if value == Value::Array => self.shape.add(shape),
            F::HasText(shape) if value.as_str().is_some() => self.shape.add(shape),
            F::Has(_) | F::HasList(_) | F::HasText(_) => {}
        }
    }
}
