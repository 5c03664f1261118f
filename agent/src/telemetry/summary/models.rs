//! Calls of language models: one row a model.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    Side,
    text::{Durations, Sum, dollars, plain, table},
};
use crate::telemetry::{Facts, cost::Cost};

/// The most models that have a row of their own; the others share one.
pub const MAX_MODELS: usize = 256;

/// Behind all names.
const OTHERS: &str = "(other models)";

#[derive(Clone, Debug, Default)]
struct Row {
    calls: u64,
    errors: u64,
    input: Sum,
    output: Sum,
    /// Billionths of a dollar.
    cost: Sum,
    /// Calls that say their tokens, of a model without a price.
    without_price: u64,
    first_token: Durations,
}

/// The models of one worker, by what was asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Models {
    rows: BTreeMap<(Side, String), Row>,
}

impl Models {
    pub(super) fn record(&mut self, facts: &Facts<'_>) {
        let Some(call) = facts.genai() else { return };
        let model = call.request.model.as_deref().or(call.response.model.as_deref()).unwrap_or("(not named)");
        let row = self.row(facts.role.into(), plain(model));
        let failed = facts.failure().is_some();
        row.calls += 1;
        row.errors += u64::from(failed);
        // What failed may have used nothing, and a vector has no output.
        let inference = call.operation.is_inference();
        for (sum, tokens, expected) in
            [(&mut row.input, call.usage.input, true), (&mut row.output, call.usage.output, inference)]
        {
            if tokens.is_some() || (expected && !failed) {
                sum.add(tokens);
            }
        }
        match facts.cost {
            Cost::Dollars(dollars) => row.cost.add(Some((dollars * 1e9).round() as u64)),
            Cost::NoPrice => {
                row.cost.add(None);
                row.without_price += 1;
            }
            Cost::Unknown if !failed => row.cost.add(None),
            Cost::Unknown => {}
        }
        if let Some(first) = facts.time_to_first_token() {
            row.first_token.record(first.as_micros() as u64);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for ((side, model), row) in &other.rows {
            let own = self.row(*side, model.clone());
            own.calls += row.calls;
            own.errors += row.errors;
            own.input.merge(row.input);
            own.output.merge(row.output);
            own.cost.merge(row.cost);
            own.without_price += row.without_price;
            own.first_token.merge(&row.first_token);
        }
    }

    fn row(&mut self, side: Side, model: String) -> &mut Row {
        let mut key = (side, model);
        if self.rows.len() >= MAX_MODELS && !self.rows.contains_key(&key) {
            key = (Side::Others, OTHERS.to_owned());
        }
        self.rows.entry(key).or_default()
    }

    /// The table, and below it the models that have no price; nothing where there were no calls. Costs are in it where any is known.
    pub(super) fn render(&self, pretty: bool, text: &mut String) {
        if self.rows.is_empty() {
            return;
        }
        let costs = self.rows.values().any(|row| row.cost.is_any() || row.without_price > 0);
        let mut header = vec!["side", "model", "calls", "errors", "input tokens", "output tokens"];
        header.extend(costs.then_some("cost"));
        header.extend(["first token p50", "p99"]);
        let rows = self.rows.iter().map(|((side, model), row)| {
            let mut cells = vec![side.text().to_owned(), model.clone(), row.calls.to_string(), row.errors.to_string()];
            cells.extend([row.input, row.output].map(|tokens| tokens.text(|tokens| tokens.to_string())));
            cells.extend(costs.then(|| row.cost.text(dollars)));
            cells.extend([0.5, 0.99].map(|quantile| row.first_token.quantile(quantile)));
            cells
        });
        let _ = writeln!(text, "\n{}", table(pretty, &header, rows));
        let without = self.rows.iter().filter(|(_, row)| row.without_price > 0);
        let without: Vec<_> = without.map(|((_, model), row)| format!("{model} ({})", row.without_price)).collect();
        if !without.is_empty() {
            let _ = writeln!(text, "calls without a price: {}", without.join(", "));
        }
    }
}
