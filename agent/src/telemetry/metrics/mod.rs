//! Exchanges -> series: one aggregator per policy and plan, one shard per worker, merged when somebody reads.
//!
//! It is ours because the SDK cannot drop a series or change a view at run time. Recording on a series that exists takes one hash
//! look-up per group of streams, without allocation, and an increment or two per stream. An exchange that is no call beyond HTTP does not look at
//! the groups of such calls.

mod aggregator;
mod call_subject;
mod calls;
mod cells;
mod connections;
mod labels;
mod recording;
mod registry;
mod series;
mod sessions;
mod snapshot;
#[cfg(test)]
mod tests;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use aggregator::{Shard, WorkloadInfo};
pub use cells::{Data, Exemplar, HistogramData, Measurements};
pub use labels::MAX_TEXT;
pub use registry::{MAX_SERIES, Metrics};
pub use series::{Key, KeyRef};
pub use sessions::MAX_SESSIONS;
pub use snapshot::{Family, Series, Snapshot};

/// Counters stay consistent enough after a panic of another thread: none is updated in two steps that could be torn.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
