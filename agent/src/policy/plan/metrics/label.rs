//! Attributes that a policy adds to series.

use std::{borrow::Cow, sync::Arc};

use crate::policy::{
    Capture, Finding, Trust,
    attribute::{Extractor, Subject, Value},
    model::{Attribute, AttributeSource},
};

/// An attribute that is added to the series of an instrument.
#[derive(Clone, Debug)]
pub struct Label {
    /// Its name.
    pub name: Cow<'static, str>,
    source: Source,
}

/// Where the value of a label comes from.
#[derive(Clone, Debug)]
enum Source {
    /// What the policy says, as written and compiled.
    Attribute { written: (AttributeSource, Option<String>), extractor: Arc<Extractor> },
}

/// Labels are the same if they were written the same.
impl PartialEq for Label {
    fn eq(&self, other: &Self) -> bool {
        let Source::Attribute { written, .. } = &self.source;
        let Source::Attribute { written: others, .. } = &other.source;
        self.name == other.name && written == others
    }
}

impl Label {
    /// Compiles an attribute; `None` if it makes the policy invalid.
    pub(super) fn compile(attribute: &Attribute, trust: &Trust, findings: &mut Vec<Finding>) -> Option<Self> {
        let extractor = Arc::new(Extractor::compile(attribute, trust, findings)?);
        let written = (attribute.source.clone(), attribute.default.clone());
        Some(Self { name: attribute.name.clone().into(), source: Source::Attribute { written, extractor } })
    }

    /// The value for an exchange.
    pub fn value<'a>(&'a self, subject: &'a dyn Subject) -> Option<Value<'a>> {
        let Source::Attribute { extractor, .. } = &self.source;
        extractor.value(subject)
    }

    /// What must be captured for it.
    pub fn needs(&self) -> Capture {
        let Source::Attribute { extractor, .. } = &self.source;
        extractor.needs()
    }
}
