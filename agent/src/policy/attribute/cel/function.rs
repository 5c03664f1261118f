//! The functions of expressions: a table of their names and types, and what they do.

use std::borrow::Cow;

use jiff::tz::TimeZone;

use super::{
    eval::{Result, Stop},
    kind::Kind,
    tree::Val,
};

/// A type in a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Bool,
    Int,
    Double,
    Text,
    Texts,
    Duration,
    Time,
    /// A list of anything.
    List,
}

impl Of {
    fn takes(self, kind: &Kind) -> bool {
        match self {
            Self::List => matches!(kind, Kind::List(_)),
            of => {
                of.kind().is_comparable_with(kind) && (*kind == of.kind() || matches!(kind, Kind::List(_) | Kind::Any))
            }
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::Bool => Kind::Bool,
            Self::Int => Kind::Int,
            Self::Double => Kind::Double,
            Self::Text => Kind::Text,
            Self::Texts => Kind::List(Box::new(Kind::Text)),
            Self::Duration => Kind::Duration,
            Self::Time => Kind::Time,
            Self::List => Kind::List(Box::new(Kind::Any)),
        }
    }
}

/// How a function may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// `f(x)`
    Global,
    /// `x.f()`
    Receiver,
    /// Either.
    Both,
}

/// Declares the functions, each with the calls that it takes.
macro_rules! functions {
    ($($function:ident = $name:literal, $style:ident: $([$($argument:ident),+] -> $result:ident),+;)+) => {
        /// A function.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Function {
            $($function,)+
        }

        const FUNCTIONS: &[Row] = &[$(Row {
            function: Function::$function,
            name: $name,
            style: Style::$style,
            calls: &[$((&[$(Of::$argument),+], Of::$result)),+],
        }),+];
    };
}

struct Row {
    function: Function,
    name: &'static str,
    style: Style,
    calls: &'static [(&'static [Of], Of)],
}

functions! {
    Size = "size", Both: [Text] -> Int, [List] -> Int;
    Contains = "contains", Receiver: [Text, Text] -> Bool;
    StartsWith = "startsWith", Receiver: [Text, Text] -> Bool;
    EndsWith = "endsWith", Receiver: [Text, Text] -> Bool;
    LowerAscii = "lowerAscii", Receiver: [Text] -> Text;
    UpperAscii = "upperAscii", Receiver: [Text] -> Text;
    Trim = "trim", Receiver: [Text] -> Text;
    Substring = "substring", Receiver: [Text, Int] -> Text, [Text, Int, Int] -> Text;
    Split = "split", Receiver: [Text, Text] -> Texts;
    Join = "join", Receiver: [Texts] -> Text, [Texts, Text] -> Text;
    ToBool = "bool", Global: [Bool] -> Bool, [Text] -> Bool;
    ToInt = "int", Global: [Int] -> Int, [Double] -> Int, [Text] -> Int, [Time] -> Int;
    ToDouble = "double", Global: [Double] -> Double, [Int] -> Double, [Text] -> Double;
    ToText = "string", Global: [Text] -> Text, [Int] -> Text, [Double] -> Text, [Bool] -> Text, [Duration] -> Text, [Time] -> Text;
    ToDuration = "duration", Global: [Duration] -> Duration, [Text] -> Duration;
    ToTime = "timestamp", Global: [Time] -> Time, [Text] -> Time, [Int] -> Time;
    Year = "getFullYear", Receiver: [Time] -> Int;
    Month = "getMonth", Receiver: [Time] -> Int;
    DayOfMonth = "getDayOfMonth", Receiver: [Time] -> Int;
    Date = "getDate", Receiver: [Time] -> Int;
    DayOfWeek = "getDayOfWeek", Receiver: [Time] -> Int;
    DayOfYear = "getDayOfYear", Receiver: [Time] -> Int;
    Hours = "getHours", Receiver: [Time] -> Int, [Duration] -> Int;
    Minutes = "getMinutes", Receiver: [Time] -> Int, [Duration] -> Int;
    Seconds = "getSeconds", Receiver: [Time] -> Int, [Duration] -> Int;
    Milliseconds = "getMilliseconds", Receiver: [Time] -> Int, [Duration] -> Int;
}

/// Every function's name.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|row| row.name).chain(["matches", "has", "all", "exists", "exists_one", "filter", "map"])
}

