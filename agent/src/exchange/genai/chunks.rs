//! When the parts of an answer came.

use super::{MAX_INTERVALS, Stream};
use crate::capture::Timestamp;

/// The parts of an answer, in order.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    stream: Option<Stream>,
}

impl Chunks {
    /// One more part. `token`: it has text, reasoning or a part of a tool call.
    pub(super) fn add(&mut self, time: Timestamp, token: bool) {
        let token = token.then_some(time);
        let Some(stream) = &mut self.stream else {
            self.stream = Some(Stream {
                first_chunk: time,
                first_token: token,
                last_token: token,
                last_chunk: time,
                chunks: 1,
                intervals: Vec::new(),
                complete: false,
            });
            return;
        };
        if stream.intervals.len() < MAX_INTERVALS {
            let microseconds = time.since(stream.last_chunk).as_micros();
            stream.intervals.push(u32::try_from(microseconds).unwrap_or(u32::MAX));
        }
        stream.first_token = stream.first_token.or(token);
        stream.last_token = token.or(stream.last_token);
        stream.last_chunk = time;
        stream.chunks += 1;
    }

    /// As a stream; `None` if there was no part.
    pub(super) fn into_stream(self, complete: bool) -> Option<Stream> {
        self.stream.map(|stream| Stream { complete, ..stream })
    }
}
