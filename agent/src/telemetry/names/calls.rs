//! The instruments of calls beyond HTTP: language models, MCP, JSON-RPC (semconv gen-ai-metrics, mcp, rpc-metrics).

use super::{
    Conventions, DURATION_BUCKETS, GenAiMeasure as Of, Instrument,
    Level::{self, Conditional, OptIn, Recommended, Required},
    Measure, TokenKind, key,
};
use crate::capture::Role::{self, Client, Server};

type Attributes = &'static [(&'static str, Level)];

/// Buckets of durations of calls of language models, in seconds.
pub const GENAI_BUCKETS: &[f64] =
    &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// Buckets of numbers of tokens.
pub const TOKEN_BUCKETS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
/// Buckets of the time from token to token, in seconds.
const TOKEN_GAP_BUCKETS: &[f64] = &[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];
/// Buckets of the time to the first token, in seconds.
const FIRST_TOKEN_BUCKETS: &[f64] =
    &[0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Buckets of durations of messages and sessions of MCP, in seconds.
pub const MCP_BUCKETS: &[f64] = &[0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

const OPERATION: (&str, Level) = (key::GEN_AI_OPERATION_NAME, Required);
const PROVIDER: (&str, Level) = (key::GEN_AI_PROVIDER_NAME, Required);
const REQUEST_MODEL: (&str, Level) = (key::GEN_AI_REQUEST_MODEL, Conditional);
const RESPONSE_MODEL: (&str, Level) = (key::GEN_AI_RESPONSE_MODEL, Recommended);
const ADDRESS: (&str, Level) = (key::SERVER_ADDRESS, Recommended);
const PORT: (&str, Level) = (key::SERVER_PORT, Conditional);
const ERROR: (&str, Level) = (key::ERROR_TYPE, Conditional);
const TIER: (&str, Level) = (key::OPENAI_RESPONSE_SERVICE_TIER, Recommended);
const FINGERPRINT: (&str, Level) = (key::OPENAI_RESPONSE_SYSTEM_FINGERPRINT, Recommended);

const CALL: Attributes = &[OPERATION, PROVIDER, REQUEST_MODEL, RESPONSE_MODEL, ADDRESS, PORT];
const CALL_OR_ERROR: Attributes = &[OPERATION, PROVIDER, REQUEST_MODEL, RESPONSE_MODEL, ADDRESS, PORT, ERROR];
const CLIENT_DURATION: Attributes =
    &[OPERATION, PROVIDER, REQUEST_MODEL, RESPONSE_MODEL, ADDRESS, PORT, ERROR, TIER, FINGERPRINT];
const TOKENS: Attributes = &[
    OPERATION,
    PROVIDER,
    (key::GEN_AI_TOKEN_TYPE, Required),
    REQUEST_MODEL,
    RESPONSE_MODEL,
    ADDRESS,
    PORT,
    TIER,
    FINGERPRINT,
];
const TOKEN_SUM: Attributes =
    &[OPERATION, PROVIDER, (key::GEN_AI_TOKEN_MODALITY, Required), REQUEST_MODEL, RESPONSE_MODEL, ADDRESS, PORT];
/// Money is asked for by model and workload.
const COST: Attributes = &[OPERATION, PROVIDER, REQUEST_MODEL, RESPONSE_MODEL, (key::SERVER_ADDRESS, OptIn)];

const MCP_SERVER: Attributes = &[
    (key::MCP_METHOD_NAME, Required),
    ERROR,
    (key::GEN_AI_TOOL_NAME, Conditional),
    (key::GEN_AI_PROMPT_NAME, Conditional),
    (key::RPC_RESPONSE_STATUS_CODE, Conditional),
    (key::GEN_AI_OPERATION_NAME, Recommended),
    (key::JSONRPC_PROTOCOL_VERSION, Recommended),
    (key::MCP_PROTOCOL_VERSION, Recommended),
    (key::NETWORK_PROTOCOL_NAME, Recommended),
    (key::NETWORK_PROTOCOL_VERSION, Recommended),
    (key::NETWORK_TRANSPORT, Recommended),
    (key::MCP_RESOURCE_URI, OptIn),
];
const MCP_CLIENT: Attributes = &[
    (key::MCP_METHOD_NAME, Required),
    ERROR,
    (key::GEN_AI_TOOL_NAME, Conditional),
    (key::GEN_AI_PROMPT_NAME, Conditional),
    (key::RPC_RESPONSE_STATUS_CODE, Conditional),
    (key::GEN_AI_OPERATION_NAME, Recommended),
    (key::JSONRPC_PROTOCOL_VERSION, Recommended),
    (key::MCP_PROTOCOL_VERSION, Recommended),
    (key::NETWORK_PROTOCOL_NAME, Recommended),
    (key::NETWORK_PROTOCOL_VERSION, Recommended),
    (key::NETWORK_TRANSPORT, Recommended),
    (key::SERVER_ADDRESS, Recommended),
    (key::SERVER_PORT, Recommended),
    (key::MCP_RESOURCE_URI, OptIn),
];
const SESSION_SERVER: Attributes = &[
    ERROR,
    (key::JSONRPC_PROTOCOL_VERSION, Recommended),
    (key::MCP_PROTOCOL_VERSION, Recommended),
    (key::NETWORK_PROTOCOL_NAME, Recommended),
    (key::NETWORK_PROTOCOL_VERSION, Recommended),
    (key::NETWORK_TRANSPORT, Recommended),
];
const SESSION_CLIENT: Attributes = &[
    ERROR,
    (key::JSONRPC_PROTOCOL_VERSION, Recommended),
    (key::MCP_PROTOCOL_VERSION, Recommended),
    (key::NETWORK_PROTOCOL_NAME, Recommended),
    (key::NETWORK_PROTOCOL_VERSION, Recommended),
    (key::NETWORK_TRANSPORT, Recommended),
    (key::SERVER_ADDRESS, Recommended),
    (key::SERVER_PORT, Recommended),
];

// A method of JSON-RPC is whatever the caller wrote.
const RPC_SERVER: Attributes = &[
    (key::RPC_SYSTEM_NAME, Required),
    ERROR,
    (key::RPC_RESPONSE_STATUS_CODE, Conditional),
    (key::RPC_METHOD, OptIn),
    (key::SERVER_ADDRESS, OptIn),
    (key::SERVER_PORT, OptIn),
];
const RPC_CLIENT: Attributes = &[
    (key::RPC_SYSTEM_NAME, Required),
    ERROR,
    (key::RPC_RESPONSE_STATUS_CODE, Conditional),
    (key::SERVER_ADDRESS, Conditional),
    (key::SERVER_PORT, Conditional),
    (key::RPC_METHOD, OptIn),
];

const fn row(
    name: &'static str,
    role: Role,
    measure: Measure,
    unit: &'static str,
    (attributes, buckets): (Attributes, &'static [f64]),
    description: &'static str,
) -> Instrument {
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

const fn seconds(
    name: &'static str,
    role: Role,
    measure: Of,
    shape: (Attributes, &'static [f64]),
    description: &'static str,
) -> Instrument {
    row(name, role, Measure::GenAi(measure), "s", shape, description)
}

const fn tokens(
    name: &'static str,
    measure: Of,
    shape: (Attributes, &'static [f64]),
    description: &'static str,
) -> Instrument {
    row(name, Client, Measure::GenAi(measure), "{token}", shape, description)
}

/// A row that only these conventions have.
const fn only(conventions: Conventions, mut row: Instrument) -> Instrument {
    row.conventions = Some(conventions);
    row
}

const OLD: Conventions = Conventions::V1_41;
const NEW: Conventions = Conventions::Latest;

/// The instruments of calls beyond HTTP.
///
/// What a model server tells of tokens has no instrument in any conventions: `gen_ai.server.*` are durations.
pub static CALL_INSTRUMENTS: &[Instrument] = &[
    only(OLD, tokens("gen_ai.client.token.usage", Of::Tokens, (TOKENS, TOKEN_BUCKETS), "Tokens of calls of models.")),
    only(
        OLD,
        seconds(
            "gen_ai.client.operation.duration",
            Client,
            Of::Duration,
            (CLIENT_DURATION, GENAI_BUCKETS),
            "Duration of calls of models.",
        ),
    ),
    only(
        OLD,
        seconds(
            "gen_ai.client.operation.time_to_first_chunk",
            Client,
            Of::FirstChunk,
            (CALL, GENAI_BUCKETS),
            "Time to the first chunk of a streamed answer.",
        ),
    ),
    only(
        OLD,
        seconds(
            "gen_ai.client.operation.time_per_output_chunk",
            Client,
            Of::Chunks,
            (CALL, GENAI_BUCKETS),
            "Time from each chunk of a streamed answer to the next.",
        ),
    ),
    only(
        NEW,
        seconds(
            "gen_ai.client.inference.duration",
            Client,
            Of::InferenceDuration,
            (CLIENT_DURATION, GENAI_BUCKETS),
            "Duration of inferences.",
        ),
    ),
    only(
        NEW,
        seconds(
            "gen_ai.client.inference.time_to_first_chunk",
            Client,
            Of::InferenceFirstChunk,
            (CALL, GENAI_BUCKETS),
            "Time to the first chunk of a streamed answer.",
        ),
    ),
    only(
        NEW,
        seconds(
            "gen_ai.client.inference.time_per_output_chunk",
            Client,
            Of::InferenceChunks,
            (CALL, GENAI_BUCKETS),
            "Time from each chunk of a streamed answer to the next.",
        ),
    ),
    only(
        NEW,
        tokens(
            "gen_ai.client.inference.usage.input_tokens",
            Of::TokenSum(TokenKind::Input),
            (TOKEN_SUM, &[]),
            "Input tokens of inferences, cached ones included.",
        ),
    ),
    only(
        NEW,
        tokens(
            "gen_ai.client.inference.usage.output_tokens",
            Of::TokenSum(TokenKind::Output),
            (TOKEN_SUM, &[]),
            "Output tokens of inferences, reasoning included.",
        ),
    ),
    only(
        NEW,
        tokens(
            "gen_ai.client.inference.usage.cache_read.input_tokens",
            Of::TokenSum(TokenKind::CacheRead),
            (TOKEN_SUM, &[]),
            "Input tokens of inferences that a cache gave.",
        ),
    ),
    only(
        NEW,
        tokens(
            "gen_ai.client.inference.usage.cache_write.input_tokens",
            Of::TokenSum(TokenKind::CacheWrite),
            (TOKEN_SUM, &[]),
            "Input tokens of inferences that were written to a cache.",
        ),
    ),
    only(
        NEW,
        tokens(
            "gen_ai.client.inference.usage.reasoning.output_tokens",
            Of::TokenSum(TokenKind::Reasoning),
            (TOKEN_SUM, &[]),
            "Output tokens of inferences that were reasoning.",
        ),
    ),
    only(
        NEW,
        tokens(
            "gen_ai.client.inference.operation.input_tokens",
            Of::TokensOf(TokenKind::Input),
            (CALL_OR_ERROR, TOKEN_BUCKETS),
            "Input tokens of each inference.",
        ),
    ),
    only(
        NEW,
        tokens(
            "gen_ai.client.inference.operation.output_tokens",
            Of::TokensOf(TokenKind::Output),
            (CALL_OR_ERROR, TOKEN_BUCKETS),
            "Output tokens of each inference.",
        ),
    ),
    only(
        NEW,
        seconds(
            "gen_ai.client.operation.duration",
            Client,
            Of::OtherDuration,
            (CLIENT_DURATION, GENAI_BUCKETS),
            "Duration of calls of models that are no inferences.",
        ),
    ),
    seconds(
        "gen_ai.server.request.duration",
        Server,
        Of::Duration,
        (CALL_OR_ERROR, GENAI_BUCKETS),
        "Duration of requests to a model server.",
    ),
    seconds(
        "gen_ai.server.time_per_output_token",
        Server,
        Of::TokenGap,
        (CALL, TOKEN_GAP_BUCKETS),
        "Time per output token after the first, of streamed answers.",
    ),
    seconds(
        "gen_ai.server.time_to_first_token",
        Server,
        Of::FirstToken,
        (CALL, FIRST_TOKEN_BUCKETS),
        "Time to the first token of a streamed answer.",
    ),
    row(
        "telltale.gen_ai.cost",
        Client,
        Measure::GenAi(Of::Cost),
        "{USD}",
        (COST, &[]),
        "US dollars that calls of models cost, as the provider says or by the prices that the agent was given.",
    ),
    row(
        "mcp.client.operation.duration",
        Client,
        Measure::McpOperation,
        "s",
        (MCP_CLIENT, MCP_BUCKETS),
        "Duration of MCP requests and notifications, as their sender sees it.",
    ),
    row(
        "mcp.server.operation.duration",
        Server,
        Measure::McpOperation,
        "s",
        (MCP_SERVER, MCP_BUCKETS),
        "Duration of MCP requests and notifications, as their receiver sees it.",
    ),
    row(
        "mcp.client.session.duration",
        Client,
        Measure::McpSession,
        "s",
        (SESSION_CLIENT, MCP_BUCKETS),
        "Duration of MCP sessions, as the client sees it.",
    ),
    row(
        "mcp.server.session.duration",
        Server,
        Measure::McpSession,
        "s",
        (SESSION_SERVER, MCP_BUCKETS),
        "Duration of MCP sessions, as the server sees it.",
    ),
    row(
        "rpc.client.call.duration",
        Client,
        Measure::JsonRpc,
        "s",
        (RPC_CLIENT, DURATION_BUCKETS),
        "Duration of JSON-RPC calls, as their sender sees it.",
    ),
    row(
        "rpc.server.call.duration",
        Server,
        Measure::JsonRpc,
        "s",
        (RPC_SERVER, DURATION_BUCKETS),
        "Duration of JSON-RPC calls, as their receiver sees it.",
    ),
];
