//! What an answer said so far.

use super::{
    MAX_LISTED,
    failure::{Failure, Member},
    format::Format,
    kind::{self, Kind},
    shape::{Count, Evidence, RESPONSE, ResponseField},
    tokens::Tokens,
    tools::{Part, Tools},
};
use crate::protocol::body::json::{Found, Value};

/// Largest number of a choice whose finish reason is kept.
const MAX_CHOICES: usize = MAX_LISTED;
/// Longest vector whose length is believed.
const MAX_DIMENSION: u32 = 1 << 24;

/// What the documents of an answer said.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) id: Option<Box<str>>,
    pub(super) other_id: Option<Box<str>>,
    pub(super) model: Option<Box<str>>,
    pub(super) fingerprint: Option<Box<str>>,
    pub(super) tier: Option<Box<str>>,
    pub(super) conversation: Option<Box<str>>,
    pub(super) status: Option<Box<str>>,
    pub(super) instead_of_reason: Option<Box<str>>,
    /// By number of the choice.
    pub(super) reasons: Vec<Option<Box<str>>>,
    pub(super) tokens: Tokens,
    pub(super) cost: Option<f64>,
    pub(super) tools: Tools,
    pub(super) failure: Failure,
    pub(super) dimension: Option<u32>,
    pub(super) evidence: Evidence,
    /// The form that it has for sure, or that it seems to have.
    pub(super) format: Option<Format>,
    pub(super) likely: Option<Format>,
    pub(super) hint: Option<&'static str>,
    /// The last part of a stream came.
    pub(super) ended: bool,
    /// Of the document that is being read.
    item: Item,
}

/// What holds within one document.
#[derive(Debug, Default)]
struct Item {
    kind: Kind,
    /// `type`, which is that of an error if `object` or `error` say that it is one.
    name: Option<Box<str>>,
    text: bool,
    delta: bool,
    choices: Vec<Choice>,
    modalities: Vec<Modality>,
    /// Length of the first vector so far.
    dimension: Option<u32>,
    /// Of input and output tokens that are told for each element, so far.
    sums: [Option<u64>; 2],
}

/// A choice at a place of the document.
#[derive(Debug)]
struct Choice {
    at: u32,
    index: Option<u32>,
    reason: Option<Box<str>>,
}

/// Tokens of one modality.
#[derive(Debug)]
struct Modality {
    at: u32,
    count: Count,
    kind: Option<Medium>,
    tokens: Option<u64>,
}

/// A modality that has a price of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Medium {
    Audio,
    Image,
}

/// What a document was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// A part of the answer, that is neither an error nor there to keep the connection alive.
    pub(super) chunk: bool,
    /// With text, reasoning or a part of a tool call.
    pub(super) token: bool,
}

impl Said {
    /// A document or event begins, with the name of the event.
    pub(super) fn begin(&mut self, event: &str, is_aws: bool) -> Kind {
        self.item = Item::default();
        if event.is_empty() {
            return Kind::default();
        }
        let kind = if is_aws { kind::of_aws(event) } else { kind::kind(event) };
        // Any stream may have events of this name.
        self.kind(Kind { common: false, ..kind });
        if kind.error && event != "error" {
            self.failure.member(Member::Code, Value::Text { text: event, cut: false });
        }
        kind
    }

    fn kind(&mut self, kind: Kind) {
        self.item.kind = self.item.kind.and(kind);
        if let Some(format) = kind.own {
            self.own(format);
        }
        if kind.common {
            self.evidence.add(Evidence::COMMON);
        }
    }

    fn own(&mut self, format: Format) {
        self.evidence.add(Evidence::OWN);
        self.format = self.format.or(Some(format));
    }

    /// The document is over. What is counted in it is known only if it was `whole`.
    pub(super) fn end(&mut self, whole: bool) -> Ended {
        let item = std::mem::take(&mut self.item);
        if whole {
            self.dimension = self.dimension.max(item.dimension);
            for (count, sum) in [Count::EachInput, Count::EachOutput].into_iter().zip(item.sums) {
                if let Some(sum) = sum {
                    self.tokens.tell(count, sum);
                }
            }
        }
        let number =
            |at: u32| item.choices.iter().find(|choice| choice.at == at).and_then(|choice| choice.index).unwrap_or(at);
        let tools_before = self.tools.count();
        self.tools.end_document(number);
        for choice in &item.choices {
            if let Some(reason) = &choice.reason {
                self.reason(choice.index.unwrap_or(choice.at), reason);
            }
        }
        for modality in item.modalities {
            let count = match (modality.kind, modality.count) {
                (Some(Medium::Audio), count) => count,
                (Some(Medium::Image), Count::AudioOutput) => Count::ImageOutput,
                _ => continue,
            };
            if let Some(tokens) = modality.tokens {
                self.tokens.tell(count, tokens);
            }
        }
        if item.kind.error {
            self.failure.there();
            if let Some(name) = item.name.filter(|name| &**name != "error") {
                self.failure.member(Member::Type, Value::Text { text: &name, cut: false });
            }
        }
        self.ended |= item.kind.last;
        let token = item.text || item.delta && item.kind.delta || self.tools.count() > tools_before;
        let after_failure = self.failure.is_there() && !token;
        let chunk = !(item.kind.idle || item.kind.error || after_failure);
        Ended { chunk, token }
    }

