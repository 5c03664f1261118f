//! What is told of a document.

use super::MAX_NUMBER;

/// A value at a wanted path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// A string without its escapes. Half a surrogate pair and bytes that are not UTF-8 are replaced by U+FFFD.
    Text {
        /// Its characters, from the first on.
        text: &'a str,
        /// It goes on beyond the bound of the scanner.
        cut: bool,
    },
    /// A number as it is written.
    Number(&'a str),
    /// `true` or `false`.
    Bool(bool),
    /// `null`.
    Null,
    /// An object begins.
    Object,
    /// An array begins.
    Array,
}

impl<'a> Value<'a> {
    /// The text, as far as it goes.
    pub const fn as_str(&self) -> Option<&'a str> {
        match self {
            Self::Text { text, .. } => Some(text),
            _ => None,
        }
    }

    /// As a truth value.
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// As an integer, also where it is written with a fraction of zero or an exponent (`5.0`, `1e3`), if it can be told exactly.
    pub fn as_i64(&self) -> Option<i64> {
        let Self::Number(number) = self else { return None };
        number.parse().ok().or_else(|| integer(number).map(|value| value as i64))
    }

    /// As an integer that is not negative; otherwise as [`Self::as_i64`].
    pub fn as_u64(&self) -> Option<u64> {
        let Self::Number(number) = self else { return None };
        number.parse().ok().or_else(|| integer(number).filter(|value| *value >= 0.0).map(|value| value as u64))
    }

    /// As a number with a fraction, finite.
    pub fn as_f64(&self) -> Option<f64> {
        let Self::Number(number) = self else { return None };
        number.parse().ok().filter(|value: &f64| value.is_finite())
    }
}

/// Integers up to 2^53, beyond which not every one of them is a `f64`.
fn integer(number: &str) -> Option<f64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    number.parse().ok().filter(|value: &f64| value.fract() == 0.0 && value.abs() <= EXACT)
}

/// Takes the values at wanted paths, in the order of the document.
pub trait Found {
    /// A value is complete; of an object or array: it begins. `at` has the index of the element for each `[]` of the path, the outermost first.
    ///
    /// A name that an object has twice is told twice.
    fn found(&mut self, path: u16, at: &[u32], value: Value<'_>);

    /// An object or array of which the JSON is wanted ([`Take::Json`](super::Take::Json)) is complete, as it is written; `cut` says that it goes on
    /// beyond the bound of the scanner. That it began was told before. It is passed over by its brackets and quotes alone: it may be no JSON.
    fn json(&mut self, _path: u16, _at: &[u32], _json: &str, _cut: bool) {}
}

impl<F: FnMut(u16, &[u32], Value<'_>)> Found for F {
    fn found(&mut self, path: u16, at: &[u32], value: Value<'_>) {
        self(path, at, value);
    }
}

/// What stands where no string, object or array does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Literal<'a> {
    Value(Value<'a>),
    /// Too long to be told, or one of `NaN`, `Infinity` and `-Infinity`, which are no JSON but are written by some libraries.
    Passed,
    Bad,
}

impl<'a> Literal<'a> {
    /// Reads one; all of its bytes are ASCII letters and digits, `+`, `-` and `.`, and there is one at least.
    pub(super) fn read(bytes: &'a [u8]) -> Self {
        match bytes {
            b"true" => Self::Value(Value::Bool(true)),
            b"false" => Self::Value(Value::Bool(false)),
            b"null" => Self::Value(Value::Null),
            b"NaN" | b"Infinity" | b"-Infinity" => Self::Passed,
            _ if bytes.len() > MAX_NUMBER => Self::Passed,
            _ => match std::str::from_utf8(bytes) {
                Ok(text) if is_number(bytes) => Self::Value(Value::Number(text)),
                _ => Self::Bad,
            },
        }
    }
}

/// RFC 8259 section 6; leading zeros are let through.
fn is_number(bytes: &[u8]) -> bool {
    let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let whole = digits(rest);
    rest = &rest[whole..];
    if whole == 0 {
        return false;
    }
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = digits(fraction);
        if length == 0 {
            return false;
        }
        rest = &fraction[length..];
    }
    let [b'e' | b'E', exponent @ ..] = rest else { return rest.is_empty() };
    let exponent = exponent.strip_prefix(b"-").or_else(|| exponent.strip_prefix(b"+")).unwrap_or(exponent);
    !exponent.is_empty() && digits(exponent) == exponent.len()
}
