//! A policy compiled: what the stages behind it look up for each exchange.

pub mod access_log;
mod content;
mod context_format;
mod json_path;
mod metrics;
mod receiver;
mod sampling;
mod tracing;

use std::sync::Arc;

pub use access_log::AccessLogPlan;
pub use content::ContentPlan;
pub use context_format::ContextFormat;
pub use json_path::{JsonPath, JsonPathError, Selector, Step};
pub use metrics::{DEFAULT_CARDINALITY_LIMIT, Group, Label, MetricsPlan, Part, Reader, Stream};
pub use receiver::Receiver;
pub use sampling::{Sampling, Share};
pub use tracing::{SpanProvider, TracingPlan};

use super::model::{Direction, Mode, PolicyKey, Tls};
use crate::capture::Role;

/// What must be captured for a plan. A later one includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capture {
    /// Nothing: the connection is not read.
    #[default]
    Nothing,
    /// Heads of messages, and sizes of their content.
    Heads,
    /// Content too.
    Bodies,
}

impl Capture {
    /// As `explain` spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Heads => "heads",
            Self::Bodies => "bodies",
        }
    }
}

/// What is asked for of the exchanges of one workload. Immutable: a change of policies makes another.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The policy that says so; `None` where none applies.
    pub policy: Option<PolicyKey>,
    /// Which end of a connection is reported.
    pub direction: Direction,
    /// Whether what is inside TLS is.
    pub tls: Tls,
    /// What must be captured.
    pub capture: Capture,
    /// Whether calls of language models and of MCP are read out of content, for the numbers in them; what is said in
    /// them is kept only if content is.
    pub calls: bool,
    /// Metrics, if they are on.
    pub metrics: Option<Arc<MetricsPlan>>,
    /// Spans, if they are on.
    pub tracing: Option<Arc<TracingPlan>>,
    /// Access logs, if they are on.
    pub access_logs: Option<Arc<AccessLogPlan>>,
    /// Content, if it is kept.
    pub content: Option<Arc<ContentPlan>>,
}

impl Plan {
    /// Whether anything is asked of what is inside TLS, or of what is not.
    pub fn wants(&self, inside_tls: bool) -> bool {
        self.capture != Capture::Nothing && !(inside_tls && self.tls == Tls::Disabled)
    }

    /// Whether exchanges of this end, inside TLS or not, are reported.
    pub fn reports(&self, role: Role, inside_tls: bool) -> bool {
        if !self.wants(inside_tls) {
            return false;
        }
        match self.direction {
            Direction::Both => true,
            Direction::Client => role == Role::Client,
            Direction::Server => role == Role::Server,
        }
    }

    /// The three signals with their defaults, those that are on.
    pub fn of_signals(metrics: bool, tracing: bool, access_logs: bool) -> Self {
        Self {
            capture: if metrics || tracing || access_logs { Capture::Heads } else { Capture::Nothing },
            calls: metrics || tracing || access_logs,
            metrics: metrics.then(Arc::default),
            tracing: tracing.then(Arc::default),
            access_logs: access_logs.then(Arc::default),
            ..Self::default()
        }
    }
}

/// What the agent has by itself: `ImplementationDefault` depends on it (POLICY.md section 1), and so does what names no receiver of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    /// Which signals it exports.
    pub exports: Exports,
    /// There is a place where access logs go by default; `run` and `replay` always have one.
    pub log_sink: bool,
}

impl Defaults {
    /// All of them: what is assumed where nobody says how the agent is run.
    pub const EVERYTHING: Self = Self { exports: Exports { spans: true, metrics: true, logs: true }, log_sink: true };
}

/// The signals that the agent sends to a receiver of its own, or writes to a file whoever takes them (a replay).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exports {
    /// Spans.
    pub spans: bool,
    /// Metrics, by OTLP.
    pub metrics: bool,
    /// Log records, by OTLP.
    pub logs: bool,
}

/// Whether a signal is on: a stanza that is absent is off (promise 1), nobody asked.
pub fn is_on(mode: Option<Mode>, default: bool) -> bool {
    match mode {
        None | Some(Mode::Disabled) => false,
        Some(Mode::Enabled) => true,
        Some(Mode::ImplementationDefault) => default,
    }
}
