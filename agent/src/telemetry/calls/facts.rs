//! What calls say, asked of [`Facts`].

use std::{borrow::Cow, time::Duration};

use super::{genai_error, message_error};
use crate::{
    exchange::{
        Call,
        genai::{GenAi, Stream},
        mcp::Messages,
    },
    protocol::Incomplete,
    telemetry::{ErrorType, Facts, names::followed},
};

impl<'a> Facts<'a> {
    /// The call of a language model that it is.
    pub fn genai(&self) -> Option<&'a GenAi> {
        self.exchange.call.as_ref()?.genai()
    }

    /// The messages of MCP, or of other JSON-RPC, that it carries.
    pub fn messages(&self) -> Option<&'a Messages> {
        match self.exchange.call.as_ref()? {
            Call::Mcp(messages) | Call::JsonRpc(messages) => Some(messages),
            Call::GenAi(_) => None,
        }
    }

    /// The messages, where they are of MCP.
    pub fn mcp(&self) -> Option<&'a Messages> {
        self.exchange.call.as_ref()?.mcp()
    }

    /// Why it failed, if it did: `error.type` of the span and the line of the call that it is. What HTTP's own instruments say is [`Facts::error`].
    pub fn failure(&self) -> Option<Cow<'a, str>> {
        match (self.genai(), self.message) {
            (Some(call), _) => genai_error(self, call),
            (None, Some(message)) => message_error(self, message, followed()),
            (None, None) => self.error.map(ErrorType::name),
        }
    }

    /// When the parts of a streamed answer came, if none of it was lost: after a gap nobody knows which chunk was the first, nor what was between two.
    pub fn stream(&self) -> Option<&'a Stream> {
        let lost = matches!(self.exchange.incomplete, Some(Incomplete::Gap(_) | Incomplete::LateJoin));
        self.genai()?.stream.as_ref().filter(|_| !lost)
    }

    /// The same of a call that did not fail (the conventions: "for successful responses").
    fn good_stream(&self) -> Option<&'a Stream> {
        self.stream().filter(|_| self.failure().is_none())
    }

    /// From the first byte of the request to the first chunk of a streamed answer (`gen_ai.response.time_to_first_chunk`).
    pub fn time_to_first_chunk(&self) -> Option<Duration> {
        Some(self.stream()?.first_chunk.since(self.exchange.request.head.first_byte))
    }

    /// From the first byte of the request to the first chunk of a streamed answer that has text, reasoning or a part of a tool call, of a
    /// call that did not fail.
    pub fn time_to_first_token(&self) -> Option<Duration> {
        Some(self.good_stream()?.first_token?.since(self.exchange.request.head.first_byte))
    }

    /// Between tokens of a streamed answer, on average: the time from the first to the last, by one less than the output tokens. `None` where the answer
    /// does not say how many they are, they are fewer than two, or not all of them were seen.
    pub fn time_per_output_token(&self) -> Option<Duration> {
        let stream = self.good_stream().filter(|stream| stream.complete || self.both_ends)?;
        let steps = self.genai()?.usage.output?.checked_sub(1).filter(|steps| *steps > 0)?;
        let nanos = stream.last_token?.since(stream.first_token?).as_nanos() as u64;
        Some(Duration::from_nanos(nanos / steps))
    }
}
