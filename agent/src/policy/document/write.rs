//! JSON values as YAML that every reader of Kubernetes YAML reads the same: keys in order, no anchors, no folding.

use std::fmt::Write as _;

use serde_json::Value;

use super::scalar::is_plain_text;

/// One YAML document, without `---`, as `kubectl -o yaml` would write it.
pub fn to_yaml(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Array(items) if !items.is_empty() => list(&mut out, items, 0),
        Value::Object(entries) if !entries.is_empty() => map(&mut out, entries, 0, 0),
        other => {
            scalar(&mut out, other, 0);
            out.push('\n');
        }
    }
    out
}

fn indent(out: &mut String, by: usize) {
    out.extend(std::iter::repeat_n(' ', by));
}

/// The first entry is indented by `first`: what stands after `- ` is there already.
fn map(out: &mut String, entries: &serde_json::Map<String, Value>, first: usize, by: usize) {
    for (index, (key, value)) in entries.iter().enumerate() {
        indent(out, if index == 0 { first } else { by });
        text(out, key, None);
        out.push(':');
        match value {
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                list(out, items, by);
            }
            Value::Object(entries) if !entries.is_empty() => {
                out.push('\n');
                map(out, entries, by + 2, by + 2);
            }
            other => {
                out.push(' ');
                scalar(out, other, by + 2);
                out.push('\n');
            }
        }
    }
}

fn list(out: &mut String, items: &[Value], by: usize) {
    for item in items {
        indent(out, by);
        out.push_str("- ");
        match item {
            // A list in a list begins on its own line, which is clearer than `- - x`.
            Value::Array(items) if !items.is_empty() => {
                out.pop();
                out.push('\n');
                list(out, items, by + 2);
            }
            Value::Object(entries) if !entries.is_empty() => map(out, entries, 0, by + 2),
            other => {
                scalar(out, other, by + 2);
                out.push('\n');
            }
        }
    }
}

fn scalar(out: &mut String, value: &Value, by: usize) {
    match value {
        Value::String(words) => text(out, words, Some(by)),
        // Null, booleans, numbers, `[]` and `{}` are the same in YAML.
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

/// Text: plain where that is safe, a literal block where it has lines and may be one, else in double quotes as JSON writes it.
fn text(out: &mut String, words: &str, block: Option<usize>) {
    if is_safe_plain(words) {
        out.push_str(words);
    } else if let Some(by) = block.filter(|_| is_safe_block(words)) {
        out.push_str(match words.strip_suffix('\n') {
            None => "|-",
            Some(body) if body.ends_with('\n') => "|+",
            Some(_) => "|",
        });
        for line in words.strip_suffix('\n').unwrap_or(words).split('\n') {
            out.push('\n');
            if !line.is_empty() {
                indent(out, by);
                out.push_str(line);
            }
        }
    } else {
        quoted(out, words);
    }
}

fn is_safe_plain(words: &str) -> bool {
    let bytes = words.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    is_plain_text(words)
        && (first.is_ascii_alphanumeric() || matches!(first, b'/' | b'.' | b'_' | b'$' | b'(' | b'+'))
        && *last != b':'
        && bytes.iter().all(|byte| (b' '..=b'~').contains(byte))
        && *last != b' '
        && !words.contains(": ")
        && !words.contains(" #")
        && !words.starts_with("...")
        // A merge key, and dates that YAML 1.1 knows.
        && words != "<<"
        && !(words.len() >= 8 && bytes[..4].iter().all(u8::is_ascii_digit) && bytes[4] == b'-')
        && !(first.is_ascii_digit() && words.contains(':'))
}

/// At least two lines of printable text, where the first says how deep all are indented.
fn is_safe_block(words: &str) -> bool {
    let body = words.trim_end_matches('\n');
    body.contains('\n')
        && !body.starts_with([' ', '\n'])
        && words.chars().all(|character| {
            character == '\n'
                || !character.is_control() && !matches!(character, '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{85}')
        })
}

fn quoted(out: &mut String, words: &str) {
    out.push('"');
    for character in words.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            character if character.is_control() || matches!(character, '\u{feff}' | '\u{2028}' | '\u{2029}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            character => out.push(character),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::policy::document::Node;

    #[test]
    fn it_looks_as_people_write_it() {
        let value = json!({
            "apiVersion": "v1", "empty": {}, "list": [{"a": 1, "b": [1, [2, 3]]}, "x: y", [], null], "on": "on",
            "text": "two\nlines\n", "time": "2026-01-01T00:00:00Z", "url": "http://a:1/b",
        });
        insta::assert_snapshot!(to_yaml(&value), @r#"
        apiVersion: v1
        empty: {}
        list:
        - a: 1
          b:
          - 1
          -
            - 2
            - 3
        - "x: y"
        - []
        - null
        "on": "on"
        text: |
          two
          lines
        time: "2026-01-01T00:00:00Z"
        url: http://a:1/b
        "#);
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9..1e9_f64).prop_map(Value::from),
            "\\PC*".prop_map(Value::from),
            "[ -~\n\t:#-]{0,20}".prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            prop::sample::select(vec![
                "on", "y", "1e3", "0x1", "", "~", "-", "---", "...", "<<", "a: b", "1_0", "0o7", "1:30", "=", "!x",
                "&a", "*a", "%", "@", "`", "? x", "a #b"
            ])
            .prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[ -~]{0,6}|\\PC{0,4}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_the_same(value in value()) {
            let text = to_yaml(&value);
            let read = Node::parse(&text, 1).unwrap_or_else(|broken| panic!("{broken:?}\n{text}"));
            prop_assert_eq!(read.map_or(Value::Null, |node| node.value()), value, "{}", text);
        }
    }
}
