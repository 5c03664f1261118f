//! Time formats of `START_TIME(...)`.

use std::fmt::Write as _;

use jiff::{Timestamp, fmt::strtime, tz::TimeZone};

/// How a time is written: as the argument of `START_TIME` says, with the specifiers of C++ `std::put_time` and Envoy's `%s`, `%f` and `%1f` to `%9f`.
/// Always in UTC, also for `START_TIME_LOCAL`: an agent has no zone that its readers know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeFormat {
    /// ISO 8601 with milliseconds, Envoy's default: `2016-04-15T20:17:00.310Z`.
    Default,
    /// With these specifiers.
    Specifiers(Box<str>),
}

impl TimeFormat {
    /// Compiles an argument.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn compile(argument: &str) -> Result<Self, String> {
        let mut specifiers = String::with_capacity(argument.len());
        let mut rest = argument;
        while let Some(percent) = rest.find('%') {
            specifiers.push_str(&rest[..percent]);
            let behind = &rest[percent + 1..];
            let letter = behind.chars().next().ok_or("it ends with a percent sign")?;
            let length = match letter {
                // Envoy's `%f` has nine digits.
                'f' => {
                    specifiers.push_str("%9f");
                    1
                }
                '1'..='9' if behind[1..].starts_with('f') => {
                    specifiers.push('%');
                    specifiers.push_str(&behind[..2]);
                    2
                }
                _ if PLAIN.contains(letter) => {
                    specifiers.push('%');
                    specifiers.push(letter);
                    letter.len_utf8()
                }
                _ => return Err(format!("%{letter} is no specifier of a time")),
            };
            rest = &behind[length..];
        }
        specifiers.push_str(rest);
        let format = Self::Specifiers(specifiers.into());
        // Whatever the formatter itself refuses is refused here, not for each line.
        let mut written = String::new();
        match format.write(&mut written, 1_700_000_000_000_000_000) {
            Ok(()) => Ok(format),
            Err(error) => Err(error),
        }
    }

    /// Appends a time in nanoseconds since the epoch.
    ///
    /// # Errors
    /// The time cannot be written so (past the year 9999).
    pub fn write(&self, text: &mut String, nanos: u64) -> Result<(), String> {
        let time = Timestamp::from_nanosecond(i128::from(nanos)).map_err(|error| error.to_string())?;
        let Self::Specifiers(specifiers) = self else {
            let millis = Timestamp::from_millisecond(time.as_millisecond()).map_err(|error| error.to_string())?;
            return write!(text, "{millis:.3}").map_err(|error| error.to_string());
        };
        let formatted =
            strtime::format(&**specifiers, &time.to_zoned(TimeZone::UTC)).map_err(|error| error.to_string())?;
        text.push_str(&formatted);
        Ok(())
    }
}

/// Specifiers of `std::put_time` that are passed on.
const PLAIN: &str = "%ntYyCGgmbhBUWVjdeaAuwHIMSTRrpcxXDFzZs";

#[cfg(test)]
mod tests {
    use super::*;

    fn written(argument: &str) -> String {
        let mut text = String::new();
        TimeFormat::compile(argument).unwrap().write(&mut text, 1_700_000_000_012_345_678).unwrap();
        text
    }

    #[test]
    fn specifiers_of_envoy_and_of_put_time() {
        for (argument, expected) in [
            ("%Y/%m/%dT%H:%M:%S%z", "2023/11/14T22:13:20+0000"),
            ("%s.%3f", "1700000000.012"),
            ("%s.%6f", "1700000000.012345"),
            ("%f", "012345678"),
            ("%1f", "0"),
            ("%a %b %e %T %Z", "Tue Nov 14 22:13:20 UTC"),
            ("100%%", "100%"),
            ("", ""),
            ("é", "é"),
        ] {
            assert_eq!(written(argument), expected, "{argument}");
        }
        let mut text = String::new();
        TimeFormat::Default.write(&mut text, 1_700_000_000_012_345_678).unwrap();
        assert_eq!(text, "2023-11-14T22:13:20.012Z");
    }

    #[test]
    fn every_specifier_can_be_written() {
        for letter in PLAIN.chars() {
            TimeFormat::compile(&format!("%{letter}")).unwrap();
        }
        for wrong in ["%", "%Q", "%0f", "%10f", "%é"] {
            assert!(TimeFormat::compile(wrong).is_err(), "{wrong}");
        }
    }
}
