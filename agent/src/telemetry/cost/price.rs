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
    /// Audio that is read from a cache.
    pub cache_read_audio: Option<Rate>,
    /// What is written to a cache for an hour.
    pub cache_write_hour: Option<Rate>,
    /// Pictures.
    pub output_image: Option<Rate>,
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
        // The parts are in the whole (semconv: cached tokens are input, reasoning is output), and cost no more than it where they are told to be more.
        let input = usage.input.unwrap_or_default();
        let mut rest = input;
        let mut part = |tokens: Option<u64>| {
            let tokens = tokens.unwrap_or_default().min(rest);
            rest -= tokens;
            tokens
        };
        let (read, written) = (part(usage.cache_read), part(usage.cache_creation));
        let read_audio =
            usage.cache_read_audio.unwrap_or_default().min(read).min(usage.input_audio.unwrap_or_default());
        let heard = part(usage.input_audio.map(|heard| heard - read_audio));
        let hour = usage.cache_creation_hour.unwrap_or_default().min(written);
        let output = usage.output.unwrap_or_default();
        let mut said = output;
        let mut part = |tokens: Option<u64>| {
            let tokens = tokens.unwrap_or_default().min(said);
            said -= tokens;
            tokens
        };
        let (thought, spoken, drawn) = (part(usage.reasoning), part(usage.output_audio), part(usage.output_image));
        let [cache_read, cache_write] = [&self.cache_read, &self.cache_write].map(Option::as_ref);
        let parts = [
            (rest, None, &self.input),
            (read - read_audio, cache_read, &self.input),
            (read_audio, self.cache_read_audio.as_ref().or(cache_read), &self.input),
            (written - hour, cache_write, &self.input),
            (hour, self.cache_write_hour.as_ref().or(cache_write), &self.input),
            (heard, self.input_audio.as_ref(), &self.input),
            (said, None, &self.output),
            (thought, self.reasoning.as_ref(), &self.output),
            (spoken, self.output_audio.as_ref(), &self.output),
            (drawn, self.output_image.as_ref(), &self.output),
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
