//! Where the agent serves.

/// Where metrics are served if nobody says otherwise (OpenTelemetry's default for Prometheus exporters).
pub const METRICS_ADDRESS: &str = "127.0.0.1:9464";

/// Where `agent` serves its live state if nobody says otherwise.
pub const ADMIN_ADDRESS: &str = "127.0.0.1:9465";

/// [`METRICS_ADDRESS`] with `OTEL_EXPORTER_PROMETHEUS_HOST` and `OTEL_EXPORTER_PROMETHEUS_PORT` in it.
pub fn default_metrics_address(lookup: &dyn Fn(&str) -> Option<String>) -> String {
    let value = |name| lookup(name).filter(|value| !value.is_empty());
    let host = value("OTEL_EXPORTER_PROMETHEUS_HOST").unwrap_or_else(|| "127.0.0.1".to_owned());
    let port = value("OTEL_EXPORTER_PROMETHEUS_PORT").unwrap_or_else(|| "9464".to_owned());
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_changes_the_default() {
        assert_eq!(default_metrics_address(&|_| None), METRICS_ADDRESS);
        let lookup = |name: &str| Some(if name.ends_with("HOST") { "::1" } else { "1" }.to_owned());
        assert_eq!(default_metrics_address(&lookup), "[::1]:1");
    }
}