impl Function {
    /// The function that is called so with arguments of these types (the receiver is the first), and the type of its result.
    pub(super) fn find(name: &str, receiver: bool, arguments: &[Kind]) -> std::result::Result<(Self, Kind), String> {
        let Some(row) = FUNCTIONS.iter().find(|row| row.name == name) else {
            return Err(format!("unknown function `{name}`"));
        };
        match (row.style, receiver) {
            (Style::Global, true) => return Err(format!("`{name}` is called as {name}(x)")),
            (Style::Receiver, false) => return Err(format!("`{name}` is called as x.{name}(...)")),
            _ => {}
        }
        let fits = |(takes, _): &&(&[Of], Of)| {
            takes.len() == arguments.len() && takes.iter().zip(arguments).all(|(of, kind)| of.takes(kind))
        };
        if let Some((_, result)) = row.calls.iter().find(fits) {
            return Ok((row.function, result.kind()));
        }
        let list = |kinds: &mut dyn Iterator<Item = String>| kinds.collect::<Vec<_>>().join(", ");
        let takes: Vec<_> = (row.calls.iter())
            .map(|(takes, _)| format!("({})", list(&mut takes.iter().map(|of| of.kind().to_string()))))
            .collect();
        let given = list(&mut arguments.iter().map(ToString::to_string));
        Err(format!("`{name}` takes {}, not ({given})", takes.join(" or ")))
    }

    /// Calls it. `work` is told the bytes that are copied or searched.
    pub(super) fn call<'a>(self, arguments: &[Val<'a>], work: &mut dyn FnMut(usize) -> Result<()>) -> Result<Val<'a>> {
        for argument in arguments {
            if let Val::Text(text) = argument {
                work(text.len())?;
            }
        }
        Ok(match (self, arguments) {
            (Self::Size, [Val::Text(text)]) => Val::Int(text.chars().count() as i64),
            (Self::Size, [Val::List(list)]) => Val::Int(list.len() as i64),
            (Self::Contains, [Val::Text(text), Val::Text(part)]) => {
                Val::Bool(memchr::memmem::find(text.as_bytes(), part.as_bytes()).is_some())
            }
            (Self::StartsWith, [Val::Text(text), Val::Text(part)]) => Val::Bool(text.starts_with(&**part)),
            (Self::EndsWith, [Val::Text(text), Val::Text(part)]) => Val::Bool(text.ends_with(&**part)),
            (Self::LowerAscii, [Val::Text(text)]) => Val::Text(Cow::Owned(text.to_ascii_lowercase())),
            (Self::UpperAscii, [Val::Text(text)]) => Val::Text(Cow::Owned(text.to_ascii_uppercase())),
            (Self::Trim, [Val::Text(text)]) => Val::Text(Cow::Owned(text.trim().to_owned())),
            (Self::Substring, [Val::Text(text), Val::Int(start)]) => substring(text, *start, None)?,
            (Self::Substring, [Val::Text(text), Val::Int(start), Val::Int(end)]) => {
                substring(text, *start, Some(*end))?
            }
            (Self::Split, [Val::Text(text), Val::Text(separator)]) => {
                work(size_of::<Val<'_>>() * text.len())?;
                Val::List(text.split(&**separator).map(|part| Val::Text(Cow::Owned(part.to_owned()))).collect())
            }
            (Self::Join, [Val::List(parts)]) => join(parts, "", work)?,
            (Self::Join, [Val::List(parts), Val::Text(separator)]) => join(parts, separator, work)?,
            (Self::ToText, [value]) => Val::Text(value.clone().into_value().into_text()),
            (Self::ToBool | Self::ToInt | Self::ToDouble | Self::ToDuration | Self::ToTime, [value]) => {
                self.convert(value)?
            }
            (_, [Val::Duration(nanos)]) => Val::Int(self.of_duration(*nanos)?),
            (_, [Val::Time(nanos)]) => Val::Int(self.of_time(*nanos)?),
            // The check lets nothing else through.
            _ => return Err(Stop::Fault),
        })
    }

    fn convert<'a>(self, value: &Val<'a>) -> Result<Val<'a>> {
        Ok(match (self, value) {
            (Self::ToBool, Val::Bool(_))
            | (Self::ToInt, Val::Int(_))
            | (Self::ToDouble, Val::Double(_))
            | (Self::ToDuration, Val::Duration(_))
            | (Self::ToTime, Val::Time(_)) => value.clone(),
            (Self::ToBool, Val::Text(text)) => match &**text {
                "1" | "t" | "true" | "TRUE" | "True" => Val::Bool(true),
                "0" | "f" | "false" | "FALSE" | "False" => Val::Bool(false),
                _ => return Err(Stop::Fault),
            },
            // Towards zero; the largest double below 2^63 is 2^63 - 1024.
            (Self::ToInt, Val::Double(number)) if number.abs() < 9_223_372_036_854_775_807.0 => {
                Val::Int(*number as i64)
            }
            (Self::ToInt, Val::Text(text)) => Val::Int(text.parse().map_err(|_| Stop::Fault)?),
            (Self::ToInt, Val::Time(nanos)) => Val::Int(nanos.div_euclid(NANOS)),
            (Self::ToDouble, Val::Int(number)) => Val::Double(*number as f64),
            (Self::ToDouble, Val::Text(text)) => Val::Double(text.parse().map_err(|_| Stop::Fault)?),
            (Self::ToDuration, Val::Text(text)) => Val::Duration(parse_duration(text).ok_or(Stop::Fault)?),
            (Self::ToTime, Val::Text(text)) => Val::Time(parse_time(text).ok_or(Stop::Fault)?),
            (Self::ToTime, Val::Int(seconds)) => Val::Time(seconds.checked_mul(NANOS).ok_or(Stop::Fault)?),
            _ => return Err(Stop::Fault),
        })
    }

    /// The whole duration in this unit; milliseconds are those of the second (CEL specification, `getMilliseconds`).
    fn of_duration(self, nanos: i64) -> Result<i64> {
        Ok(match self {
            Self::Hours => nanos / (3600 * NANOS),
            Self::Minutes => nanos / (60 * NANOS),
            Self::Seconds => nanos / NANOS,
            Self::Milliseconds => nanos % NANOS / 1_000_000,
            _ => return Err(Stop::Fault),
        })
    }

    /// In UTC. Months, days of the month and days of the year count from 0, and Sunday is 0 (CEL specification); `getDate` counts from 1.
    fn of_time(self, nanos: i64) -> Result<i64> {
        let time = jiff::Timestamp::from_nanosecond(nanos.into()).map_err(|_| Stop::Fault)?;
        let time = time.to_zoned(TimeZone::UTC);
        Ok(match self {
            Self::Year => time.year().into(),
            Self::Month => i64::from(time.month()) - 1,
            Self::DayOfMonth => i64::from(time.day()) - 1,
            Self::Date => time.day().into(),
            Self::DayOfWeek => time.weekday().to_sunday_zero_offset().into(),
            Self::DayOfYear => i64::from(time.day_of_year()) - 1,
            Self::Hours => time.hour().into(),
            Self::Minutes => time.minute().into(),
            Self::Seconds => time.second().into(),
            Self::Milliseconds => time.millisecond().into(),
            _ => return Err(Stop::Fault),
        })
    }
}

