//! The SDKs of the Model Context Protocol for Python and Node, against each other, and its conformance suite.

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    common::{agent::Run, program::Server, seen::Seen, wait_for},
    peers::{call, node, node_modules, python},
    told::{CLIENT, SERVER, assert_lines_are_spans, assert_messages, mcp},
};

/// A server by the Python SDK, which records what it was asked.
pub(crate) struct Recording {
    pub(crate) server: Server,
    folder: TempDir,
}

impl Recording {
    pub(crate) fn start(way: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let mut command = python("server_mcp.py");
        let server = Server::start(command.arg(way).arg(folder.path().join("record")));
        Self { server, folder }
    }

    /// Captures what talks to it.
    fn capture(&self) -> Run {
        Run::port(self.server.port)
    }

    fn record(&self) -> PathBuf {
        self.folder.path().join("record")
    }

    fn lines(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.record()).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("the record is JSON")).collect()
    }

    /// Ends the run once the server's record has so many exchanges, and checks that both ends logged just these. `status` is whether the ends agree on
    /// statuses: a client that goes away may not have read one.
    fn expect(&self, run: Run, exchanges: usize, status: bool) -> Seen {
        wait_for("the record", || (self.lines().len() >= exchanges).then_some(()));
        let seen = run.stop_after(2 * exchanges);
        let shown = |exchange: &str, code: &Value| {
            if status { format!("{exchange} {code}") } else { exchange.to_owned() }
        };
        let mut expected: Vec<String> =
            self.lines().iter().map(|line| shown(text(line, "exchange"), &line["status"])).collect();
        expected.sort();
        for end in ["client", "server"] {
            let mut lines: Vec<String> = seen
                .of(end)
                .iter()
                .filter(|line| stands_for_its_exchange(line))
                .map(|line| {
                    let path = text(line, "path").split('?').next().unwrap_or_default();
                    shown(&format!("{} {path}", text(line, "method")), &line["response_code"])
                })
                .collect();
            lines.sort();
            assert_eq!(lines, expected, "the {end} (left) and what the server recorded (right)\n{}", seen.stderr);
        }
        seen
    }
}

