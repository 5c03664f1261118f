//! The access-log line: one JSON object per exchange with the default keys of POLICY.md section 4, in their order, absent keys omitted.
//!
//! Written without an intermediate value: this is the most frequent output of the agent.

use std::io::Write as _;

use super::{Facts, trace_context::Identity};
use crate::{capture::Role, workload::Workload};

/// Appends the line of an exchange, newline included.
pub fn write_line(line: &mut Vec<u8>, facts: &Facts<'_>, identity: &Identity) {
    let exchange = facts.exchange;
    line.extend_from_slice(b"{\"start_time\":\"");
    write_time(line, exchange.request.head.first_byte.0);
    line.extend_from_slice(match facts.role {
        Role::Client => b"\",\"reporter\":\"client\"".as_slice(),
        Role::Server => b"\",\"reporter\":\"server\"".as_slice(),
    });
    text(line, "method", facts.method.as_bytes());
    if let Some(authority) = facts.authority() {
        text(line, "authority", authority.as_bytes());
    }
    text(line, "path", facts.target.as_bytes());
    field(line, "protocol");
    line.extend_from_slice(b"\"HTTP/");
    line.extend_from_slice(facts.version.as_str().as_bytes());
    line.push(b'"');
    if let Some(status) = facts.status {
        number(line, "response_code", status.into());
    }
    if let Some(nanos) = facts.duration() {
        number(line, "duration", nanos / 1_000_000);
    }
    if let Some(size) = exchange.request.body_size {
        number(line, "bytes_received", size);
    }
    if let Some(size) = exchange.response.as_ref().and_then(|response| response.body_size) {
        number(line, "bytes_sent", size);
    }
    if let Some(user_agent) = facts.user_agent() {
        text(line, "user_agent", user_agent);
    }
    if let Some(id) = facts.request_id() {
        text(line, "request_id", id.as_bytes());
    }
    let (source, destination) = match facts.role {
        Role::Client => ("source", "destination"),
        Role::Server => ("destination", "source"),
    };
    // Keys in one order whichever end reports.
    let own = |line: &mut Vec<u8>, name| workload(line, name, &exchange.connection.workload);
    let other = |line: &mut Vec<u8>, name| {
        field(line, name);
        let _ = write!(line, "\"{}\"", facts.peer());
    };
    if source == "source" {
        own(line, source);
        other(line, destination);
    } else {
        other(line, destination);
        own(line, source);
    }
    field(line, "trace_id");
    let _ = write!(line, "\"{}\"", identity.trace_id);
    field(line, "span_id");
    let _ = write!(line, "\"{}\"", identity.span_id);
    if let Some(error) = facts.error {
        text(line, "error_type", error.name().as_bytes());
    }
    if let Some(incomplete) = exchange.incomplete {
        text(line, "incomplete", incomplete.name().as_bytes());
    }
    line.extend_from_slice(b"}\n");
}

/// `namespace/service`, or the service alone.
fn workload(line: &mut Vec<u8>, name: &str, workload: &Workload) {
    field(line, name);
    line.push(b'"');
    if let Some(namespace) = &workload.namespace {
        escape(line, namespace);
        line.push(b'/');
    }
    escape(line, &workload.service_name);
    line.push(b'"');
}

fn field(line: &mut Vec<u8>, name: &str) {
    line.extend_from_slice(b",\"");
    line.extend_from_slice(name.as_bytes());
    line.extend_from_slice(b"\":");
}

fn number(line: &mut Vec<u8>, name: &str, value: u64) {
    field(line, name);
    decimal(line, value, 1);
}

/// A value that may be any bytes: what is not UTF-8 is replaced.
fn text(line: &mut Vec<u8>, name: &str, value: &[u8]) {
    field(line, name);
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
fn escape(line: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut written = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        // DEL and C1 controls need no escape in JSON, but terminals obey them; C1 are two bytes in UTF-8, so they are left.
        if byte >= 0x20 && byte != b'"' && byte != b'\\' && byte != 0x7f {
            continue;
        }
        line.extend_from_slice(&bytes[written..index]);
        written = index + 1;
        match byte {
            b'"' => line.extend_from_slice(b"\\\""),
            b'\\' => line.extend_from_slice(b"\\\\"),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            b'\t' => line.extend_from_slice(b"\\t"),
            _ => {
                let _ = write!(line, "\\u{byte:04x}");
            }
        }
    }
    line.extend_from_slice(&bytes[written..]);
}

/// RFC 3339 in UTC with microseconds.
fn write_time(line: &mut Vec<u8>, nanos: u64) {
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
fn decimal(line: &mut Vec<u8>, mut value: u64, digits: usize) {
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
    use crate::{
        protocol::Incomplete,
        telemetry::{test_support::Sample, trace_context::identify},
    };

    fn line(sample: &Sample) -> String {
        sample.facts(|facts| {
            let head = &facts.exchange.request.head;
            let open = &facts.exchange.connection.open;
            let identity = identify(open, facts.role, head.position, head.first_byte, facts.parent());
            let mut line = Vec::new();
            write_line(&mut line, facts, &identity);
            String::from_utf8(line).unwrap()
        })
    }

    #[test]
    fn lines() {
        let pod =
            Workload { service_name: "shop".into(), namespace: Some("prod".into()), attributes: Vec::new(), pod: None };
        let lines = [
            line(&Sample::new(Role::Client)),
            line(&Sample::new(Role::Server).workload(pod).header("x-request-id", "r-1").status(500)),
            line(&Sample::new(Role::Client).unanswered(Incomplete::Closed)),
        ];
        insta::assert_snapshot!(lines.concat());
    }

    #[test]
    fn any_bytes_make_valid_json() {
        let odd = "a\"b\\c\nd\u{1}e\u{7f}é\u{2028}";
        let value: serde_json::Value =
            serde_json::from_str(&line(&Sample::new(Role::Server).header("user-agent", odd))).unwrap();
        assert_eq!(value["user_agent"], odd);
        let mut written = b"{\"a\":1".to_vec();
        text(&mut written, "b", b"x\xff\xc3y");
        written.push(b'}');
        let value: serde_json::Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(value["b"], "x\u{fffd}\u{fffd}y");
    }

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
