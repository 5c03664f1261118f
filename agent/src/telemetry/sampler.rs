//! Which exchanges become spans (POLICY.md section 4, "Tracing").

use std::hash::Hasher as _;

use siphasher::sip::SipHasher24;

use super::trace_context::{Context, TraceId};
use crate::policy::plan::{Sampling, Share};

/// `OTEL_TRACES_SAMPLER` names a sampler that does not exist, or its argument is not a ratio from 0 to 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}={value:?}: {problem}")]
pub struct SamplerError {
    variable: &'static str,
    value: String,
    problem: &'static str,
}

/// Decides by the trace id alone, so all nodes keep the same traces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sampler(Sampling);

impl From<Sampling> for Sampler {
    fn from(sampling: Sampling) -> Self {
        Self(sampling)
    }
}

impl Sampler {
    /// From `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`. `None` if the former is absent or empty.
    pub fn from_environment(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, SamplerError> {
        const NAME: &str = "OTEL_TRACES_SAMPLER";
        const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
        let name = lookup(NAME).unwrap_or_default();
        let ratio = || match lookup(ARGUMENT).filter(|value| !value.trim().is_empty()) {
            None => Ok(Share::ALL),
            Some(value) => value
                .trim()
                .parse::<f64>()
                .ok()
                .filter(|ratio| (0.0..=1.0).contains(ratio))
                .map(Share::of)
                .ok_or(SamplerError { variable: ARGUMENT, value, problem: "not a number from 0 to 1" }),
        };
        let (own, parent_based) = match name.trim() {
            "" => return Ok(None),
            "always_on" => (Share::ALL, false),
            "always_off" => (Share::NONE, false),
            "traceidratio" => (ratio()?, false),
            "parentbased_always_on" => (Share::ALL, true),
            "parentbased_always_off" => (Share::NONE, true),
            "parentbased_traceidratio" => (ratio()?, true),
            _ => {
                return Err(SamplerError {
                    variable: NAME,
                    value: name,
                    problem: "not one of always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off, \
                              parentbased_traceidratio",
                });
            }
        };
        Ok(Some(Self(Sampling { own, governor: parent_based.then_some(Share::ALL) })))
    }

    /// Whether the exchange of this trace becomes a span.
    pub fn keeps(&self, trace: TraceId, context: Option<&Context>) -> bool {
        match (self.0.governor, context.and_then(|context| context.sampled)) {
            (Some(_), Some(false)) => false,
            (Some(governor), Some(true)) => governor.keeps(salted(trace)),
            _ => self.0.own.keeps(trace.0 as u64),
        }
    }
}

/// A number of 56 bits that is independent of the trace id's own: an upstream that sampled by ratio passed on only ids from one end of their
/// range, of which the governor has to keep its share all the same. The key is an agreement between all agents, like those of the ids.
fn salted(trace: TraceId) -> u64 {
    let mut hasher = SipHasher24::new_with_keys(0x7465_6c6c_7461_6c65, 0x676f_7665_726e_6f72);
    hasher.write(&trace.0.to_le_bytes());
    hasher.finish() >> 8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::model::Ratio;

    fn percent(numerator: u32) -> Share {
        Ratio { numerator, denominator: 100 }.into()
    }

    fn context(sampled: impl Into<Option<bool>>) -> Context {
        Context { sampled: sampled.into(), ..Context::default() }
    }

    /// Trace ids as a generator makes them.
    fn ids() -> impl Iterator<Item = TraceId> {
        (1..=10_000_u128).map(|n| TraceId(n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)))
    }

    #[test]
    fn the_parent_decides_only_where_asked() {
        let based = Sampler(Sampling { own: Share::NONE, governor: Some(Share::ALL) });
        assert!(based.keeps(TraceId(1), Some(&context(true))));
        assert!(!based.keeps(TraceId(1), None));
        assert!(!based.keeps(TraceId(1), Some(&context(None))), "the sender leaves it to the own rate");
        assert!(!Sampler::default().keeps(TraceId(1), Some(&context(false))));
        let own = Sampler(Sampling::ALL);
        assert!(own.keeps(TraceId(1), Some(&context(false))), "the flag is ignored");
        let none = Sampler(Sampling { own: Share::NONE, governor: None });
        assert!(!none.keeps(TraceId(u128::MAX), Some(&context(true))));
    }

    /// An upstream keeps a tenth of the traces by their random bits; of these the governor keeps half, not all and not none.
    #[test]
    fn the_governor_thins_what_an_upstream_chose() {
        let upstream = Sampler(Sampling { own: percent(10), governor: None });
        let governor = Sampler(Sampling { own: Share::NONE, governor: Some(percent(50)) });
        let chosen: Vec<_> = ids().filter(|id| upstream.keeps(*id, None)).collect();
        let kept = chosen.iter().filter(|id| governor.keeps(**id, Some(&context(true)))).count();
        assert!((900..1100).contains(&chosen.len()), "{}", chosen.len());
        assert!((chosen.len() * 4 / 10..chosen.len() * 6 / 10).contains(&kept), "{kept} of {}", chosen.len());
        assert!(!chosen.iter().any(|id| governor.keeps(*id, Some(&context(false)))));
    }

    /// All agents of a fleet must keep the same traces.
    #[test]
    fn the_governor_never_changes() {
        assert_eq!(salted(TraceId(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736)), 42_562_104_770_410_996);
    }

    fn parse(name: &str, argument: &str) -> Result<Option<Sampler>, SamplerError> {
        Sampler::from_environment(&|key| {
            Some(if key == "OTEL_TRACES_SAMPLER" { name } else { argument }.to_owned())
                .filter(|value| !value.is_empty())
        })
    }

    #[test]
    fn environment() {
        let sampler = |own, governor| Ok(Some(Sampler(Sampling { own, governor })));
        assert_eq!(parse("", ""), Ok(None));
        assert_eq!(parse("parentbased_always_on", ""), Ok(Some(Sampler::default())));
        assert_eq!(parse("traceidratio", "0.5"), sampler(percent(50), None));
        assert_eq!(parse("parentbased_traceidratio", ""), sampler(Share::ALL, Some(Share::ALL)));
        assert_eq!(parse("always_off", ""), sampler(Share::NONE, None));
        assert!(parse("traceidratio", "2").is_err());
        let message = parse("sometimes", "").unwrap_err().to_string();
        assert!(message.starts_with("OTEL_TRACES_SAMPLER=\"sometimes\": not one of"), "{message}");
    }
}
