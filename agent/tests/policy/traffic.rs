//! Small recordings that a person can read, and what comes out of one under a policy.
//!
//! | line | what it means |
//! |---|---|
//! | `# ...` | a remark |
//! | `@ include NAME` | the lines of `traffic/NAME.txt` |
//! | `@ open ROLE POD LOCAL PEER [tls] [isn=OUT,IN] [container=NAME]` | a connection is opened, by a pod or (`-`) a local process; what follows is on it |
//! | `> text` | the client sends this line, and CR LF |
//! | `< text` | the server does |
//! | `>|text`, `<|text` | without CR LF |
//! | `@ wait N` | N milliseconds pass; 1 passes before whatever is sent |
//! | `@ close [fin\|reset]` | the connection is closed |
//! | `@ times N [by STEP]` ... `@ end` | the lines between, N times; `{n}` in them is 00, 01, ... (hexadecimal), or multiples of STEP |

use std::{ffi::OsStr, fmt::Write as _, fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Parser as _;
use serde_json::{Value, json};
use telltale::{
    capture::recording::Reader,
    cli::{
        args::{Cli, Verb},
        outputs::Outputs,
    },
    config::Config,
    pipeline::{Pipeline, Settings},
    workload::Source,
};

/// When recordings begin, in nanoseconds since the epoch.
const START: u64 = 1_700_000_000_000_000_000;
const MILLISECOND: u64 = 1_000_000;

/// A connection that is open.
struct Connection {
    number: u64,
    is_client: bool,
    /// Sent so far by the client and by the server.
    sent: [u64; 2],
}

#[derive(Default)]
struct Recording {
    lines: String,
    milliseconds: u64,
    opened: u64,
    open: Option<Connection>,
    /// What one end sends next, and whether that is the server.
    block: Option<(bool, Vec<u8>)>,
}

impl Recording {
    fn event(&mut self, mut event: Value) {
        event["t"] = json!(START + self.milliseconds * MILLISECOND);
        let _ = writeln!(self.lines, "{event}");
    }

    fn send(&mut self, by_server: bool, text: &str, end: &str) {
        if self.block.as_ref().is_some_and(|(server, _)| *server != by_server) {
            self.flush();
        }
        let (_, bytes) = self.block.get_or_insert_with(|| (by_server, Vec::new()));
        bytes.extend_from_slice(text.as_bytes());
        bytes.extend_from_slice(end.as_bytes());
    }

    fn flush(&mut self) {
        let Some((by_server, bytes)) = self.block.take() else { return };
        let connection = self.open.as_mut().expect("nothing is sent before `@ open`");
        let direction = if connection.is_client == by_server { "in" } else { "out" };
        let sent = &mut connection.sent[usize::from(by_server)];
        let event = json!({
            "ev": "data", "conn": connection.number, "dir": direction, "pos": *sent, "len": bytes.len(), "b64": STANDARD.encode(&bytes)
        });
        *sent += bytes.len() as u64;
        self.milliseconds += 1;
        self.event(event);
    }

    fn directive(&mut self, words: &[&str]) {
        self.flush();
        match *words {
            ["open", role @ ("client" | "server"), pod, local, peer, ref rest @ ..] => {
                self.opened += 1;
                let number = self.opened;
                let mut event = json!({
                    "ev": "open", "conn": number, "role": role, "local": local, "peer": peer, "pid": 1, "comm": "app",
                    "isn_out": 1000 + number, "isn_in": 2000 + number
                });
                if pod != "-" {
                    event["pod"] = json!(pod);
                }
                for word in rest {
                    if let Some(name) = word.strip_prefix("container=") {
                        event["container"] = json!(name);
                        continue;
                    }
                    match word.strip_prefix("isn=").and_then(|numbers| numbers.split_once(',')) {
                        Some((sent, received)) => {
                            event["isn_out"] = json!(sent.parse::<u32>().expect("a number"));
                            event["isn_in"] = json!(received.parse::<u32>().expect("a number"));
                        }
                        None if *word == "tls" => event["tls"] = json!(true),
                        None => panic!("nothing of a connection: {word}"),
                    }
                }
                self.event(event);
                self.open = Some(Connection { number, is_client: role == "client", sent: [0; 2] });
            }
            ["wait", milliseconds] => self.milliseconds += milliseconds.parse::<u64>().expect("a number"),
            ["close", ref how @ ..] => {
                let connection = self.open.take().expect("something is open");
                let mut event = json!({"ev": "close", "conn": connection.number});
                if let [how] = how {
                    event["how"] = json!(how);
                }
                self.milliseconds += 1;
                self.event(event);
            }
            _ => panic!("no directive: {words:?}"),
        }
    }
}

/// Lines with what they include, and what is to be repeated as often as that.
fn expanded(text: &str) -> String {
    let mut lines = String::new();
    let mut rest = text.lines();
    while let Some(line) = rest.next() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["@", "include", name] => lines += &expanded(&shared(name)),
            ["@", "times", count, ref step @ ..] => {
                let step: u8 = if let ["by", step] = step { step.parse().expect("a number") } else { 1 };
                let body: Vec<&str> = rest.by_ref().take_while(|line| *line != "@ end").collect();
                let body = expanded(&(body.join("\n") + "\n"));
                for number in 0..count.parse::<u8>().expect("a number") {
                    lines += &body.replace("{n}", &format!("{:02x}", number * step));
                }
            }
            _ => {
                lines += line;
                lines.push('\n');
            }
        }
    }
    lines
}

