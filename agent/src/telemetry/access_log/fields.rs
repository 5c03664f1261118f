//! Lines that a list of fields makes.

use super::{ExchangeSubject, json, text};
use crate::policy::{
    attribute::{Extractor, Value},
    plan::access_log::{Node, Object},
};

/// Appends an object; absent members are left out. Whether any was written.
pub(super) fn object(line: &mut Vec<u8>, object: &Object, entry: &ExchangeSubject<'_>) -> bool {
    line.push(b'{');
    let any = members(line, object, entry, false);
    line.push(b'}');
    any
}

/// Appends the members of an object that are not absent. `comma`: others stand before. Whether any was written.
pub(super) fn members(line: &mut Vec<u8>, object: &Object, entry: &ExchangeSubject<'_>, mut comma: bool) -> bool {
    let mut any = false;
    for member in &object.members {
        let before = line.len();
        if comma {
            line.push(b',');
        }
        line.extend_from_slice(member.key.as_bytes());
        let written = match &member.node {
            Node::Value(extractor) => {
                let value = extractor.value(entry);
                if let Some(value) = &value {
                    json::value(line, value);
                }
                value.is_some()
            }
            Node::Object(inner) => self::object(line, inner, entry),
        };
        if written {
            (any, comma) = (true, true);
        } else {
            line.truncate(before);
        }
    }
    any
}

/// Appends values with one space between, `-` for what is absent or empty.
pub(super) fn values(line: &mut Vec<u8>, values: &[Extractor], entry: &ExchangeSubject<'_>) {
    for (index, extractor) in values.iter().enumerate() {
        if index > 0 {
            line.push(b' ');
        }
        match extractor.value(entry) {
            Some(Value::Time(nanos)) => super::time::write_time(line, nanos),
            Some(value) => text::value(line, &value.into_text(), None),
            None => line.push(b'-'),
        }
    }
}
