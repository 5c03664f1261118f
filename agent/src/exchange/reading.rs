//! The content of one exchange on its way to the readers of calls.

use std::sync::Arc;

use super::{
    Budget, Call, Half,
    content::Which,
    genai::{self, Kept, Providers},
    mcp,
    reader::{Reader, Standing},
};
use crate::{
    capture::Timestamp,
    protocol::{
        Head, Headers,
        body::{self, Body, Items},
    },
};

/// Readers of one exchange, at most: one for each kind of call.
const READERS: usize = 2;

/// Bytes of a request that are read for a call that nothing but content may speak for. One that says so later is not seen as what it is, and uploads of
/// other APIs are not read to their end.
pub(super) const MAX_UNDECIDED: u64 = 256 * 1024;

/// The content of one message.
#[derive(Debug, Default)]
enum Content {
    /// None came yet.
    #[default]
    Nothing,
    /// Its first bytes were not seen, and none came yet.
    Beheaded,
    /// It is read.
    Read(Box<Body>),
    /// Its coding or type cannot be, or the worker's bound was reached.
    Passed,
}

/// Reads one exchange for the calls that it may be.
#[derive(Debug)]
pub(super) struct Reading {
    /// Those that have not said that it is nothing of theirs.
    readers: [Option<Box<dyn Reader>>; READERS],
    contents: [Content; 2],
    /// Bytes of the request that were read.
    asked: u64,
    /// What the contents hold of the budget.
    held: usize,
    budget: Arc<Budget>,
    counters: body::Counters,
    /// The times of the parts of the response say nothing ([`Body::is_late`]).
    late: bool,
}

/// Gives the items of a message to all readers.
struct Feed<'a> {
    which: Which,
    readers: &'a mut [Option<Box<dyn Reader>>; READERS],
}

impl Items for Feed<'_> {
    fn begin(&mut self, event: &[u8]) {
        self.readers.iter_mut().flatten().for_each(|reader| reader.begin(self.which, event));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.readers.iter_mut().flatten().for_each(|reader| reader.bytes(self.which, bytes));
    }

    fn end(&mut self, time: Timestamp, whole: bool) {
        self.readers.iter_mut().flatten().for_each(|reader| reader.end(self.which, time, whole));
    }

    fn array(&mut self) {
        self.readers.iter_mut().flatten().for_each(|reader| reader.array(self.which));
    }

    fn id(&mut self) {
        self.readers.iter_mut().flatten().for_each(|reader| reader.id(self.which));
    }

    fn cut(&mut self) {
        self.readers.iter_mut().flatten().for_each(|reader| reader.cut(self.which));
    }
}

impl Reading {
    /// By the head of a request; `None` if it is certainly no call. What is said in a call is kept where `kept` asks for it.
    pub(super) fn begin(
        request: &Head,
        providers: &Arc<Providers>,
        budget: &Arc<Budget>,
        kept: Option<&Kept>,
        link: impl FnOnce() -> Option<mcp::Link>,
    ) -> Option<Box<Self>> {
        let readers = [genai::recognise(request, providers, kept), mcp::recognise(request, kept, link)];
        let any = readers.iter().any(Option::is_some);
        let new = |readers| Self {
            readers,
            contents: Default::default(),
            asked: 0,
            held: 0,
            budget: Arc::clone(budget),
            counters: body::Counters::default(),
            late: false,
        };
        any.then(|| Box::new(new(readers)))
    }

    /// Whether the content of this message is needed.
    pub(super) fn wants(&self, which: Which) -> bool {
        !matches!(self.contents[which as usize], Content::Passed) && self.readers.iter().any(Option::is_some)
    }

    pub(super) fn response_head(&mut self, head: &Head) {
        self.readers.iter_mut().flatten().for_each(|reader| reader.response_head(head));
        self.settle();
    }