fn shared(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policy/traffic");
    fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The recording that these lines stand for.
pub(crate) fn recording(text: &str) -> String {
    let mut recording = Recording::default();
    for line in expanded(text).lines() {
        match line.as_bytes() {
            [] | [b'#', ..] => {}
            [b'@', ..] => recording.directive(&line[1..].split_whitespace().collect::<Vec<_>>()),
            [side @ (b'>' | b'<'), b'|', ..] => recording.send(*side == b'<', &line[2..], ""),
            [side @ (b'>' | b'<'), ..] => {
                let text = line[1..].strip_prefix(' ').unwrap_or(&line[1..]);
                recording.send(*side == b'<', text, "\r\n");
            }
            _ => panic!("neither a directive nor something that is sent: {line}"),
        }
    }
    recording.flush();
    recording.lines
}

/// What is replayed where a case has no traffic of its own: a request to and from a pod of each of these namespaces, and of the pods.
pub(crate) fn of_everybody(pods: impl IntoIterator<Item = String>) -> String {
    let template = shared("anybody");
    recording(&pods.into_iter().map(|pod| template.replace("POD", &pod)).collect::<String>())
}

/// What a replay wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// The access log.
    pub(crate) logs: String,
    /// The spans, as OTLP JSON lines.
    pub(crate) spans: String,
    /// The metrics of traffic.
    pub(crate) metrics: String,
}

/// Replays under these policies, as `telltale replay --logs --spans --metrics` does; `None` if it refuses to.
pub(crate) fn replay(policies: &[u8], recording: &str) -> Option<Written> {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("input.yaml");
    fs::write(&policy, policies).unwrap();
    let file = |name: &str| folder.path().join(name);
    let [spans, logs, metrics] = ["spans", "logs", "metrics"].map(file);
    let mut command = vec![OsStr::new("telltale"), OsStr::new("replay"), OsStr::new("recording")];
    for (flag, path) in [("--policy", &policy), ("--spans", &spans), ("--logs", &logs), ("--metrics", &metrics)] {
        command.extend([OsStr::new(flag), path.as_os_str()]);
    }
    let Cli { verb: Verb::Replay(args), .. } = Cli::parse_from(command) else { panic!("it is a replay") };
    let outputs = Outputs::for_replay(&args.output, &args, &Config::default()).ok()?;
    let settings = Settings::new(&outputs.plans, Source::Events);
    let mut pipeline = Pipeline::new(settings, outputs.recorder(), &outputs.health);
    let mut reader = Reader::new("recording".to_owned(), recording.as_bytes());
    while let Some(event) = reader.next_event() {
        pipeline.event(&event.unwrap());
        pipeline.take_skips().for_each(drop);
    }
    pipeline.finish();
    drop(pipeline);
    assert!(outputs.finish().is_ok(), "files can be written");
    let read = |name: &str| fs::read_to_string(file(name)).unwrap_or_default();
    Some(Written { logs: read("logs"), spans: read("spans"), metrics: of_traffic(&read("metrics")) })
}

/// The metrics of traffic: those of the agent itself are left out.
pub(crate) fn of_traffic(exposition: &str) -> String {
    let name = |line: &str| line.strip_prefix("# HELP ").or(line.strip_prefix("# TYPE ")).unwrap_or(line).to_owned();
    let own = |line: &str| line.starts_with("telltale_") && !line.starts_with("telltale_authorization_");
    let lines = exposition.lines().filter(|line| !own(&name(line)) && !line.starts_with("# HELP "));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// Spans for people: below each resource its spans, below each span what it says, times in milliseconds of the recording.
pub(crate) fn readable(spans: &str) -> String {
    let mut text = String::new();
    for line in spans.lines() {
        let request: Value = serde_json::from_str(line).unwrap();
        for resource in list(&request["resourceSpans"]) {
            text += "resource\n";
            attributes(&mut text, &resource["resource"]["attributes"], 2);
            for span in list(&resource["scopeSpans"]).iter().flat_map(|scope| list(&scope["spans"])) {
                readable_span(&mut text, span);
            }
        }
    }
    text
}

fn readable_span(text: &mut String, span: &Value) {
    const KINDS: [&str; 6] = ["?", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
    let kind = KINDS[span["kind"].as_u64().unwrap_or_default() as usize];
    let word = |key: &str| span[key].as_str().unwrap_or_default();
    let time = |key: &str| {
        let nanoseconds: u64 = word(key).parse().expect("a time");
        (nanoseconds - START) as f64 / MILLISECOND as f64
    };
    let _ = writeln!(
        text,
        "  {kind} {:?} {} to {} ms\n    trace {} span {} parent {:?}{}{}",
        word("name"),
        time("startTimeUnixNano"),
        time("endTimeUnixNano"),
        word("traceId"),
        word("spanId"),
        word("parentSpanId"),
        match word("traceState") {
            "" => String::new(),
            state => format!(" state {state:?}"),
        },
        match &span["status"] {
            Value::Object(status) if !status.is_empty() => format!(" status {}", span["status"]),
            _ => String::new(),
        }
    );
    attributes(text, &span["attributes"], 4);
}

fn attributes(text: &mut String, attributes: &Value, indent: usize) {
    for attribute in list(attributes) {
        let value = attribute["value"].as_object().and_then(|value| value.values().next());
        let value = value.map_or_else(|| "none".to_owned(), Value::to_string);
        let _ = writeln!(text, "{:indent$}{} = {value}", "", attribute["key"].as_str().unwrap_or_default());
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
