//! `accessLogs`, compiled.

/// Which exchanges become lines, how a line is written, and where it goes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AccessLogPlan {}
