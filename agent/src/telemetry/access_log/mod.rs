//! Access-log lines: one line for one exchange, as the plan says (POLICY.md section 4).
//!
//! Written without an intermediate value: this is the most frequent output of the agent.

mod default_line;
mod fields;
mod json;
mod record;
mod text;
mod time;

pub use record::{LineRecord, logs_request};

use super::ExchangeSubject;
use crate::policy::plan::access_log::Line;

/// Appends the line of an exchange, newline included. It has no other line break, and no control character of ASCII, whatever the traffic said.
pub fn write_line(line: &mut Vec<u8>, format: &Line, entry: &ExchangeSubject<'_>) {
    match format {
        Line::Default(added) => default_line::write(line, entry, added),
        Line::Json(object) => {
            fields::object(line, object, entry);
        }
        Line::Values(values) => fields::values(line, values, entry),
        Line::Text(template) => text::write(line, template, entry),
    }
    line.push(b'\n');
}

#[cfg(test)]
mod tests;
