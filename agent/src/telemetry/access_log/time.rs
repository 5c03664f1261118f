//! Times and numbers, appended to a line.

/// RFC 3339 in UTC with microseconds.
pub(super) fn write_time(line: &mut Vec<u8>, nanos: u64) {
    let seconds = nanos / 1_000_000_000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    decimal(line, year, 4);
    for (separator, value) in
        [(b'-', month), (b'-', day), (b'T', second / 3600), (b':', second / 60 % 60), (b':', second % 60)]
    {
        line.push(separator);
        decimal(line, value, 2);
    }
    line.push(b'.');
    decimal(line, nanos % 1_000_000_000 / 1000, 6);
    line.push(b'Z');
}

/// Year, month and day of a number of days since 1970-01-01, in the proleptic Gregorian calendar: eras of 400 years, years that begin in March
/// so that the leap day is the last.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Appends a number with at least this many digits.
pub(super) fn decimal(line: &mut Vec<u8>, mut value: u64, digits: usize) {
    let mut buffer = [b'0'; 20];
    let mut start = buffer.len();
    while value > 0 {
        start -= 1;
        buffer[start] = b'0' + (value % 10) as u8;
        value /= 10;
    }
    line.extend_from_slice(&buffer[start.min(buffer.len() - digits)..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn times_agree_with_a_calendar_library(nanos in 0_u64..=u64::MAX / 2) {
            let mut written = Vec::new();
            write_time(&mut written, nanos);
            let expected = jiff::Timestamp::from_nanosecond(i128::from(nanos / 1000 * 1000)).unwrap();
            let written: jiff::Timestamp = String::from_utf8(written).unwrap().parse().unwrap();
            proptest::prop_assert_eq!(written, expected);
        }
    }
}
