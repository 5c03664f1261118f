//! What reads calls out of the content of an exchange.

use super::{Call, Half, content::Which};
use crate::{capture::Timestamp, protocol::Head};

/// Whether an exchange is a call of the reader's kind, as far as was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::exchange) enum Standing {
    /// More of the request is needed.
    Undecided,
    /// It is: the response is needed too.
    Is,
    /// It is not: nothing more is needed.
    IsNot,
}

/// Reads the calls of one kind from one exchange. It gets the items of content, decoded and taken apart ([`crate::protocol::body`]): a JSON document, or one
/// event, line, element or message of a stream. Those of a request come before those of its response in nearly every case; a reader does not depend on it.
pub(in crate::exchange) trait Reader: std::fmt::Debug + Send {
    /// The head of the response is there.
    fn response_head(&mut self, head: &Head);
    /// The content of this message is a JSON array, and the items that follow are its elements. Told before the first one.
    fn array(&mut self, _which: Which) {}
    /// An event of this message has an id, from which its stream may be resumed.
    fn id(&mut self, _which: Which) {}
    /// An item begins, with its name where its format gives it one (`event` of server-sent events, `:event-type` of AWS).
    fn begin(&mut self, which: Which, event: &[u8]);
    /// More of it.
    fn bytes(&mut self, which: Which, bytes: &[u8]);
    /// It is over. `whole` is false if something of it is missing.
    fn end(&mut self, which: Which, time: Timestamp, whole: bool);
    /// Content of a message was lost or cut between items.
    fn cut(&mut self, which: Which);
    /// What it is, as far as was seen.
    fn standing(&self) -> Standing;
    /// Whether something else than content speaks for it, so that it is worth reading on while it is undecided.
    fn is_likely(&self) -> bool {
        false
    }
    /// The exchange is over.
    fn finish(self: Box<Self>, request: &Half, response: Option<&Half>) -> Option<Call>;
}
