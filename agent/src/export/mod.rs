//! Prometheus, OTLP, stdout and file sinks.
