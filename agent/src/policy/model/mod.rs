//! One internal form for both dialects: what a policy says, before anything is decided about it.
//!
//! Every part that can be wrong knows the path of its field in the document that it came from, so that a finding names the field as its author
//! spelled it.

mod attribute;
mod path;
mod signal;
mod target;

pub use attribute::{Attribute, AttributeSource};
pub use path::FieldPath;
pub use signal::{
    AccessLogs, Content, ContentCapture, Direction, Endpoint, LogField, LogFormat, Match, MatchKind, MetricOverride,
    Metrics, MetricsProvider, Mode, ParentBased, Profile, Protocol, Provider, Ratio, Redaction, Sink, SinkKind, Tls,
    TlsSettings, Tracing, is_otlp,
};
pub use target::{BackendRef, TargetRef};

use std::{cmp::Ordering, fmt};

/// The group of the dialect of the proposal.
pub const PROPOSAL_GROUP: &str = "gateway.networking.k8s.io";
/// The group of the dialect of GEP-4768.
pub const GEP_GROUP: &str = "gateway.networking.x-k8s.io";
/// The kind of both.
pub const KIND: &str = "TelemetryPolicy";

/// In which spelling a policy was written (POLICY.md section 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// `gateway.networking.k8s.io/v1alpha2`
    Proposal,
    /// `gateway.networking.x-k8s.io/v1alpha1`
    Gep,
}

impl Dialect {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Proposal, Self::Gep];

    /// Its `apiVersion`. The order of the variants is the order of these words, which breaks ties (POLICY.md section 2).
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::Proposal => "gateway.networking.k8s.io/v1alpha2",
            Self::Gep => "gateway.networking.x-k8s.io/v1alpha1",
        }
    }

    /// Its API group.
    pub const fn group(self) -> &'static str {
        match self {
            Self::Proposal => PROPOSAL_GROUP,
            Self::Gep => GEP_GROUP,
        }
    }

    /// The dialect of an `apiVersion`; `None` if it is neither.
    pub fn of(api_version: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.api_version() == api_version)
    }
}

/// Which policy it is. Ordered as ties are broken: the text `namespace/name`, then `apiVersion` (POLICY.md section 2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PolicyKey {
    /// `metadata.namespace`; `default` where a file has none.
    pub namespace: String,
    /// `metadata.name`
    pub name: String,
    /// Its spelling.
    pub dialect: Dialect,
}

impl PolicyKey {
    fn text(&self) -> impl Iterator<Item = u8> {
        self.namespace.bytes().chain([b'/']).chain(self.name.bytes())
    }
}

impl Ord for PolicyKey {
    fn cmp(&self, other: &Self) -> Ordering {
        // As one text: `shop-eu/a` is before `shop/a`, since `-` is before `/`.
        self.text()
            .cmp(other.text())
            .then_with(|| self.dialect.cmp(&other.dialect))
            .then_with(|| self.namespace.cmp(&other.namespace))
    }
}

impl PartialOrd for PolicyKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for PolicyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Which one it is.
    pub key: PolicyKey,
    /// `metadata.creationTimestamp`; a policy without one counts as newest.
    pub created: Option<jiff::Timestamp>,
    /// `metadata.generation`, for `observedGeneration`; 0 where a file has none.
    pub generation: i64,
    /// What it attaches to.
    pub targets: Vec<TargetRef>,
    /// What it asks for.
    pub spec: Spec,
}

/// What a policy asks for. A signal that is absent is off (promise 1).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spec {
    /// Metrics of its pods.
    pub metrics: Option<Metrics>,
    /// Spans of its pods.
    pub tracing: Option<Tracing>,
    /// Access-log lines of its pods.
    pub access_logs: Option<AccessLogs>,
    /// Which content is kept.
    pub content: Content,
    /// Which end of a connection is reported.
    pub direction: Direction,
    /// Whether what is inside TLS is read.
    pub tls: Tls,
}
