//! Envoy's command operators: every name, and what it means where nothing but the traffic is seen.
//!
//! One connection is both "downstream" and "upstream": there is no proxy between its ends. So the downstream's remote end is the client, and the
//! upstream's the server.

use super::source::{AddressPart, End, Moment, Point, Section};
use crate::policy::attribute::Key;

/// What an operator means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Only a proxy could know: it renders `-`, whatever its argument.
    Unknown,
    /// The value of a key. No argument.
    Key(Key),
    /// A moment; its argument is a time format.
    Time(Moment),
    /// A header field, or its alternative: `X?Y`.
    Header(Section),
    /// The same of the request, without a query.
    HeaderWithoutQuery,
    /// Whole milliseconds between two points. No argument.
    Millis(Point, Point),
    /// `START:END:PRECISION`
    CommonDuration,
    /// An address. Without port its argument is the length of a prefix.
    Address(End, AddressPart),
    /// `CAMEL_STRING`, `SNAKE_STRING` or `NUMBER`.
    GrpcStatus,
    /// `X:Y`, where `X` is whether the host stands in for the server name.
    ServerName,
    /// `X:Y`, where `X` is `WQ` or `NQ`, and `Y` says which path.
    Path,
    /// A parameter of the query.
    QueryParameter,
    /// `ORIG` or `DECODED`.
    Query,
    /// An environment variable of the agent.
    Environment,
    /// A CEL expression.
    Cel,
    /// JSON that lists operators.
    Coalesce,
    /// A UUID of this line. No argument.
    UniqueId,
    /// The pod, or the machine of a local process. No argument.
    HostName,
}

/// An operator by its name.
pub(super) fn find(name: &str) -> Option<Meaning> {
    OPERATORS.iter().find(|(known, _)| *known == name).map(|(_, meaning)| *meaning)
}

/// Every name.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    OPERATORS.iter().map(|(name, _)| *name)
}

use AddressPart::{Host, Port, Whole};
use End::{Destination, Source};
use Meaning::{Address, Header, Millis, Time, Unknown};

