//! Every name that leaves the agent for observed traffic, profile `v1.41` of the OpenTelemetry semantic conventions.
//!
//! One table of instruments, one of attribute keys; adding one is adding a row.

use crate::capture::Role;

/// Name of the instrumentation scope of everything observed.
pub const SCOPE_NAME: &str = "telltale";
/// Version of the instrumentation scope.
pub const SCOPE_VERSION: &str = env!("CARGO_PKG_VERSION");
/// Schema that the names below follow.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.41.0";
/// The attribute that marks the series beyond the cardinality limit (metrics SDK specification, "Cardinality limits").
pub const OVERFLOW: &str = "otel.metric.overflow";

/// Declares the attribute keys once, as constants.
macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident = $key:literal;)+) => {
        /// Attribute keys.
        pub mod key {
            $($(#[$doc])* pub const $name: &str = $key;)+
        }
    };
}

keys! {
    /// Address of the end that opened the exchange, as far as the request tells.
    CLIENT_ADDRESS = "client.address";
    /// Why an operation failed; absent on success.
    ERROR_TYPE = "error.type";
    /// Request method; `_OTHER` if it is not a known one.
    HTTP_REQUEST_METHOD = "http.request.method";
    /// The method as sent, where [`HTTP_REQUEST_METHOD`] is `_OTHER`.
    HTTP_REQUEST_METHOD_ORIGINAL = "http.request.method_original";
    /// Status code of the response.
    HTTP_RESPONSE_STATUS_CODE = "http.response.status_code";
    /// Namespace of the pod.
    K8S_NAMESPACE_NAME = "k8s.namespace.name";
    /// Address of the other end of the connection.
    NETWORK_PEER_ADDRESS = "network.peer.address";
    /// Port of the other end of the connection.
    NETWORK_PEER_PORT = "network.peer.port";
    /// HTTP version.
    NETWORK_PROTOCOL_VERSION = "network.protocol.version";
    /// Whom the request addresses.
    SERVER_ADDRESS = "server.address";
    /// Port that the request addresses.
    SERVER_PORT = "server.port";
    /// Logical name of the service.
    SERVICE_NAME = "service.name";
    /// Why an exchange was not seen whole (ours).
    TELLTALE_INCOMPLETE = "telltale.incomplete";
    /// The whole URL.
    URL_FULL = "url.full";
    /// Path component.
    URL_PATH = "url.path";
    /// Query component, without the question mark.
    URL_QUERY = "url.query";
    /// `http` or `https`.
    URL_SCHEME = "url.scheme";
    /// Value of `User-Agent`.
    USER_AGENT_ORIGINAL = "user_agent.original";
}

/// How strongly the conventions ask for an attribute of an instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Always there.
    Required,
    /// There where its condition holds.
    Conditional,
    /// There by default.
    Recommended,
    /// Only where a policy adds it.
    OptIn,
}

/// What a histogram measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// First byte of the request to last byte of the response.
    Duration,
    /// Request content without transfer coding, before content decoding.
    RequestBody,
    /// Response content, likewise.
    ResponseBody,
}

impl Measure {
    /// Every measure, in the order of [`Self::index`].
    pub const ALL: [Self; 3] = [Self::Duration, Self::RequestBody, Self::ResponseBody];

    /// Position in tables of one entry per measure.
    pub const fn index(self) -> usize {
        match self {
            Self::Duration => 0,
            Self::RequestBody => 1,
            Self::ResponseBody => 2,
        }
    }
}

/// One histogram.
#[derive(Debug)]
pub struct Instrument {
    /// OpenTelemetry name.
    pub name: &'static str,
    /// Whose side it measures.
    pub role: Role,
    /// What it measures.
    pub measure: Measure,
    /// Unit (UCUM).
    pub unit: &'static str,
    /// One sentence for HELP and OTLP.
    pub description: &'static str,
    /// Upper bounds of the buckets, inclusive, without `+Inf`.
    pub buckets: &'static [f64],
    /// Its attributes.
    pub attributes: &'static [(&'static str, Level)],
}