    /// The next bytes of the content of a message with these header fields, without transfer coding.
    pub(super) fn body(&mut self, which: Which, headers: &Headers, time: Timestamp, bytes: &[u8]) {
        if !self.wants(which) {
            return;
        }
        let content = &mut self.contents[which as usize];
        if matches!(content, Content::Nothing | Content::Beheaded) {
            let mut body = Body::new(headers, &mut self.counters);
            if let (Content::Beheaded, Some(body)) = (&*content, &mut body) {
                body.gap(&mut self.counters, &mut Feed { which, readers: &mut self.readers });
            }
            *content = body.map_or(Content::Passed, |body| Content::Read(Box::new(body)));
        }
        let Content::Read(body) = content else { return };
        self.late |= which == Which::Response && body.is_late();
        if which == Which::Request {
            self.asked = self.asked.saturating_add(bytes.len() as u64);
        }
        body.push(time, bytes, &mut self.counters, &mut Feed { which, readers: &mut self.readers });
        let (before, held) = (self.held, self.contents.iter().map(Content::held).sum::<usize>());
        if held > before && !self.budget.take(held - before) {
            // The worker's bound: what was read stands, the rest of this message is passed.
            self.counters.over_budget += 1;
            self.pass(which);
            let held = self.contents.iter().map(Content::held).sum();
            self.budget.give_back(before - held);
            self.held = held;
        } else {
            if before > held {
                self.budget.give_back(before - held);
            }
            self.held = held;
        }
        self.settle();
    }

    /// Bytes of a message were not seen.
    pub(super) fn gap(&mut self, which: Which) {
        match &mut self.contents[which as usize] {
            Content::Read(body) => body.gap(&mut self.counters, &mut Feed { which, readers: &mut self.readers }),
            content @ Content::Nothing => {
                *content = Content::Beheaded;
                self.readers.iter_mut().flatten().for_each(|reader| reader.cut(which));
            }
            Content::Beheaded | Content::Passed => {}
        }
        self.settle();
    }

    /// The rest of a message is not read: the item that it is in ends here.
    fn pass(&mut self, which: Which) {
        if let Content::Read(mut body) = std::mem::replace(&mut self.contents[which as usize], Content::Passed) {
            body.end(false, &mut self.counters, &mut Feed { which, readers: &mut self.readers });
        }
    }

    /// A message ended; `complete` if as its framing says.
    pub(super) fn end(&mut self, which: Which, complete: bool) {
        if let Content::Read(mut body) = std::mem::replace(&mut self.contents[which as usize], Content::Passed) {
            body.end(complete, &mut self.counters, &mut Feed { which, readers: &mut self.readers });
        }
        let held = self.contents.iter().map(Content::held).sum();
        self.budget.give_back(self.held - held);
        self.held = held;
        self.settle();
    }

    /// What it counted.
    pub(super) fn take_counters(&mut self) -> body::Counters {
        std::mem::take(&mut self.counters)
    }

    /// The exchange is over: what it is.
    pub(super) fn finish(mut self, request: &Half, response: Option<&Half>) -> Option<Call> {
        // Where one is sure, it is the only one that is left.
        self.settle();
        let readers = std::mem::take(&mut self.readers);
        let mut call = readers.into_iter().flatten().find_map(|reader| reader.finish(request, response));
        if let Some(Call::GenAi(call)) = &mut call
            && self.late
        {
            call.stream = None;
        }
        call
    }

