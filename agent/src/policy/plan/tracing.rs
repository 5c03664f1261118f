//! `tracing`, compiled.

/// Which exchanges become spans, what is added to them, and who takes them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TracingPlan {}
