//! The price of a model, and what tokens cost by it.

use crate::exchange::genai::Usage;

/// US dollars for one token. Above some number of input tokens another price may hold, for all tokens of the call.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rate {
    pub base: f64,
    /// Above so many input tokens that price, in ascending order.
    pub tiers: Vec<(u64, f64)>,
}

impl Rate {
    fn at(&self, input: u64) -> f64 {
        self.tiers.iter().rev().find(|(above, _)| input > *above).map_or(self.base, |(_, price)| *price)
    }
}

/// What a model costs. What has no rate of its own costs what it is a part of: reasoning what output does, cached and audio tokens what input does.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Price {
    pub input: Option<Rate>,
    pub output: Option<Rate>,
    pub cache_read: Option<Rate>,
    pub cache_write: Option<Rate>,
    pub reasoning: Option<Rate>,
    pub input_audio: Option<Rate>,
    pub output_audio: Option<Rate>,
    /// US dollars for each call, whatever its tokens.
    pub call: f64,
}

impl Price {
    /// Whether anything has a price.
    pub(super) fn is_any(&self) -> bool {
        self.input.is_some() || self.output.is_some()
    }

    /// What a call costs. `None` if it has tokens without a rate, or says none.
    pub(super) fn cost(&self, usage: &Usage) -> Option<f64> {
        if usage.input.is_none() && usage.output.is_none() {
            return None;
        }
        // The parts are in the whole (semconv: cached tokens are input, reasoning is output).
        let input = usage.input.unwrap_or_default();
        let (read, written) = (usage.cache_read.unwrap_or_default(), usage.cache_creation.unwrap_or_default());
        let heard = usage.input_audio.unwrap_or_default();
        let rest = input.saturating_sub(read).saturating_sub(written).saturating_sub(heard);
        let output = usage.output.unwrap_or_default();
        let (thought, spoken) = (usage.reasoning.unwrap_or_default(), usage.output_audio.unwrap_or_default());
        let said = output.saturating_sub(thought).saturating_sub(spoken);
        let parts = [
            (rest, None, &self.input),
            (read, self.cache_read.as_ref(), &self.input),
            (written, self.cache_write.as_ref(), &self.input),
            (heard, self.input_audio.as_ref(), &self.input),
            (said, None, &self.output),
            (thought, self.reasoning.as_ref(), &self.output),
            (spoken, self.output_audio.as_ref(), &self.output),
        ];
        let mut sum = self.call;
        for (tokens, own, whole) in parts {
            if tokens > 0 {
                sum += tokens as f64 * own.or(whole.as_ref())?.at(input);
            }
        }
        Some(sum)
    }
}