const NANOS: i64 = 1_000_000_000;

/// By code points, as all positions in CEL.
fn substring<'a>(text: &str, start: i64, end: Option<i64>) -> Result<Val<'a>> {
    let length = text.chars().count() as i64;
    let end = end.unwrap_or(length);
    if start < 0 || start > end || end > length {
        return Err(Stop::Fault);
    }
    Ok(Val::Text(text.chars().skip(start as usize).take((end - start) as usize).collect::<String>().into()))
}

fn join<'a>(parts: &[Val<'_>], separator: &str, work: &mut dyn FnMut(usize) -> Result<()>) -> Result<Val<'a>> {
    let mut joined = String::new();
    for (index, part) in parts.iter().enumerate() {
        let Val::Text(part) = part else { return Err(Stop::Fault) };
        work(part.len() + separator.len())?;
        if index > 0 {
            joined.push_str(separator);
        }
        joined.push_str(part);
    }
    Ok(Val::Text(joined.into()))
}

/// `1h30m`, `1.5s`, `-2ms`: decimal numbers with a unit each (CEL specification, `duration`). Nanoseconds.
pub(super) fn parse_duration(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut nanos = 0_f64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|byte: char| !byte.is_ascii_digit() && byte != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let units = [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 6e10), ("h", 3.6e12)];
        let (unit, factor) = units.into_iter().find(|(unit, _)| rest.starts_with(unit))?;
        rest = &rest[unit.len()..];
        nanos += number * factor;
    }
    (nanos < 9e18).then_some((sign * nanos) as i64)
}

/// RFC 3339. Nanoseconds since the epoch.
pub(super) fn parse_time(text: &str) -> Option<i64> {
    let time: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}

/// A constant that is written as a call: `duration("1s")`. What it would be at every evaluation.
pub(super) fn fold(function: Function, arguments: &[Val<'static>]) -> Option<Result<Val<'static>>> {
    let folds = matches!(
        function,
        Function::ToBool | Function::ToInt | Function::ToDouble | Function::ToDuration | Function::ToTime
    );
    folds.then(|| function.call(arguments, &mut |_| Ok(())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_cel_writes_them() {
        for (text, nanos) in [
            ("1s", Some(NANOS)),
            ("1.5s", Some(1_500_000_000)),
            ("-1h30m", Some(-5_400 * NANOS)),
            ("250ms", Some(250_000_000)),
            ("10us", Some(10_000)),
            ("0", Some(0)),
            ("", None),
            ("1", None),
            ("s", None),
            ("1d", None),
            ("1..5s", None),
            ("99999999999999h", None),
        ] {
            assert_eq!(parse_duration(text), nanos, "{text}");
        }
    }
}
