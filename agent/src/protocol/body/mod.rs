//! Content of messages -> items: without content codings, and taken apart into the documents that it is made of.
//!
//! Content comes in pieces and goes on in pieces: whatever its size, what is kept is bounded ([`Body::held`]).

mod coding;
mod counters;
mod framing;
pub mod json;
#[cfg(test)]
mod tests;

pub use counters::Counters;

use self::{coding::Codings, framing::Framer};
use super::{Headers, media::Media};
use crate::capture::Timestamp;

/// Most content codings on top of each other that are taken off.
pub const MAX_CODINGS: usize = 3;
/// Decoded content may be so many times as long as what was received, beyond its first [`FREE_DECODED`] bytes.
pub const MAX_RATIO: u64 = 200;
/// Decoded bytes for which no ratio is asked.
pub const FREE_DECODED: u64 = 1024 * 1024;
/// Most bytes that the content of one message is decoded to.
pub const MAX_DECODED: u64 = 256 * 1024 * 1024;
/// Largest window of a content coding, in bytes: zstd's for the web (RFC 9659), and more than any common encoder of brotli asks for.
pub const MAX_WINDOW: usize = 8 * 1024 * 1024;
/// Most bytes of a server-sent event that wait until it is known what the event is called.
pub const MAX_EVENT: usize = 16 * 1024;
/// Longest name of an event that is told; a longer one is cut.
pub const MAX_EVENT_NAME: usize = 128;

/// Takes the items of a message's content, in order: for each one `begin`, any number of `bytes`, one `end`.
pub trait Items {
    /// An item begins. `event` is its name where its format gives it one: `event` of server-sent events (empty where none is sent), `:event-type` or
    /// `:exception-type` of AWS.
    fn begin(&mut self, event: &[u8]);
    /// More of it. Never empty; an item may have none.
    fn bytes(&mut self, bytes: &[u8]);
    /// It is over. `time` is when its last byte moved. `whole` is false if something of it is missing: bytes that were not seen, a bound, or the end.
    fn end(&mut self, time: Timestamp, whole: bool);
    /// Something was lost: bytes that were not seen, or the end of the content. Only called between items.
    fn cut(&mut self);
    /// The content is an array, and the items that follow are its elements. Only called before the first one.
    fn array(&mut self) {}
    /// A server-sent event has an id, from which a client may resume the stream. It may have no data, and so be no item.
    fn id(&mut self) {}
}

/// The content of one message, without transfer coding.
#[derive(Debug)]
pub struct Body {
    codings: Option<Codings>,
    framer: Framer,
}

impl Body {
    /// By `Content-Encoding` and `Content-Type` (RFC 9110 sections 8.3 and 8.4). Where the type is absent, general or not true, the first bytes decide.
    /// `None` if nothing of it can be read, which is counted.
    pub fn new(headers: &Headers, counters: &mut Counters) -> Option<Self> {
        let media = Media::of(headers);
        if media == Media::Other {
            counters.other_types += 1;
            return None;
        }
        let Ok(codings) = Codings::of(headers) else {
            counters.other_codings += 1;
            return None;
        };
        Some(Self { codings, framer: Framer::new(media) })
    }

    /// More of it, which moved at `time`.
    pub fn push(&mut self, time: Timestamp, bytes: &[u8], counters: &mut Counters, items: &mut impl Items) {
        let Some(codings) = &mut self.codings else {
            return self.framer.push(time, bytes, counters, items);
        };
        let framer = &mut self.framer;
        let goes_on = codings.push(bytes, counters, &mut |bytes, counters| framer.push(time, bytes, counters, items));
        if !goes_on {
            self.over(counters, items);
        }
    }

    /// Bytes of it were not seen. Events and lines go on behind the next boundary; what is coded ends here, and so does a document.
    pub fn gap(&mut self, counters: &mut Counters, items: &mut impl Items) {
        counters.gaps += 1;
        if self.codings.is_some() {
            self.over(counters, items);
        } else {
            self.framer.gap(counters, items);
        }
    }

    /// It is over; `complete` if it ended where the framing of its message said.
    pub fn end(&mut self, complete: bool, counters: &mut Counters, items: &mut impl Items) {
        let complete = complete && self.codings.as_ref().is_none_or(Codings::is_finished);
        self.framer.end(complete, counters, items);
    }

    /// Bytes that it keeps besides itself.
    pub fn held(&self) -> usize {
        self.framer.held() + self.codings.as_ref().map_or(0, Codings::held)
    }

    /// The times of items say nothing but that they were complete before: the decoder of zstd keeps bytes back while its frame goes on. A
    /// document that is the whole content ends with its frame, so that its time is true all the same.
    pub fn is_late(&self) -> bool {
        self.codings.as_ref().is_some_and(Codings::is_late)
    }

    /// Nothing more of it can be read.
    fn over(&mut self, counters: &mut Counters, items: &mut impl Items) {
        self.codings = None;
        self.framer.end(false, counters, items);
    }
}
