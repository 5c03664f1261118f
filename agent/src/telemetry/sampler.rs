//! Which exchanges become spans (POLICY.md section 4, "Tracing").

use super::trace_context::{Parent, TraceId};

/// `OTEL_TRACES_SAMPLER` names a sampler that does not exist, or its argument is not a ratio from 0 to 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}={value:?}: {problem}")]
pub struct SamplerError {
    variable: &'static str,
    value: String,
    problem: &'static str,
}

/// Decides by the trace id alone, so all nodes keep the same traces.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    parent_based: bool,
    /// Traces whose lowest 56 bits are at or above are kept.
    threshold: u64,
}

const RANDOM_BITS: u32 = 56;

impl Default for Sampler {
    /// `parentbased_always_on`, the default of the specification.
    fn default() -> Self {
        Self { parent_based: true, threshold: 0 }
    }
}

impl Sampler {
    /// Keeps this share of the traces (clamped to 0..=1); with `parent_based` an incoming context decides instead.
    pub fn new(ratio: f64, parent_based: bool) -> Self {
        let ratio = if ratio.is_nan() { 0.0 } else { ratio.clamp(0.0, 1.0) };
        Self { parent_based, threshold: ((1.0 - ratio) * (1_u64 << RANDOM_BITS) as f64) as u64 }
    }

    /// From `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`. Absent or empty is the default.
    pub fn from_environment(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, SamplerError> {
        const NAME: &str = "OTEL_TRACES_SAMPLER";
        const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
        let name = lookup(NAME).unwrap_or_default();
        let ratio = || match lookup(ARGUMENT).filter(|value| !value.trim().is_empty()) {
            None => Ok(1.0),
            Some(value) => value
                .trim()
                .parse::<f64>()
                .ok()
                .filter(|ratio| (0.0..=1.0).contains(ratio))
                .ok_or(SamplerError { variable: ARGUMENT, value, problem: "not a number from 0 to 1" }),
        };
        Ok(match name.trim() {
            "" | "parentbased_always_on" => Self::default(),
            "always_on" => Self::new(1.0, false),
            "always_off" => Self::new(0.0, false),
            "traceidratio" => Self::new(ratio()?, false),
            "parentbased_always_off" => Self::new(0.0, true),
            "parentbased_traceidratio" => Self::new(ratio()?, true),
            _ => {
                return Err(SamplerError {
                    variable: NAME,
                    value: name,
                    problem: "not one of always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off, \
                              parentbased_traceidratio",
                });
            }
        })
    }

    /// Whether the exchange of this trace becomes a span.
    pub fn keeps(&self, trace: TraceId, parent: Option<&Parent>) -> bool {
        match parent {
            Some(parent) if self.parent_based => parent.sampled,
            _ => (trace.0 as u64 & ((1 << RANDOM_BITS) - 1)) >= self.threshold,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::trace_context::SpanId;

    fn parse(name: &str, argument: &str) -> Result<Sampler, SamplerError> {
        Sampler::from_environment(&|key| {
            Some(if key == "OTEL_TRACES_SAMPLER" { name } else { argument }.to_owned())
                .filter(|value| !value.is_empty())
        })
    }

    #[test]
    fn ratio_keeps_its_share() {
        let sampler = Sampler::new(0.25, true);
        let kept = (0..1000_u128).filter(|n| sampler.keeps(TraceId(n * ((1 << 56) / 1000)), None)).count();
        assert!((249..=251).contains(&kept), "{kept}");
    }

    #[test]
    fn the_parent_decides_only_where_asked() {
        let parent = |sampled| Parent { trace_id: TraceId(1), span_id: SpanId(1), sampled, state: String::new() };
        let based = Sampler::new(0.0, true);
        assert!(based.keeps(TraceId(0), Some(&parent(true))));
        assert!(!Sampler::default().keeps(TraceId(1), Some(&parent(false))));
        assert!(Sampler::new(1.0, false).keeps(TraceId(0), Some(&parent(false))));
        assert!(!Sampler::new(0.0, false).keeps(TraceId(u128::MAX), Some(&parent(true))));
    }

    #[test]
    fn environment() {
        assert_eq!(parse("", ""), Ok(Sampler::default()));
        assert_eq!(parse("traceidratio", "0.5"), Ok(Sampler::new(0.5, false)));
        assert_eq!(parse("parentbased_traceidratio", ""), Ok(Sampler::new(1.0, true)));
        assert!(parse("traceidratio", "2").is_err());
        let message = parse("sometimes", "").unwrap_err().to_string();
        assert!(message.starts_with("OTEL_TRACES_SAMPLER=\"sometimes\": not one of"), "{message}");
    }
}
