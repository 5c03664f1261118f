//! Run-time faults of what policies ask for.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::admin::{Health, Sample, table};

/// Counts evaluations that failed: of each the attribute was left out, or the filter said no. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<AtomicU64>);

impl Faults {
    /// One more.
    pub fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Shows them among the agent's own metrics.
    pub fn report_to(&self, health: &Health) {
        let faults = self.clone();
        health.source(move |add| {
            let value = faults.total() as f64;
            add(Sample { metric: &table::EVALUATION_FAULTS, labels: Vec::new(), value });
        });
    }

    /// How many so far.
    pub fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
