//! Every name that leaves the agent for observed traffic, as the OpenTelemetry semantic conventions have it in the version of [`Conventions`].
//!
//! One table of instruments, one of attribute keys; adding one is adding a row.

mod alias;
mod calls;
mod connections;
mod conventions;
#[cfg(test)]
mod documentation;
mod instrument;
pub mod prometheus;

pub use alias::{Selection, kind_of_alias, select};
pub use calls::{CALL_INSTRUMENTS, GENAI_BUCKETS, MCP_BUCKETS, TOKEN_BUCKETS};
pub use connections::CONNECTION_INSTRUMENTS;
pub use conventions::{Conventions, follow, followed, schema_url};
pub use instrument::{
    AUTHORIZATION_DECISIONS, ConnectionMeasure, DURATION_BUCKETS, GenAiMeasure, INSTRUMENTS, ISTIO_BUCKETS,
    ISTIO_INSTRUMENTS, Instrument, Kind, Level, Measure, Occasion, SIZE_BUCKETS, TokenKind, every_instrument,
    instruments,
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
    /// Port of that end.
    CLIENT_PORT = "client.port";
    /// Why an operation failed; absent on success.
    ERROR_TYPE = "error.type";
    /// What the answer says about authorization: `allow` or `deny`.
    EVENT_ACTION = "event.action";
    /// What is asked of a model.
    GEN_AI_OPERATION_NAME = "gen_ai.operation.name";
    /// Name of the prompt that is asked for.
    GEN_AI_PROMPT_NAME = "gen_ai.prompt.name";
    /// Whose API of models it is.
    GEN_AI_PROVIDER_NAME = "gen_ai.provider.name";
    /// Model that was asked for.
    GEN_AI_REQUEST_MODEL = "gen_ai.request.model";
    /// Model that answered.
    GEN_AI_RESPONSE_MODEL = "gen_ai.response.model";
    /// What tokens are of: `text`, `image`, `audio`, `unknown`.
    GEN_AI_TOKEN_MODALITY = "gen_ai.token.modality";
    /// Whether tokens are `input` or `output`.
    GEN_AI_TOKEN_TYPE = "gen_ai.token.type";
    /// Tool that is called.
    GEN_AI_TOOL_NAME = "gen_ai.tool.name";
    /// Request method; `_OTHER` if it is not a known one.
    HTTP_REQUEST_METHOD = "http.request.method";
    /// The method as sent, where [`HTTP_REQUEST_METHOD`] is `_OTHER`.
    HTTP_REQUEST_METHOD_ORIGINAL = "http.request.method_original";
    /// Status code of the response.
    HTTP_RESPONSE_STATUS_CODE = "http.response.status_code";
    /// Version of JSON-RPC, where it is not 2.0.
    JSONRPC_PROTOCOL_VERSION = "jsonrpc.protocol.version";
    /// Namespace of the pod.
    K8S_NAMESPACE_NAME = "k8s.namespace.name";
    /// Method of MCP.
    MCP_METHOD_NAME = "mcp.method.name";
    /// Revision of MCP.
    MCP_PROTOCOL_VERSION = "mcp.protocol.version";
    /// URI of the resource.
    MCP_RESOURCE_URI = "mcp.resource.uri";
    /// Which way bytes went, seen from the end that reports: `transmit` or `receive`.
    NETWORK_IO_DIRECTION = "network.io.direction";
    /// Address of the other end of the connection.
    NETWORK_PEER_ADDRESS = "network.peer.address";
    /// Port of the other end of the connection.
    NETWORK_PEER_PORT = "network.peer.port";
    /// `http`.
    NETWORK_PROTOCOL_NAME = "network.protocol.name";
    /// HTTP version.
    NETWORK_PROTOCOL_VERSION = "network.protocol.version";
    /// `tcp`.
    NETWORK_TRANSPORT = "network.transport";
    /// Service tier that answered.
    OPENAI_RESPONSE_SERVICE_TIER = "openai.response.service_tier";
    /// `OpenAI`'s fingerprint of what answered.
    OPENAI_RESPONSE_SYSTEM_FINGERPRINT = "openai.response.system_fingerprint";
    /// Method of a remote procedure call.
    RPC_METHOD = "rpc.method";
    /// Status or code with which a remote procedure call was answered.
    RPC_RESPONSE_STATUS_CODE = "rpc.response.status_code";
    /// Which system of remote procedure calls.
    RPC_SYSTEM_NAME = "rpc.system.name";
    /// Whom the request addresses.
    SERVER_ADDRESS = "server.address";
    /// Port that the request addresses.
    SERVER_PORT = "server.port";
    /// Logical name of the service.
    SERVICE_NAME = "service.name";
    /// Why nothing of a connection was read (ours).
    TELLTALE_CONNECTION_OPAQUE_REASON = "telltale.connection.opaque_reason";
    /// Whether a connection was read as it is, inside TLS, or not at all (ours).
    TELLTALE_CONNECTION_VISIBILITY = "telltale.connection.visibility";
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
    /// Version of TLS, where the connection is TLS.
    TLS_PROTOCOL_VERSION = "tls.protocol.version";
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
