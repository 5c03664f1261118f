//! Tools: one row each, of those that models asked for and those that were called by MCP.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    Side,
    text::{Durations, plain, table},
};
use crate::telemetry::{
    Facts,
    calls::{TOOLS_CALL, message_role},
};

/// The most tools that have a row of their own; the others share one.
pub const MAX_TOOLS: usize = 256;

/// Behind all names.
const OTHERS: &str = "(other tools)";

#[derive(Clone, Debug, Default)]
struct Row {
    asked: u64,
    calls: u64,
    errors: u64,
    durations: Durations,
}

/// The tools of one worker.
#[derive(Clone, Debug, Default)]
pub(super) struct Tools {
    rows: BTreeMap<(Side, String), Row>,
}

impl Tools {
    /// Adds what an exchange asks for, or the calls of its parts.
    pub(super) fn record(&mut self, facts: &Facts<'_>) {
        for asked in facts.genai().into_iter().flat_map(|call| &call.response.tool_calls) {
            if let Some(name) = &asked.name {
                self.row(facts.role.into(), plain(name)).asked += 1;
            }
        }
        if facts.mcp().is_none() {
            return;
        }
        for part in facts.parts() {
            let Some(message) = part.message.filter(|message| &*message.method == TOOLS_CALL) else { continue };
            let name = message.tool.as_deref().unwrap_or("(not named)");
            let row = self.row(message_role(part.role, message).into(), plain(name));
            row.calls += 1;
            row.errors += u64::from(part.failure().is_some());
            if message.answered && message.end.is_some() {
                let (start, end) = part.times();
                row.durations.record(end.since(start).as_micros() as u64);
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for ((side, tool), row) in &other.rows {
            let own = self.row(*side, tool.clone());
            own.asked += row.asked;
            own.calls += row.calls;
            own.errors += row.errors;
            own.durations.merge(&row.durations);
        }
    }

    fn row(&mut self, side: Side, tool: String) -> &mut Row {
        let mut key = (side, tool);
        if self.rows.len() >= MAX_TOOLS && !self.rows.contains_key(&key) {
            key = (Side::Others, OTHERS.to_owned());
        }
        self.rows.entry(key).or_default()
    }

    /// The table; nothing where there is no tool.
    pub(super) fn render(&self, pretty: bool, text: &mut String) {
        if self.rows.is_empty() {
            return;
        }
        let header = ["side", "tool", "asked for by models", "MCP calls", "errors", "p50", "p99"];
        let rows = self.rows.iter().map(|((side, tool), row)| {
            vec![
                side.text().to_owned(),
                tool.clone(),
                row.asked.to_string(),
                row.calls.to_string(),
                row.errors.to_string(),
                row.durations.quantile(0.5),
                row.durations.quantile(0.99),
            ]
        });
        let _ = writeln!(text, "\n{}", table(pretty, &header, rows));
    }
}
