//! `accessLogs`, compiled: which exchanges become lines, how a line is written, and where it goes (POLICY.md sections 1, 3, 4 and 6).

mod compiler;
mod field;
mod filter;
mod line;
mod sink;
pub mod text;

pub use field::{Member, Node, Object};
pub use filter::{Filter, PathPrefix};
pub use line::Line;
pub use sink::Sink;

use compiler::Compiler;

use crate::policy::{Capture, Defaults, Finding, Trust, attribute::Subject, model::AccessLogs, plan::is_on};

/// Which exchanges become lines, how a line is written, and where it goes.
#[derive(Debug)]
pub struct AccessLogPlan {
    /// How a line is written.
    pub line: Line,
    /// Any one suffices; none is all exchanges.
    pub filters: Vec<Filter>,
    /// Where lines go, each place once.
    pub sinks: Vec<Sink>,
}

impl Default for AccessLogPlan {
    /// The default line of every exchange, to standard output.
    fn default() -> Self {
        Self { line: Line::default(), filters: Vec::new(), sinks: vec![Sink::Stdout] }
    }
}

impl AccessLogPlan {
    /// Compiles the stanza. `None` if it is off; what is wrong with it is found all the same. A plan with a finding that makes the policy `Invalid` is not to be
    /// used.
    pub fn compile(logs: &AccessLogs, defaults: Defaults, trust: &Trust, findings: &mut Vec<Finding>) -> Option<Self> {
        let mut compiler = Compiler::new(trust, findings);
        let plan = Self {
            line: Line::compile(logs, &mut compiler),
            filters: logs.matches.iter().filter_map(|condition| Filter::compile(condition, &mut compiler)).collect(),
            sinks: sink::compile(&logs.sinks, defaults, &mut compiler),
        };
        is_on(Some(logs.mode), defaults.log_sink).then_some(plan)
    }

    /// Whether an exchange becomes a line. `path` is its path without query, `None` if it has none.
    pub fn wants(&self, path: Option<&str>, subject: &dyn Subject) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| filter.holds(path, subject))
    }

    /// Whether it tells of calls of language models or of MCP: the default line does.
    pub fn needs_calls(&self) -> bool {
        matches!(self.line, Line::Default(_)) || self.needs() == Capture::Bodies
    }

    /// What must be captured for it.
    pub fn needs(&self) -> Capture {
        let filters = self.filters.iter().map(Filter::needs).max().unwrap_or_default();
        Capture::Heads.max(self.line.needs()).max(filters)
    }
}