    fn reason(&mut self, choice: u32, reason: &str) {
        let choice = choice as usize;
        if choice < MAX_CHOICES {
            if self.reasons.len() <= choice {
                self.reasons.resize(choice + 1, None);
            }
            self.reasons[choice] = Some(reason.into());
        }
    }

    fn choice(&mut self, at: &[u32]) -> Option<&mut Choice> {
        let at = at.first().copied().unwrap_or(0);
        let choices = &mut self.item.choices;
        let known = choices.iter().position(|choice| choice.at == at);
        match known {
            Some(index) => choices.get_mut(index),
            None if choices.len() < MAX_CHOICES => {
                choices.push(Choice { at, index: None, reason: None });
                choices.last_mut()
            }
            None => None,
        }
    }

    fn modality(&mut self, count: Count, at: &[u32], set: impl FnOnce(&mut Modality)) {
        let at = at.first().copied().unwrap_or(0);
        let modalities = &mut self.item.modalities;
        let known = modalities.iter().position(|modality| modality.at == at && modality.count == count);
        if known.is_none() && modalities.len() < MAX_LISTED {
            modalities.push(Modality { at, count, kind: None, tokens: None });
        }
        let index = known.unwrap_or(modalities.len().saturating_sub(1));
        if let Some(modality) =
            modalities.get_mut(index).filter(|modality| modality.at == at && modality.count == count)
        {
            set(modality);
        }
    }

    fn text(&mut self, value: Value<'_>) {
        if value.as_str().is_some_and(|text| !text.is_empty()) {
            self.item.text = true;
            self.evidence.add(Evidence::COMMON);
        }
    }
}

/// A text that says something, or a number as it is written.
fn word(value: Value<'_>) -> Option<Box<str>> {
    match value {
        Value::Text { text, .. } if !text.is_empty() => Some(super::cut(text).into()),
        Value::Number(number) => Some(number.into()),
        _ => None,
    }
}

/// A text that says something.
fn text(value: Value<'_>) -> Option<Box<str>> {
    value.as_str().filter(|text| !text.is_empty()).map(|text| super::cut(text).into())
}