/// A line of its own has what a server asks of its client; its exchange has another.
fn stands_for_its_exchange(line: &Value) -> bool {
    !["sampling/", "roots/", "elicitation/"].iter().any(|asked| text(line, "mcp.method.name").starts_with(asked))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// What `client_mcp.py` calls after the handshake; the SDK's server has another code for what it does not know in each era.
fn calls(version: &str) -> Vec<String> {
    let unknown = if version == "2026-07-28" { -32603 } else { 0 };
    vec![
        format!("tools/list {version}"),
        format!("tools/call add {version}"),
        format!("tools/call fail {version} error=tool_error"),
        format!("resources/read weather://oslo {version}"),
        format!("prompts/get report {version}"),
        format!("prompts/get nothing {version} code={unknown} error={unknown}"),
    ]
}

fn handshake(version: &str) -> Vec<String> {
    ["initialize", "notifications/initialized"].iter().map(|method| format!("{method} {version}")).collect()
}

/// The handshake of 2025-11-25, then calls, however the server answers.
fn with_handshake(way: &str, exchanges: usize) -> Seen {
    let server = Recording::start(way);
    let run = server.capture();
    call(python("client_mcp.py"), "sessions", &server.server.url(""));
    let seen = server.expect(run, exchanges, true);
    let mut expected = handshake("2025-11-25");
    expected.extend(calls("2025-11-25"));
    expected.push("ping 2025-11-25".to_owned());
    assert_messages(&seen, &expected);
    seen
}

fn sessions(seen: &Seen) -> BTreeMap<String, usize> {
    let mut sessions = BTreeMap::new();
    for span in &seen.spans {
        if let Some(session) = crate::told::attribute(span, "mcp.session.id") {
            *sessions.entry(session).or_default() += 1;
        }
    }
    sessions
}

/// Answers are events of a stream; a GET has the server's own; a DELETE ends the session.
#[test]
fn sessions_with_events() {
    let seen = with_handshake("sse", 11);
    assert_eq!(sessions(&seen).len(), 1, "{:?}", sessions(&seen));
}

#[test]
fn sessions_with_documents() {
    let seen = with_handshake("json", 11);
    assert_eq!(sessions(&seen).len(), 1, "{:?}", sessions(&seen));
}

#[test]
fn no_sessions() {
    let seen = with_handshake("stateless", 9);
    assert_eq!(sessions(&seen).len(), 0, "{:?}", sessions(&seen));
}

/// Answers come on the stream of another connection.
#[test]
fn legacy_transport() {
    let server = Recording::start("legacy");
    let run = server.capture();
    call(python("client_mcp.py"), "legacy", &server.server.url(""));
    let seen = server.expect(run, 10, true);
    let mut expected = handshake("2025-11-25");
    expected.extend(calls("2025-11-25"));
    expected.push("ping 2025-11-25".to_owned());
    assert_messages(&seen, &expected);
}

/// The server asks the client's model while a tool is called, and tells of progress.
#[test]
fn the_server_asks_back() {
    let server = Recording::start("sse");
    let run = server.capture();
    call(python("client_mcp.py"), "asks", &server.server.url(""));
    let seen = server.expect(run, 8, true);
    let version = "2025-11-25";
    let own = ["tools/call slow", "tools/call ask", "tools/list"].map(|line| format!("{line} {version}"));
    // What the server only notifies of is no call.
    let theirs = [format!("sampling/createMessage {version}")];
    let own: Vec<String> = handshake(version).into_iter().chain(own).collect();
    let expected: Vec<&str> = own.iter().chain(&theirs).map(String::as_str).collect();
    // The one who asks is the client of the call, whichever end of the connection it is.
    let mut told = [mcp(&seen, CLIENT), mcp(&seen, SERVER)].concat();
    told.sort();
    let mut expected = [expected.clone(), expected].concat();
    expected.sort_unstable();
    assert_eq!(told, expected, "{}", seen.stderr);
}

/// The revision of 2026-07-28: no session, and header fields that say what is called.
#[test]
fn newest_revision() {
    let server = Recording::start("json");
    let run = server.capture();
    call(python("client_mcp.py"), "newest", &server.server.url(""));
    let seen = server.expect(run, 6, true);
    assert_messages(&seen, &calls("2026-07-28"));
}

#[test]
fn newest_revision_is_discovered() {
    let server = Recording::start("sse");
    let run = server.capture();
    call(python("client_mcp.py"), "discovers", &server.server.url(""));
    let seen = server.expect(run, 3, true);
    let expected = ["server/discover", "tools/call add", "tools/list"].map(|line| format!("{line} 2026-07-28"));
    assert_messages(&seen, &expected);
}

/// What `client_node.cjs` calls; `unknown` is the server's code for a resource that it does not have.
fn calls_of_node(unknown: i64) -> Vec<String> {
    let version = "2025-11-25";
    let mut expected = handshake(version);
    expected.extend([
        format!("tools/list {version}"),
        format!("tools/call add {version}"),
        format!("tools/call fail {version} error=tool_error"),
        format!("resources/read nothing://here {version} code={unknown} error={unknown}"),
        format!("ping {version}"),
    ]);
    expected
}

#[test]
fn node_to_python() {
    let server = Recording::start("sse");
    let run = server.capture();
    call(node("client_node.cjs"), "mcp", &server.server.url(""));
    let seen = server.expect(run, 9, true);
    assert_messages(&seen, &calls_of_node(-32602));
}

#[test]
fn node_to_node() {
    let server = Server::start(&mut node("server_mcp.cjs"));
    let run = Run::port(server.port);
    call(node("client_node.cjs"), "mcp", &server.url(""));
    let seen = run.stop_after(18);
    assert_messages(&seen, &calls_of_node(-32601));
    assert_eq!(sessions(&seen).len(), 1, "{:?}", sessions(&seen));
}

#[test]
fn node_by_the_legacy_transport() {
    let server = Recording::start("legacy");
    let run = server.capture();
    call(node("client_node.cjs"), "legacy", &server.server.url(""));
    let seen = server.expect(run, 4, true);
    let mut expected = handshake("2025-11-25");
    expected.push("tools/call add 2025-11-25".to_owned());
    assert_messages(&seen, &expected);
}

/// The suite's scenarios against the Python server. Not all pass, which says nothing about us: each message that the server recorded is told at both ends.
#[test]
fn conformance_suite() {
    let server = Recording::start("suite");
    let run = server.capture();
    let suite = node_modules().join("@modelcontextprotocol/conformance/dist/index.js");
    let url = server.server.url("/mcp");
    let output = Command::new("node").arg(suite).args(["server", "--url", &url]).output().expect("node runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("tools-call-simple-text: 1 passed"), "{said}");
    // Long streams end, and are recorded, a little after the last scenario.
    let exchanges = settled(&server);
    let seen = server.expect(run, exchanges, false);
    let mut expected: BTreeMap<String, usize> = BTreeMap::new();
    for line in server.lines() {
        for method in line["methods"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            *expected.entry(method.to_owned()).or_default() += 1;
        }
    }
    assert!(expected.len() > 8, "{expected:?}");
    assert_lines_are_spans(&seen);
    for (kind, end) in [(CLIENT, "client"), (SERVER, "server")] {
        let mut told: BTreeMap<String, usize> = BTreeMap::new();
        for line in mcp(&seen, kind) {
            let method = line.split(' ').next().unwrap_or_default().to_owned();
            *told.entry(method).or_default() += 1;
        }
        for (method, count) in &expected {
            assert_eq!(told.get(method), Some(count), "{method} at the {end}: {told:?}, recorded {expected:?}");
        }
    }
}

/// How many exchanges the server recorded, once that stays.
fn settled(server: &Recording) -> usize {
    let mut last = (usize::MAX, 0);
    wait_for("the end of the last stream", || {
        let count = server.lines().len();
        last = if count == last.0 { (count, last.1 + 1) } else { (count, 0) };
        (last.1 > 500).then_some(count)
    })
}
