//! What a run gave out, and what it should have given out.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

/// One exchange as a log line should tell it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    method: &'static str,
    path: String,
    status: Option<u16>,
    received: Option<u64>,
    sent: Option<u64>,
    incomplete: Option<&'static str>,
}

/// An exchange that was seen whole: status, bytes of the request's content, bytes of the response's.
pub(crate) fn row(method: &'static str, path: impl Into<String>, status: u16, received: u64, sent: u64) -> Row {
    Row {
        method,
        path: path.into(),
        status: Some(status),
        received: Some(received),
        sent: Some(sent),
        incomplete: None,
    }
}

/// A request without content that was not answered.
pub(crate) fn unanswered(method: &'static str, path: impl Into<String>, why: &'static str) -> Row {
    Row { status: None, sent: None, incomplete: Some(why), ..row(method, path, 0, 0, 0) }
}

impl Row {
    /// Marked incomplete for this reason.
    pub(crate) fn incomplete(mut self, why: &'static str) -> Self {
        self.incomplete = Some(why);
        self
    }

    fn show(&self) -> String {
        let number = |value: Option<u64>| value.map_or("-".to_owned(), |value| value.to_string());
        format!(
            "{} {} {} received {} sent {} {}",
            self.method,
            self.path,
            number(self.status.map(u64::from)),
            number(self.received),
            number(self.sent),
            self.incomplete.unwrap_or("whole")
        )
    }
}

/// The outputs of a run.
pub(crate) struct Seen {
    /// Access-log lines.
    pub(crate) logs: Vec<Value>,
    /// Spans.
    pub(crate) spans: Vec<Value>,
    /// Metrics at the end.
    pub(crate) metrics: String,
    /// What it said.
    pub(crate) stderr: String,
    /// The access log as it was written.
    pub(crate) logs_raw: String,
    /// Logs, spans and metrics as they were written.
    pub(crate) raw: String,
}

impl Seen {
    pub(super) fn read(folder: &Path, stderr: &str) -> Self {
        let [logs, spans, metrics] =
            ["logs", "spans", "metrics"].map(|name| fs::read_to_string(folder.join(name)).unwrap_or_default());
        let raw = [logs.as_str(), &spans, &metrics].concat();
        let spans = lines_of(&spans).iter().flat_map(spans_of).collect();
        Self { logs: lines_of(&logs), spans, metrics, stderr: stderr.to_owned(), raw, logs_raw: logs }
    }

    /// The lines of one end.
    pub(crate) fn of(&self, reporter: &str) -> Vec<&Value> {
        self.logs.iter().filter(|line| line["reporter"] == reporter).collect()
    }

    /// Each end logged exactly these exchanges; both ends of each are in one trace, and each names the other's address.
    pub(crate) fn assert_both_ends(&self, expected: &[Row]) {
        self.assert_reporter("client", expected);
        self.assert_reporter("server", expected);
        assert_eq!(self.logs.len(), expected.len() * 2, "{}", self.stderr);
        self.assert_joined();
    }

    /// One end logged exactly these exchanges.
    pub(crate) fn assert_reporter(&self, reporter: &str, expected: &[Row]) {
        let mut seen: Vec<String> = self.of(reporter).iter().map(|line| show(line)).collect();
        let mut expected: Vec<String> = expected.iter().map(Row::show).collect();
        seen.sort();
        expected.sort();
        assert_eq!(seen, expected, "log of the {reporter} (left) is not as expected (right)\n{}", self.stderr);
    }

    /// Every client line has its server line in the same trace, and every server span has the client's span as its parent.
    pub(crate) fn assert_joined(&self) {
        let mut traces: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for line in &self.logs {
            traces.entry(text(line, "trace_id")).or_default().push(text(line, "reporter"));
        }
        for (trace, mut reporters) in traces {
            reporters.sort_unstable();
            assert_eq!(reporters, ["client", "server"], "trace {trace}");
        }
        assert_eq!(self.spans.len(), self.logs.len());
        let clients: BTreeMap<&str, &Value> =
            self.spans.iter().filter(|span| span["kind"] == 3).map(|span| (text(span, "spanId"), span)).collect();
        for server in self.spans.iter().filter(|span| span["kind"] == 2) {
            let client =
                clients.get(text(server, "parentSpanId")).expect("the parent of a server span is the client's");
            assert_eq!(client["traceId"], server["traceId"]);
            // Calls, not the wire: the server can have read only what the client had begun to send.
            assert!(nanos(client, "startTimeUnixNano") <= nanos(server, "startTimeUnixNano"), "{client} {server}");
        }
    }
}

fn show(line: &Value) -> String {
    let number = |key: &str| line[key].as_u64().map_or("-".to_owned(), |value| value.to_string());
    format!(
        "{} {} {} received {} sent {} {}",
        text(line, "method"),
        text(line, "path"),
        number("response_code"),
        number("bytes_received"),
        number("bytes_sent"),
        line["incomplete"].as_str().unwrap_or("whole")
    )
}

/// A member that is text; empty if it is absent.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// A time of a span.
pub(crate) fn nanos(span: &Value, key: &str) -> u64 {
    let value = &span[key];
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).expect("a time")
}

/// An attribute of a span, as text.
pub(crate) fn attribute(span: &Value, key: &str) -> Option<String> {
    let attributes = span["attributes"].as_array()?;
    let value = &attributes.iter().find(|attribute| attribute["key"] == key)?["value"];
    let value = value.as_object()?.values().next()?;
    Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// One JSON value a line.
pub(super) fn lines_of(text: &str) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
    text.lines().map(parse).collect()
}

fn spans_of(request: &Value) -> Vec<Value> {
    let array = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let spans = |resource: &Value| -> Vec<Value> {
        let of_scopes = array(resource, "scopeSpans").into_iter().flat_map(|scope| array(&scope, "spans"));
        // Whose a span is, beside what it tells.
        let with_resource = of_scopes.map(|mut span| {
            span["resource"] = resource["resource"].clone();
            span
        });
        with_resource.collect()
    };
    array(request, "resourceSpans").iter().flat_map(spans).collect()
}
