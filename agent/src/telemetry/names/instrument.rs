//! The table of instruments.

use super::{CONNECTION_INSTRUMENTS, Conventions, calls::CALL_INSTRUMENTS, key};
use crate::{capture::Role, policy::model::Profile};

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

/// What an instrument measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Measure {
    /// Exchanges, also those that were not seen whole.
    Requests,
    /// First byte of the request to last byte of the response, in the unit of the instrument.
    Duration,
    /// Request content without transfer coding, before content decoding.
    RequestBody,
    /// Response content, likewise.
    ResponseBody,
    /// Exchanges whose answer tells that they were allowed or denied.
    Decisions,
    /// Something of a call of a language model.
    GenAi(GenAiMeasure),
    /// From the beginning of a message of MCP to its answer.
    McpOperation,
    /// From the beginning of a session of MCP to its end.
    McpSession,
    /// From the beginning of a message of JSON-RPC that is none of MCP to its answer.
    JsonRpc,
    /// Something of a connection.
    Connection(ConnectionMeasure),
}

/// What an instrument measures of a connection, when it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionMeasure {
    /// That it is.
    Ended,
    /// From when it was first seen to its end.
    Duration,
    /// Bytes of each direction.
    Io,
}

/// What an instrument measures of a call of a language model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GenAiMeasure {
    /// First byte of the request to last byte of the response.
    Duration,
    /// The same, of an inference.
    InferenceDuration,
    /// The same, of what is no inference.
    OtherDuration,
    /// First byte of the request to the first chunk of a stream.
    FirstChunk,
    /// The same, of an inference.
    InferenceFirstChunk,
    /// From each chunk of a stream to the next.
    Chunks,
    /// The same, of an inference.
    InferenceChunks,
    /// First byte of the request to the first token of a stream.
    FirstToken,
    /// From token to token of a stream, on the average.
    TokenGap,
    /// Tokens of a call by their type.
    Tokens,
    /// Tokens of an inference, of one kind.
    TokensOf(TokenKind),
    /// The sum of those, by modality.
    TokenSum(TokenKind),
    /// US dollars, by the prices that the agent was given.
    Cost,
}

/// A kind of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// All of the input.
    Input,
    /// All of the output.
    Output,
    /// Of the input, read from a cache.
    CacheRead,
    /// Of the input, written to a cache.
    CacheWrite,
    /// Of the output, reasoning.
    Reasoning,
}

/// What a measurement is of: instruments of the same can share their series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Occasion {
    /// An exchange.
    Exchange,
    /// A call of a language model.
    GenAi,
    /// The tokens of one type in a call.
    TokenType,
    /// The tokens of one modality in a call.
    Modality,
    /// A message of MCP.
    McpMessage,
    /// A session of MCP.
    McpSession,
    /// A message of JSON-RPC.
    JsonRpc,
    /// A connection that is over.
    Connection,
    /// One direction of it.
    ConnectionIo,
}

impl Measure {
    /// What it is measured of.
    pub const fn occasion(self) -> Occasion {
        match self {
            Self::Requests | Self::Duration | Self::RequestBody | Self::ResponseBody | Self::Decisions => {
                Occasion::Exchange
            }
            Self::GenAi(GenAiMeasure::Tokens) => Occasion::TokenType,
            Self::GenAi(GenAiMeasure::TokenSum(_)) => Occasion::Modality,
            Self::GenAi(_) => Occasion::GenAi,
            Self::McpOperation => Occasion::McpMessage,
            Self::McpSession => Occasion::McpSession,
            Self::JsonRpc => Occasion::JsonRpc,
            Self::Connection(ConnectionMeasure::Io) => Occasion::ConnectionIo,
            Self::Connection(_) => Occasion::Connection,
        }
    }
}

/// How an instrument aggregates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A monotonic sum.
    Counter,
    /// Counts per bucket, and their sum.
    Histogram,
}

impl Kind {
    /// As `type` of an override spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "Counter",
            Self::Histogram => "Histogram",
        }
    }
}

