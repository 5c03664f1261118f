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

use std::io::Write as _;

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
        Line::Text(template, added) => {
            text::write(line, template, entry);
            if !added.is_empty() {
                line.push(b' ');
                fields::values(line, added, entry);
            }
        }
    }
    line.push(b'\n');
}

/// Appends text with quotation marks, backslashes and control characters escaped; those without a letter of their own as two hexadecimal digits
/// behind `numeric`.
fn escape(line: &mut Vec<u8>, text: &str, numeric: &str) {
    let bytes = text.as_bytes();
    let mut written = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        // DEL and C1 controls need no escape in JSON, but terminals obey them; C1 are two bytes in UTF-8, so they are left.
        if !byte.is_ascii_control() && byte != b'"' && byte != b'\\' {
            continue;
        }
        line.extend_from_slice(&bytes[written..index]);
        written = index + 1;
        match byte {
            b'"' => line.extend_from_slice(b"\\\""),
            b'\\' => line.extend_from_slice(b"\\\\"),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            b'\t' => line.extend_from_slice(b"\\t"),
            _ => {
                let _ = write!(line, "{numeric}{byte:02x}");
            }
        }
    }
    line.extend_from_slice(&bytes[written..]);
}

#[cfg(test)]
mod tests;
