//! How Telltale's exporters name themselves, so that no agent observes another's exports.

/// Every User-Agent of a Telltale exporter begins with this.
const PREFIX: &str = concat!("telltale/", env!("CARGO_PKG_VERSION"));
/// The product of any version.
const PRODUCT: &[u8] = b"telltale/";

/// The value for OTLP requests: our product, then what the specification asks for (protocol/exporter.md, "User Agent").
pub fn user_agent() -> String {
    format!("{PREFIX} OTel-OTLP-Exporter-Rust/{}", env!("CARGO_PKG_VERSION"))
}

/// Whether this `User-Agent` is of a Telltale exporter, of whatever version. The exchange is then only counted.
///
/// A client that lies hides its own exchanges from telemetry; so could one that leaves the traffic unsent.
pub fn is_telltale_user_agent(value: &[u8]) -> bool {
    value.starts_with(PRODUCT) && value.windows(EXPORTER.len()).any(|window| window == EXPORTER)
}

const EXPORTER: &[u8] = b"OTel-OTLP-Exporter-Rust/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exporters_are_recognised() {
        assert!(is_telltale_user_agent(user_agent().as_bytes()));
        assert!(is_telltale_user_agent(b"telltale/9.9.9 OTel-OTLP-Exporter-Rust/9.9.9 tonic/0.14"));
        assert!(!is_telltale_user_agent(b"telltale/0.1.0"));
        assert!(!is_telltale_user_agent(b"curl/8.5 telltale/0.1.0 OTel-OTLP-Exporter-Rust/1"));
        assert!(!is_telltale_user_agent(b"OTel-OTLP-Exporter-Rust/0.33.1"));
        assert!(!is_telltale_user_agent(b""));
    }
}