/// Buckets of durations in seconds (semconv http-metrics).
pub const DURATION_BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Buckets of sizes in bytes. The conventions give none; powers of four from empty to 64 MiB.
pub const SIZE_BUCKETS: &[f64] =
    &[0.0, 256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0, 67_108_864.0];

const SERVER_ATTRIBUTES: &[(&str, Level)] = &[
    (key::HTTP_REQUEST_METHOD, Level::Required),
    (key::URL_SCHEME, Level::Required),
    (key::ERROR_TYPE, Level::Conditional),
    (key::HTTP_RESPONSE_STATUS_CODE, Level::Conditional),
    (key::NETWORK_PROTOCOL_VERSION, Level::Recommended),
    (key::SERVER_ADDRESS, Level::OptIn),
    (key::SERVER_PORT, Level::OptIn),
];

const CLIENT_ATTRIBUTES: &[(&str, Level)] = &[
    (key::HTTP_REQUEST_METHOD, Level::Required),
    (key::SERVER_ADDRESS, Level::Required),
    (key::SERVER_PORT, Level::Required),
    (key::ERROR_TYPE, Level::Conditional),
    (key::HTTP_RESPONSE_STATUS_CODE, Level::Conditional),
    (key::NETWORK_PROTOCOL_VERSION, Level::Recommended),
    (key::URL_SCHEME, Level::OptIn),
];

/// The instruments of HTTP. `http.route` and `url.template` are in none: a passive observer cannot know them.
pub const INSTRUMENTS: &[Instrument] = &[
    Instrument {
        name: "http.server.request.duration",
        role: Role::Server,
        measure: Measure::Duration,
        unit: "s",
        description: "Duration of HTTP server requests.",
        buckets: DURATION_BUCKETS,
        attributes: SERVER_ATTRIBUTES,
    },
    Instrument {
        name: "http.server.request.body.size",
        role: Role::Server,
        measure: Measure::RequestBody,
        unit: "By",
        description: "Size of HTTP server request bodies.",
        buckets: SIZE_BUCKETS,
        attributes: SERVER_ATTRIBUTES,
    },
    Instrument {
        name: "http.server.response.body.size",
        role: Role::Server,
        measure: Measure::ResponseBody,
        unit: "By",
        description: "Size of HTTP server response bodies.",
        buckets: SIZE_BUCKETS,
        attributes: SERVER_ATTRIBUTES,
    },
    Instrument {
        name: "http.client.request.duration",
        role: Role::Client,
        measure: Measure::Duration,
        unit: "s",
        description: "Duration of HTTP client requests.",
        buckets: DURATION_BUCKETS,
        attributes: CLIENT_ATTRIBUTES,
    },
    Instrument {
        name: "http.client.request.body.size",
        role: Role::Client,
        measure: Measure::RequestBody,
        unit: "By",
        description: "Size of HTTP client request bodies.",
        buckets: SIZE_BUCKETS,
        attributes: CLIENT_ATTRIBUTES,
    },
    Instrument {
        name: "http.client.response.body.size",
        role: Role::Client,
        measure: Measure::ResponseBody,
        unit: "By",
        description: "Size of HTTP client response bodies.",
        buckets: SIZE_BUCKETS,
        attributes: CLIENT_ATTRIBUTES,
    },
];

/// The instrument of a role and measure.
pub fn instrument(role: Role, measure: Measure) -> &'static Instrument {
    let index = match role {
        Role::Server => measure.index(),
        Role::Client => Measure::ALL.len() + measure.index(),
    };
    &INSTRUMENTS[index]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_and_measure_has_its_row() {
        for role in [Role::Server, Role::Client] {
            for measure in Measure::ALL {
                let row = instrument(role, measure);
                assert_eq!((row.role, row.measure), (role, measure));
                assert!(row.buckets.is_sorted_by(|left, right| left < right), "{}", row.name);
            }
        }
    }
}
