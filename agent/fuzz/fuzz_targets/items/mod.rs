//! What the targets of content share: what came, with the promises of `Items` checked on the way.

use telltale::{
    capture::Timestamp,
    protocol::{
        Headers,
        body::{Body, Counters, Items},
    },
};

/// What came of content, item by item: name, bytes, and whether it is whole.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Recorder {
    came: Vec<(Vec<u8>, Vec<u8>, Option<bool>)>,
    open: bool,
    last: u64,
}

impl Recorder {
    /// Something is missing at the end.
    fn is_cut(&self) -> bool {
        self.came.last().is_some_and(|(_, _, whole)| whole.is_none())
    }
}

impl Items for Recorder {
    fn begin(&mut self, event: &[u8]) {
        assert!(!std::mem::replace(&mut self.open, true));
        self.came.push((event.to_vec(), Vec::new(), None));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        assert!(self.open && !bytes.is_empty());
        self.came.last_mut().expect("open").1.extend_from_slice(bytes);
    }

    fn end(&mut self, time: Timestamp, whole: bool) {
        assert!(std::mem::replace(&mut self.open, false));
        assert!(time.0 >= self.last, "items end in order");
        self.last = time.0;
        self.came.last_mut().expect("open").2 = Some(whole);
    }

    fn cut(&mut self) {
        assert!(!self.open);
        self.came.push((Vec::new(), b"(cut)".to_vec(), None));
    }

    fn array(&mut self) {
        assert!(self.came.is_empty());
    }
}

/// Content of this type and coding, in pieces of so many bytes; a piece whose number is in `gaps` is lost.
pub fn read(content_type: &str, coding: &str, content: &[u8], size: usize, gaps: u64) -> (Recorder, Counters) {
    let mut headers = Headers::default();
    headers.push(b"content-type", content_type.as_bytes());
    headers.push(b"content-encoding", coding.as_bytes());
    let (mut recorder, mut counters) = (Recorder::default(), Counters::default());
    if let Some(mut body) = Body::new(&headers, &mut counters) {
        for (index, piece) in content.chunks(size.max(1)).enumerate() {
            if index < 64 && gaps >> index & 1 == 1 {
                body.gap(&mut counters, &mut recorder);
            } else {
                body.push(Timestamp(index as u64), piece, &mut counters, &mut recorder);
            }
            assert!(body.held() < 32 << 20);
        }
        body.end(true, &mut counters, &mut recorder);
    }
    assert!(!recorder.open);
    recorder.last = 0;
    (recorder, counters)
}

/// Any segmentation gives the same; with losses, there is no panic. How much a decoder gives away of what is faulty, too much or not complete is its
/// own affair.
pub fn check(content_type: &str, coding: &str, input: &[u8]) {
    let Some((&size, content)) = input.split_first() else { return };
    let whole = read(content_type, coding, content, usize::MAX, 0);
    for size in [usize::from(size), 1] {
        let pieces = read(content_type, coding, content, size, 0);
        let is_cut = whole.0.is_cut() && pieces.0.is_cut();
        assert!(!coding.is_empty() && is_cut || pieces == whole, "{pieces:?} {whole:?}");
    }
    let gaps = u64::from(size) << 3 | 1 << (size % 64);
    read(content_type, coding, content, usize::from(size % 16), gaps);
}