impl Found for Said {
    fn found(&mut self, path: u16, at: &[u32], value: Value<'_>) {
        use ResponseField as F;
        let Some(field) = RESPONSE.field(path) else { return };
        match field {
            F::Id => first(&mut self.id, text(value)),
            F::OtherId => first(&mut self.other_id, text(value)),
            F::Model => first(&mut self.model, text(value)),
            F::Fingerprint => {
                self.hint = self.hint.or(fingerprint(value.as_str().unwrap_or_default()));
                first(&mut self.fingerprint, text(value));
            }
            F::Tier => last(&mut self.tier, text(value)),
            F::Conversation => first(&mut self.conversation, text(value)),
            F::Kind => {
                let Some(name) = value.as_str() else { return };
                self.kind(kind::kind(name));
                if name == "message" {
                    self.likely = Some(Format::Anthropic);
                }
                self.item.name = text(value);
            }
            F::Object => self.kind(kind::kind(value.as_str().unwrap_or_default())),
            F::Index => {
                if let (Some(index), Some(choice)) = (value.as_u64(), self.choice(at)) {
                    choice.index = Some(u32::try_from(index).unwrap_or(u32::MAX));
                }
            }
            F::Reason => self.found_reason(at, value),
            F::OnlyReason => self.found_reason(&[], value),
            F::Status => last(&mut self.status, text(value)),
            F::InsteadOfReason => last(&mut self.instead_of_reason, word(value)),
            F::Own(format) if value != Value::Null => self.own(format),
            F::OwnText(format) if value.as_str().is_some() => {
                self.own(format);
                self.text(value);
            }
            F::LikelyText(format) => {
                self.likely = self.likely.or(Some(format));
                self.text(value);
            }
            F::Vector if matches!(value, Value::Array | Value::Object) => self.evidence.add(Evidence::OWN),
            F::Common if value != Value::Null => self.evidence.add(Evidence::COMMON),
            F::Text => self.text(value),
            F::Delta => self.item.delta |= value.as_str().is_some_and(|text| !text.is_empty()),
            F::Tokens(count) => self.found_tokens(count, value),
            F::Cost => self.cost = value.as_f64().filter(|cost| *cost >= 0.0).or(self.cost),
            F::Modality(count) => self.modality(count, at, |modality| modality.kind = medium(value)),
            F::ModalityTokens(count) => self.modality(count, at, |modality| modality.tokens = value.as_u64()),
            F::Done => {
                if let Some(done) = value.as_bool() {
                    self.evidence.add(Evidence::END);
                    self.ended |= done;
                }
            }
            F::Last(format) if value != Value::Null => {
                self.own(format);
                self.ended = true;
            }
            F::Tool => self.tools.part(Part::There, false, false, at, None),
            F::ToolIndex => {
                if let Some(index) = value.as_u64() {
                    self.tools.index(at, u32::try_from(index).unwrap_or(u32::MAX));
                }
            }
            F::ToolId => self.tools.part(Part::Id, false, false, at, value.as_str()),
            F::ToolName => self.tools.part(Part::Name, false, false, at, value.as_str()),
            F::ToolNameAgain => self.tools.part(Part::Name, false, true, at, value.as_str()),
            F::BlockKind => self.tools.part(Part::Kind, true, false, at, value.as_str()),
            F::BlockId => self.tools.part(Part::Id, true, false, at, value.as_str()),
            F::BlockCallId => self.tools.part(Part::CallId, true, false, at, value.as_str()),
            F::BlockName => self.tools.part(Part::Name, true, false, at, value.as_str()),
            F::Error => match value {
                Value::Object => self.failure.there(),
                Value::Text { text, .. } if !text.is_empty() => self.failure.there(),
                _ => {}
            },
            F::ErrorCode => self.failure.member(Member::Code, value),
            F::ErrorType => self.failure.member(Member::Type, value),
            F::OwnErrorType(format) => {
                if value.as_str().is_some() && self.failure.is_there() {
                    self.own(format);
                }
                self.failure.member(Member::Type, value);
            }
            F::ErrorStatus => self.failure.member(Member::Status, value),
            F::CodeOfError => self.failure.member(Member::Bare, value),
            F::Element => {
                if let Some((&index, outer)) = at.split_last()
                    && outer.iter().all(|&index| index == 0)
                    && index < MAX_DIMENSION
                {
                    self.item.dimension = self.item.dimension.max(Some(index + 1));
                }
            }
            F::Hint(provider) => self.hint = self.hint.or(Some(provider)),
            F::Own(_) | F::OwnText(_) | F::Last(_) | F::Vector | F::Common => {}
        }
    }
}

impl Said {
    fn found_tokens(&mut self, count: Count, value: Value<'_>) {
        let Some(tokens) = value.as_u64() else { return };
        self.evidence.add(Evidence::USAGE);
        let sum = match count {
            Count::EachInput => &mut self.item.sums[0],
            Count::EachOutput => &mut self.item.sums[1],
            _ => return self.tokens.tell(count, tokens),
        };
        *sum = Some(sum.unwrap_or(0).saturating_add(tokens));
    }

    fn found_reason(&mut self, at: &[u32], value: Value<'_>) {
        // A stream of watsonx says so in every part but the last.
        let reason = word(value).filter(|reason| !matches!(&**reason, "not_finished" | "NOT_FINISHED"));
        if let (Some(reason), Some(choice)) = (reason, self.choice(at)) {
            choice.reason = Some(reason);
            self.evidence.add(Evidence::END);
        }
    }
}

fn first(place: &mut Option<Box<str>>, value: Option<Box<str>>) {
    if place.is_none() {
        *place = value;
    }
}

fn last(place: &mut Option<Box<str>>, value: Option<Box<str>>) {
    if value.is_some() {
        *place = value;
    }
}

fn medium(value: Value<'_>) -> Option<Medium> {
    let is = |name: &str| value.as_str().is_some_and(|modality| modality.eq_ignore_ascii_case(name));
    if is("audio") {
        Some(Medium::Audio)
    } else if is("image") {
        Some(Medium::Image)
    } else {
        None
    }
}

/// Servers that write a fingerprint of their own: Ollama `fp_ollama`, llama.cpp `b` with its build and commit.
fn fingerprint(text: &str) -> Option<&'static str> {
    if text == "fp_ollama" {
        return Some("ollama");
    }
    let (build, commit) = text.strip_prefix('b')?.split_once('-')?;
    let is_build = !build.is_empty() && build.bytes().all(|byte| byte.is_ascii_digit());
    let is_commit = commit.len() >= 7 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_build && is_commit).then_some("llama.cpp")
}
