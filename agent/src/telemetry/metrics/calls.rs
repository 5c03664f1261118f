//! Calls beyond HTTP -> measurements. What the wire did not say, or what was not seen from its beginning to its end, is measured by nothing.

use std::time::Duration;

use super::cells::Measured;
use crate::{
    exchange::genai::{GenAi, Usage},
    policy::plan::{Part, Stream},
    telemetry::{
        Facts,
        names::{GenAiMeasure, Measure, TokenKind},
    },
};

/// The types of tokens.
pub(super) const TOKEN_TYPES: [(&str, TokenKind); 2] = [("input", TokenKind::Input), ("output", TokenKind::Output)];
/// The modalities that are told apart: what a provider says is audio, and the rest, which it says nothing of.
pub(super) const MODALITIES: [&str; 2] = [AUDIO, UNKNOWN];

const AUDIO: &str = "audio";
const UNKNOWN: &str = "unknown";

/// What was measured of a call of a language model.
pub(super) struct OfCall<'a> {
    duration: Option<Duration>,
    is_inference: bool,
    first_chunk: Option<Duration>,
    first_token: Option<Duration>,
    token_gap: Option<Duration>,
    /// Microseconds.
    gaps: &'a [u32],
    usage: &'a Usage,
    cost: Option<f64>,
    /// Which part of it is looked at.
    pub(super) part: Part,
}

impl<'a> OfCall<'a> {
    pub(super) fn new(facts: &Facts<'a>, call: &'a GenAi) -> Self {
        Self {
            duration: facts.duration().map(Duration::from_nanos),
            is_inference: call.operation.is_inference(),
            first_chunk: facts.time_to_first_chunk(),
            first_token: facts.time_to_first_token(),
            token_gap: facts.time_per_output_token(),
            gaps: facts.stream().map_or(&[], |stream| &stream.intervals),
            usage: &call.usage,
            cost: facts.cost.dollars(),
            part: Part::default(),
        }
    }

    /// All tokens of a kind.
    const fn tokens(&self, kind: TokenKind) -> Option<u64> {
        match kind {
            TokenKind::Input => self.usage.input,
            TokenKind::Output => self.usage.output,
            TokenKind::CacheRead => self.usage.cache_read,
            TokenKind::CacheWrite => self.usage.cache_creation,
            TokenKind::Reasoning => self.usage.reasoning,
        }
    }

    /// Those of a modality; `None` if there are none.
    fn of_modality(&self, kind: TokenKind) -> Option<u64> {
        let all = self.tokens(kind)?;
        let audio = match kind {
            TokenKind::Input => self.usage.input_audio,
            TokenKind::Output => self.usage.output_audio,
            TokenKind::CacheRead | TokenKind::CacheWrite | TokenKind::Reasoning => None,
        };
        let audio = audio.unwrap_or(0).min(all);
        let tokens = if self.part.modality == Some(AUDIO) { audio } else { all - audio };
        (tokens > 0).then_some(tokens)
    }

    fn of_type(&self) -> Option<u64> {
        let (_, kind) = TOKEN_TYPES.iter().find(|(name, _)| self.part.token_type == Some(name))?;
        self.tokens(*kind)
    }
}

impl Measured for OfCall<'_> {
    fn each(&self, stream: &Stream, mut take: impl FnMut(f64)) {
        let Measure::GenAi(measure) = stream.instrument.measure else { return };
        let seconds = |duration: Option<Duration>| duration.map(|duration| duration.as_secs_f64());
        let count = |tokens: Option<u64>| tokens.map(|tokens| tokens as f64);
        let value = match measure {
            GenAiMeasure::Duration => seconds(self.duration),
            GenAiMeasure::InferenceDuration => seconds(self.duration.filter(|_| self.is_inference)),
            GenAiMeasure::OtherDuration => seconds(self.duration.filter(|_| !self.is_inference)),
            GenAiMeasure::FirstChunk => seconds(self.first_chunk),
            GenAiMeasure::InferenceFirstChunk => seconds(self.first_chunk.filter(|_| self.is_inference)),
            GenAiMeasure::FirstToken => seconds(self.first_token),
            GenAiMeasure::TokenGap => seconds(self.token_gap),
            GenAiMeasure::Tokens => count(self.of_type()),
            GenAiMeasure::TokensOf(kind) => count(self.tokens(kind).filter(|_| self.is_inference)),
            GenAiMeasure::TokenSum(kind) => count(self.of_modality(kind).filter(|_| self.is_inference)),
            GenAiMeasure::Cost => self.cost,
            GenAiMeasure::InferenceChunks if !self.is_inference => None,
            GenAiMeasure::Chunks | GenAiMeasure::InferenceChunks => {
                for &gap in self.gaps {
                    take(f64::from(gap) / 1e6);
                }
                None
            }
        };
        value.map(take);
    }
}

/// What was measured of a part of a call.
pub(super) trait OfPart: Measured {
    /// Which.
    fn part(&self) -> Part;
}

impl OfPart for OfCall<'_> {
    fn part(&self) -> Part {
        self.part
    }
}

impl OfPart for Took {
    fn part(&self) -> Part {
        Part::default()
    }
}

/// How long a message or a session took.
pub(super) struct Took {
    pub(super) measure: Measure,
    pub(super) duration: Duration,
}

impl Measured for Took {
    fn each(&self, stream: &Stream, mut take: impl FnMut(f64)) {
        if stream.instrument.measure == self.measure {
            take(self.duration.as_secs_f64());
        }
    }
}