/// In the order of Envoy's documentation ("Substitution Formatter").
const OPERATORS: &[(&str, Meaning)] = &[
    ("START_TIME", Time(Moment::Start)),
    ("START_TIME_LOCAL", Time(Moment::Start)),
    ("EMIT_TIME", Time(Moment::End)),
    ("EMIT_TIME_LOCAL", Time(Moment::End)),
    ("REQUEST_HEADERS_BYTES", Unknown),
    ("BYTES_RECEIVED", Meaning::Key(Key::RequestBodySize)),
    ("BYTES_RETRANSMITTED", Unknown),
    ("PACKETS_RETRANSMITTED", Unknown),
    ("PROTOCOL", Meaning::Key(Key::RequestProtocol)),
    ("UPSTREAM_PROTOCOL", Meaning::Key(Key::RequestProtocol)),
    ("RESPONSE_CODE", Meaning::Key(Key::ResponseCode)),
    ("RESPONSE_CODE_DETAILS", Unknown),
    ("CONNECTION_TERMINATION_DETAILS", Unknown),
    ("RESPONSE_HEADERS_BYTES", Unknown),
    ("RESPONSE_TRAILERS_BYTES", Unknown),
    ("BYTES_SENT", Meaning::Key(Key::ResponseBodySize)),
    ("UPSTREAM_REQUEST_ATTEMPT_COUNT", Unknown),
    ("UPSTREAM_WIRE_BYTES_SENT", Unknown),
    ("UPSTREAM_WIRE_BYTES_RECEIVED", Unknown),
    ("UPSTREAM_HEADER_BYTES_SENT", Unknown),
    ("UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT", Unknown),
    ("UPSTREAM_HEADER_BYTES_RECEIVED", Unknown),
    ("UPSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED", Unknown),
    ("DOWNSTREAM_WIRE_BYTES_SENT", Unknown),
    ("DOWNSTREAM_WIRE_BYTES_RECEIVED", Unknown),
    ("DOWNSTREAM_HEADER_BYTES_SENT", Unknown),
    ("DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_SENT", Unknown),
    ("DOWNSTREAM_HEADER_BYTES_RECEIVED", Unknown),
    ("DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED", Unknown),
    ("DURATION", Meaning::Key(Key::DurationMillis)),
    ("COMMON_DURATION", Meaning::CommonDuration),
    ("REQUEST_DURATION", Millis(Point::RequestFirst, Point::RequestLast)),
    ("REQUEST_TX_DURATION", Millis(Point::RequestFirst, Point::RequestLast)),
    ("RESPONSE_DURATION", Millis(Point::RequestFirst, Point::ResponseFirst)),
    ("ROUNDTRIP_DURATION", Unknown),
    ("RESPONSE_TX_DURATION", Millis(Point::ResponseFirst, Point::ResponseLast)),
    ("DOWNSTREAM_HANDSHAKE_DURATION", Unknown),
    ("UPSTREAM_CONNECTION_POOL_READY_DURATION", Unknown),
    ("RESPONSE_FLAGS", Unknown),
    ("RESPONSE_FLAGS_LONG", Unknown),
    ("ROUTE_NAME", Unknown),
    ("VIRTUAL_CLUSTER_NAME", Unknown),
    ("UPSTREAM_HOST", Address(Destination, Whole)),
    ("UPSTREAM_HOST_NAME", Address(Destination, Whole)),
    ("UPSTREAM_HOST_NAME_WITHOUT_PORT", Address(Destination, Host { prefix: None })),
    ("UPSTREAM_HOSTS_ATTEMPTED", Unknown),
    ("UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT", Unknown),
    ("UPSTREAM_HOST_NAMES_ATTEMPTED", Unknown),
    ("UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT", Unknown),
    ("UPSTREAM_CLUSTER", Unknown),
    ("UPSTREAM_CLUSTER_RAW", Unknown),
    ("UPSTREAM_LOCAL_ADDRESS", Address(Source, Whole)),
    ("UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", Address(Source, Host { prefix: None })),
    ("UPSTREAM_LOCAL_PORT", Address(Source, Port)),
    ("UPSTREAM_REMOTE_ADDRESS", Address(Destination, Whole)),
    ("UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", Address(Destination, Host { prefix: None })),
    ("UPSTREAM_REMOTE_PORT", Address(Destination, Port)),
    ("UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID", Unknown),
    ("UPSTREAM_TRANSPORT_FAILURE_REASON", Unknown),
    ("UPSTREAM_DETECTED_CLOSE_TYPE", Unknown),
    ("UPSTREAM_LOCAL_CLOSE_REASON", Unknown),
    ("DOWNSTREAM_TRANSPORT_FAILURE_REASON", Unknown),
    ("DOWNSTREAM_LOCAL_CLOSE_REASON", Unknown),
    ("DOWNSTREAM_DETECTED_CLOSE_TYPE", Unknown),
    ("DOWNSTREAM_REMOTE_ADDRESS", Address(Source, Whole)),
    ("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", Address(Source, Host { prefix: None })),
    ("DOWNSTREAM_REMOTE_PORT", Address(Source, Port)),
    ("DOWNSTREAM_DIRECT_REMOTE_ADDRESS", Address(Source, Whole)),
    ("DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT", Address(Source, Host { prefix: None })),
    ("DOWNSTREAM_DIRECT_REMOTE_PORT", Address(Source, Port)),
    ("DOWNSTREAM_LOCAL_ADDRESS", Address(Destination, Whole)),
    ("DOWNSTREAM_DIRECT_LOCAL_ADDRESS", Address(Destination, Whole)),
    ("DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", Address(Destination, Host { prefix: None })),
    ("DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT", Address(Destination, Host { prefix: None })),
    ("DOWNSTREAM_LOCAL_PORT", Address(Destination, Port)),
    ("DOWNSTREAM_DIRECT_LOCAL_PORT", Address(Destination, Port)),
    ("DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID", Unknown),
    ("DOWNSTREAM_DIRECT_LOCAL_ADDRESS_ENDPOINT_ID", Unknown),
    ("CONNECTION_ID", Unknown),
    ("UPSTREAM_CONNECTION_ID", Unknown),
    ("UPSTREAM_CONNECTION_IDS_ATTEMPTED", Unknown),
    // The documentation says that it is the same as `REQ(X-REQUEST-ID)`.
    ("STREAM_ID", Meaning::Key(Key::RequestId)),
    ("GRPC_STATUS", Meaning::GrpcStatus),
    ("GRPC_STATUS_NUMBER", Meaning::Key(Key::GrpcStatus)),
    ("REQUEST_HEADER", Header(Section::Request)),
    ("REQ", Header(Section::Request)),
    ("RESPONSE_HEADER", Header(Section::Response)),
    ("RESP", Header(Section::Response)),
    ("RESPONSE_TRAILER", Header(Section::Trailer)),
    ("TRAILER", Header(Section::Trailer)),
    ("DYNAMIC_METADATA", Unknown),
    ("CLUSTER_METADATA", Unknown),
    ("UPSTREAM_METADATA", Unknown),
    ("FILTER_STATE", Unknown),
    ("UPSTREAM_FILTER_STATE", Unknown),
    ("REQUESTED_SERVER_NAME", Meaning::ServerName),
    ("DOWNSTREAM_LOCAL_IP_SAN", Unknown),
    ("DOWNSTREAM_PEER_IP_SAN", Unknown),
    ("DOWNSTREAM_LOCAL_DNS_SAN", Unknown),
    ("DOWNSTREAM_PEER_DNS_SAN", Unknown),
    ("DOWNSTREAM_LOCAL_URI_SAN", Unknown),
    ("DOWNSTREAM_PEER_URI_SAN", Unknown),
    ("DOWNSTREAM_LOCAL_EMAIL_SAN", Unknown),
    ("DOWNSTREAM_PEER_EMAIL_SAN", Unknown),
    ("DOWNSTREAM_LOCAL_OTHERNAME_SAN", Unknown),
    ("DOWNSTREAM_PEER_OTHERNAME_SAN", Unknown),
    ("DOWNSTREAM_LOCAL_SUBJECT", Unknown),
    ("DOWNSTREAM_PEER_SUBJECT", Unknown),
    ("DOWNSTREAM_PEER_ISSUER", Unknown),
    ("DOWNSTREAM_TLS_SESSION_ID", Unknown),
    ("DOWNSTREAM_TLS_CIPHER", Unknown),
    ("DOWNSTREAM_TLS_GROUP", Unknown),
    ("DOWNSTREAM_TLS_VERSION", Unknown),
    ("DOWNSTREAM_PEER_FINGERPRINT_256", Unknown),
    ("DOWNSTREAM_PEER_FINGERPRINT_1", Unknown),
    ("DOWNSTREAM_PEER_SERIAL", Unknown),
    ("DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256", Unknown),
    ("DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1", Unknown),
    ("DOWNSTREAM_PEER_CHAIN_SERIALS", Unknown),
    ("DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256", Unknown),
    ("DOWNSTREAM_PEER_ISSUER_SERIAL", Unknown),
    ("DOWNSTREAM_PEER_CERT", Unknown),
    ("DOWNSTREAM_PEER_CERT_V_START", Unknown),
    ("DOWNSTREAM_PEER_CERT_V_END", Unknown),
    ("TLS_JA3_FINGERPRINT", Unknown),
    ("TLS_JA4_FINGERPRINT", Unknown),
    ("UPSTREAM_PEER_SUBJECT", Unknown),
    ("UPSTREAM_PEER_ISSUER", Unknown),
    ("UPSTREAM_PEER_CERT", Unknown),
    ("UPSTREAM_PEER_CERT_V_START", Unknown),
    ("UPSTREAM_PEER_CERT_V_END", Unknown),
    ("UPSTREAM_PEER_URI_SAN", Unknown),
    ("UPSTREAM_PEER_DNS_SAN", Unknown),
    ("UPSTREAM_PEER_IP_SAN", Unknown),
    ("UPSTREAM_LOCAL_URI_SAN", Unknown),
    ("UPSTREAM_LOCAL_DNS_SAN", Unknown),
    ("UPSTREAM_LOCAL_IP_SAN", Unknown),
    ("UPSTREAM_TLS_SESSION_ID", Unknown),
    ("UPSTREAM_TLS_CIPHER", Unknown),
    ("UPSTREAM_TLS_GROUP", Unknown),
    ("UPSTREAM_TLS_VERSION", Unknown),
    ("UPSTREAM_SERVER_NAME", Unknown),
    ("HOSTNAME", Meaning::HostName),
    ("LOCAL_REPLY_BODY", Unknown),
    ("FILTER_CHAIN_NAME", Unknown),
    ("ACCESS_LOG_TYPE", Unknown),
    ("UNIQUE_ID", Meaning::UniqueId),
    ("ENVIRONMENT", Meaning::Environment),
    ("TRACE_ID", Meaning::Key(Key::TraceId)),
    ("SPAN_ID", Meaning::Key(Key::SpanId)),
    ("QUERY_PARAM", Meaning::QueryParameter),
    ("QUERY_PARAMS", Meaning::Query),
    ("PATH", Meaning::Path),
    ("CUSTOM_FLAGS", Unknown),
    ("COALESCE", Meaning::Coalesce),
    ("METADATA", Unknown),
    ("CEL", Meaning::Cel),
    ("TYPED_CEL", Meaning::Cel),
    ("REQ_WITHOUT_QUERY", Meaning::HeaderWithoutQuery),
    // Of the proxy's own machine.
    ("FILE_CONTENT", Unknown),
    ("SECRET", Unknown),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct() {
        let mut all: Vec<_> = names().collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), OPERATORS.len());
        assert_eq!(find("START_TIME"), Some(Time(Moment::Start)));
        assert_eq!(find("start_time"), None);
    }
}
