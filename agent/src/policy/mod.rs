//! TelemetryPolicy -> plan: what is asked for.
