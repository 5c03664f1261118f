//! Runs one exchange through the reader, and writes what it read in one line a message.

use std::fmt::Write as _;

use super::super::{Link, Message, Messages, Party, SessionEvent, recognise};
use crate::{
    capture::Timestamp,
    exchange::{
        Call, Half,
        content::Which,
        genai::Kept,
        reader::{Reader, Standing},
    },
    protocol::{
        Head, Headers, HttpVersion, StartLine,
        body::{Body, Counters, Items},
    },
};

/// One message of HTTP: its first line without the version, its fields, its content.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    pub(super) head: Head,
    pub(super) body: Vec<u8>,
}

/// A request or response as text: first line, fields, an empty line, content. `data:` lines stand for events: each gets its empty line.
pub(super) fn wire(text: &str) -> Wire {
    let text = text.trim_start();
    let (head, body) = text.split_once("\n\n").unwrap_or((text.trim_end(), ""));
    let mut lines = head.lines().map(str::trim);
    let first = lines.next().unwrap();
    let (one, rest) = first.split_once(' ').unwrap_or((first, ""));
    let start = match one.parse() {
        Ok(status) => StartLine::Response { status },
        Err(_) => StartLine::Request { method: one.into(), target: rest.into() },
    };
    let mut headers = Headers::default();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    let events = headers.get("content-type").is_some_and(|value| value.starts_with(b"text/event-stream"));
    let mut content = String::new();
    for line in body.lines().map(str::trim) {
        content.push_str(line);
        content.push_str(if events && line.starts_with("data:") { "\n\n" } else { "\n" });
    }
    let time = Timestamp(if matches!(start, StartLine::Request { .. }) { 10 } else { 20 });
    let head = Head {
        start,
        version: HttpVersion::Http11,
        headers,
        position: 0,
        first_byte: time,
        complete: time,
        request: 0,
    };
    Wire { head, body: content.into_bytes() }
}

struct To<'a> {
    reader: &'a mut dyn Reader,
    which: Which,
}

impl Items for To<'_> {
    fn array(&mut self) {
        self.reader.array(self.which);
    }

    fn begin(&mut self, event: &[u8]) {
        self.reader.begin(self.which, event);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.reader.bytes(self.which, bytes);
    }

    fn end(&mut self, time: Timestamp, whole: bool) {
        self.reader.end(self.which, time, whole);
    }

    fn id(&mut self) {
        self.reader.id(self.which);
    }

    fn cut(&mut self) {
        self.reader.cut(self.which);
    }
}

/// How content arrives: each piece with its time, and whether it ends as it should.
pub(super) struct Pieces<'a> {
    pub(super) pieces: Vec<(u64, &'a [u8])>,
    pub(super) complete: bool,
}

impl<'a> Pieces<'a> {
    pub(super) fn whole(body: &'a [u8], time: u64) -> Self {
        Self { pieces: vec![(time, body)], complete: true }
    }
}

fn half(wire: &Wire, pieces: &Pieces<'_>) -> Half {
    let last = pieces.pieces.last().map_or(wire.head.complete, |(time, _)| Timestamp(*time));
    Half {
        head: wire.head.clone(),
        body_size: None,
        trailers: Headers::default(),
        last_byte: last,
        complete: pieces.complete,
        content: None,
    }
}

fn feed(reader: &mut dyn Reader, which: Which, wire: &Wire, pieces: &Pieces<'_>) {
    let mut counters = Counters::default();
    let Some(mut body) = Body::new(&wire.head.headers, &mut counters) else { return };
    let mut to = To { reader, which };
    for (time, bytes) in &pieces.pieces {
        body.push(Timestamp(*time), bytes, &mut counters, &mut to);
    }
    body.end(pieces.complete, &mut counters, &mut to);
}

/// Content of a response that goes on.
pub(super) fn push(reader: &mut dyn Reader, wire: &Wire, time: u64) {
    let mut counters = Counters::default();
    let mut body = Body::new(&wire.head.headers, &mut counters).unwrap();
    body.push(Timestamp(time), &wire.body, &mut counters, &mut To { reader, which: Which::Response });
}