/// One instrument.
#[derive(Debug)]
pub struct Instrument {
    /// OpenTelemetry name.
    pub name: &'static str,
    /// Whose side it measures; `None` for both, told apart by an attribute.
    pub role: Option<Role>,
    /// What it measures.
    pub measure: Measure,
    /// Unit (UCUM).
    pub unit: &'static str,
    /// One sentence for HELP and OTLP.
    pub description: &'static str,
    /// Upper bounds of the buckets, inclusive, without `+Inf`. None for a counter.
    pub buckets: &'static [f64],
    /// Its attributes. Of an instrument of both ends they are in the plan's table of labels.
    pub attributes: &'static [(&'static str, Level)],
    /// Whether it is measured only where a policy switches it on.
    pub opt_in: bool,
    /// The only conventions that have it; `None` if all do.
    pub conventions: Option<Conventions>,
}

impl Instrument {
    /// How it aggregates.
    pub const fn kind(&self) -> Kind {
        match self.measure {
            Measure::Requests
            | Measure::Decisions
            | Measure::GenAi(GenAiMeasure::TokenSum(_) | GenAiMeasure::Cost)
            | Measure::Connection(ConnectionMeasure::Ended | ConnectionMeasure::Io) => Kind::Counter,
            _ => Kind::Histogram,
        }
    }

    /// Whether it is a sum of numbers that are not whole.
    pub const fn is_fractional(&self) -> bool {
        matches!(self.measure, Measure::GenAi(GenAiMeasure::Cost))
    }

    /// Whether these conventions have it.
    pub fn is_in(&self, conventions: Conventions) -> bool {
        self.conventions.is_none_or(|only| only == conventions)
    }

    /// The schema URL of the scope that it is in: the conventions for generative AI and MCP have one of their own.
    pub const fn schema_url(&self, conventions: Conventions) -> &'static str {
        match self.measure.occasion() {
            Occasion::Exchange | Occasion::JsonRpc | Occasion::Connection | Occasion::ConnectionIo => {
                conventions.schema_url()
            }
            Occasion::GenAi
            | Occasion::TokenType
            | Occasion::Modality
            | Occasion::McpMessage
            | Occasion::McpSession => conventions.genai_schema_url(),
        }
    }

    /// Whether both measure the same, if not at the same end: their series can share a name.
    pub fn is_like(&self, other: &Self) -> bool {
        self.measure == other.measure && self.unit == other.unit
    }

    /// The attributes that it has unless a policy says otherwise, in the order of the table.
    pub fn default_attributes(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.attributes.iter().filter(|(_, level)| *level != Level::OptIn).map(|&(name, _)| name)
    }
}

/// Each row is its own: in the same conventions names are distinct.
impl PartialEq for Instrument {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.conventions == other.conventions
    }
}

impl Eq for Instrument {}

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

const fn http(
    name: &'static str,
    role: Role,
    measure: Measure,
    description: &'static str,
    buckets: &'static [f64],
) -> Instrument {
    let unit = if matches!(measure, Measure::Duration) { "s" } else { "By" };
    let attributes = if matches!(role, Role::Server) { SERVER_ATTRIBUTES } else { CLIENT_ATTRIBUTES };
    Instrument {
        name,
        role: Some(role),
        measure,
        unit,
        description,
        buckets,
        attributes,
        opt_in: false,
        conventions: None,
    }
}

/// The instruments of HTTP. `http.route` and `url.template` are in none: a passive observer cannot know them.
pub static INSTRUMENTS: &[Instrument] = &[
    http(
        "http.server.request.duration",
        Role::Server,
        Measure::Duration,
        "Duration of HTTP server requests.",
        DURATION_BUCKETS,
    ),
    http(
        "http.server.request.body.size",
        Role::Server,
        Measure::RequestBody,
        "Size of HTTP server request bodies.",
        SIZE_BUCKETS,
    ),
    http(
        "http.server.response.body.size",
        Role::Server,
        Measure::ResponseBody,
        "Size of HTTP server response bodies.",
        SIZE_BUCKETS,
    ),
    http(
        "http.client.request.duration",
        Role::Client,
        Measure::Duration,
        "Duration of HTTP client requests.",
        DURATION_BUCKETS,
    ),
    http(
        "http.client.request.body.size",
        Role::Client,
        Measure::RequestBody,
        "Size of HTTP client request bodies.",
        SIZE_BUCKETS,
    ),
    http(
        "http.client.response.body.size",
        Role::Client,
        Measure::ResponseBody,
        "Size of HTTP client response bodies.",
        SIZE_BUCKETS,
    ),
];

