//! The `OTEL_*` variables come before the configuration, which is read as if it had set those that are not set.

use std::fmt::Write as _;

use super::{
    Config,
    file::{Compression, Otlp, Protocol},
};
use crate::{
    export::otlp::{Choice, ConfigError, Signal},
    telemetry::names::Conventions,
};

/// How variables are looked up. An empty value counts as absent.
type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

fn value(lookup: Lookup<'_>, name: &str) -> Option<String> {
    lookup(name).filter(|value| !value.trim().is_empty())
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

impl Config {
    /// Where the telemetry of a signal goes that no policy sends elsewhere.
    ///
    /// # Errors
    /// A variable of the environment that cannot be used.
    pub fn receiver(&self, signal: Signal, environment: Lookup<'_>) -> Result<Choice, ConfigError> {
        match &self.file.otlp {
            // An endpoint of the environment gets nothing that was meant for that of the configuration: its headers may be credentials.
            Some(otlp)
                if [ENDPOINT, signal.endpoint_variable()].iter().all(|name| value(environment, name).is_none()) =>
            {
                Choice::from_environment(signal, &|name| value(environment, name).or_else(|| otlp.variable(name)))
            }
            _ => Choice::from_environment(signal, environment),
        }
    }

    /// Which semantic conventions names follow: `OTEL_SEMCONV_STABILITY_OPT_IN` comes first.
    pub fn conventions(&self, environment: Lookup<'_>) -> Conventions {
        let opted_in = value(environment, "OTEL_SEMCONV_STABILITY_OPT_IN");
        opted_in.and_then(|list| Conventions::opted_in(&list)).or(self.file.conventions).unwrap_or_default()
    }

    /// A variable of the environment, or what the configuration says in its place.
    pub fn variable(&self, name: &str, environment: Lookup<'_>) -> Option<String> {
        value(environment, name).or_else(|| {
            let prometheus = self.file.prometheus.as_ref()?;
            match name {
                "OTEL_EXPORTER_PROMETHEUS_HOST" => prometheus.host.clone(),
                "OTEL_EXPORTER_PROMETHEUS_PORT" => prometheus.port.map(|port| port.to_string()),
                _ => None,
            }
        })
    }
}

impl Otlp {
    /// What a variable would say.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        let tls = self.tls.as_ref();
        match name {
            ENDPOINT => Some(self.endpoint.clone()),
            "OTEL_EXPORTER_OTLP_PROTOCOL" => self.protocol.map(|protocol| match protocol {
                Protocol::Grpc => "grpc".to_owned(),
                Protocol::Http => "http/protobuf".to_owned(),
            }),
            "OTEL_EXPORTER_OTLP_HEADERS" if !self.headers.is_empty() => {
                let pairs = self.headers.iter().map(|header| format!("{}={}", header.name, encoded(&header.value)));
                Some(pairs.collect::<Vec<_>>().join(","))
            }
            "OTEL_EXPORTER_OTLP_COMPRESSION" => self.compression.map(|compression| match compression {
                Compression::Gzip => "gzip".to_owned(),
                Compression::None => "none".to_owned(),
            }),
            "OTEL_EXPORTER_OTLP_CERTIFICATE" => tls?.ca_file.clone(),
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE" => tls?.cert_file.clone(),
            "OTEL_EXPORTER_OTLP_CLIENT_KEY" => tls?.key_file.clone(),
            _ => None,
        }
    }
}

/// Percent-encoded (W3C Baggage, as the variable is written).
fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
