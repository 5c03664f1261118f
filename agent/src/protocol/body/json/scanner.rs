//! The scanner itself: states, what is open, and what is passed over.

use super::{
    MAX_BRIEF, MAX_NUMBER,
    paths::{NOTHING, Paths, ROOT, Take, Target},
    skipped::{Skip, Skipped},
    text::{self, Text},
    value::{Found, Literal, Value},
};

/// What a document turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A document, complete.
    Whole,
    /// It ended inside, or before it began; what was told before that holds.
    Cut,
    /// No JSON, from some byte on; what was told before that stood there.
    Bad,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The document, or so many bytes of a byte order mark have come.
    Start(u8),
    /// A value, or the end of the array that has just begun.
    Value {
        target: Target,
        or_end: bool,
    },
    /// A name, or the end of the object that has just begun.
    Name {
        or_end: bool,
    },
    /// The colon behind a name.
    Colon(Target),
    /// What stands between values, or the end of what they are in.
    Comma,
    /// The rest of a name.
    InName,
    /// The rest of a string.
    InText(Target),
    /// The rest of a string that is not wanted.
    InSkippedText,
    /// The rest of a number, `true`, `false` or `null`.
    InLiteral(Target),
    /// The rest of an object or array of which nothing is wanted.
    InSkipped,
    /// The rest of one that is wanted as it is written.
    InJson(Target),
    /// Nothing.
    Done,
    Bad,
}

/// An object or array that is followed.
#[derive(Clone, Copy, Debug)]
struct Frame {
    target: Target,
    is_array: bool,
}

/// Walks a document and tells what stands at wanted paths. Any segmentation gives the same calls.
///
/// It keeps one text, name or number that is not complete, and a few bytes for each step of the longest path; what is nested deeper is counted.
/// A number that is the whole document is not told, since only its end would complete it.
#[derive(Debug)]
pub struct Scanner<'p> {
    paths: &'p Paths,
    max_text: usize,
    state: State,
    frames: Vec<Frame>,
    /// Index of the element in each array that is followed.
    indices: Vec<u32>,
    text: Text,
    skipped: Skipped,
    /// The next byte of the string is escaped.
    escaped: bool,
}

impl<'p> Scanner<'p> {
    /// For these paths. Of a text at most `max_text` bytes are given.
    pub fn new(paths: &'p Paths, max_text: usize) -> Self {
        Self {
            paths,
            max_text,
            state: State::Start(0),
            frames: Vec::new(),
            indices: Vec::new(),
            text: Text::default(),
            skipped: Skipped::default(),
            escaped: false,
        }
    }

