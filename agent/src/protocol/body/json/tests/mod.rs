//! What the scanner tells.

use std::fmt::Write as _;

use super::{Outcome, Paths, Scanner, Value};

mod properties;
mod values;

/// What is told of a document that comes in these pieces, a line a value, and what it turned out to be.
fn told<'a>(paths: &Paths, max_text: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> (String, Outcome) {
    let mut scanner = Scanner::new(paths, max_text);
    let mut lines = String::new();
    for piece in pieces {
        scanner.push(piece, &mut |path: u16, at: &[u32], value: Value<'_>| {
            write!(lines, "{path}").unwrap();
            for index in at {
                write!(lines, "[{index}]").unwrap();
            }
            match value {
                Value::Text { text, cut: false } => writeln!(lines, " {text:?}"),
                Value::Text { text, cut: true } => writeln!(lines, " {text:?}.."),
                Value::Number(number) => writeln!(lines, " {number}"),
                Value::Bool(value) => writeln!(lines, " {value}"),
                Value::Null => writeln!(lines, " null"),
                Value::Object => writeln!(lines, " {{"),
                Value::Array => writeln!(lines, " ["),
            }
            .unwrap();
        });
    }
    let bad = scanner.is_bad();
    let outcome = scanner.end();
    assert!(!bad || outcome == Outcome::Bad);
    assert!(!scanner.is_bad(), "the next document begins anew");
    (lines, outcome)
}
