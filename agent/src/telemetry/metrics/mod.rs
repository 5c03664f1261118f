//! The aggregator: exchanges -> histograms, one shard per worker, merged when somebody reads.
//!
//! It is ours because the SDK cannot drop a series or change a view at run time. Recording on a series that exists takes one hash
//! look-up without allocation and three bucket increments.

mod aggregator;
mod histogram;
mod series;

pub use aggregator::{
    Aggregator, DEFAULT_CARDINALITY_LIMIT, Measurements, Shard, Snapshot, SnapshotSeries, WorkloadInfo,
};
pub use histogram::{Exemplar, Histogram};
pub use series::{Key, KeyRef, Value};
