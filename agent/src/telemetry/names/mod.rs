//! Every name that leaves the agent for observed traffic, as the OpenTelemetry semantic conventions have it in the version of [`Conventions`].
//!
//! One table of instruments, one of attribute keys; adding one is adding a row.

mod alias;
mod conventions;
mod instrument;
pub mod prometheus;

pub use alias::{Selection, kind_of_alias, select};
pub use conventions::{Conventions, follow, followed, schema_url};
pub use instrument::{
    AUTHORIZATION_DECISIONS, DURATION_BUCKETS, INSTRUMENTS, ISTIO_BUCKETS, ISTIO_INSTRUMENTS, Instrument, Kind, Level,
    Measure, SIZE_BUCKETS, every_instrument, instruments,
};

/// Name of the instrumentation scope of everything observed.
pub const SCOPE_NAME: &str = "telltale";
/// Version of the instrumentation scope.
pub const SCOPE_VERSION: &str = env!("CARGO_PKG_VERSION");
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
    /// What the answer says about authorization: `allow` or `deny`.
    EVENT_ACTION = "event.action";
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
    /// Content of the request, where a policy keeps it (ours).
    TELLTALE_HTTP_REQUEST_BODY = "telltale.http.request.body";
    /// Why that is absent or only a beginning (ours).
    TELLTALE_HTTP_REQUEST_BODY_INCOMPLETE = "telltale.http.request.body_incomplete";
    /// Content of the response, where a policy keeps it (ours).
    TELLTALE_HTTP_RESPONSE_BODY = "telltale.http.response.body";
    /// Why that is absent or only a beginning (ours).
    TELLTALE_HTTP_RESPONSE_BODY_INCOMPLETE = "telltale.http.response.body_incomplete";
    /// Why an exchange was not seen whole (ours).
    TELLTALE_INCOMPLETE = "telltale.incomplete";
    /// Which end reports (ours).
    TELLTALE_REPORTER = "telltale.reporter";
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
