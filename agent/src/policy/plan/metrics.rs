//! `metrics`, compiled.

/// Which instruments a plan has, under which names, with which attributes and buckets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricsPlan {}
