//! Content in, items out.

use super::{Body, Counters, Items};
use crate::{capture::Timestamp, protocol::Headers};

pub(super) mod codings;
mod documents;
mod events;
mod messages;
mod properties;

/// What came, item by item.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Came {
    Item { event: String, bytes: Vec<u8>, time: u64, whole: bool },
    Cut,
    Array,
}

/// Writes down what it is told, and panics where a promise of [`Items`] is broken.
#[derive(Debug, Default)]
struct Recorder {
    came: Vec<Came>,
    open: Option<(String, Vec<u8>)>,
}

impl Items for Recorder {
    fn begin(&mut self, event: &[u8]) {
        assert!(self.open.is_none(), "begin inside an item");
        self.open = Some((String::from_utf8_lossy(event).into_owned(), Vec::new()));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        assert!(!bytes.is_empty());
        self.open.as_mut().expect("bytes inside an item").1.extend_from_slice(bytes);
    }

    fn end(&mut self, time: Timestamp, whole: bool) {
        let (event, bytes) = self.open.take().expect("end of an item");
        self.came.push(Came::Item { event, bytes, time: time.0, whole });
    }

    fn cut(&mut self) {
        assert!(self.open.is_none(), "cut inside an item");
        self.came.push(Came::Cut);
    }

    fn array(&mut self) {
        assert!(self.came.is_empty() && self.open.is_none());
        self.came.push(Came::Array);
    }
}

impl Recorder {
    /// A line an item: its name, its bytes, and `..` if it is not whole.
    fn lines(&self) -> Vec<String> {
        let line = |came: &Came| match came {
            Came::Item { event, bytes, whole, .. } => {
                let name = if event.is_empty() { String::new() } else { format!("{event}: ") };
                format!("{name}{}{}", String::from_utf8_lossy(bytes), if *whole { "" } else { ".." })
            }
            Came::Cut => "(cut)".to_owned(),
            Came::Array => "(array)".to_owned(),
        };
        self.came.iter().map(line).collect()
    }
}

fn headers(content_type: &str, coding: &str) -> Headers {
    let mut headers = Headers::default();
    for (name, value) in [("Content-Type", content_type), ("Content-Encoding", coding)] {
        if !value.is_empty() {
            headers.push(name.as_bytes(), value.as_bytes());
        }
    }
    headers
}

/// What comes of content in these pieces, the first of which moves at time 1, the next at 2. A piece of no bytes is a gap.
fn read_pieces<'a>(
    headers: &Headers,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    complete: bool,
) -> (Recorder, Counters) {
    let (mut recorder, mut counters) = (Recorder::default(), Counters::default());
    if let Some(mut body) = Body::new(headers, &mut counters) {
        for (index, piece) in pieces.into_iter().enumerate() {
            if piece.is_empty() {
                body.gap(&mut counters, &mut recorder);
            } else {
                body.push(Timestamp(index as u64 + 1), piece, &mut counters, &mut recorder);
            }
        }
        body.end(complete, &mut counters, &mut recorder);
    }
    assert!(recorder.open.is_none(), "every item ends");
    (recorder, counters)
}

/// As a whole, byte by byte and cut anywhere in two: the same items, which these are.
#[track_caller]
fn check(headers: &Headers, content: impl AsRef<[u8]>, expected: &[&str]) -> Counters {
    let content = content.as_ref();
    let (recorder, counters) = read_pieces(headers, content.chunks(content.len().max(1)), true);
    assert_eq!(recorder.lines(), expected, "{}", content.escape_ascii());
    let (recorder, _) = read_pieces(headers, content.chunks(1), true);
    assert_eq!(recorder.lines(), expected, "byte by byte: {}", content.escape_ascii());
    for cut in 1..content.len() {
        let (before, after) = content.split_at(cut);
        let (recorder, _) = read_pieces(headers, [before, after], true);
        assert_eq!(recorder.lines(), expected, "cut at {cut}: {}", content.escape_ascii());
    }
    counters
}
