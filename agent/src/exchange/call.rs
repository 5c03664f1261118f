//! What an exchange is beyond HTTP.

use super::{genai::GenAi, mcp::Messages};

/// A call of a kind that this agent understands, read from the heads and the content of an exchange.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// An inference, or another operation of a language model.
    GenAi(Box<GenAi>),
    /// Messages of the Model Context Protocol.
    Mcp(Box<Messages>),
    /// Messages of JSON-RPC that are none of MCP.
    JsonRpc(Box<Messages>),
}

impl Call {
    /// As a call of a language model.
    pub fn genai(&self) -> Option<&GenAi> {
        match self {
            Self::GenAi(call) => Some(call),
            Self::Mcp(_) | Self::JsonRpc(_) => None,
        }
    }

    /// As messages of MCP.
    pub fn mcp(&self) -> Option<&Messages> {
        match self {
            Self::Mcp(messages) => Some(messages),
            Self::GenAi(_) | Self::JsonRpc(_) => None,
        }
    }
}
