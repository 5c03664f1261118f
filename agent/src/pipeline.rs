//! One worker: events in, telemetry out, with no lock shared with another worker.
