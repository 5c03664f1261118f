//! The values of the labels that a plan adds, as bytes: compared and hashed at once, and nothing is allocated for a series that exists.

use std::borrow::Cow;

use super::series::Labels;
use crate::policy::{
    attribute::{Subject, Value},
    plan::Part,
};

/// Bytes of a text that a label keeps; the rest is cut off at a character. A header can be 64 KiB long, and every series holds its values.
pub const MAX_TEXT: usize = 256;

const ABSENT: u8 = 0;
const TEXT: u8 = 1;
const INT: u8 = 2;
const DOUBLE: u8 = 3;
const BOOL: u8 = 4;

/// Appends the values for an exchange, or for a part of a call. A text that is empty is absent: Prometheus knows no difference. Returns how many texts were cut.
pub(super) fn encode(labels: &Labels, subject: &dyn Subject, part: Part, bytes: &mut Vec<u8>) -> u64 {
    let mut cut = 0;
    for label in labels {
        match label.value(subject, part) {
            None => bytes.push(ABSENT),
            Some(Value::Int(number)) => fixed(bytes, INT, number.to_le_bytes()),
            // Text and number are compared by their bytes: one zero is enough.
            Some(Value::Double(number)) => fixed(bytes, DOUBLE, (number + 0.0).to_bits().to_le_bytes()),
            Some(Value::Bool(flag)) => fixed(bytes, BOOL, [u8::from(flag)]),
            Some(other) => {
                let text = other.into_text();
                let kept = &text[..text.floor_char_boundary(MAX_TEXT)];
                cut += u64::from(kept.len() < text.len());
                if kept.is_empty() {
                    bytes.push(ABSENT);
                } else {
                    fixed(bytes, TEXT, (kept.len() as u16).to_le_bytes());
                    bytes.extend_from_slice(kept.as_bytes());
                }
            }
        }
    }
    cut
}

fn fixed<const N: usize>(bytes: &mut Vec<u8>, tag: u8, value: [u8; N]) {
    bytes.push(tag);
    bytes.extend_from_slice(&value);
}

/// Names and values, of those that are there.
pub(super) fn decode<'a>(mut bytes: &'a [u8], labels: &'a Labels) -> impl Iterator<Item = (&'a str, Value<'a>)> {
    labels.iter().filter_map(move |label| Some((&*label.name, next(&mut bytes)?)))
}

fn next<'a>(bytes: &mut &'a [u8]) -> Option<Value<'a>> {
    Some(match take(bytes)? {
        [TEXT] => {
            let length = usize::from(u16::from_le_bytes(*take(bytes)?));
            let (text, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            Value::Text(Cow::Borrowed(std::str::from_utf8(text).ok()?))
        }
        [INT] => Value::Int(i64::from_le_bytes(*take(bytes)?)),
        [DOUBLE] => Value::Double(f64::from_bits(u64::from_le_bytes(*take(bytes)?))),
        [BOOL] => Value::Bool(take::<1>(bytes)? == &[1]),
        _ => return None,
    })
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(first)
}
