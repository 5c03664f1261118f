//! Where the items of decoded content begin and end.

mod document;
mod elements;
mod events;
mod lines;
mod messages;
mod shape;

use self::{
    document::Document,
    elements::Elements,
    events::Events,
    lines::Lines,
    messages::Messages,
    shape::{Format, Shape},
};
use super::{Counters, Items};
use crate::capture::Timestamp;
use crate::protocol::media::Media;

/// Takes content apart as its format wants.
#[derive(Debug)]
pub(super) enum Framer {
    /// The first bytes have not come.
    Shape(Shape),
    Document(Document),
    Elements(Elements),
    Lines(Lines),
    Events(Box<Events>),
    Messages(Box<Messages>),
    /// Nothing more can be read.
    Over,
}

impl Framer {
    pub(super) fn new(media: Media) -> Self {
        Self::Shape(Shape::new(media))
    }

    pub(super) fn push(&mut self, time: Timestamp, bytes: &[u8], counters: &mut Counters, items: &mut impl Items) {
        match self {
            Self::Shape(shape) => {
                let Some((format, length)) = shape.push(time, bytes) else { return };
                let first = shape.first();
                self.begin(format, counters, items);
                self.push(time, first.as_slice(), counters, items);
                self.push(time, &bytes[length..], counters, items);
            }
            Self::Document(document) => document.push(time, bytes, counters, items),
            Self::Elements(elements) => elements.push(time, bytes, counters, items),
            Self::Lines(lines) => lines.push(time, bytes, counters, items),
            Self::Events(events) => events.push(time, bytes, counters, items),
            Self::Messages(messages) => messages.push(time, bytes, counters, items),
            Self::Over => {}
        }
    }

    /// Bytes are missing.
    pub(super) fn gap(&mut self, counters: &mut Counters, items: &mut impl Items) {
        if let Self::Shape(shape) = self {
            *self = match shape.promised() {
                Media::Lines => Self::Lines(Lines::default()),
                Media::Events => Self::Events(Box::default()),
                Media::EventStream => Self::Messages(Box::default()),
                Media::Json | Media::Unknown | Media::Other => Self::Document(Document::default()),
            };
        }
        match self {
            Self::Lines(lines) => lines.gap(counters, items),
            Self::Events(events) => events.gap(counters, items),
            Self::Messages(messages) => messages.gap(counters, items),
            Self::Document(_) | Self::Elements(_) => self.end(false, counters, items),
            Self::Shape(_) | Self::Over => {}
        }
    }

    /// The content is over, whole or not.
    pub(super) fn end(&mut self, complete: bool, counters: &mut Counters, items: &mut impl Items) {
        if let Self::Shape(shape) = self
            && let Some(format) = shape.undecided()
        {
            let (time, first) = (shape.time(), shape.first());
            self.begin(format, counters, items);
            self.push(time, first.as_slice(), counters, items);
        }
        match self {
            Self::Document(document) => document.end(complete, counters, items),
            Self::Elements(elements) => elements.end(complete, counters, items),
            Self::Lines(lines) => lines.end(complete, counters, items),
            Self::Events(events) => events.end(complete, counters, items),
            Self::Messages(messages) => messages.end(complete, counters, items),
            Self::Shape(_) => {}
            Self::Over => return,
        }
        if !complete {
            items.cut();
        }
        *self = Self::Over;
    }

    /// Bytes that it keeps besides itself.
    pub(super) fn held(&self) -> usize {
        match self {
            Self::Events(events) => size_of::<Events>() + events.held(),
            Self::Messages(messages) => size_of::<Messages>() + messages.held(),
            Self::Shape(_) | Self::Document(_) | Self::Elements(_) | Self::Lines(_) | Self::Over => 0,
        }
    }

    fn begin(&mut self, format: Format, counters: &mut Counters, items: &mut impl Items) {
        *self = match format {
            Format::Document => Self::Document(Document::default()),
            Format::Elements => {
                items.array();
                Self::Elements(Elements::default())
            }
            Format::Lines => Self::Lines(Lines::default()),
            Format::Events => Self::Events(Box::default()),
            Format::Messages => Self::Messages(Box::default()),
            Format::None => {
                counters.other_shapes += 1;
                Self::Over
            }
        };
    }
}
