//! The table of shapes: exchanges as they are on the wire, and what is read of them. `cases/*.txt` has them; this reads it.
//!
//! A case is a request, an answer and what is expected, with `---` between them. Each message is a line (method, host and path; status), header fields, a
//! blank line and content. Of a stream each event, line or message is pushed by itself, 100 ms after the one before it. Messages of AWS are lines of
//! an event's name and its payload; a payload behind `chunk` is put in base64 as Bedrock does. `!` at the end of a status says that the message was cut.

mod properties;
mod recognition;

use std::fmt::Write as _;

use base64::Engine as _;

use std::sync::Arc;

use super::{GenAi, Kept, Providers, recognise};
use crate::{
    capture::Timestamp,
    exchange::{
        Call, Half, Omission,
        content::Which,
        reader::{Reader, Standing},
    },
    policy::{model::ContentCapture, plan::ContentPlan},
    protocol::{
        Head, Headers, HttpVersion, StartLine,
        body::{Body, Counters, Items},
    },
};

/// Set to anything, what is expected is written into the files.
const UPDATE: &str = "TELLTALE_UPDATE_CASES";

const FILES: [&str; 10] =
    ["openai", "azure", "anthropic", "gemini", "bedrock", "cohere", "compatible", "local", "traps", "content"];

/// A message as it is on the wire.
#[derive(Clone, Debug)]
pub(super) struct Message {
    head: Head,
    /// What is pushed at once.
    pieces: Vec<Vec<u8>>,
    complete: bool,
}

impl Message {
    fn body(&self) -> Vec<u8> {
        self.pieces.concat()
    }

    fn half(&self) -> Half {
        Half {
            head: self.head.clone(),
            body_size: None,
            trailers: Headers::default(),
            last_byte: Timestamp(0),
            complete: self.complete,
            content: None,
        }
    }
}

/// A request and its answer, if there was one.
#[derive(Clone, Debug)]
pub(super) struct Case {
    name: String,
    request: Message,
    response: Option<Message>,
    expected: String,
}

fn milliseconds(number: usize) -> Timestamp {
    Timestamp(number as u64 * 1_000_000)
}

/// A message as the cases write it.
pub(super) fn message(text: &str) -> Message {
    let (section, body) = text.split_once("\n\n").unwrap_or((text.trim_end(), ""));
    let mut lines = section.lines();
    let mut headers = Headers::default();
    let line = lines.next().unwrap();
    let complete = !line.ends_with('!');
    let first = line.trim_end_matches('!');
    let start = match first.split_once(' ') {
        Some((method, place)) => {
            let at = place.find('/').unwrap_or(place.len());
            headers.push(b"Host", &place.as_bytes()[..at]);
            StartLine::Request { method: method.into(), target: place[at..].into() }
        }
        None => StartLine::Response { status: first.parse().unwrap() },
    };
    let mut media_type = "application/json";
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no field: {line}"));
        if name == "Content-Type" {
            media_type = value;
        } else {
            headers.push(name.as_bytes(), value.as_bytes());
        }
    }
    headers.push(b"Content-Type", media_type.as_bytes());
    let body = body.trim_end_matches('\n');
    let pieces = match media_type {
        _ if body.is_empty() => Vec::new(),
        "text/event-stream" => body.split_inclusive("\n\n").map(|event| event.as_bytes().to_vec()).collect(),
        "application/x-ndjson" | "application/stream+json" => {
            body.split_inclusive('\n').map(|line| line.as_bytes().to_vec()).collect()
        }
        "application/vnd.amazon.eventstream" => body.lines().map(event_of_aws).collect(),
        _ => vec![body.as_bytes().to_vec()],
    };
    let mut message = Message {
        head: Head {
            start,
            version: HttpVersion::Http11,
            headers,
            position: 0,
            first_byte: Timestamp(0),
            complete: Timestamp(0),
            request: 0,
        },
        pieces,
        complete,
    };
    // Trimmed above, as the last thing of a part of the file.
    if complete
        && media_type == "text/event-stream"
        && let Some(last) = message.pieces.last_mut()
    {
        last.extend_from_slice(b"\n\n");
    }
    message
}

