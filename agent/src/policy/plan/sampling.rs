//! Shares of traces.

use super::super::model::Ratio;

/// How many values the random part of a trace id has (W3C Trace Context level 2, section 2.2.2.1: the lowest 56 bits).
const VALUES: u64 = 1 << 56;

/// A share of all traces, exact to 2^-56.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u64);

impl Share {
    /// All of them.
    pub const ALL: Self = Self(VALUES);
    /// None of them.
    pub const NONE: Self = Self(0);

    /// From 0 to 1; what is outside is clamped, what is no number is none.
    pub fn of(ratio: f64) -> Self {
        let ratio = if ratio.is_nan() { 0.0 } else { ratio.clamp(0.0, 1.0) };
        Self((ratio * VALUES as f64) as u64)
    }

    /// Whether a trace is kept, by its random 56 bits. The highest values are kept (OpenTelemetry, "Consistent probability sampling": from the rejection
    /// threshold upwards), so a larger share keeps all that a smaller one keeps.
    pub const fn keeps(self, random: u64) -> bool {
        random % VALUES >= VALUES - self.0
    }
}

impl From<Ratio> for Share {
    fn from(ratio: Ratio) -> Self {
        let kept = u128::from(ratio.numerator) * u128::from(VALUES) / u128::from(ratio.denominator.max(1));
        Self((kept as u64).min(VALUES))
    }
}

/// Which traces become spans (POLICY.md section 4, "Tracing").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// Share of the traces that begin here. Without a governor: of all traces.
    pub own: Share,
    /// Where the sender's decision is respected: the share that is kept of the traces that it decided to keep. Of the others none is kept.
    pub governor: Option<Share>,
}

impl Sampling {
    /// All traces, whatever the sender decided.
    pub const ALL: Self = Self { own: Share::ALL, governor: None };
}

impl Default for Sampling {
    /// `parentbased_always_on`, the default of `OTEL_TRACES_SAMPLER`.
    fn default() -> Self {
        Self { own: Share::ALL, governor: Some(Share::ALL) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_exact_at_their_ends() {
        let share = |numerator, denominator| Share::from(Ratio { numerator, denominator });
        assert_eq!((share(100, 100), Share::of(1.0), share(3, 3)), (Share::ALL, Share::ALL, Share::ALL));
        assert_eq!((share(0, 100), Share::of(0.0), Share::of(f64::NAN)), (Share::NONE, Share::NONE, Share::NONE));
        for random in [0, 1, VALUES - 1] {
            assert!(Share::ALL.keeps(random) && !Share::NONE.keeps(random));
        }
        let least = share(1, u32::MAX);
        assert!(least.keeps(VALUES - 1) && !least.keeps(VALUES / 2));
    }

    #[test]
    fn a_larger_share_keeps_what_a_smaller_one_keeps() {
        let [quarter, half] = [25, 50].map(|numerator| Share::from(Ratio { numerator, denominator: 100 }));
        let kept = |share: Share| (0..1000).filter(|n| share.keeps(n * (VALUES / 1000))).collect::<Vec<_>>();
        assert!((249..=251).contains(&kept(quarter).len()));
        assert!(kept(quarter).iter().all(|n| kept(half).contains(n)));
    }
}
