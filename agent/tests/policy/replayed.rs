//! What a replay under policies gives, taken apart.

use std::{collections::BTreeMap, fmt::Write as _, fs, process::Command};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::documentation::root;

/// Labels of a series, without `le`.
pub(crate) type Labels = BTreeMap<String, String>;

/// The outputs of a replay.
pub(crate) struct Replayed {
    /// The access log, as it is.
    pub(crate) lines: String,
    /// Each span, with the attributes of its resource.
    pub(crate) spans: Vec<Span>,
    /// The metrics, as Prometheus text.
    pub(crate) metrics: String,
}

/// A span as the OTLP file has it.
pub(crate) struct Span {
    pub(crate) fields: Value,
    pub(crate) resource: Labels,
    pub(crate) attributes: Labels,
}

impl Span {
    /// A field of the span.
    pub(crate) fn text(&self, field: &str) -> &str {
        self.fields[field].as_str().unwrap_or_default()
    }
}

/// Replays a recording with policy files, all paths from the root of the repository. Connections are those of the pod, if one is given.
pub(crate) fn replay(recording: &str, policies: &[&str], pod: Option<&str>) -> Replayed {
    replay_with(recording, policies, pod, &[])
}

/// The same with more flags.
pub(crate) fn replay_with(recording: &str, policies: &[&str], pod: Option<&str>, flags: &[&str]) -> Replayed {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let mut command = Command::new(env!("CARGO_BIN_EXE_telltale"));
    command.args(["-q", "replay", recording]).current_dir(root()).env_remove("RUST_LOG");
    for policy in policies {
        command.args(["--policy", policy]);
    }
    for flag in ["logs", "spans", "metrics"] {
        command.arg(format!("--{flag}")).arg(out(flag));
    }
    command.args(pod.into_iter().flat_map(|pod| ["--as-pod", pod])).args(flags);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |name: &str| fs::read_to_string(out(name)).unwrap();
    Replayed { lines: read("logs"), spans: spans(&read("spans")), metrics: read("metrics") }
}

impl Replayed {
    /// Each line of the access log as JSON.
    pub(crate) fn json(&self) -> Vec<Value> {
        self.lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The series of observed traffic that have this name, with their values.
    pub(crate) fn series(&self, name: &str) -> Vec<(Labels, f64)> {
        let lines = self.metrics.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
        lines
            .map(|line| {
                let (labels, value) = line.rsplit_once("} ").unwrap();
                let labels = labels.split("\",").filter_map(|label| label.split_once("=\""));
                let text = |(key, value): (&str, &str)| (key.to_owned(), value.trim_end_matches('"').to_owned());
                (labels.map(text).collect(), value.parse().unwrap())
            })
            .collect()
    }

    /// Whether there is no metric of observed traffic.
    pub(crate) fn measures_nothing(&self) -> bool {
        self.metrics
            .lines()
            .all(|line| line.starts_with('#') || line.starts_with("telltale_") || line.starts_with("target_info"))
    }
}

fn spans(lines: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    for line in lines.lines() {
        let request: Value = serde_json::from_str(line).unwrap();
        for resource in request["resourceSpans"].as_array().unwrap() {
            for span in
                resource["scopeSpans"].as_array().unwrap().iter().flat_map(|scope| scope["spans"].as_array().unwrap())
            {
                spans.push(Span {
                    fields: span.clone(),
                    resource: labels(&resource["resource"]["attributes"]),
                    attributes: labels(&span["attributes"]),
                });
            }
        }
    }
    spans
}

fn labels(attributes: &Value) -> Labels {
    let entry = |attribute: &Value| {
        let value = attribute["value"].as_object().unwrap().values().next().unwrap();
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (attribute["key"].as_str().unwrap().to_owned(), text)
    };
    attributes.as_array().unwrap().iter().map(entry).collect()
}

/// A recording of requests to one server, each on a connection of its own: path, and header fields.
pub(crate) fn recording<'a>(requests: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut lines = String::new();
    for (index, (path, headers)) in requests.into_iter().enumerate() {
        let at = |step: usize| 1_700_000_000_000_000_000 + index * 10_000_000 + step * 1_000_000;
        let (connection, port) = (index + 1, 1024 + index);
        let data = |step: usize, direction: &str, bytes: &str| {
            let (time, length, text) = (at(step), bytes.len(), STANDARD.encode(bytes));
            format!(
                r#"{{"t":{time},"ev":"data","conn":{connection},"dir":"{direction}","pos":0,"len":{length},"b64":"{text}"}}"#
            )
        };
        let (opened, closed) = (at(0), at(3));
        let request = data(1, "in", &format!("GET {path} HTTP/1.1\r\nHost: edge\r\n{headers}\r\n"));
        let response = data(2, "out", "HTTP/1.1 200 OK\r\nX-Token-Usage: 7\r\nContent-Length: 0\r\n\r\n");
        let ends = format!(r#""local":"10.0.0.2:80","peer":"10.0.0.1:{port}","isn_out":{index},"isn_in":7"#);
        let _ = write!(
            lines,
            r#"{{"t":{opened},"ev":"open","conn":{connection},"role":"server",{ends},"pid":1,"comm":"edge"}}
{request}
{response}
{{"t":{closed},"ev":"close","conn":{connection},"how":"fin"}}
"#
        );
    }
    lines
}
