//! Attributes of series that are asked for by key: those that a policy adds, and those of instruments of both ends.

use std::{borrow::Cow, sync::Arc};

use super::istio::IstioLabel;
use crate::policy::{
    Capture, Finding, Trust,
    attribute::{Extractor, Key, Subject, Value},
    model::{Attribute, AttributeSource},
};

/// An attribute of the series of an instrument.
#[derive(Clone, Debug)]
pub struct Label {
    /// Its name.
    pub name: Cow<'static, str>,
    source: Source,
}

/// Where the value of a label comes from.
#[derive(Clone, Debug)]
enum Source {
    /// What the policy says, as written and compiled; the word where there is no value.
    Attribute { written: (AttributeSource, Option<String>), extractor: Arc<Extractor>, absent: Option<&'static str> },
    /// What the table of instruments says.
    Own { own: Own, absent: Option<&'static str> },
}

/// Where the value of a label of the table comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Own {
    /// A key.
    Key(Key),
    /// A key, if it is a client that reports.
    OfClient(Key),
    /// A rule of Istio's.
    Istio(IstioLabel),
    /// Whether tokens are input or output.
    TokenType,
    /// What tokens are of.
    Modality,
    /// Which way bytes went.
    IoDirection,
    /// Nothing that a passive observer sees.
    Nothing,
}

/// Which part of a call or a connection a measurement is of, where it is not of the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// `input` or `output`.
    pub token_type: Option<&'static str>,
    /// `text`, `image`, `audio` or `unknown`.
    pub modality: Option<&'static str>,
    /// `transmit` or `receive`.
    pub io_direction: Option<&'static str>,
}

/// Labels are the same if they were written the same.
impl PartialEq for Label {
    fn eq(&self, other: &Self) -> bool {
        let same = match (&self.source, &other.source) {
            (
                Source::Attribute { written, absent, .. },
                Source::Attribute { written: others, absent: elsewhere, .. },
            ) => written == others && absent == elsewhere,
            (Source::Own { own, absent }, Source::Own { own: others, absent: elsewhere }) => {
                own == others && absent == elsewhere
            }
            _ => false,
        };
        same && self.name == other.name
    }
}

impl Label {
    /// A label of the table of instruments, and the word where it has no value.
    pub(super) const fn own(name: &'static str, own: Own, absent: Option<&'static str>) -> Self {
        Self { name: Cow::Borrowed(name), source: Source::Own { own, absent } }
    }

    /// Compiles an attribute; `None` if it makes the policy invalid. `absent` is the profile's word where it has neither value nor default.
    pub(super) fn compile(
        attribute: &Attribute,
        absent: Option<&'static str>,
        trust: &Trust,
        findings: &mut Vec<Finding>,
    ) -> Option<Self> {
        let extractor = Arc::new(Extractor::compile(attribute, trust, findings)?);
        let written = (attribute.source.clone(), attribute.default.clone());
        Some(Self { name: attribute.name.clone().into(), source: Source::Attribute { written, extractor, absent } })
    }

    /// The value for an exchange, or for a part of a call.
    pub fn value<'a>(&'a self, subject: &'a dyn Subject, part: Part) -> Option<Value<'a>> {
        let (value, absent) = match &self.source {
            Source::Attribute { extractor, absent, .. } => (extractor.value(subject), absent),
            Source::Own { own: Own::Key(key), absent } => (subject.key(*key), absent),
            Source::Own { own: Own::OfClient(key), absent } => {
                let is_client = subject.key(Key::Reporter) == Some("client".into());
                (if is_client { subject.key(*key) } else { None }, absent)
            }
            Source::Own { own: Own::Istio(label), absent } => (label.value(subject), absent),
            Source::Own { own: Own::TokenType, absent } => (part.token_type.map(Value::from), absent),
            Source::Own { own: Own::Modality, absent } => (part.modality.map(Value::from), absent),
            Source::Own { own: Own::IoDirection, absent } => (part.io_direction.map(Value::from), absent),
            Source::Own { own: Own::Nothing, absent } => (None, absent),
        };
        value.or_else(|| absent.map(Value::from))
    }

    /// Whether its value may be a piece of content.
    pub(super) fn may_give_content(&self) -> bool {
        matches!(&self.source, Source::Attribute { extractor, .. } if extractor.may_give_content())
    }

    /// Whether it is of the table of instruments.
    pub(super) const fn is_own(&self) -> bool {
        matches!(self.source, Source::Own { .. })
    }

    /// What must be captured for it.
    pub fn needs(&self) -> Capture {
        match &self.source {
            Source::Attribute { extractor, .. } => extractor.needs(),
            Source::Own { own: Own::Key(key) | Own::OfClient(key), .. } => key.row().asks(),
            Source::Own { own: Own::Istio(_), .. } => Capture::Heads,
            Source::Own { own: Own::TokenType | Own::Modality | Own::IoDirection | Own::Nothing, .. } => {
                Capture::Nothing
            }
        }
    }
}
