//! JSON, appended to a line (RFC 8259).

use std::io::Write as _;

use super::time::{decimal, write_time};
use crate::policy::attribute::Value;

/// Appends a value: numbers and flags as such, a duration in seconds (`"1.5s"`), a time as RFC 3339 with microseconds.
pub(super) fn value(line: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Text(text) => string(line, text.as_bytes()),
        Value::Int(number) => {
            if let Ok(number) = u64::try_from(*number) {
                decimal(line, number, 1);
            } else {
                let _ = write!(line, "{number}");
            }
        }
        Value::Double(number) if number.is_finite() => {
            let _ = write!(line, "{number}");
        }
        Value::Bool(flag) => line.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Value::Time(nanos) => {
            line.push(b'"');
            write_time(line, *nanos);
            line.push(b'"');
        }
        Value::List(texts) => {
            line.push(b'[');
            for (index, text) in texts.iter().enumerate() {
                if index > 0 {
                    line.push(b',');
                }
                string(line, text.as_bytes());
            }
            line.push(b']');
        }
        // JSON has no number for what is none; neither needs an escape.
        Value::Duration(_) | Value::Double(_) => {
            let _ = write!(line, "\"{value}\"");
        }
    }
}

/// Appends a string that may be any bytes: what is not UTF-8 is replaced.
pub(super) fn string(line: &mut Vec<u8>, value: &[u8]) {
    line.push(b'"');
    for chunk in value.utf8_chunks() {
        escape(line, chunk.valid());
        if !chunk.invalid().is_empty() {
            line.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    line.push(b'"');
}

/// Appends the text as the inside of a JSON string (RFC 8259 section 7).
pub(super) fn escape(line: &mut Vec<u8>, text: &str) {
    super::escape(line, text, "\\u00");
}
