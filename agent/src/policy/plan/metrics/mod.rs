//! `metrics`, compiled: views of the instruments (OpenTelemetry metrics SDK, "View"), by the rules of POLICY.md sections 1 and 4.
//!
//! Where the SDK makes one stream of each view that matches, here the overrides of one instrument apply to its one stream in the order in
//! which the policy lists them: a policy selects an instrument by name or by alias, and two streams of one name would be two metrics that nobody can
//! tell apart. What a later override says of `rename`, `buckets` and `mode` replaces what an earlier one said; added attributes add up, and one of the
//! same name replaces.

mod authorization;
mod call;
mod compile;
mod istio;
mod label;
mod reserved;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use label::{Label, Part};

use crate::{
    capture::Role,
    policy::{Capture, model::Profile},
    telemetry::names::{Conventions, Instrument, Measure, Occasion, followed, instruments},
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
    /// Whose names and rules they are.
    pub conventions: Conventions,
    /// The only one who takes the series; `None` is both.
    pub reader: Option<Reader>,
    /// Series per instrument, beyond which they go to the overflow series; it is one of them. At least 2.
    pub limit: usize,
    /// What is measured; each instrument is in at most one. Those of exchanges come before those of calls beyond HTTP.
    pub groups: Vec<Group>,
}

/// Streams with the same attributes, which cost one look-up together.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// What it is measured of.
    pub occasion: Occasion,
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
        let conventions = followed();
        let views = instruments(Profile::OpenTelemetry, conventions).map(View::of);
        Self::of_views(conventions, DEFAULT_CARDINALITY_LIMIT, views)
    }
}

impl MetricsPlan {
    /// Every stream, in no order that means anything.
    pub fn streams(&self) -> impl Iterator<Item = &Stream> {
        self.groups.iter().flat_map(|group| &group.streams)
    }

    /// What must be captured for it, if it has an instrument at all. What calls beyond HTTP are measured by is read from exchanges that are such calls
    /// ([`Self::calls`]), and makes nobody keep content.
    pub fn needs(&self) -> Capture {
        let needs = |group: &Group| {
            let is_of_call = group.occasion != Occasion::Exchange;
            let labels = group.labels.iter().filter(move |label| !(is_of_call && label.is_own()));
            labels.map(Label::needs).fold(Capture::Heads, Ord::max)
        };
        self.groups.iter().map(needs).max().unwrap_or_default()
    }

    /// Whether calls beyond HTTP are measured, so that they must be read.
    pub fn calls(&self) -> bool {
        let of_calls =
            |occasion| !matches!(occasion, Occasion::Exchange | Occasion::Connection | Occasion::ConnectionIo);
        self.groups.iter().any(|group| of_calls(group.occasion))
    }

    fn of_views(conventions: Conventions, limit: usize, views: impl Iterator<Item = View>) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for view in views.filter(|view| view.on) {
            let View { instrument, name, buckets, kept, labels, .. } = view;
            let stream = Stream { instrument, name, buckets };
            let occasion = instrument.measure.occasion();
            let same = |group: &&mut Group| {
                group.occasion == occasion
                    && group.role == instrument.role
                    && group.kept == kept
                    && group.labels == labels
            };
            match groups.iter_mut().find(same) {
                Some(group) => group.streams.push(stream),
                None => groups.push(Group { occasion, role: instrument.role, kept, labels, streams: vec![stream] }),
            }
        }
        // An exchange that is no call goes over the first ones only.
        groups.sort_by_key(|group| group.occasion != Occasion::Exchange);
        Self { conventions, reader: None, limit, groups }
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
            kept: match instrument.measure.occasion() {
                Occasion::Exchange => instrument.default_attributes().collect(),
                _ => Vec::new(),
            },
            labels: match instrument.measure {
                measure if measure.occasion() != Occasion::Exchange => call::labels(instrument),
                _ if instrument.role.is_some() => Vec::new(),
                Measure::Decisions => authorization::labels(),
                _ => istio::labels(),
            },
        }
    }
}
