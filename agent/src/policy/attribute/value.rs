//! The value of an attribute.

use std::{borrow::Cow, fmt};

/// A value with its type.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Double(f64),
    /// True or false.
    Bool(bool),
    /// Nanoseconds.
    Duration(i64),
    /// Nanoseconds since the epoch.
    Time(u64),
    /// A list of texts.
    List(Vec<Cow<'a, str>>),
}

impl Value<'_> {
    /// The value with texts of its own.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Self::Int(number) => Value::Int(number),
            Self::Double(number) => Value::Double(number),
            Self::Bool(flag) => Value::Bool(flag),
            Self::Duration(nanos) => Value::Duration(nanos),
            Self::Time(nanos) => Value::Time(nanos),
            Self::List(texts) => Value::List(texts.into_iter().map(|text| Cow::Owned(text.into_owned())).collect()),
        }
    }
}

impl<'a> Value<'a> {
    /// Cuts a text to at most so many bytes, between characters; of a list the texts together, each with one byte for what separates it from the
    /// next. Whether something was cut.
    pub fn cut(&mut self, limit: usize) -> bool {
        match self {
            Self::Text(text) => cut(text, limit),
            Self::List(texts) => {
                let mut left = limit;
                for index in 0..texts.len() {
                    if texts[index].len() >= left {
                        let is_cut = cut(&mut texts[index], left) || index + 1 < texts.len();
                        texts.truncate(index + 1);
                        return is_cut;
                    }
                    left -= texts[index].len() + 1;
                }
                false
            }
            _ => false,
        }
    }

    /// As text, for labels and text lines: a duration in seconds (`1.5s`, as CEL's `string()`), a time as RFC 3339 in UTC, a list joined by `,`.
    pub fn into_text(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) => text,
            Self::Bool(flag) => Cow::Borrowed(if flag { "true" } else { "false" }),
            other => Cow::Owned(other.to_string()),
        }
    }
}

impl fmt::Display for Value<'_> {
    /// As [`Self::into_text`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Int(number) => write!(f, "{number}"),
            Self::Double(number) => write!(f, "{number}"),
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::Duration(nanos) => {
                let sign = if *nanos < 0 { "-" } else { "" };
                let nanos = nanos.unsigned_abs();
                write!(f, "{sign}{}", nanos / 1_000_000_000)?;
                decimals(f, (nanos % 1_000_000_000) as u32)?;
                f.write_str("s")
            }
            Self::Time(nanos) => match jiff::Timestamp::from_nanosecond(i128::from(*nanos)) {
                Ok(time) => write!(f, "{time}"),
                // Past the year 9999, which no clock shows.
                Err(_) => write!(f, "{nanos}ns"),
            },
            Self::List(texts) => {
                for (index, text) in texts.iter().enumerate() {
                    if index > 0 {
                        f.write_str(",")?;
                    }
                    f.write_str(text)?;
                }
                Ok(())
            }
        }
    }
}

/// Whether the text was longer.
fn cut(text: &mut Cow<'_, str>, limit: usize) -> bool {
    let end = text.floor_char_boundary(limit);
    let is_cut = end < text.len();
    match text {
        _ if !is_cut => {}
        Cow::Borrowed(text) => *text = &text[..end],
        Cow::Owned(text) => {
            text.truncate(end);
            text.shrink_to_fit();
        }
    }
    is_cut
}

/// A fraction of nine digits without trailing zeros.
fn decimals(f: &mut fmt::Formatter<'_>, mut nanos: u32) -> fmt::Result {
    if nanos == 0 {
        return Ok(());
    }
    let mut digits = 9;
    while nanos.is_multiple_of(10) {
        nanos /= 10;
        digits -= 1;
    }
    write!(f, ".{nanos:0digits$}")
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl<'a> From<Cow<'a, str>> for Value<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self::Text(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_cut() {
        let list = |texts: &[&'static str]| Value::List(texts.iter().map(|text| Cow::Borrowed(*text)).collect());
        for (value, limit, expected) in [
            (Value::from("abc"), 3, None),
            (Value::from("abc"), 2, Some(Value::from("ab"))),
            (Value::from("häh".to_owned()), 2, Some(Value::from("h"))),
            (list(&["ab", "c"]), 4, None),
            (list(&["ab", "cd"]), 4, Some(list(&["ab", "c"]))),
            (list(&["", "", ""]), 2, None),
            (list(&["", "", "", ""]), 2, Some(list(&["", "", ""]))),
            (list(&["abc", "d"]), 3, Some(list(&["abc"]))),
            (Value::Int(123_456), 2, None),
        ] {
            let mut cut = value.clone();
            assert_eq!(cut.cut(limit), expected.is_some(), "{value:?}");
            assert_eq!(cut, expected.unwrap_or(value));
        }
    }

    #[test]
    fn values_as_text() {
        for (value, text) in [
            (Value::from("a"), "a"),
            (Value::Int(-3), "-3"),
            (Value::Double(0.5), "0.5"),
            (Value::Bool(true), "true"),
            (Value::Duration(1_500_000_000), "1.5s"),
            (Value::Duration(-12_345_678), "-0.012345678s"),
            (Value::Duration(60_000_000_000), "60s"),
            (Value::Time(1_700_000_000_123_456_789), "2023-11-14T22:13:20.123456789Z"),
            (Value::List(vec!["a".into(), "b".into()]), "a,b"),
        ] {
            assert_eq!(value.into_text(), text);
        }
    }
}
