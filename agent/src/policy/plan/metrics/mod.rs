//! `metrics`, compiled: views of the instruments (OpenTelemetry metrics SDK, "View"), by the rules of POLICY.md sections 1 and 4.
//!
//! Where the SDK makes one stream of each view that matches, here the overrides of one instrument apply to its one stream in the order in
//! which the policy lists them: a policy selects an instrument by name or by alias, and two streams of one name would be two metrics that nobody can
//! tell apart. What a later override says of `rename`, `buckets` and `mode` replaces what an earlier one said; added attributes add up, and one of the
//! same name replaces.

mod authorization;
mod compile;
mod istio;
mod label;
mod reserved;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use label::Label;

use crate::{
    capture::Role,
    policy::{Capture, model::Profile},
    telemetry::names::{Instrument, Measure, instruments},
};

/// Series per instrument and policy where a policy names no limit (metrics SDK specification: default 2000).
pub const DEFAULT_CARDINALITY_LIMIT: usize = 2000;

/// Who takes series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Whoever scrapes.
    Prometheus,
    /// The agent's OTLP exporter.
    Otlp,
}

/// Which instruments a plan has, under which names, with which attributes and buckets. Plans that are equal make the same series.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricsPlan {
    /// The only one who takes the series; `None` is both.
    pub reader: Option<Reader>,
    /// Series per instrument, beyond which they go to the overflow series; it is one of them. At least 2.
    pub limit: usize,
    /// What is measured; each instrument is in at most one.
    pub groups: Vec<Group>,
}

/// Streams with the same attributes, which cost one look-up together.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Of which end; `None` for both.
    pub role: Option<Role>,
    /// Attributes of the instrument that are kept, in the order of its table.
    pub kept: Vec<&'static str>,
    /// Attributes that are asked for by key: of the instrument, then those that the policy adds in its order.
    pub labels: Vec<Label>,
    /// At least one.
    pub streams: Vec<Stream>,
}

/// An instrument as a policy wants it.
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    /// The instrument.
    pub instrument: &'static Instrument,
    /// Its name, if the policy gave it another.
    pub name: Cow<'static, str>,
    /// Upper bounds of its buckets, inclusive, ascending, without `+Inf`.
    pub buckets: Cow<'static, [f64]>,
}

impl Default for MetricsPlan {
    /// Every instrument of the OpenTelemetry profile as the table has it.
    fn default() -> Self {
        Self::of_views(DEFAULT_CARDINALITY_LIMIT, instruments(Profile::OpenTelemetry).map(View::of))
    }
}

impl MetricsPlan {
    /// Every stream, in no order that means anything.
    pub fn streams(&self) -> impl Iterator<Item = &Stream> {
        self.groups.iter().flat_map(|group| &group.streams)
    }

    /// What must be captured for it, if it has an instrument at all.
    pub fn needs(&self) -> Capture {
        let labels = self.groups.iter().flat_map(|group| &group.labels);
        let least = if self.groups.is_empty() { Capture::Nothing } else { Capture::Heads };
        labels.map(Label::needs).fold(least, Ord::max)
    }

    fn of_views(limit: usize, views: impl Iterator<Item = View>) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for view in views.filter(|view| view.on) {
            let View { instrument, name, buckets, kept, labels, .. } = view;
            let stream = Stream { instrument, name, buckets };
            let same =
                |group: &&mut Group| group.role == instrument.role && group.kept == kept && group.labels == labels;
            match groups.iter_mut().find(same) {
                Some(group) => group.streams.push(stream),
                None => groups.push(Group { role: instrument.role, kept, labels, streams: vec![stream] }),
            }
        }
        Self { reader: None, limit, groups }
    }
}

/// One instrument while overrides are applied to it.
#[derive(Clone, Debug)]
struct View {
    instrument: &'static Instrument,
    on: bool,
    name: Cow<'static, str>,
    buckets: Cow<'static, [f64]>,
    kept: Vec<&'static str>,
    labels: Vec<Label>,
}

impl View {
    fn of(instrument: &'static Instrument) -> Self {
        Self {
            instrument,
            on: !instrument.opt_in,
            name: Cow::Borrowed(instrument.name),
            buckets: Cow::Borrowed(instrument.buckets),
            kept: instrument.default_attributes().collect(),
            labels: match instrument.measure {
                _ if instrument.role.is_some() => Vec::new(),
                Measure::Decisions => authorization::labels(),
                _ => istio::labels(),
            },
        }
    }
}