    /// More of the document.
    pub fn push(&mut self, bytes: &[u8], found: &mut impl Found) {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            at = match self.state {
                State::Value { .. } | State::Name { .. } | State::Colon(_) | State::Comma | State::Done
                    if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') =>
                {
                    at + 1
                }
                State::Start(seen) => self.start(seen, *byte, at),
                State::Value { target, or_end } => self.value(bytes, at, target, or_end, found),
                State::Name { or_end } => self.name(bytes, at, or_end),
                State::Colon(target) if *byte == b':' => {
                    self.state = State::Value { target, or_end: false };
                    at + 1
                }
                State::Comma => self.comma(*byte, at),
                State::InName => self.rest_of_name(bytes, at),
                State::InText(target) => self.rest_of_text(bytes, at, target, found),
                State::InSkippedText => self.skip_text(bytes, at),
                State::InLiteral(target) => self.rest_of_literal(bytes, at, target, found),
                State::InSkipped => match self.skipped.push(&bytes[at..]) {
                    Skip::Inside => return,
                    Skip::Over(length) => self.over(at + length),
                    Skip::Bad(_) => self.bad(),
                },
                State::InJson(target) => self.rest_of_json(bytes, at, target, found),
                State::Colon(_) | State::Done => self.bad(),
                State::Bad => return,
            };
        }
    }

    /// The document is over; the next one may begin.
    pub fn end(&mut self) -> Outcome {
        let outcome = match self.state {
            State::Done => Outcome::Whole,
            State::Bad => Outcome::Bad,
            State::InLiteral(_) if self.frames.is_empty() => match Literal::read(self.text.finish()) {
                Literal::Bad => Outcome::Bad,
                Literal::Value(_) | Literal::Passed => Outcome::Whole,
            },
            _ => Outcome::Cut,
        };
        self.state = State::Start(0);
        self.frames.clear();
        self.indices.clear();
        outcome
    }

    /// Whether it is known not to be JSON: nothing more will be told of it.
    pub fn is_bad(&self) -> bool {
        self.state == State::Bad
    }

    /// Bytes that it keeps besides itself.
    pub fn held(&self) -> usize {
        self.text.held() + self.frames.capacity() * size_of::<Frame>() + self.indices.capacity() * size_of::<u32>()
    }

    /// No JSON: the rest is not looked at.
    fn bad(&mut self) -> usize {
        self.state = State::Bad;
        usize::MAX
    }

    /// A value is over.
    fn over(&mut self, at: usize) -> usize {
        self.state = if self.frames.is_empty() { State::Done } else { State::Comma };
        at
    }

    /// What is followed is over.
    fn close(&mut self, at: usize) -> usize {
        if self.frames.pop().is_some_and(|frame| frame.is_array) {
            self.indices.pop();
        }
        self.over(at)
    }

    /// A byte order mark is let through (RFC 8259 section 8.1).
    fn start(&mut self, seen: u8, byte: u8, at: usize) -> usize {
        const MARK: [u8; 3] = *b"\xef\xbb\xbf";
        let begin = State::Value { target: ROOT, or_end: false };
        match (seen, MARK[usize::from(seen)] == byte) {
            (2, true) => self.state = begin,
            (_, true) => self.state = State::Start(seen + 1),
            (0, false) => {
                self.state = begin;
                return at;
            }
            (_, false) => return self.bad(),
        }
        at + 1
    }

    fn value(&mut self, bytes: &[u8], at: usize, target: Target, or_end: bool, found: &mut impl Found) -> usize {
        match bytes[at] {
            b'"' => self.string(bytes, at + 1, target, found),
            b'{' => self.open(false, at + 1, target, found),
            b'[' => self.open(true, at + 1, target, found),
            b']' if or_end => self.close(at + 1),
            byte if is_literal(byte) => {
                let length = literal_length(&bytes[at..]);
                if at + length == bytes.len() {
                    self.text.begin(MAX_NUMBER);
                    self.state = State::InLiteral(target);
                    self.text.keep(&bytes[at..]);
                    return bytes.len();
                }
                let literal = Literal::read(&bytes[at..at + length]);
                self.literal(literal, at + length, target, found)
            }
            _ => self.bad(),
        }
    }

    fn open(&mut self, is_array: bool, at: usize, target: Target, found: &mut impl Found) -> usize {
        let node = self.paths.node(target);
        let value = if is_array { Value::Array } else { Value::Object };
        self.tell(target, value, found);
        self.state = match is_array {
            _ if node.take == Take::Json => {
                self.skipped.begin(is_array);
                self.text.begin(self.max_text);
                self.text.keep(if is_array { b"[" } else { b"{" });
                State::InJson(target)
            }
            true if node.element != NOTHING => {
                self.frames.push(Frame { target, is_array });
                self.indices.push(0);
                State::Value { target: node.element, or_end: true }
            }
            false if node.has_members() => {
                self.frames.push(Frame { target, is_array });
                State::Name { or_end: true }
            }
            _ => {
                self.skipped.begin(is_array);
                State::InSkipped
            }
        };
        at
    }

    /// Most bytes of a text at this place that are given.
    fn most(&self, target: Target) -> usize {
        if self.paths.node(target).take == Take::Brief { self.max_text.min(MAX_BRIEF) } else { self.max_text }
    }

    fn rest_of_json(&mut self, bytes: &[u8], at: usize, target: Target, found: &mut impl Found) -> usize {
        let length = match self.skipped.push(&bytes[at..]) {
            Skip::Inside => {
                self.text.keep(&bytes[at..]);
                return bytes.len();
            }
            Skip::Over(length) => length,
            Skip::Bad(_) => return self.bad(),
        };
        self.text.keep(&bytes[at..at + length]);
        let (json, cut) = text::read(self.text.finish(), self.max_text);
        for id in &self.paths.node(target).ids {
            found.json(*id, &self.indices, &json, cut);
        }
        self.over(at + length)
    }

    fn string(&mut self, bytes: &[u8], at: usize, target: Target, found: &mut impl Found) -> usize {
        self.escaped = false;
        if self.paths.node(target).ids.is_empty() {
            return self.skip_text(bytes, at);
        }
        if let Some(length) = text::end(&bytes[at..], &mut self.escaped) {
            let raw = &bytes[at..at + length];
            if memchr::memchr(b'\\', raw).is_none() {
                let (text, cut) = text::read(raw, self.most(target));
                self.tell(target, Value::Text { text: &text, cut }, found);
                return self.over(at + length + 1);
            }
        }
        self.escaped = false;
        self.text.begin(self.most(target));
        self.rest_of_text(bytes, at, target, found)
    }

    fn rest_of_text(&mut self, bytes: &[u8], at: usize, target: Target, found: &mut impl Found) -> usize {
        let end = text::end(&bytes[at..], &mut self.escaped);
        let raw = &bytes[at..end.map_or(bytes.len(), |end| at + end)];
        if !self.text.push(raw) {
            return self.bad();
        }
        if end.is_none() {
            self.state = State::InText(target);
            return bytes.len();
        }
        let most = self.most(target);
        let (text, cut) = text::read(self.text.finish(), most);
        for id in &self.paths.node(target).ids {
            found.found(*id, &self.indices, Value::Text { text: &text, cut });
        }
        self.over(at + raw.len() + 1)
    }

    fn skip_text(&mut self, bytes: &[u8], at: usize) -> usize {
        if let Some(end) = text::end(&bytes[at..], &mut self.escaped) {
            return self.over(at + end + 1);
        }
        self.state = State::InSkippedText;
        bytes.len()
    }

    fn rest_of_literal(&mut self, bytes: &[u8], at: usize, target: Target, found: &mut impl Found) -> usize {
        let length = literal_length(&bytes[at..]);
        self.text.keep(&bytes[at..at + length]);
        if at + length == bytes.len() {
            return bytes.len();
        }
        let mut text = std::mem::take(&mut self.text);
        let at = self.literal(Literal::read(text.finish()), at + length, target, found);
        self.text = text;
        at
    }

    fn literal(&mut self, literal: Literal<'_>, at: usize, target: Target, found: &mut impl Found) -> usize {
        match literal {
            Literal::Value(value) => self.tell(target, value, found),
            Literal::Passed => {}
            Literal::Bad => return self.bad(),
        }
        self.over(at)
    }

    fn name(&mut self, bytes: &[u8], at: usize, or_end: bool) -> usize {
        match bytes[at] {
            b'"' => {}
            b'}' if or_end => return self.close(at + 1),
            _ => return self.bad(),
        }
        let at = at + 1;
        self.escaped = false;
        if let Some(length) = text::end(&bytes[at..], &mut self.escaped) {
            let raw = &bytes[at..at + length];
            if memchr::memchr(b'\\', raw).is_none() {
                self.state = State::Colon(self.member(raw));
                return at + length + 1;
            }
        }
        self.escaped = false;
        // One byte more than the longest name that is wanted shows that it is none of them.
        self.text.begin(self.paths.longest());
        self.rest_of_name(bytes, at)
    }

    fn rest_of_name(&mut self, bytes: &[u8], at: usize) -> usize {
        let end = text::end(&bytes[at..], &mut self.escaped);
        let raw = &bytes[at..end.map_or(bytes.len(), |end| at + end)];
        if !self.text.push(raw) {
            return self.bad();
        }
        if end.is_none() {
            self.state = State::InName;
            return bytes.len();
        }
        let paths = self.paths;
        let frame = self.frames.last().map_or(NOTHING, |frame| frame.target);
        self.state = State::Colon(paths.node(frame).member(self.text.finish()));
        at + raw.len() + 1
    }

    fn member(&self, name: &[u8]) -> Target {
        self.frames.last().map_or(NOTHING, |frame| self.paths.node(frame.target).member(name))
    }

    fn comma(&mut self, byte: u8, at: usize) -> usize {
        let Some(frame) = self.frames.last() else { return self.bad() };
        match (byte, frame.is_array) {
            (b',', true) => {
                if let Some(index) = self.indices.last_mut() {
                    *index = index.saturating_add(1);
                }
                self.state = State::Value { target: self.paths.node(frame.target).element, or_end: false };
                at + 1
            }
            (b',', false) => {
                self.state = State::Name { or_end: false };
                at + 1
            }
            (b']', true) | (b'}', false) => self.close(at + 1),
            _ => self.bad(),
        }
    }

    fn tell(&self, target: Target, value: Value<'_>, found: &mut impl Found) {
        for id in &self.paths.node(target).ids {
            found.found(*id, &self.indices, value);
        }
    }
}

/// The bytes that numbers and words are made of, and those of other languages' numbers.
const fn is_literal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

fn literal_length(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !is_literal(*byte)).unwrap_or(bytes.len())
}
