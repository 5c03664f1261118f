//! The arithmetic of tokens (semantic conventions for generative AI; `standards.md` says which provider counts how): cached tokens are part of the
//! input, reasoning is part of the output, what is billed holds over what was used. What is not told is absent.

use super::{Operation, Usage, shape::Count};

/// Numbers of tokens as they were told.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    counts: [Option<u64>; Count::KINDS],
}

impl Default for Tokens {
    fn default() -> Self {
        Self { counts: [None; Count::KINDS] }
    }
}

impl Tokens {
    /// One more number.
    pub(super) fn tell(&mut self, count: Count, tokens: u64) {
        let place = &mut self.counts[count as usize];
        *place = Some(match (count, *place) {
            (Count::MostInput | Count::MostOutput, Some(most)) => most.max(tokens),
            (Count::EachInput | Count::EachOutput, Some(sum)) => sum.saturating_add(tokens),
            _ => tokens,
        });
    }

    /// A number that holds if there is no other.
    pub(super) fn tell_if_absent(&mut self, count: Count, tokens: u64) {
        self.counts[count as usize].get_or_insert(tokens);
    }

    fn get(&self, count: Count) -> Option<u64> {
        self.counts[count as usize]
    }

    /// The first of these that was told.
    fn first(&self, counts: &[Count]) -> Option<u64> {
        counts.iter().find_map(|&count| self.get(count))
    }

    /// What it comes to.
    pub(super) fn usage(&self, operation: Operation, provider: &str) -> Usage {
        let cache_read = self.first(&[Count::CacheReadBeside, Count::CacheReadWithin, Count::TimedCache]);
        // More than is billed is none of what is billed.
        let cache_read = cache_read.filter(|read| self.get(Count::BilledInput).is_none_or(|billed| *read <= billed));
        let cache_creation = self.first(&[Count::CacheWriteBeside, Count::CacheWriteWithin]);
        let reasoning = self.first(&[Count::Thoughts, Count::Reasoning]);
        let vectors = matches!(operation, Operation::Embeddings | Operation::Rerank | Operation::Moderation);
        Usage {
            // Whatever an embedding costs is input.
            input: self.input().or_else(|| self.get(Count::Total).filter(|_| vectors)),
            output: self.output(provider).filter(|_| !vectors),
            cache_read,
            cache_creation,
            reasoning: reasoning.filter(|_| !vectors),
            input_audio: self.get(Count::AudioInput),
            output_audio: self.get(Count::AudioOutput),
            cache_read_audio: self.get(Count::AudioCached),
            cache_creation_hour: self.get(Count::CacheWriteHour),
            output_image: self.get(Count::ImageOutput),
            cost: None,
        }
    }

    fn input(&self) -> Option<u64> {
        let or_zero = |count| self.get(count).unwrap_or(0);
        let all = || Some(self.get(Count::Prompt)?.saturating_add(or_zero(Count::ToolPrompt)));
        let with_cached = || {
            let input = self.first(&[Count::Input, Count::MostInput, Count::EachInput])?;
            Some(input.saturating_add(or_zero(Count::CacheReadBeside)).saturating_add(or_zero(Count::CacheWriteBeside)))
        };
        let timed = || Some(self.get(Count::TimedInput)?.saturating_add(or_zero(Count::TimedCache)));
        let billed = match (self.get(Count::BilledInput), self.get(Count::BilledImages)) {
            (None, None) => None,
            (texts, images) => Some(texts.unwrap_or(0).saturating_add(images.unwrap_or(0))),
        };
        billed.or_else(all).or_else(with_cached).or_else(timed)
    }

    fn output(&self, provider: &str) -> Option<u64> {
        let told = self.first(&[Count::Output, Count::MostOutput, Count::EachOutput]);
        let with_thoughts = match (told, self.get(Count::Thoughts)) {
            (None, None) => None,
            (told, thoughts) => Some(told.unwrap_or(0).saturating_add(thoughts.unwrap_or(0))),
        };
        let with_reasoning =
            || with_thoughts.map(|output| output.saturating_add(self.reasoning_beside(output, provider)));
        self.get(Count::BilledOutput).or_else(with_reasoning).or_else(|| self.get(Count::TimedOutput))
    }

