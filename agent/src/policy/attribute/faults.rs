//! Run-time faults of what policies ask for.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::admin::{Health, Sample, table};

/// Counts evaluations that failed: of each the attribute was left out, or the filter said no. And those whose value was cut. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    failed: AtomicU64,
    cut: AtomicU64,
}

impl Faults {
    /// One more.
    pub fn count(&self) {
        self.0.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// One more value that was cut.
    pub fn count_cut(&self) {
        self.0.cut.fetch_add(1, Ordering::Relaxed);
    }

    /// Shows them among the agent's own metrics.
    pub fn report_to(&self, health: &Health) {
        let faults = self.clone();
        health.source(move |add| {
            let rows = [(&table::EVALUATION_FAULTS, faults.total()), (&table::RESULTS_CUT, faults.cut())];
            for (metric, count) in rows {
                add(Sample { metric, labels: Vec::new(), value: count as f64 });
            }
        });
    }

    /// How many so far.
    pub fn total(&self) -> u64 {
        self.0.failed.load(Ordering::Relaxed)
    }

    /// How many values were cut so far.
    pub fn cut(&self) -> u64 {
        self.0.cut.load(Ordering::Relaxed)
    }
}
