//! What the table of keys says of a key.

use std::fmt;

use crate::policy::Capture;

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// Text.
    Text,
    /// A whole number of 64 bits.
    Int,
    /// Any other number.
    Double,
    /// True or false.
    Bool,
    /// A span of time.
    Duration,
    /// A point in time.
    Time,
    /// Texts in order.
    List,
    /// Texts by name: in CEL only, the entries are asked for one by one.
    Map,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "string",
            Self::Int => "int",
            Self::Double => "double",
            Self::Bool => "bool",
            Self::Duration => "duration",
            Self::Time => "timestamp",
            Self::List => "list of strings",
            Self::Map => "map of strings",
        })
    }
}

/// When a key has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum When {
    /// For every exchange.
    Always,
    /// Where the request says it.
    Request,
    /// Where an answer was seen.
    Response,
    /// Where the answer says it.
    ResponseSays,
    /// Where the whole exchange was seen, from its first byte to its last.
    Whole,
    /// Where it failed.
    Failed,
    /// Where it was not seen whole.
    Incomplete,
    /// Where it is known of the pod or process that reports.
    Workload,
    /// Where it is known of that end of the connection; always of the end that reports, as far as the cluster says.
    Peer,
    /// For gRPC calls.
    Grpc,
    /// For gRPC and JSON-RPC calls.
    Rpc,
    /// For calls of a language model, where they say it.
    GenAi,
    /// For calls of the Model Context Protocol, where they say it.
    Mcp,
    /// For messages of JSON-RPC, those of the Model Context Protocol among them, where they say it.
    JsonRpc,
    /// Where it is known which connection it was, which of what is inside TLS cannot always be proven.
    Addresses,
    /// Where the connection is TLS and its handshake was seen.
    Tls,
    /// In metrics of connections, where they were not read.
    Connection,
    /// Where the policy's `content` keeps it, and it can be given out.
    Content,
    /// Where the policy's `content` keeps it, and it is not given out whole.
    ContentIncomplete,
    /// Never: only a proxy could know. It is in the table so that what was written for one is understood.
    Never,
}

impl When {
    /// In words, for the documentation.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Request => "request says it",
            Self::Response => "an answer was seen",
            Self::ResponseSays => "answer says it",
            Self::Whole => "first and last byte were seen",
            Self::Failed => "it failed",
            Self::Incomplete => "not seen whole",
            Self::Workload => "known of the reporting pod or process",
            Self::Peer => "known of that end",
            Self::Grpc => "gRPC",
            Self::Rpc => "gRPC, JSON-RPC",
            Self::GenAi => "LLM call that says it",
            Self::Mcp => "MCP call that says it",
            Self::JsonRpc => "JSON-RPC message that says it",
            Self::Addresses => "connection is known",
            Self::Tls => "TLS whose handshake was seen",
            Self::Connection => "connection that was not read",
            Self::Content => "the policy's `content` keeps it",
            Self::ContentIncomplete => "`content` keeps it, not all is given out",
            Self::Never => "never here",
        }
    }
}

/// One row of the table of keys.
#[derive(Debug)]
pub struct Row {
    /// The name that `attributeKey` and CEL know it by: of the semantic conventions, or ours.
    pub attribute: Option<&'static str>,
    /// Other names in CEL: Envoy's.
    pub cel: &'static [&'static str],
    /// Names in `accessLogs.fields`: Istio's JSON keys, and ours.
    pub log: &'static [&'static str],
    /// The type of its value.
    pub kind: Type,
    /// When it has one.
    pub when: When,
    /// What has to be captured for it.
    pub needs: Capture,
    /// One line.
    pub description: &'static str,
}

impl Row {
    /// The name that it is called by in messages.
    pub fn name(&self) -> &'static str {
        self.attribute.or(self.cel.first().copied()).or(self.log.first().copied()).unwrap_or("")
    }

    /// What is captured because somebody asks for it. Whether content is read only the policy's `content` says, whoever asks for it.
    pub const fn asks(&self) -> Capture {
        match self.when {
            When::Content | When::ContentIncomplete => Capture::Heads,
            _ => self.needs,
        }
    }

    /// Every name in CEL.
    pub fn cel_names(&self) -> impl Iterator<Item = &'static str> {
        self.attribute.into_iter().chain(self.cel.iter().copied())
    }

    /// Every name in `accessLogs.fields`.
    pub fn log_names(&self) -> impl Iterator<Item = &'static str> {
        self.log.iter().copied().chain(self.attribute)
    }
}