/// What is read of an exchange whose content arrives so.
pub(super) fn read_pieces(
    request: (&Wire, &Pieces<'_>),
    response: Option<(&Wire, &Pieces<'_>)>,
    link: Option<&Link>,
) -> Option<Call> {
    read_keeping(request, response, link, None)
}

/// The same, with content that is kept so.
pub(super) fn read_keeping(
    request: (&Wire, &Pieces<'_>),
    response: Option<(&Wire, &Pieces<'_>)>,
    link: Option<&Link>,
    kept: Option<&Kept>,
) -> Option<Call> {
    let mut reader = recognise(&request.0.head, kept, || link.cloned())?;
    feed(&mut *reader, Which::Request, request.0, request.1);
    // As whoever drives readers does.
    if reader.standing() == Standing::IsNot {
        return None;
    }
    if let Some((wire, pieces)) = response {
        reader.response_head(&wire.head);
        if reader.standing() == Standing::IsNot {
            return None;
        }
        feed(&mut *reader, Which::Response, wire, pieces);
    }
    let response = response.map(|(wire, pieces)| half(wire, pieces));
    reader.finish(&half(request.0, request.1), response.as_ref())
}

/// What is read of an exchange that arrives whole: requests at 11, responses at 21.
pub(super) fn read(request: &str, response: &str) -> Option<Call> {
    read_linked(request, response, None)
}

pub(super) fn read_linked(request: &str, response: &str, link: Option<&Link>) -> Option<Call> {
    let (request, response) = (wire(request), wire(response));
    let pieces = (Pieces::whole(&request.body, 11), Pieces::whole(&response.body, 21));
    read_pieces((&request, &pieces.0), Some((&response, &pieces.1)), link)
}

/// As [`read`], in text: a line for the exchange, a line for each message.
pub(super) fn told(request: &str, response: &str) -> String {
    text(read(request, response).as_ref())
}

pub(super) fn text(call: Option<&Call>) -> String {
    match call {
        None | Some(Call::GenAi(_)) => "nothing".into(),
        Some(Call::Mcp(messages)) => format!("mcp{}", all(messages)),
        Some(Call::JsonRpc(messages)) => format!("json-rpc{}", all(messages)),
    }
}

fn all(messages: &Messages) -> String {
    let mut text = String::new();
    let mut say = |name: &str, value: &dyn std::fmt::Display| write!(text, " {name}={value}").unwrap();
    if let Some(version) = &messages.protocol_version {
        say("version", version);
    }
    if let Some(session) = &messages.session_id {
        say("session", session);
    }
    if let Some(session) = messages.session {
        say(
            "it",
            &match session {
                SessionEvent::Begins => "begins",
                SessionEvent::Ends => "ends",
                SessionEvent::Expired => "expired",
                SessionEvent::Whole => "whole",
            },
        );
    }
    if messages.beyond > 0 {
        say("beyond", &messages.beyond);
    }
    for (name, flag) in [("batch", messages.batch), ("cut", messages.cut)] {
        if flag {
            write!(text, " {name}").unwrap();
        }
    }
    for message in &messages.messages {
        text.push('\n');
        text.push_str(&one(message));
    }
    text
}

fn one(message: &Message) -> String {
    let mut text = String::from(if message.from_server { "< " } else { "> " });
    text.push_str(&message.method);
    if let Some(id) = &message.id {
        write!(text, " #{id}").unwrap();
    }
    let mut say = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            write!(text, " {name}={value}").unwrap();
        }
    };
    let party = |party: &Option<Party>| {
        let named = |part: &Option<Box<str>>| part.as_deref().unwrap_or("?").to_owned();
        party.as_ref().map(|party| format!("{}/{}", named(&party.name), named(&party.version)))
    };
    say("jsonrpc", message.jsonrpc.as_deref());
    say("tool", message.tool.as_deref());
    say("prompt", message.prompt.as_deref());
    say("resource", message.resource.as_deref());
    say("client", party(&message.client).as_deref());
    say("server", party(&message.server).as_deref());
    say("traceparent", message.traceparent.as_deref());
    say("tracestate", message.tracestate.as_deref());
    say("type", message.result_type.as_deref());
    let answer = match (&message.error, message.answered, message.notification) {
        (Some(error), ..) => format!("error {} {:?}", error.code, error.message),
        (None, true, _) if message.tool_error => "tool error".into(),
        (None, true, _) if message.end.is_none() => "cut".into(),
        (None, true, _) => "ok".into(),
        (None, false, true) => "notification".into(),
        (None, false, false) => "no answer".into(),
    };
    write!(text, ": {answer}, {}", message.start.0).unwrap();
    if let Some(end) = message.end {
        write!(text, " to {}", end.0).unwrap();
    }
    text
}