    /// Drops the readers that it is nothing of, and the others as soon as one is sure.
    fn settle(&mut self) {
        let sure = self
            .readers
            .iter()
            .position(|reader| reader.as_ref().is_some_and(|reader| reader.standing() == Standing::Is));
        let asked = self.asked;
        let hopes = |reader: &dyn Reader| {
            asked <= MAX_UNDECIDED || reader.is_likely() || reader.standing() != Standing::Undecided
        };
        for (index, slot) in self.readers.iter_mut().enumerate() {
            let Some(reader) = slot.as_deref() else { continue };
            let keeps = reader.standing() != Standing::IsNot && sure.is_none_or(|sure| sure == index);
            if !keeps || !hopes(reader) {
                self.counters.given_up += u64::from(keeps);
                *slot = None;
            }
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.budget.give_back(self.held);
    }
}

impl Content {
    fn held(&self) -> usize {
        match self {
            Self::Read(body) => body.held(),
            Self::Nothing | Self::Beheaded | Self::Passed => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::{
        exchange::genai::GenAi,
        protocol::{HttpVersion, StartLine},
    };

    const EVENTS: &str = "data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n\
        data: {\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\ndata: [DONE]\n\n";

    fn half(start: StartLine, fields: &[(&str, &str)]) -> Half {
        let mut headers = Headers::default();
        for (name, value) in fields {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        let head = Head {
            start,
            version: HttpVersion::Http11,
            headers,
            position: 0,
            first_byte: Timestamp(1),
            complete: Timestamp(1),
            request: 0,
        };
        Half {
            head,
            body_size: None,
            trailers: Headers::default(),
            last_byte: Timestamp(9),
            complete: true,
            content: None,
        }
    }

    /// A call that is answered by this stream, whose first bytes may not be seen, by a worker that may hold so many bytes.
    fn answered(coding: &str, lost: usize, content: &[u8], budget: usize) -> (GenAi, body::Counters) {
        let target = "/v1/chat/completions".into();
        let request = half(
            StartLine::Request { method: "POST".into(), target },
            &[("host", "api.openai.com"), ("content-type", "application/json")],
        );
        let fields = [("content-type", "text/event-stream"), ("content-encoding", coding)];
        let response = half(StartLine::Response { status: 200 }, &fields);
        let budget = Arc::new(Budget::new(budget));
        let mut reading = Reading::begin(&request.head, &Arc::new(Providers::default()), &budget, None, || None)
            .expect("it may be a call");
        let asked = b"{\"model\":\"m\",\"stream\":true,\"messages\":[]}";
        reading.body(Which::Request, &request.head.headers, Timestamp(1), asked);
        reading.end(Which::Request, true);
        reading.response_head(&response.head);
        if lost > 0 {
            reading.gap(Which::Response);
        }
        for (index, piece) in content[lost..].chunks(20).enumerate() {
            reading.body(Which::Response, &response.head.headers, Timestamp(2 + index as u64), piece);
        }
        reading.end(Which::Response, true);
        assert_eq!(budget.held(), 0);
        let counters = reading.take_counters();
        let call = reading.finish(&request, Some(&response));
        (call.as_ref().and_then(Call::genai).expect("a call").clone(), counters)
    }

    #[test]
    fn times_that_a_coding_hides_are_not_told() {
        let (call, _) = answered("identity", 0, EVENTS.as_bytes(), 1 << 20);
        assert!(call.stream.is_some());
        let coded = ruzstd::encoding::compress_to_vec(EVENTS.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest);
        let (late, _) = answered("zstd", 0, &coded, 1 << 24);
        assert_eq!(late.usage.output, Some(4));
        assert_eq!(late, GenAi { stream: None, ..call });
    }

    #[test]
    fn what_is_beyond_the_bound_of_the_worker_is_cut() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(EVENTS.as_bytes()).unwrap();
        let coded = encoder.finish().unwrap();
        let (whole, counters) = answered("gzip", 0, &coded, 1 << 20);
        assert_eq!((whole.usage.output, whole.cut, counters.over_budget), (Some(4), false, 0));
        let (cut, counters) = answered("gzip", 0, &coded, 1000);
        assert_eq!((cut.usage.output, cut.cut, counters.over_budget), (None, true, 1));
    }

    #[test]
    fn a_stream_without_its_beginning_goes_on_at_the_next_event() {
        let model = EVENTS.find("\"x\"").unwrap();
        let (call, counters) = answered("identity", model, EVENTS.as_bytes(), 1 << 20);
        assert_eq!((call.usage.output, call.cut, counters.gaps), (Some(4), true, 1));
        let second = EVENTS.find("\n\n").unwrap() + 30;
        let (call, _) = answered("identity", second, EVENTS.as_bytes(), 1 << 20);
        assert_eq!((call.usage.output, call.cut), (None, true), "half an event tells nothing");
    }
}
