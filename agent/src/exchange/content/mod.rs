//! Content of messages where a policy keeps it (POLICY.md section 1, `content`): bounded bytes in, redacted text out.
//!
//! Bytes as they were sent never leave this module: an exchange that is over has text in which everything that the policy names is
//! overwritten, or a word for why it has none.

mod budget;
mod buffer;
mod json;
mod keeping;
mod media;
mod redaction;
mod span;
#[cfg(test)]
mod tests;

pub(super) use budget::Cut;
pub use budget::{Budget, MAX_CONNECTION_CONTENT, MAX_WORKER_CONTENT};
pub(super) use keeping::{Keeping, Which};
pub(super) use redaction::{Redactor, without_paths};

/// Content of one message, as it may be given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The text, redacted; `None` where it is withheld.
    pub text: Option<Box<str>>,
    /// Why it is not all of the content.
    pub incomplete: Option<Omission>,
}

/// Why content is not given out, or only its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Omission {
    /// It is longer than the policy's `maxBytes`; its beginning is given out.
    Size,
    /// The agent's bounds on content were reached; its beginning is given out.
    AgentLimit,
    /// The rest was not seen; its beginning is given out.
    NotSeen,
    /// Its coding (RFC 9110 section 8.4, or a transfer coding that is not chunked) is not decoded; withheld.
    Encoded,
    /// It is not text in UTF-8; withheld.
    NotText,
    /// The policy redacts by JSON path and it is not JSON; withheld.
    NotJson,
    /// Only its beginning is there, in which the policy's redactions could miss something; withheld.
    CutShort,
    /// Redaction would take too long; withheld.
    RedactionCost,
    /// The policy redacts by pattern, and it is a stream of a language model, whose parts hide what two of them make; withheld.
    InParts,
}

impl Omission {
    /// Those for which content is withheld.
    pub(super) const WITHHELD: [Self; 6] =
        [Self::Encoded, Self::NotText, Self::NotJson, Self::CutShort, Self::RedactionCost, Self::InParts];

    /// The value of `telltale.http.{request,response}.body_incomplete`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::AgentLimit => "agent_limit",
            Self::NotSeen => "not_seen",
            Self::Encoded => "encoded",
            Self::NotText => "not_text",
            Self::NotJson => "not_json",
            Self::CutShort => "cut_short",
            Self::RedactionCost => "redaction_cost",
            Self::InParts => "in_parts",
        }
    }
}
