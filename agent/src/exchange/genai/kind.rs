//! What the names of events and of kinds of documents say (`type`, `event_type`, `object`, `event` of server-sent events, `:event-type` of AWS).

use super::format::Format;

/// What a name says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a name says any of them")]
pub(super) struct Kind {
    /// It keeps the connection alive, and is no part of the answer.
    pub(super) idle: bool,
    /// It is an error.
    pub(super) error: bool,
    /// Its `delta` is text.
    pub(super) delta: bool,
    /// It is the last of its stream.
    pub(super) last: bool,
    /// Its `bytes` are an event of the model, in base64.
    pub(super) wrapped: bool,
    /// Others have it too.
    pub(super) common: bool,
    /// Only answers of models in this form have it.
    pub(super) own: Option<Format>,
}

impl Kind {
    const NONE: Self =
        Self { idle: false, error: false, delta: false, last: false, wrapped: false, common: false, own: None };
    const IDLE: Self = Self { idle: true, ..Self::NONE };
    const ERROR: Self = Self { error: true, ..Self::NONE };
    const COMMON: Self = Self { common: true, ..Self::NONE };
    const WRAPPED: Self = Self { wrapped: true, ..Self::NONE };

    const fn of(format: Format) -> Self {
        Self { own: Some(format), ..Self::NONE }
    }

    const fn last(self) -> Self {
        Self { last: true, ..self }
    }

    /// Both together: an event has a name outside and one inside.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            idle: self.idle || other.idle,
            error: self.error || other.error,
            delta: self.delta || other.delta,
            last: self.last || other.last,
            wrapped: self.wrapped || other.wrapped,
            common: self.common || other.common,
            own: self.own.or(other.own),
        }
    }
}

static KINDS: [(&str, Kind); 35] = [
    ("ping", Kind::IDLE),
    ("keepalive", Kind::IDLE),
    ("error", Kind::ERROR),
    // OpenAI.
    ("chat.completion", Kind::of(Format::Chat)),
    ("chat.completion.chunk", Kind::of(Format::Chat)),
    ("text_completion", Kind::of(Format::Completions)),
    ("response", Kind::of(Format::Responses)),
    ("response.compaction", Kind::of(Format::Responses)),
    ("response.completed", Kind::of(Format::Responses).last()),
    ("response.incomplete", Kind::of(Format::Responses).last()),
    ("response.failed", Kind::of(Format::Responses).last()),
    ("transcript.text.done", Kind::of(Format::OpenAi).last()),
    ("speech.audio.done", Kind::of(Format::OpenAi).last()),
    ("image_generation.completed", Kind::of(Format::OpenAi).last()),
    ("image_edit.completed", Kind::of(Format::OpenAi).last()),
    // Anthropic.
    ("message", Kind::COMMON),
    ("message_start", Kind::of(Format::Anthropic)),
    ("content_block_start", Kind::of(Format::Anthropic)),
    ("content_block_delta", Kind::of(Format::Anthropic)),
    ("content_block_stop", Kind::of(Format::Anthropic)),
    ("message_delta", Kind::of(Format::Anthropic)),
    ("message_stop", Kind::of(Format::Anthropic).last()),
    // Gemini.
    ("interaction", Kind::of(Format::Gemini)),
    ("interaction.created", Kind::of(Format::Gemini)),
    ("interaction.status_update", Kind::of(Format::Gemini)),
    ("interaction.completed", Kind::of(Format::Gemini).last()),
    // Cohere.
    ("message-start", Kind::of(Format::Cohere)),
    ("content-start", Kind::of(Format::Cohere)),
    ("content-delta", Kind::of(Format::Cohere)),
    ("tool-plan-delta", Kind::of(Format::Cohere)),
    ("tool-call-start", Kind::of(Format::Cohere)),
    ("message-end", Kind::of(Format::Cohere).last()),
    ("stream-start", Kind::of(Format::Cohere)),
    ("text-generation", Kind::of(Format::Cohere)),
    ("stream-end", Kind::of(Format::Cohere).last()),
];

/// Of messages of AWS alone: as names of other events they are anybody's.
static AWS: [(&str, Kind); 7] = [
    ("chunk", Kind::WRAPPED),
    ("messageStart", Kind::of(Format::Converse)),
    ("contentBlockStart", Kind::of(Format::Converse)),
    ("contentBlockDelta", Kind::of(Format::Converse)),
    ("contentBlockStop", Kind::of(Format::Converse)),
    ("messageStop", Kind::of(Format::Converse)),
    ("metadata", Kind::of(Format::Converse).last()),
];

/// How names of failures end.
const FAILURES: [&str; 3] = ["Exception", "Error", "Failure"];

/// What the name of a message of AWS says (`:event-type`, `:exception-type`, `:error-code`).
pub(super) fn of_aws(name: &str) -> Kind {
    let known = AWS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
    let error = FAILURES.iter().any(|end| name.ends_with(end));
    known.unwrap_or(if error { Kind::ERROR } else { kind(name) })
}

/// What a name says.
pub(super) fn kind(name: &str) -> Kind {
    if let Some((_, kind)) = KINDS.iter().find(|(known, _)| *known == name) {
        return *kind;
    }
    let delta = name.strip_suffix(".delta").is_some();
    if let Some(event) = name.strip_prefix("response.") {
        // `response.input_tokens` counts, and infers nothing.
        let of_stream = event != "input_tokens";
        return Kind { delta, own: of_stream.then_some(Format::Responses), ..Kind::NONE };
    }
    // Transcripts and speech.
    Kind { delta, ..Kind::NONE }
}