    /// Reasoning that the output as told does not include. xAI and Perplexity tell it beside; where there is a total it decides.
    fn reasoning_beside(&self, output: u64, provider: &str) -> u64 {
        let Some(reasoning) = self.get(Count::Reasoning) else { return 0 };
        let both = self.input().map(|input| input.saturating_add(output));
        let beside = match (both, self.get(Count::Total)) {
            (Some(both), Some(total)) if total == both.saturating_add(reasoning) => true,
            (Some(both), Some(total)) if total == both => provider == "perplexity",
            _ => matches!(provider, "x_ai" | "perplexity"),
        };
        if beside { reasoning } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(operation: Operation, provider: &str, told: &[(Count, u64)]) -> [Option<u64>; 5] {
        let mut tokens = Tokens::default();
        for &(count, number) in told {
            tokens.tell(count, number);
        }
        let usage = tokens.usage(operation, provider);
        [usage.input, usage.output, usage.cache_read, usage.cache_creation, usage.reasoning]
    }

    #[test]
    fn the_arithmetic_is_that_of_the_conventions() {
        use Count::*;
        let chat = |provider: &str, told: &[(Count, u64)]| usage(Operation::Chat, provider, told);
        // OpenAI: everything within.
        let told = [(Prompt, 20), (Output, 7), (CacheReadWithin, 16), (Reasoning, 5), (Total, 27)];
        assert_eq!(chat("openai", &told), [Some(20), Some(7), Some(16), None, Some(5)]);
        // xAI: reasoning beside, by the total or by who it is.
        let told = [(Prompt, 20), (Output, 7), (Reasoning, 5), (Total, 32)];
        assert_eq!(chat("openai", &told), [Some(20), Some(12), None, None, Some(5)]);
        assert_eq!(chat("x_ai", &told[..3]), [Some(20), Some(12), None, None, Some(5)]);
        assert_eq!(chat("openai", &told[..3]), [Some(20), Some(7), None, None, Some(5)]);
        let told = [(Prompt, 20), (Output, 7), (Reasoning, 5), (Total, 27)];
        assert_eq!(chat("x_ai", &told), [Some(20), Some(7), None, None, Some(5)]);
        // Anthropic: cached input beside.
        let told = [(Input, 3), (CacheReadBeside, 100), (CacheWriteBeside, 10), (Output, 7)];
        assert_eq!(chat("anthropic", &told), [Some(113), Some(7), Some(100), Some(10), None]);
        // A gateway that tells Anthropic's in OpenAI's form: within.
        let told = [(Prompt, 113), (CacheReadBeside, 100), (Output, 7)];
        assert_eq!(chat("openai", &told), [Some(113), Some(7), Some(100), None, None]);
        // Gemini: thoughts and tools beside.
        let told = [(Prompt, 10), (ToolPrompt, 4), (Output, 7), (Thoughts, 30), (CacheReadWithin, 8), (Total, 51)];
        assert_eq!(chat("gcp.gemini", &told), [Some(14), Some(37), Some(8), None, Some(30)]);
        assert_eq!(chat("gcp.gemini", &[(Prompt, 10), (Thoughts, 30)]), [Some(10), Some(30), None, None, Some(30)]);
        // Cohere: billed.
        let told = [(BilledInput, 5), (BilledOutput, 2), (Prompt, 90), (Output, 8)];
        assert_eq!(chat("cohere", &told), [Some(5), Some(2), None, None, None]);
        let told = [(BilledInput, 5), (CacheReadWithin, 80), (Prompt, 90)];
        assert_eq!(chat("cohere", &told), [Some(5), None, None, None, None]);
        assert_eq!(chat("cohere", &[(BilledImages, 7), (BilledInput, 1)])[0], Some(8));
        // The last, the most, or the sum.
        assert_eq!(
            chat("vllm", &[(Prompt, 5), (Output, 1), (Output, 2), (Output, 3)]),
            [Some(5), Some(3), None, None, None]
        );
        assert_eq!(
            chat("", &[(MostInput, 5), (MostInput, 0), (MostOutput, 1), (MostOutput, 4)]),
            [Some(5), Some(4), None, None, None]
        );
        assert_eq!(chat("", &[(EachInput, 5), (EachInput, 6)]), [Some(11), None, None, None, None]);
        // Vectors have no output.
        assert_eq!(usage(Operation::Embeddings, "voyage", &[(Total, 9)]), [Some(9), None, None, None, None]);
        assert_eq!(
            usage(Operation::Embeddings, "mistral_ai", &[(Prompt, 9), (Output, 0)]),
            [Some(9), None, None, None, None]
        );
        assert_eq!(chat("openai", &[(Total, 9)]), [None; 5]);
        assert_eq!(chat("openai", &[]), [None; 5]);
        // Numbers beyond reason do not overflow.
        assert_eq!(chat("", &[(Input, u64::MAX), (CacheReadBeside, 1)])[0], Some(u64::MAX));
    }
}
