//! Reads the items of an answer.

use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::{
    MAX_NAME,
    chunks::Chunks,
    content::Gathering,
    said::Said,
    shape::{RESPONSE, WRAPPED},
};
use crate::{
    capture::Timestamp,
    protocol::body::json::{Outcome, Scanner, Value},
};

/// Longest event of a model inside an event of Bedrock, in base64; of a longer one only the beginning is read.
const MAX_WRAPPED: usize = 64 * 1024;
/// Longest item that is no JSON and says something all the same.
const MAX_LITERAL: usize = 16;

/// Texts that were cut have no padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The answer so far.
#[derive(Debug)]
pub(super) struct Answer {
    scanner: Scanner<'static>,
    /// Of the events of Bedrock that have the model's inside, once there was one.
    wrapper: Option<Box<Scanner<'static>>>,
    wrapped: bool,
    /// The first bytes of the item, and how many it has beside blanks at the start.
    literal: [u8; MAX_LITERAL],
    length: usize,
    pub(super) said: Said,
    pub(super) chunks: Chunks,
    /// Items that were JSON.
    pub(super) items: u64,
    /// Items that were not.
    pub(super) others: u64,
    pub(super) cut: bool,
    /// It is a stream of messages of AWS.
    pub(super) is_aws: bool,
    /// What is said in it, where that is kept.
    pub(super) content: Option<Box<Gathering>>,
}

impl Answer {
    pub(super) fn new(content: Option<Box<Gathering>>) -> Self {
        Self {
            scanner: Scanner::new(&RESPONSE.paths, MAX_NAME),
            wrapper: None,
            wrapped: false,
            literal: [0; MAX_LITERAL],
            length: 0,
            said: Said::default(),
            chunks: Chunks::default(),
            items: 0,
            others: 0,
            cut: false,
            is_aws: false,
            content,
        }
    }

    pub(super) fn begin(&mut self, event: &[u8]) {
        let event = std::str::from_utf8(event).unwrap_or_default();
        self.wrapped = self.said.begin(event, self.is_aws).wrapped;
        self.length = 0;
        if let Some(content) = &mut self.content {
            content.begin();
        }
        if self.wrapped {
            self.is_stream();
        }
    }

    /// The items are those of a stream, whether there are several or not.
    pub(super) fn is_stream(&mut self) {
        if let Some(content) = &mut self.content {
            content.is_stream();
        }
    }

    /// The stream said that nothing more comes.
    fn is_over(&mut self) {
        if let Some(content) = &mut self.content {
            content.is_over();
        }
    }

    /// Something was lost between items.
    pub(super) fn cut(&mut self) {
        self.cut = true;
        if let Some(content) = &mut self.content {
            content.cut();
        }
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        let bytes = if self.length == 0 { bytes.trim_ascii_start() } else { bytes };
        if let Some(room) = self.literal.get_mut(self.length..) {
            let kept = room.len().min(bytes.len());
            room[..kept].copy_from_slice(&bytes[..kept]);
        }
        self.length += bytes.len();
        if self.wrapped {
            let wrapper = self.wrapper.get_or_insert_with(|| Box::new(Scanner::new(&WRAPPED, MAX_WRAPPED)));
            let (scanner, said, any_cut) = (&mut self.scanner, &mut self.said, &mut self.cut);
            let content = &mut self.content;
            wrapper.push(bytes, &mut |_: u16, _: &[u32], value: Value<'_>| {
                let Value::Text { text, cut } = value else { return };
                *any_cut |= cut;
                // Four characters are three bytes.
                let whole = if cut { text.len() / 4 * 4 } else { text.len() };
                match text.get(..whole).map(|text| BASE64.decode(text)) {
                    Some(Ok(event)) => {
                        scanner.push(&event, said);
                        if let Some(content) = content {
                            content.bytes(&event);
                        }
                    }
                    _ => *any_cut = true,
                }
            });
        } else {
            self.scanner.push(bytes, &mut self.said);
            if let Some(content) = &mut self.content {
                content.bytes(bytes);
            }
        }
    }

    pub(super) fn end(&mut self, time: Timestamp, whole: bool) {
        if let Some(wrapper) = self.wrapper.as_mut().filter(|_| self.wrapped) {
            wrapper.end();
        }
        let outcome = self.scanner.end();
        if self.length == 0 {
            // Blank events keep the connection alive.
            return;
        }
        self.cut |= !whole;
        if let Some(content) = &mut self.content {
            content.end(whole);
        }
        let literal = self.literal.get(..self.length).unwrap_or_default().trim_ascii_end();
        if literal == b"[DONE]" {
            self.said.ended = true;
            self.is_over();
            return;
        }
        let ended = self.said.end(whole && outcome == Outcome::Whole);
        if self.said.ended && whole {
            self.is_over();
        }
        if outcome == Outcome::Bad {
            self.others += 1;
            return;
        }
        self.items += 1;
        if whole && ended.chunk {
            self.chunks.add(time, ended.token);
        }
    }
}