/// Buckets of Envoy, which Istio has for all its histograms, in milliseconds or bytes.
pub const ISTIO_BUCKETS: &[f64] = &[
    0.5,
    1.0,
    5.0,
    10.0,
    25.0,
    50.0,
    100.0,
    250.0,
    500.0,
    1000.0,
    2500.0,
    5000.0,
    10_000.0,
    30_000.0,
    60_000.0,
    300_000.0,
    600_000.0,
    1_800_000.0,
    3_600_000.0,
];

const fn istio(name: &'static str, measure: Measure, unit: &'static str, description: &'static str) -> Instrument {
    let buckets: &[f64] = if matches!(measure, Measure::Requests) { &[] } else { ISTIO_BUCKETS };
    Instrument {
        name,
        role: None,
        measure,
        unit,
        description,
        buckets,
        attributes: &[],
        opt_in: false,
        conventions: None,
    }
}

/// The instruments of the Istio profile.
pub static ISTIO_INSTRUMENTS: &[Instrument] = &[
    istio("istio_requests_total", Measure::Requests, "1", "Requests, also those that were never answered."),
    istio("istio_request_duration_milliseconds", Measure::Duration, "ms", "Duration of requests."),
    istio("istio_request_bytes", Measure::RequestBody, "By", "Size of request bodies."),
    istio("istio_response_bytes", Measure::ResponseBody, "By", "Size of response bodies."),
];

/// The edges of the authorization graph, of every profile.
pub static AUTHORIZATION_DECISIONS: Instrument = Instrument {
    name: "telltale.authorization.decisions",
    role: None,
    measure: Measure::Decisions,
    unit: "{decision}",
    description: "Requests that were allowed or denied, as their answers tell.",
    buckets: &[],
    attributes: &[],
    opt_in: true,
    conventions: None,
};

/// The instruments of a profile, in the order in which they are shown. Those of calls beyond HTTP and of connections are the same in every profile.
pub fn instruments(profile: Profile, conventions: Conventions) -> impl Iterator<Item = &'static Instrument> + Clone {
    let rows = match profile {
        Profile::OpenTelemetry => INSTRUMENTS,
        Profile::Istio => ISTIO_INSTRUMENTS,
    };
    let rows = rows.iter().chain([&AUTHORIZATION_DECISIONS]).chain(CALL_INSTRUMENTS).chain(CONNECTION_INSTRUMENTS);
    rows.filter(move |row| row.is_in(conventions))
}

/// The instruments of all profiles and conventions, in the order in which they are shown.
pub fn every_instrument() -> impl Iterator<Item = &'static Instrument> {
    let of_exchanges = INSTRUMENTS.iter().chain(ISTIO_INSTRUMENTS).chain([&AUTHORIZATION_DECISIONS]);
    of_exchanges.chain(CALL_INSTRUMENTS).chain(CONNECTION_INSTRUMENTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_ascend_and_only_histograms_have_them() {
        for row in every_instrument() {
            assert!(row.buckets.is_sorted_by(|left, right| left < right), "{}", row.name);
            assert_eq!(row.buckets.is_empty(), row.kind() == Kind::Counter, "{}", row.name);
        }
    }

    #[test]
    fn names_are_distinct() {
        for conventions in [Conventions::V1_41, Conventions::Latest] {
            let rows = every_instrument().filter(|row| row.is_in(conventions));
            let mut names: Vec<_> = rows.map(Instrument::prometheus_name).collect();
            names.sort_unstable();
            assert!(names.is_sorted_by(|left, right| left < right), "{names:?}");
        }
    }
}
