//! The table of keys: what an exchange can be asked. The one place that names them, for validation, capture, CEL and `docs/attributes.md`.

use super::{Row, Type, When};
use crate::policy::Capture;

/// Declares [`Key`] and the rows of the table, in one order.
macro_rules! keys {
    ($($(#[doc = $doc:literal])+
        $key:ident: $kind:ident, $when:ident, $needs:ident
        $(, attribute $attribute:literal)? $(, cel [$($cel:literal),+])? $(, log [$($log:literal),+])?;)+) => {
        /// What an exchange can be asked. Each variant is one row of the table of keys.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Key {
            $($(#[doc = $doc])+ $key,)+
        }

        impl Key {
            /// Every key, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$key),+];
        }

        const ROWS: &[Row] = &[$(Row {
            attribute: first(&[$($attribute)?]),
            cel: &[$($($cel),+)?],
            log: &[$($($log),+)?],
            kind: Type::$kind,
            when: When::$when,
            needs: Capture::$needs,
            description: concat!($($doc),+),
        }),+];
    };
}

const fn first(names: &[&'static str]) -> Option<&'static str> {
    match names {
        [] => None,
        [name, ..] => Some(name),
    }
}

keys! {
    // The request.

    /// Request method; `_OTHER` if it is not a known one.
    HttpRequestMethod: Text, Always, Heads, attribute "http.request.method";
    /// The method as sent, where `http.request.method` is `_OTHER`.
    HttpRequestMethodOriginal: Text, Request, Heads, attribute "http.request.method_original";
    /// Request method as sent.
    Method: Text, Always, Heads, cel ["request.method"], log ["method"];
    /// Request target as sent, so with the query.
    Path: Text, Always, Heads, cel ["request.path"], log ["path"];
    /// Path without the query.
    UrlPath: Text, Request, Heads, attribute "url.path", cel ["request.url_path"];
    /// Query, without the question mark.
    UrlQuery: Text, Request, Heads, attribute "url.query", cel ["request.query"];
    /// `http` or `https`; a server believes a proxy's `Forwarded` or `X-Forwarded-Proto`.
    UrlScheme: Text, Always, Heads, attribute "url.scheme", cel ["request.scheme"];
    /// The whole URL, put together from scheme, authority and target.
    UrlFull: Text, Addresses, Heads, attribute "url.full";
    /// What the request addresses: the authority of its target, else `Host`.
    Authority: Text, Request, Heads, cel ["request.host"], log ["authority"];
    /// Host that the request addresses; a server believes a proxy's `Forwarded` or `X-Forwarded-Host`.
    ServerAddress: Text, Request, Heads, attribute "server.address";
    /// Port that the request addresses.
    ServerPort: Int, Request, Heads, attribute "server.port";
    /// Address of the client; a server believes a proxy's `Forwarded` or `X-Forwarded-For`.
    ClientAddress: Text, Addresses, Heads, attribute "client.address";
    /// Port of the client; absent where a proxy says who it was.
    ClientPort: Int, Peer, Heads, attribute "client.port";
    /// `User-Agent`.
    UserAgent: Text, Request, Heads, attribute "user_agent.original", cel ["request.useragent"], log ["user_agent"];
    /// `Referer`.
    Referer: Text, Request, Heads, cel ["request.referer"];
    /// `X-Request-Id`.
    RequestId: Text, Request, Heads, cel ["request.id"], log ["request_id"];
    /// `X-Forwarded-For`.
    ForwardedFor: Text, Request, Heads, log ["x_forwarded_for"];
    /// `HTTP/1.0`, `HTTP/1.1` or `HTTP/2`.
    RequestProtocol: Text, Always, Heads, cel ["request.protocol"], log ["protocol"];
    /// Header fields of the request by lower-case name; several of one name are joined by a comma.
    RequestHeaders: Map, Always, Heads, cel ["request.headers"];
    /// When the first byte of the request moved.
    RequestTime: Time, Always, Heads, cel ["request.time"], log ["start_time"];
    /// From the first byte of the request to the last of the response.
    RequestDuration: Duration, Whole, Heads, cel ["request.duration"];
    /// The same in whole milliseconds.
    DurationMillis: Int, Whole, Heads, log ["duration"];
    /// Bytes of request content without transfer coding, before content decoding.
    RequestBodySize: Int, Request, Heads, attribute "http.request.body.size", cel ["request.size"], log ["bytes_received"];
    /// Bytes of the request on the wire.
    RequestTotalSize: Int, Never, Heads, attribute "http.request.size", cel ["request.total_size"];
    /// Bytes of the request's header section.
    RequestHeadersBytes: Int, Never, Heads, cel ["request.headers_bytes"];
    /// Content of the request, redacted as the policy's `content` says; never a label of a metric.
    HttpRequestBody: Text, Content, Bodies, attribute "telltale.http.request.body";
    /// Why that is absent or only the beginning of the content.
    HttpRequestBodyIncomplete: Text, ContentIncomplete, Bodies, attribute "telltale.http.request.body_incomplete";

    // The response.

    /// Status code.
    HttpResponseStatusCode: Int, Response, Heads, attribute "http.response.status_code", log ["response_code"];
    /// Status code; 0 where no answer came. Absent where it is not known whether one came.
    ResponseCode: Int, Response, Heads, cel ["response.code"];
    /// Header fields of the response by lower-case name; several of one name are joined by a comma.
    ResponseHeaders: Map, Response, Heads, cel ["response.headers"];
    /// Trailer fields of the response by lower-case name.
    ResponseTrailers: Map, Response, Heads, cel ["response.trailers"];
    /// Bytes of response content without transfer coding, before content decoding.
    ResponseBodySize: Int, Response, Heads, attribute "http.response.body.size", cel ["response.size"], log ["bytes_sent"];
    /// `X-Envoy-Upstream-Service-Time`, which a proxy adds.
    UpstreamServiceTime: Text, ResponseSays, Heads, log ["upstream_service_time"];
    /// Why it failed: the code of the provider of a language model, of a JSON-RPC error, or `tool_error`; else the status code of an error status, or why no
    /// answer came.
    ErrorType: Text, Failed, Heads, attribute "error.type", log ["error_type"];
    /// Why the exchange was not seen whole.
    Incomplete: Text, Incomplete, Heads, attribute "telltale.incomplete", log ["incomplete"];
    /// Bytes of the response on the wire.
    ResponseTotalSize: Int, Never, Heads, attribute "http.response.size", cel ["response.total_size"];
    /// Bytes of the response's header section.
    ResponseHeadersBytes: Int, Never, Heads, cel ["response.headers_bytes"];
    /// Content of the response, redacted as the policy's `content` says; never a label of a metric.
    HttpResponseBody: Text, Content, Bodies, attribute "telltale.http.response.body";
    /// Why that is absent or only the beginning of the content.
    HttpResponseBodyIncomplete: Text, ContentIncomplete, Bodies, attribute "telltale.http.response.body_incomplete";
    /// What a proxy noted about the response.
    ResponseFlags: Int, Never, Heads, cel ["response.flags"], log ["response_flags"];
    /// Why a proxy sent this code.
    ResponseCodeDetails: Text, Never, Heads, cel ["response.code_details"], log ["response_code_details"];
    /// Time that a proxy waited for its upstream.
    ResponseBackendLatency: Duration, Never, Heads, cel ["response.backend_latency"];
    /// The route of a proxy.
    RouteName: Text, Never, Heads, attribute "http.route", log ["route_name"];
    /// The upstream of a proxy.
    UpstreamCluster: Text, Never, Heads, log ["upstream_cluster"];
    /// Why a proxy could not connect.
    UpstreamTransportFailureReason: Text, Never, Heads, log ["upstream_transport_failure_reason"];

    // gRPC.

    /// `grpc`; `jsonrpc` for JSON-RPC that is not MCP, where content is read.
    RpcSystemName: Text, Rpc, Heads, attribute "rpc.system.name";
    /// `package.Service/Method`, where the answer shows that the method exists, else `_OTHER`; of JSON-RPC that is not MCP the method as sent.
    RpcMethod: Text, Rpc, Heads, attribute "rpc.method";
    /// Name of the gRPC status: `OK`, `DEADLINE_EXCEEDED`, ...; of MCP and other JSON-RPC the code of the error.
    RpcResponseStatusCode: Text, Rpc, Heads, attribute "rpc.response.status_code";
    /// Number of the gRPC status.
    GrpcStatus: Int, Grpc, Heads, cel ["response.grpc_status"], log ["grpc_status"];

    // Authorization, as seen from outside.

    /// `deny` for 401, 403, 407, a 4xx with `WWW-Authenticate`, gRPC `UNAUTHENTICATED` and `PERMISSION_DENIED`; `allow` for success; absent where the answer does not tell.
    EventAction: Text, Response, Heads, attribute "event.action";
    /// `failure` where `event.action` is `deny`, `success` where it is `allow`, `unknown` where an answer does not tell; absent without an answer.
    EventOutcome: Text, Response, Heads, attribute "event.outcome";

    // The connection.

    /// Address of the other end of the connection.
    NetworkPeerAddress: Text, Addresses, Nothing, attribute "network.peer.address";
    /// Port of the other end of the connection.
    NetworkPeerPort: Int, Addresses, Nothing, attribute "network.peer.port";
    /// Address of the end that reports.
    NetworkLocalAddress: Text, Addresses, Nothing, attribute "network.local.address";
    /// Port of the end that reports.
    NetworkLocalPort: Int, Addresses, Nothing, attribute "network.local.port";
    /// `tcp`.
    NetworkTransport: Text, Always, Nothing, attribute "network.transport";
    /// `ipv4` or `ipv6`.
    NetworkType: Text, Addresses, Nothing, attribute "network.type";
    /// `http`.
    NetworkProtocolName: Text, Always, Heads, attribute "network.protocol.name";
    /// `1.0`, `1.1` or `2`.
    NetworkProtocolVersion: Text, Always, Heads, attribute "network.protocol.version";
    /// Which end reports: `client` or `server`.
    Reporter: Text, Always, Heads, attribute "telltale.reporter", log ["reporter"];
    /// Whether the connection is TLS; what is told of its exchanges was read inside it.
    ConnectionTls: Bool, Always, Nothing, attribute "telltale.tls";
    /// How much of the connection was read: `plain`, `decrypted`; of connections that are not read `opaque`.
    ConnectionVisibility: Text, Always, Nothing, attribute "telltale.connection.visibility";
    /// Why a connection was not read: `tls`, `http2`, `upgraded`, `unknown`.
    ConnectionOpaqueReason: Text, Connection, Nothing, attribute "telltale.connection.opaque_reason";
    /// `tls`, or `ssl` before TLS 1.0.
    TlsProtocolName: Text, Tls, Nothing, attribute "tls.protocol.name";
    /// Version of TLS that the server chose.
    TlsProtocolVersion: Text, Tls, Nothing, attribute "tls.protocol.version";
    /// Application protocol that the server chose, where it said so in clear: before TLS 1.3.
    TlsNextProtocol: Text, Tls, Nothing, attribute "tls.next_protocol";
    /// Application protocols that the client offered, in its order, with commas between: `h2,http/1.1`.
    TlsOfferedProtocols: Text, Tls, Nothing, attribute "telltale.connection.offered_protocols";
    /// A proxy's number of the connection.
    ConnectionId: Int, Never, Nothing, cel ["connection.id"];
    /// Whether the client showed a certificate to a proxy.
    ConnectionMtls: Bool, Never, Nothing, cel ["connection.mtls"];
    /// Server name that the client asked for (SNI).
    ConnectionServerName: Text, Tls, Nothing, attribute "tls.client.server_name", cel ["connection.requested_server_name"], log ["requested_server_name"];
    /// The version of TLS as Envoy writes it: `TLSv1.3`.
    ConnectionTlsVersion: Text, Tls, Nothing, cel ["connection.tls_version"];
    /// Why a proxy closed the connection.
    ConnectionTerminationDetails: Text, Never, Nothing, cel ["connection.termination_details"], log ["connection_termination_details"];

    // Both ends: the source is the client, the destination the server.

    /// `address:port` of the client.
    SourceAddress: Text, Addresses, Heads, cel ["source.address"], log ["downstream_remote_address", "upstream_local_address"];
    /// Port of the client.
    SourcePort: Int, Addresses, Heads, cel ["source.port"];
    /// The client: `namespace/service` if its workload is known, else `address:port`.
    Source: Text, Addresses, Heads, log ["source"];
    /// Workload of the client: the name of the object that controls its pod, else the service name.
    SourceWorkload: Text, Peer, Heads, cel ["source.workload"];
    /// Namespace of the client.
    SourceNamespace: Text, Peer, Heads, cel ["source.namespace"];
    /// Service account of the client.
    SourceServiceAccount: Text, Peer, Heads, cel ["source.service_account"];
    /// Label `app` of the client, else `app.kubernetes.io/name`.
    SourceApp: Text, Peer, Heads, cel ["source.app"];
    /// Label `version` of the client, else `app.kubernetes.io/version`.
    SourceVersion: Text, Peer, Heads, cel ["source.version"];
    /// Istio's canonical name of the client: label `service.istio.io/canonical-name`, `app.kubernetes.io/name`, `app`, else the workload.
    SourceCanonicalService: Text, Peer, Heads, cel ["source.canonical_service"];
    /// Istio's canonical revision of the client: label `service.istio.io/canonical-revision`, `app.kubernetes.io/version`, `version`, else `latest`.
    SourceCanonicalRevision: Text, Peer, Heads, cel ["source.canonical_revision"];
    /// Pod labels of the client; of the other end only where it is in the same namespace.
    SourceLabels: Map, Peer, Heads, cel ["source.labels"];
    /// `address:port` of the server.
    DestinationAddress: Text, Addresses, Heads, cel ["destination.address"], log ["upstream_host", "downstream_local_address"];
    /// Port of the server.
    DestinationPort: Int, Addresses, Heads, cel ["destination.port"];
    /// The server: `namespace/service` if its workload is known; of a pod's request to the outside the host and port that it addresses; else `address:port`.
    Destination: Text, Addresses, Heads, log ["destination"];
    /// Workload of the server: the name of the object that controls its pod, else the service name.
    DestinationWorkload: Text, Peer, Heads, cel ["destination.workload"];
    /// Namespace of the server.
    DestinationNamespace: Text, Peer, Heads, cel ["destination.namespace"];
    /// Service account of the server.
    DestinationServiceAccount: Text, Peer, Heads, cel ["destination.service_account"];
    /// Label `app` of the server, else `app.kubernetes.io/name`.
    DestinationApp: Text, Peer, Heads, cel ["destination.app"];
    /// Label `version` of the server, else `app.kubernetes.io/version`.
    DestinationVersion: Text, Peer, Heads, cel ["destination.version"];
    /// Istio's canonical name of the server: label `service.istio.io/canonical-name`, `app.kubernetes.io/name`, `app`, else the workload.
    DestinationCanonicalService: Text, Peer, Heads, cel ["destination.canonical_service"];
    /// Istio's canonical revision of the server: label `service.istio.io/canonical-revision`, `app.kubernetes.io/version`, `version`, else `latest`.
    DestinationCanonicalRevision: Text, Peer, Heads, cel ["destination.canonical_revision"];
    /// Pod labels of the server; of the other end only where it is in the same namespace.
    DestinationLabels: Map, Peer, Heads, cel ["destination.labels"];

    // Whom the end that reports belongs to.

    /// Logical name of the service.
    ServiceName: Text, Workload, Nothing, attribute "service.name";
    /// Name of the machine, of a local process.
    HostName: Text, Workload, Nothing, attribute "host.name";
    /// Process id, of a local process.
    ProcessPid: Int, Workload, Nothing, attribute "process.pid";
    /// File name of the executable.
    ProcessExecutableName: Text, Workload, Nothing, attribute "process.executable.name";
    /// Namespace of the pod.
    K8sNamespaceName: Text, Workload, Nothing, attribute "k8s.namespace.name";
    /// Name of the pod.
    K8sPodName: Text, Workload, Nothing, attribute "k8s.pod.name";
    /// UID of the pod.
    K8sPodUid: Text, Workload, Nothing, attribute "k8s.pod.uid";
    /// Name of the container.
    K8sContainerName: Text, Workload, Nothing, attribute "k8s.container.name";
    /// Name of the node.
    K8sNodeName: Text, Workload, Nothing, attribute "k8s.node.name";
    /// Name of the Deployment that controls the pod.
    K8sDeploymentName: Text, Workload, Nothing, attribute "k8s.deployment.name";
    /// Name of the `ReplicaSet` that controls the pod.
    K8sReplicasetName: Text, Workload, Nothing, attribute "k8s.replicaset.name";
    /// Name of the `StatefulSet` that controls the pod.
    K8sStatefulsetName: Text, Workload, Nothing, attribute "k8s.statefulset.name";
    /// Name of the `DaemonSet` that controls the pod.
    K8sDaemonsetName: Text, Workload, Nothing, attribute "k8s.daemonset.name";
    /// Name of the Job that controls the pod.
    K8sJobName: Text, Workload, Nothing, attribute "k8s.job.name";

    /// Name of the `CronJob` whose Job controls the pod.
    K8sCronjobName: Text, Workload, Nothing, attribute "k8s.cronjob.name";
    /// Service account of the pod.
    K8sServiceAccountName: Text, Workload, Nothing, attribute "telltale.k8s.service_account.name";
    /// Id of the container.
    ContainerId: Text, Workload, Nothing, attribute "container.id";
    /// Image of the container, without its tag.
    ContainerImageName: Text, Workload, Nothing, attribute "container.image.name";
    /// Namespace of the service: the annotation `resource.opentelemetry.io/service.namespace` of the pod, else its namespace.
    ServiceNamespace: Text, Workload, Nothing, attribute "service.namespace";
    /// Version of the service: the annotation `resource.opentelemetry.io/service.version` of the pod, else the tag of its container's image.
    ServiceVersion: Text, Workload, Nothing, attribute "service.version";
    /// Which instance of the service: the annotation `resource.opentelemetry.io/service.instance.id` of the pod, else `namespace.pod.container`.
    ServiceInstanceId: Text, Workload, Nothing, attribute "service.instance.id";

    // The trace.

    /// Trace id, 32 hexadecimal digits.
    TraceId: Text, Always, Heads, log ["trace_id"];
    /// Id of this end's span, 16 hexadecimal digits.
    SpanId: Text, Always, Heads, log ["span_id"];

    // Language models (semantic conventions for generative AI). What the two profiles call differently has both names.

    /// Operation: `chat`, `embeddings`, ...; `execute_tool` for the call of a tool by MCP.
    GenAiOperationName: Text, GenAi, Bodies, attribute "gen_ai.operation.name";
    /// Provider, as far as host, headers and shape tell.
    GenAiProviderName: Text, GenAi, Bodies, attribute "gen_ai.provider.name";
    /// Conversation.
    GenAiConversationId: Text, GenAi, Bodies, attribute "gen_ai.conversation.id";
    /// Kind of output that was asked for.
    GenAiOutputType: Text, GenAi, Bodies, attribute "gen_ai.output.type";
    /// Model that was asked for.
    GenAiRequestModel: Text, GenAi, Bodies, attribute "gen_ai.request.model";
    /// Whether a stream was asked for.
    GenAiRequestStream: Bool, GenAi, Bodies, attribute "gen_ai.request.stream";
    /// Number of candidates that were asked for.
    GenAiRequestChoiceCount: Int, GenAi, Bodies, attribute "gen_ai.request.choice.count";
    /// Seed.
    GenAiRequestSeed: Int, GenAi, Bodies, attribute "gen_ai.request.seed";
    /// Most tokens that the model may give.
    GenAiRequestMaxTokens: Int, GenAi, Bodies, attribute "gen_ai.request.max_tokens";
    /// Temperature.
    GenAiRequestTemperature: Double, GenAi, Bodies, attribute "gen_ai.request.temperature";
    /// Nucleus sampling.
    GenAiRequestTopP: Double, GenAi, Bodies, attribute "gen_ai.request.top_p";
    /// Top-k sampling.
    GenAiRequestTopK: Double, GenAi, Bodies, attribute "gen_ai.request.top_k";
    /// Frequency penalty.
    GenAiRequestFrequencyPenalty: Double, GenAi, Bodies, attribute "gen_ai.request.frequency_penalty";
    /// Presence penalty.
    GenAiRequestPresencePenalty: Double, GenAi, Bodies, attribute "gen_ai.request.presence_penalty";
    /// Sequences that end the output.
    GenAiRequestStopSequences: List, GenAi, Bodies, attribute "gen_ai.request.stop_sequences";
    /// Encodings of embeddings that were asked for.
    GenAiRequestEncodingFormats: List, GenAi, Bodies, attribute "gen_ai.request.encoding_formats";
    /// Dimensions of the embeddings.
    GenAiEmbeddingsDimensionCount: Int, GenAi, Bodies, attribute "gen_ai.embeddings.dimension.count";
    /// Id of the completion.
    GenAiResponseId: Text, GenAi, Bodies, attribute "gen_ai.response.id";
    /// Model that answered.
    GenAiResponseModel: Text, GenAi, Bodies, attribute "gen_ai.response.model";
    /// Why the output ended, one for each choice.
    GenAiResponseFinishReasons: List, GenAi, Bodies, attribute "gen_ai.response.finish_reasons";
    /// Seconds from the request to the first chunk of a stream.
    GenAiResponseTimeToFirstChunk: Double, GenAi, Bodies, attribute "gen_ai.response.time_to_first_chunk";
    /// Input tokens, cached ones included.
    GenAiUsageInputTokens: Int, GenAi, Bodies, attribute "gen_ai.usage.input_tokens";
    /// Output tokens, reasoning included.
    GenAiUsageOutputTokens: Int, GenAi, Bodies, attribute "gen_ai.usage.output_tokens";
    /// Input tokens that a cache gave.
    GenAiUsageCacheReadInputTokens: Int, GenAi, Bodies, attribute "gen_ai.usage.cache_read.input_tokens";
    /// Input tokens that were written to a cache, as v1.41 calls them.
    GenAiUsageCacheCreationInputTokens: Int, GenAi, Bodies, attribute "gen_ai.usage.cache_creation.input_tokens";
    /// The same, as the newest conventions call them.
    GenAiUsageCacheWriteInputTokens: Int, GenAi, Bodies, attribute "gen_ai.usage.cache_write.input_tokens";
    /// Output tokens of reasoning.
    GenAiUsageReasoningOutputTokens: Int, GenAi, Bodies, attribute "gen_ai.usage.reasoning.output_tokens";
    /// Input tokens of audio.
    GenAiUsageAudioInputTokens: Int, GenAi, Bodies, attribute "gen_ai.usage.audio.input_tokens";
    /// Output tokens of audio.
    GenAiUsageAudioOutputTokens: Int, GenAi, Bodies, attribute "gen_ai.usage.audio.output_tokens";
    /// How much the model should reason, in the provider's word.
    GenAiRequestReasoningLevel: Text, GenAi, Bodies, attribute "gen_ai.request.reasoning.level";
    /// The API whose form it has: `chat_completions` or `responses`.
    OpenaiApiType: Text, GenAi, Bodies, attribute "openai.api.type";
    /// Service tier that was asked for, if it is not `auto`.
    OpenaiRequestServiceTier: Text, GenAi, Bodies, attribute "openai.request.service_tier";
    /// Service tier that answered.
    OpenaiResponseServiceTier: Text, GenAi, Bodies, attribute "openai.response.service_tier";
    /// Fingerprint of the backend.
    OpenaiResponseSystemFingerprint: Text, GenAi, Bodies, attribute "openai.response.system_fingerprint";
    /// Seconds from the request to the first chunk of a stream that has text, reasoning or a part of a tool call; roles and pings have none.
    GenAiTimeToFirstToken: Double, GenAi, Bodies, attribute "telltale.gen_ai.response.time_to_first_token";
    /// Seconds from one token of a stream to the next, on average.
    GenAiTimePerOutputToken: Double, GenAi, Bodies, attribute "telltale.gen_ai.response.time_per_output_token";
    /// Chunks of the stream.
    GenAiChunks: Int, GenAi, Bodies, attribute "telltale.gen_ai.response.chunks";
    /// Whether the stream ended as its format says that it ends.
    GenAiStreamComplete: Bool, GenAi, Bodies, attribute "telltale.gen_ai.response.complete";
    /// Names of the tools that the model wants called, in order.
    GenAiToolCalls: List, GenAi, Bodies, attribute "telltale.gen_ai.response.tool_calls";
    /// What it costs in US dollars: what the provider says, else by the prices of the configuration.
    GenAiCost: Double, GenAi, Bodies, attribute "telltale.gen_ai.cost";
    /// Currency of `telltale.gen_ai.cost`: `USD`.
    GenAiCurrency: Text, GenAi, Bodies, attribute "telltale.gen_ai.currency";
    /// Whether content was cut, lost or beyond a bound, so that some of these keys may be absent.
    GenAiCut: Bool, GenAi, Bodies, attribute "telltale.gen_ai.cut";
    /// Instructions to the model, where `content` captures them.
    GenAiSystemInstructions: Text, GenAi, Bodies, attribute "gen_ai.system_instructions";
    /// Messages to the model, where `content` captures them.
    GenAiInputMessages: Text, GenAi, Bodies, attribute "gen_ai.input.messages";
    /// Messages of the model, where `content` captures them.
    GenAiOutputMessages: Text, GenAi, Bodies, attribute "gen_ai.output.messages";
    /// Tools offered to the model, where `content` captures them.
    GenAiToolDefinitions: Text, GenAi, Bodies, attribute "gen_ai.tool.definitions";
    /// Why what was said to the model is absent or not whole, where `content` captures it.
    GenAiInputIncomplete: Text, GenAi, Bodies, attribute "telltale.gen_ai.input_incomplete";
    /// Why what the model said is absent or not whole, where `content` captures it.
    GenAiOutputIncomplete: Text, GenAi, Bodies, attribute "telltale.gen_ai.output_incomplete";

    // Tools and the Model Context Protocol.

    /// Name of the tool that is called.
    GenAiToolName: Text, Mcp, Bodies, attribute "gen_ai.tool.name", cel ["mcp.tool.name"];
    /// Arguments of a tool call as JSON, where `content` keeps the request and they are in it whole.
    GenAiToolCallArguments: Text, Mcp, Bodies, attribute "gen_ai.tool.call.arguments";
    /// Result of a tool call as JSON, where `content` keeps the answer and it is in it whole.
    GenAiToolCallResult: Text, Mcp, Bodies, attribute "gen_ai.tool.call.result";
    /// Name of the prompt that is asked for.
    GenAiPromptName: Text, Mcp, Bodies, attribute "gen_ai.prompt.name";
    /// Method.
    McpMethodName: Text, Mcp, Bodies, attribute "mcp.method.name";
    /// URI of the resource; what is secret in its query is redacted.
    McpResourceUri: Text, Mcp, Bodies, attribute "mcp.resource.uri";
    /// Session.
    McpSessionId: Text, Mcp, Bodies, attribute "mcp.session.id";
    /// Revision of the protocol.
    McpProtocolVersion: Text, Mcp, Bodies, attribute "mcp.protocol.version";
    /// Id of the JSON-RPC request.
    JsonrpcRequestId: Text, JsonRpc, Bodies, attribute "jsonrpc.request.id";
    /// Version of JSON-RPC: of MCP where it is not 2.0, else where it is not 1.0.
    JsonrpcProtocolVersion: Text, JsonRpc, Bodies, attribute "jsonrpc.protocol.version";
    /// Messages of the batch that it is one of.
    JsonrpcBatchSize: Int, JsonRpc, Bodies, attribute "telltale.jsonrpc.batch.size";
    /// Name of the client, where the message says it.
    McpClientName: Text, Mcp, Bodies, attribute "telltale.mcp.client.name";
    /// Version of the client, likewise.
    McpClientVersion: Text, Mcp, Bodies, attribute "telltale.mcp.client.version";
    /// Name of the server, where the answer says it.
    McpServerName: Text, Mcp, Bodies, attribute "telltale.mcp.server.name";
    /// Version of the server, likewise.
    McpServerVersion: Text, Mcp, Bodies, attribute "telltale.mcp.server.version";
    /// Kind of result, where the answer says it: `complete`, `input_required` or `task`.
    McpResultType: Text, Mcp, Bodies, attribute "telltale.mcp.result.type";
    /// Whether content was cut, lost or beyond a bound, so that some of these keys or messages may be absent.
    McpCut: Bool, JsonRpc, Bodies, attribute "telltale.jsonrpc.cut";
}

impl Key {
    /// Its row.
    pub const fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }

    /// The name that it is called by in messages.
    pub fn name(self) -> &'static str {
        self.row().name()
    }

    /// Whether it is what people wrote: too much, and too different each time, for what is counted by.
    pub const fn is_content(self) -> bool {
        matches!(
            self,
            Self::HttpRequestBody
                | Self::HttpResponseBody
                | Self::GenAiSystemInstructions
                | Self::GenAiInputMessages
                | Self::GenAiOutputMessages
                | Self::GenAiToolDefinitions
                | Self::GenAiToolCallArguments
                | Self::GenAiToolCallResult
        )
    }

    /// Whether default lines have it, where a call says it. What can be long, or is the same for every call of a program, is on spans only.
    pub const fn is_in_default_lines(self) -> bool {
        matches!(
            self,
            Self::GenAiOperationName
                | Self::GenAiProviderName
                | Self::GenAiRequestModel
                | Self::GenAiResponseModel
                | Self::GenAiConversationId
                | Self::GenAiResponseId
                | Self::GenAiRequestStream
                | Self::GenAiResponseFinishReasons
                | Self::GenAiResponseTimeToFirstChunk
                | Self::GenAiUsageInputTokens
                | Self::GenAiUsageOutputTokens
                | Self::GenAiUsageCacheReadInputTokens
                | Self::GenAiUsageCacheCreationInputTokens
                | Self::GenAiUsageCacheWriteInputTokens
                | Self::GenAiUsageReasoningOutputTokens
                | Self::GenAiUsageAudioInputTokens
                | Self::GenAiUsageAudioOutputTokens
                | Self::GenAiTimeToFirstToken
                | Self::GenAiToolCalls
                | Self::GenAiCost
                | Self::GenAiCut
                | Self::McpMethodName
                | Self::GenAiToolName
                | Self::GenAiPromptName
                | Self::McpResourceUri
                | Self::McpSessionId
                | Self::McpProtocolVersion
                | Self::JsonrpcRequestId
                | Self::JsonrpcBatchSize
                | Self::McpClientName
                | Self::McpServerName
                | Self::McpResultType
                | Self::McpCut
                | Self::RpcSystemName
        )
    }

    /// The key that `attributeKey` names so.
    pub fn of_attribute(name: &str) -> Option<Self> {
        Self::find(|row| row.attribute == Some(name))
    }

    /// The key that CEL names so: an attribute's name, or Envoy's.
    pub fn of_cel(name: &str) -> Option<Self> {
        Self::find(|row| row.cel_names().any(|known| known == name))
    }

    /// The key that `accessLogs.fields` names so: Istio's JSON keys, then ours (POLICY.md section 4). What is neither is a header.
    pub fn of_log(name: &str) -> Option<Self> {
        Self::find(|row| row.log.contains(&name)).or_else(|| Self::of_attribute(name))
    }

    fn find(matches: impl Fn(&Row) -> bool) -> Option<Self> {
        Self::ALL.iter().copied().find(|key| matches(key.row()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn each_name_is_of_one_key() {
        let mut cel = BTreeMap::new();
        let mut log = BTreeMap::new();
        for &key in Key::ALL {
            let row = key.row();
            assert!(!row.name().is_empty() && row.description.ends_with(['.', '`']), "{key:?}");
            for name in row.cel_names() {
                assert_eq!(cel.insert(name, key), None, "{name}");
                assert_eq!(Key::of_cel(name), Some(key));
            }
            for name in row.log_names() {
                assert_eq!(log.insert(name, key), None, "{name}");
                assert_eq!(Key::of_log(name), Some(key));
            }
        }
        // A CEL variable that were also the beginning of another could not be told from its fields.
        for name in cel.keys() {
            assert!(!cel.keys().any(|other| other.starts_with(&format!("{name}."))), "{name}");
        }
        assert_eq!(Key::of_attribute("request.path"), None);
    }
}