/// `application/vnd.amazon.eventstream`: prelude, headers, payload, checksums.
fn event_of_aws(line: &str) -> Vec<u8> {
    let (event, payload) = line.split_once(' ').unwrap();
    let payload = match event {
        "chunk" => {
            let bytes = base64::engine::general_purpose::STANDARD.encode(payload);
            format!(r#"{{"bytes":"{bytes}","p":"abcdef"}}"#)
        }
        _ => payload.to_owned(),
    };
    let is_exception = event.ends_with("Exception");
    let names = if is_exception { [":message-type", ":exception-type"] } else { [":message-type", ":event-type"] };
    let mut headers = Vec::new();
    for (name, value) in names.into_iter().zip([if is_exception { "exception" } else { "event" }, event]) {
        headers.push(name.len() as u8);
        headers.extend_from_slice(name.as_bytes());
        headers.push(7);
        headers.extend_from_slice(&(value.len() as u16).to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let sum = |bytes: &[u8]| {
        let mut sum = flate2::Crc::new();
        sum.update(bytes);
        sum.sum().to_be_bytes()
    };
    let mut message = Vec::new();
    message.extend_from_slice(&(16 + headers.len() as u32 + payload.len() as u32).to_be_bytes());
    message.extend_from_slice(&(headers.len() as u32).to_be_bytes());
    message.extend_from_slice(&sum(&message));
    message.extend_from_slice(&headers);
    message.extend_from_slice(payload.as_bytes());
    message.extend_from_slice(&sum(&message));
    message
}

/// Hands the items of one message to a reader.
struct To<'r> {
    which: Which,
    reader: &'r mut Box<dyn Reader>,
}

impl Items for To<'_> {
    fn begin(&mut self, event: &[u8]) {
        self.reader.begin(self.which, event);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.reader.bytes(self.which, bytes);
    }

    fn end(&mut self, time: Timestamp, whole: bool) {
        self.reader.end(self.which, time, whole);
    }

    fn cut(&mut self) {
        self.reader.cut(self.which);
    }

    fn array(&mut self) {
        self.reader.array(self.which);
    }
}

fn feed(which: Which, message: &Message, reader: &mut Box<dyn Reader>) {
    let mut counters = Counters::default();
    let Some(mut body) = Body::new(&message.head.headers, &mut counters) else { return };
    let mut items = To { which, reader };
    for (number, piece) in message.pieces.iter().enumerate() {
        body.push(milliseconds(100 * (number + 1)), piece, &mut counters, &mut items);
    }
    body.end(message.complete, &mut counters, &mut items);
}

/// Keeps so many bytes of each message, with nothing to be redacted.
pub(super) fn keeping(max_bytes: u32) -> Kept {
    let plan = ContentPlan { capture: ContentCapture::All, max_bytes, paths: Vec::new(), patterns: Vec::new() };
    Kept { plan: Arc::new(plan), budget: Arc::default() }
}

/// What is read of an exchange, content too.
pub(super) fn read(request: &Message, response: Option<&Message>, providers: &Providers) -> Option<GenAi> {
    let kept = keeping(4096);
    let read = read_with(request, response, providers, Some(&kept));
    assert_eq!(kept.budget.held(), 0);
    read
}

/// What is read of an exchange whose content is kept so.
pub(super) fn read_with(
    request: &Message,
    response: Option<&Message>,
    providers: &Providers,
    kept: Option<&Kept>,
) -> Option<GenAi> {
    let mut reader = recognise(&request.head, providers, kept)?;
    feed(Which::Request, request, &mut reader);
    if reader.standing() == Standing::IsNot {
        return None;
    }
    if let Some(response) = response {
        reader.response_head(&response.head);
        feed(Which::Response, response, &mut reader);
    }
    match reader.finish(&request.half(), response.map(Message::half).as_ref())? {
        Call::GenAi(call) => Some(*call),
        other => panic!("{other:?}"),
    }
}

/// What was read, in a few lines: `>` what was asked, `<` what was answered, `#` tokens, `~` times in milliseconds, `!` what went wrong; then content: `s` instructions,
/// `i` input, `o` output, `t` tools, `%` why it is not whole. What is absent is not there.
pub(super) fn told(call: Option<&GenAi>) -> String {
    let Some(GenAi { operation, provider, request, response, usage, stream, error, cut, content }) = call else {
        return "no call".to_owned();
    };
    let mut lines = String::new();
    let word = |text: &Option<Box<str>>| text.as_deref().unwrap_or("-").to_owned();
    let mut line = |sign: char, words: Vec<String>| {
        let words = words.join(" ");
        if !words.is_empty() {
            let _ = writeln!(lines, "{sign} {words}");
        }
    };
    let mut words = vec![provider.to_string(), operation.name().to_owned(), word(&request.model)];
    let mut add = |name: &str, value: Option<String>| words.extend(value.map(|value| format!("{name}={value}")));
    add("stream", request.stream.map(|value| value.to_string()));
    add("n", request.choice_count.map(|value| value.to_string()));
    add("seed", request.seed.map(|value| value.to_string()));
    add("max", request.max_tokens.map(|value| value.to_string()));
    add("temperature", request.temperature.map(|value| value.to_string()));
    add("top_p", request.top_p.map(|value| value.to_string()));
    add("top_k", request.top_k.map(|value| value.to_string()));
    add("frequency", request.frequency_penalty.map(|value| value.to_string()));
    add("presence", request.presence_penalty.map(|value| value.to_string()));
    add("stop", list(&request.stop_sequences));
    add("encoding", list(&request.encoding_formats));
    add("output", request.output_type.map(ToOwned::to_owned));
    add("conversation", request.conversation_id.as_deref().map(ToOwned::to_owned));
    add("tier", request.service_tier.as_deref().map(ToOwned::to_owned));
    add("reasoning", request.reasoning_level.as_deref().map(ToOwned::to_owned));
    add("api", request.openai_api.map(ToOwned::to_owned));
    line('>', words);

    let mut words = Vec::new();
    let mut add = |name: &str, value: Option<String>| words.extend(value.map(|value| format!("{name}={value}")));
    add("id", response.id.as_deref().map(ToOwned::to_owned));
    add("model", response.model.as_deref().map(ToOwned::to_owned));
    add("finish", list(&response.finish_reasons));
    add("tier", response.service_tier.as_deref().map(ToOwned::to_owned));
    add("fingerprint", response.system_fingerprint.as_deref().map(ToOwned::to_owned));
    add("dimensions", response.dimension_count.map(|value| value.to_string()));
    let tools: Vec<_> =
        response.tool_calls.iter().map(|call| format!("{}({})", word(&call.name), word(&call.id)).into()).collect();
    add("tools", list(&tools));
    line('<', words);

    let mut words = Vec::new();
    let mut add = |name: &str, value: Option<u64>| words.extend(value.map(|value| format!("{name}={value}")));
    add("input", usage.input);
    add("output", usage.output);
    add("cache_read", usage.cache_read);
    add("cache_creation", usage.cache_creation);
    add("reasoning", usage.reasoning);
    add("input_audio", usage.input_audio);
    add("output_audio", usage.output_audio);
    add("cache_read_audio", usage.cache_read_audio);
    add("cache_creation_hour", usage.cache_creation_hour);
    add("output_image", usage.output_image);
    words.extend(usage.cost.map(|cost| format!("cost={cost}")));
    line('#', words);

    if let Some(stream) = stream {
        let time = |time: Timestamp| (time.0 / 1_000_000).to_string();
        let token = |token: Option<Timestamp>| token.map_or_else(|| "-".to_owned(), time);
        assert_eq!(stream.intervals.len() as u64 + 1, stream.chunks);
        let total: u64 = stream.intervals.iter().map(|&interval| u64::from(interval)).sum();
        assert_eq!(total * 1000, stream.last_chunk.0 - stream.first_chunk.0);
        let words = vec![
            format!("chunks={} {}..{}", stream.chunks, time(stream.first_chunk), time(stream.last_chunk)),
            format!("tokens {}..{}", token(stream.first_token), token(stream.last_token)),
            if stream.complete { "complete".to_owned() } else { "incomplete".to_owned() },
        ];
        line('~', words);
    }
    let wrong = error.as_deref().map(|error| format!("error={error}")).into_iter().chain(cut.then(|| "cut".to_owned()));
    line('!', wrong.collect());
    if let Some(content) = content {
        let texts = [
            ('s', &content.system_instructions),
            ('i', &content.input_messages),
            ('t', &content.tool_definitions),
            ('o', &content.output_messages),
        ];
        for (sign, text) in texts {
            if let Some(text) = text {
                serde_json::from_str::<serde::de::IgnoredAny>(text).expect("it is JSON");
            }
            line(sign, text.as_deref().map(ToOwned::to_owned).into_iter().collect());
        }
        let why = |name: &str, why: Option<Omission>| why.map(|why| format!("{name}={}", why.name()));
        let (input, output) = (content.input_incomplete, content.output_incomplete);
        line('%', why("input", input).into_iter().chain(why("output", output)).collect());
    }
    lines.trim_end().to_owned()
}

fn list(list: &[Box<str>]) -> Option<String> {
    (!list.is_empty()).then(|| list.join(","))
}

fn path(file: &str) -> String {
    format!("{}/src/exchange/genai/tests/cases/{file}.txt", env!("CARGO_MANIFEST_DIR"))
}

/// The cases of a file.
pub(super) fn cases(file: &str) -> Vec<Case> {
    let text = std::fs::read_to_string(path(file)).unwrap();
    let cases = text.split("=== ").skip(1).map(|case| {
        let (name, rest) = case.split_once('\n').unwrap();
        let parts: Vec<_> = rest.split("---\n").collect();
        let [request, response, expected] = parts[..] else { panic!("{file}: {name}: {} parts", parts.len()) };
        let response = response.trim_start_matches('\n');
        Case {
            name: format!("{file}: {name}"),
            request: message(request),
            response: (!response.is_empty()).then(|| message(response)),
            expected: expected.trim().to_owned(),
        }
    });
    cases.collect()
}

/// All cases.
pub(super) fn all() -> Vec<Case> {
    FILES.iter().flat_map(|file| cases(file)).collect()
}

#[test]
fn exchanges_are_read_as_they_are() {
    let mut wrong = String::new();
    for file in FILES {
        let cases = cases(file);
        assert!(!cases.is_empty(), "{file}");
        let read: Vec<_> = cases
            .iter()
            .map(|case| told(read(&case.request, case.response.as_ref(), &Providers::default()).as_ref()))
            .collect();
        if std::env::var_os(UPDATE).is_some() {
            write(file, &read);
            continue;
        }
        for (case, read) in cases.iter().zip(read) {
            if case.expected != read {
                let _ = writeln!(wrong, "{}\n{}\nbut it is\n{read}\n", case.name, case.expected);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Writes what was read as what is expected.
fn write(file: &str, read: &[String]) {
    let text = std::fs::read_to_string(path(file)).unwrap();
    let mut cases = text.split("=== ");
    let mut written = cases.next().unwrap().to_owned();
    for (case, read) in cases.zip(read) {
        let (exchange, _) = case.rsplit_once("---\n").unwrap();
        let _ = write!(written, "=== {exchange}---\n{read}\n\n");
    }
    std::fs::write(path(file), format!("{}\n", written.trim_end())).unwrap();
}
