//! The content of one exchange on its way to the readers of calls.

use std::sync::Arc;

use super::{
    Budget, Call, Half,
    content::Which,
    genai::{self, Providers},
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

    fn cut(&mut self) {
        self.readers.iter_mut().flatten().for_each(|reader| reader.cut(self.which));
    }
}

impl Reading {
    /// By the head of a request; `None` if it is certainly no call.
    pub(super) fn begin(
        request: &Head,
        providers: &Arc<Providers>,
        budget: &Arc<Budget>,
        link: impl FnOnce() -> Option<mcp::Link>,
    ) -> Option<Box<Self>> {
        let readers = [genai::recognise(request, providers, false), mcp::recognise(request, link)];
        let any = readers.iter().any(Option::is_some);
        let new = |readers| Self {
            readers,
            contents: Default::default(),
            asked: 0,
            held: 0,
            budget: Arc::clone(budget),
            counters: body::Counters::default(),
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
        if matches!(content, Content::Nothing) {
            *content =
                Body::new(headers, &mut self.counters).map_or(Content::Passed, |body| Content::Read(Box::new(body)));
        }
        let Content::Read(body) = content else { return };
        if which == Which::Request {
            self.asked = self.asked.saturating_add(bytes.len() as u64);
        }
        body.push(time, bytes, &mut self.counters, &mut Feed { which, readers: &mut self.readers });
        let (before, held) = (self.held, self.contents.iter().map(Content::held).sum::<usize>());
        if held > before && !self.budget.take(held - before) {
            // The worker's bound: what was read stands, the rest of this message is passed.
            self.contents[which as usize] = Content::Passed;
            self.counters.over_budget += 1;
            self.readers.iter_mut().flatten().for_each(|reader| reader.cut(which));
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
            Content::Nothing => self.readers.iter_mut().flatten().for_each(|reader| reader.cut(which)),
            Content::Passed => {}
        }
        self.settle();
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
        let readers = std::mem::take(&mut self.readers);
        // One that is sure comes before one that is not.
        let (sure, unsure): (Vec<_>, Vec<_>) =
            readers.into_iter().flatten().partition(|reader| reader.standing() == Standing::Is);
        sure.into_iter().chain(unsure).find_map(|reader| reader.finish(request, response))
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
            Self::Nothing | Self::Passed => 0,
        }
    }
}
