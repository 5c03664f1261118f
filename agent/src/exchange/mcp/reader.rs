//! Reads the messages of one exchange out of its heads and content.

use super::{
    Message, Messages, SessionEvent,
    correlate::{Link, Stream},
    draft::{Draft, Drafting, Drafts, Id, MAX_TEXT, PATHS, Verdict},
    header::{self, METHOD, SESSION, VERSION},
    method::{self, Evidence, Target},
    pairing::{Entry, Pairing},
    session,
    waiting::{Elsewhere, Way},
};
use crate::{
    capture::Timestamp,
    exchange::{
        Call, Half,
        content::Which,
        genai::{Gathering, Kept},
        reader::{Reader, Standing},
    },
    protocol::{
        Head,
        body::json::{Outcome, Scanner},
        media::Media,
    },
};

/// Longest URI of an `endpoint` event that is read, in bytes.
const MAX_ENDPOINT: usize = 1024;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    /// Messages of the client.
    Post,
    /// A stream of messages of the server.
    Get,
    /// The end of a session.
    Delete,
}

/// What reads the messages of an exchange that begins with this request. `None`: it has none. Answers that come over another connection than their
/// requests are told to the correlator of the link.
/// Arguments and results of tools are kept where `kept` asks for content.
pub(in crate::exchange) fn recognise(
    request: &Head,
    kept: Option<&Kept>,
    link: impl FnOnce() -> Option<Link>,
) -> Option<Box<dyn Reader>> {
    let headers = &request.headers;
    let mcp = header::tells_mcp(headers);
    let verb = match header::verb(request) {
        "POST" if mcp || header::could_be_json(headers) => Verb::Post,
        "GET" if mcp || header::takes(headers, Media::Events) => Verb::Get,
        "DELETE" if headers.contains(SESSION) => Verb::Delete,
        _ => return None,
    };
    let standing = if mcp { Standing::Is } else { Standing::Undecided };
    let link = link();
    let session = link.is_some().then(|| session::key(request)).flatten();
    // What comes over a stream of the server's own answers requests that are elsewhere.
    let kept = kept.filter(|_| verb == Verb::Post);
    Some(Box::new(MessageReader {
        content: [Which::Request, Which::Response].map(|which| Gathering::of_messages(kept, which)),
        verb,
        mcp,
        takes_both: header::takes_both(headers),
        standing,
        link,
        session,
        named: headers.contains(SESSION),
        stream: None,
        endpoint: None,
        parsing: [None, None],
        pairing: Pairing::new(mcp),
        items: [0, 0],
        batch: false,
        cut: false,
        resumable: false,
        last: [Timestamp(0); 2],
    }))
}

/// An item that is read.
#[derive(Debug)]
struct Parsing {
    scanner: Scanner<'static>,
    drafts: Drafts,
    /// Data of an `endpoint` event; its item has no message.
    endpoint: Option<Vec<u8>>,
    /// Something other than white space was there.
    begun: bool,
}

impl Parsing {
    fn new() -> Self {
        Self { scanner: Scanner::new(&PATHS, MAX_TEXT), drafts: Drafts::default(), endpoint: None, begun: false }
    }
}

/// The reader of one exchange.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "what heads and content tell of the exchange, each apart from the others"
)]
struct MessageReader {
    /// What is said in request and response, where that is kept.
    content: [Option<Box<Gathering>>; 2],
    verb: Verb,
    /// The heads tell that it is MCP.
    mcp: bool,
    /// The client takes an answer in both forms.
    takes_both: bool,
    standing: Standing,
    link: Option<Link>,
    /// What its session is known by among connections, if there are others of it.
    session: Option<Box<str>>,
    /// The head of the request names it.
    named: bool,
    /// Its registration, if it is the stream of a session of 2024-11-05.
    stream: Option<Stream>,
    /// The URI that the stream names for requests, as the key of its session.
    endpoint: Option<Endpoint>,
    parsing: [Option<Box<Parsing>>; 2],
    pairing: Pairing,
    /// Items of request and response that had anything in them.
    items: [u64; 2],
    batch: bool,
    cut: bool,
    /// Events of the response have ids.
    resumable: bool,
    /// When the last item of the request and of the response ended.
    last: [Timestamp; 2],
}

/// What the first event of a stream of 2024-11-05 says.
#[derive(Debug)]
struct Endpoint {
    session_id: Option<Box<str>>,
}

const fn index(which: Which) -> usize {
    match which {
        Which::Request => 0,
        Which::Response => 1,
    }
}

impl MessageReader {
    /// Takes what was read of an item's last or only message.
    fn finish_item(&mut self, which: Which, draft: Draft, whole: bool) {
        self.pairing.take(which, draft, whole);
        // What its beginning promised, its end may have broken.
        if self.items[index(which)] == 1 && self.decides(which) {
            let is = self.pairing.any && !self.pairing.refused;
            self.standing = if is { Standing::Is } else { Standing::IsNot };
        }
    }

    /// Whether the first item of this message tells what the exchange is.
    fn decides(&self, which: Which) -> bool {
        let message = match self.verb {
            Verb::Post => Which::Request,
            Verb::Get => Which::Response,
            Verb::Delete => return false,
        };
        which == message && !self.mcp && self.endpoint.is_none()
    }

    /// The `endpoint` event of 2024-11-05: where the client sends its messages.
    fn name_endpoint(&mut self, data: &[u8]) {
        let Some((key, session_id)) = session::of_endpoint(data) else { return };
        self.standing = Standing::Is;
        if let Some(link) = &self.link {
            self.stream = link.open_stream(&key);
            self.session = Some(key);
        }
        self.endpoint = Some(Endpoint { session_id });
    }

    /// Gives answers whose requests are elsewhere to who waits for them.
    fn tell(&mut self, which: Which) {
        let (loose, cancelled) = (self.pairing.take_loose(which), self.pairing.take_cancelled(which));
        if loose.is_empty() && cancelled.is_empty() {
            return;
        }
        let Some((link, session)) = self.shared() else { return };
        for answer in loose {
            link.tell(session, which == Which::Request, answer);
        }
        for id in cancelled {
            link.cancel(session, which == Which::Response, id, self.last[index(which)]);
        }
    }

    /// Registers what the server asked in the item that just ended.
    fn ask(&mut self) {
        let asked = self.pairing.take_asked();
        if asked.is_empty() {
            return;
        }
        let Some((link, session)) = self.shared() else { return };
        for entry in asked.into_iter().filter_map(|at| self.pairing.entries.get(at)) {
            link.ask(session, entry.id.clone(), entry.message.start);
        }
    }

    /// What its session is known by among connections, where it is certain that it is one: its id, or what a stream of 2024-11-05 that is seen names.
    /// Without either a path would be the same for all.
    fn shared(&self) -> Option<(&Link, &str)> {
        let (link, session) = self.link.as_ref().zip(self.session.as_deref())?;
        (self.named || self.endpoint.is_some() || link.knows(session)).then_some((link, session))
    }

    /// What of it other connections may answer.
    fn elsewhere(&self, response: Option<&Half>) -> Option<Box<Elsewhere>> {
        let open = |entry: &Entry| {
            let message = &entry.message;
            !message.notification && (!message.answered || message.end.is_none()) && entry.id.tells()
        };
        let entries = self.pairing.entries.iter().enumerate().filter(|(_, entry)| open(entry));
        let open: Vec<_> = entries.map(|(at, entry)| (at, entry.id.clone())).collect();
        if open.is_empty() {
            return None;
        }
        let (_, session) = self.shared()?;
        let way = response.and_then(|response| match header::status(&response.head) {
            202 => Some(Way::Stream),
            // The server left the stream before the answer, or it broke: the client resumes it. What was lost of one that ended was the answer.
            200 if response.complete && self.cut => None,
            200 => (self.named && self.resumable && header::is_event_stream(&response.head.headers))
                .then_some(Way::Resumed),
            _ => None,
        });
        Some(Box::new(Elsewhere { session: session.into(), open, way }))
    }

    /// What the head of a request of 2026-07-28 says where its content did not.
    fn fill_in(&mut self, request: &Half) {
        let headers = &request.head.headers;
        let Some(name) = header::text(headers, METHOD) else { return };
        let client = |entry: &&mut Entry| !entry.message.from_server;
        if !self.pairing.entries.iter_mut().any(|entry| client(&entry)) && self.pairing.beyond == 0 {
            let notification = method::is_notification(&name);
            let message = Message {
                notification,
                method: name.clone(),
                start: request.head.first_byte,
                end: notification.then_some(request.last_byte),
                ..Message::default()
            };
            self.pairing.entries.insert(0, Entry { message, id: Id::Absent, unread: !notification });
        }
        let Some(entry) = self.pairing.entries.iter_mut().find(client).filter(|entry| entry.message.method == name)
        else {
            return;
        };
        let message = &mut entry.message;
        let (kept, named) = match method::find(&name).map(|method| method.target) {
            Some(Target::Tool) => (&mut message.tool, header::name(headers)),
            Some(Target::Prompt) => (&mut message.prompt, header::name(headers)),
            Some(Target::Resource) => (&mut message.resource, header::name(headers)),
            Some(Target::Nothing | Target::Reference) | None => return,
        };
        if kept.is_none() {
            *kept = named;
        }
    }

    /// Whether what was read is MCP, and not another protocol over JSON-RPC.
    fn is_mcp(&self, request: &Half) -> bool {
        let known = || {
            let key = self.session.as_ref();
            self.link.as_ref().zip(key).is_some_and(|(link, key)| link.knows(key))
        };
        let headers = &request.head.headers;
        self.mcp
            || self.endpoint.is_some()
            || self.pairing.own
            || (self.pairing.shared && self.takes_both && !headers.contains("a2a-version"))
            || known()
    }
}

impl Reader for MessageReader {
    fn response_head(&mut self, head: &Head) {
        self.mcp |= header::tells_mcp(&head.headers);
        if header::is_event_stream(&head.headers) {
            self.gather(Which::Response, Gathering::is_stream);
        }
        if self.standing != Standing::Undecided {
            return;
        }
        if self.mcp {
            self.standing = Standing::Is;
        } else if self.verb == Verb::Get && !header::is_event_stream(&head.headers) {
            self.standing = Standing::IsNot;
        }
    }

    fn array(&mut self, which: Which) {
        self.batch |= which == Which::Request;
        self.gather(which, Gathering::is_stream);
    }

    fn begin(&mut self, which: Which, event: &[u8]) {
        if self.standing == Standing::IsNot {
            return;
        }
        let is_endpoint = self.verb == Verb::Get && which == Which::Response && event == b"endpoint";
        let parsing = self.parsing[index(which)].get_or_insert_with(|| Box::new(Parsing::new()));
        // What was not ended is lost.
        parsing.scanner.end();
        parsing.drafts = Drafts::default();
        parsing.endpoint = is_endpoint.then(Vec::new);
        parsing.begun = false;
        self.gather(which, Gathering::begin);
    }

    fn bytes(&mut self, which: Which, bytes: &[u8]) {
        let Some(mut parsing) = self.parsing[index(which)].take() else { return };
        parsing.begun |= !bytes.iter().all(u8::is_ascii_whitespace);
        if let Some(endpoint) = &mut parsing.endpoint {
            let room = (MAX_ENDPOINT + 1).saturating_sub(endpoint.len());
            endpoint.extend_from_slice(&bytes[..bytes.len().min(room)]);
        } else if self.standing != Standing::IsNot {
            let Parsing { scanner, drafts, .. } = &mut *parsing;
            let pairing = &mut self.pairing;
            let done = |draft| {
                pairing.take(which, draft, true);
            };
            scanner.push(bytes, &mut Drafting { state: drafts, done });
            self.gather(which, |content| content.bytes(bytes));
            if self.standing == Standing::Undecided && self.decides(which) {
                let verdict = parsing.drafts.draft.verdict();
                if self.pairing.refused || (verdict == Verdict::Other && !self.pairing.any) {
                    self.standing = Standing::IsNot;
                } else if self.pairing.any || verdict == Verdict::JsonRpc {
                    self.standing = Standing::Is;
                } else if parsing.scanner.is_bad() {
                    self.standing = Standing::IsNot;
                }
            }
        }
        self.parsing[index(which)] = Some(parsing);
    }

    fn end(&mut self, which: Which, time: Timestamp, whole: bool) {
        let Some(mut parsing) = self.parsing[index(which)].take() else { return };
        if let Some(endpoint) = parsing.endpoint.take() {
            if whole && endpoint.len() <= MAX_ENDPOINT {
                self.name_endpoint(&endpoint);
            }
        } else if parsing.begun && self.standing != Standing::IsNot {
            self.items[index(which)] += 1;
            self.gather(which, |content| content.end(whole));
            let outcome = parsing.scanner.end();
            let drafts = std::mem::take(&mut parsing.drafts);
            // An error page is not a message that was cut.
            self.cut |= !whole || outcome == Outcome::Cut || (outcome == Outcome::Bad && drafts.draft.begun);
            let whole = whole && outcome == Outcome::Whole;
            if which == Which::Request {
                self.batch |= drafts.batch;
            }
            self.finish_item(which, drafts.draft, whole);
            self.last[index(which)] = time;
            self.pairing.end_item(which, time);
            self.ask();
            // Of a POST's own answer its requests may still come.
            let is_final = self.verb == Verb::Get || which == Which::Request;
            if is_final && self.pairing.has_loose(which) && self.shared().is_some() {
                self.tell(which);
            }
        }
        self.parsing[index(which)] = Some(parsing);
    }

    fn cut(&mut self, which: Which) {
        self.cut = true;
        self.gather(which, Gathering::cut);
    }

    fn id(&mut self, which: Which) {
        self.resumable |= which == Which::Response;
    }

    fn standing(&self) -> Standing {
        self.standing
    }

    /// Some clients write the arguments of a tool before `jsonrpc`.
    fn is_likely(&self) -> bool {
        let begun = self.parsing[0].as_ref().and_then(|parsing| parsing.drafts.draft.method.as_deref());
        self.takes_both || begun.and_then(method::find).is_some_and(|method| method.evidence == Evidence::Own)
    }

    fn finish(mut self: Box<Self>, request: &Half, response: Option<&Half>) -> Option<Call> {
        let content = std::mem::take(&mut self.content);
        if self.standing != Standing::Is {
            return None;
        }
        // Of an item that never ended.
        self.pairing.end_item(Which::Request, request.last_byte);
        self.pairing.end_item(Which::Response, response.map_or(request.last_byte, |response| response.last_byte));
        let mcp = self.is_mcp(request);
        if mcp && self.verb == Verb::Post {
            self.fill_in(request);
        }
        if mcp {
            self.tell(Which::Response);
            self.tell(Which::Request);
        }
        if !mcp && self.pairing.entries.is_empty() {
            return None;
        }
        let request_headers = &request.head.headers;
        let response_head = response.map(|response| &response.head);
        let version = self.pairing.agreed_version.take().or_else(|| header::text(request_headers, VERSION));
        let version = version.or_else(|| self.pairing.meta_version.take());
        let version = version.or_else(|| header::text(&response_head?.headers, VERSION));
        let mut messages = Messages {
            batch: self.batch,
            beyond: self.pairing.beyond,
            cut: self.cut,
            protocol_version: version,
            ..Messages::default()
        };
        let single = !self.batch;
        if let Some(link) = self.link.as_ref().filter(|_| messages.beyond > 0) {
            link.beyond(messages.beyond);
        }
        let elsewhere = if mcp { self.elsewhere(response) } else { None };
        messages.messages = std::mem::take(&mut self.pairing.entries)
            .into_iter()
            .map(|Entry { mut message, .. }| {
                if single && !message.from_server {
                    message.start = request.head.first_byte;
                }
                message
            })
            .collect();
        if !mcp {
            for message in &mut messages.messages {
                message.forget_mcp();
            }
            messages.protocol_version = None;
            return Some(Call::JsonRpc(Box::new(messages)));
        }
        let complete = [request.complete, response.is_some_and(|response| response.complete)];
        keep(&mut messages.messages, content, complete);
        self.session(&mut messages, request, response_head);
        messages.elsewhere = elsewhere;
        Some(Call::Mcp(Box::new(messages)))
    }
}

/// Gives tool calls what was gathered of their arguments and results.
fn keep(messages: &mut [Message], content: [Option<Box<Gathering>>; 2], complete: [bool; 2]) {
    for ((content, complete), which) in content.into_iter().zip(complete).zip([Which::Request, Which::Response]) {
        for (id, json) in content.map(|content| content.into_messages(complete)).unwrap_or_default() {
            let is_its = |message: &&mut Message| {
                message.tool.is_some() && !message.from_server && message.id.as_ref() == Some(&id)
            };
            let Some(message) = messages.iter_mut().find(is_its) else { continue };
            match which {
                Which::Request => message.arguments = Some(json),
                Which::Response => message.result = Some(json),
            }
        }
    }
}

impl MessageReader {
    fn gather(&mut self, which: Which, with: impl FnOnce(&mut Gathering)) {
        if let Some(content) = &mut self.content[index(which)] {
            with(content);
        }
    }

    /// What is known of the session.
    fn session(&self, messages: &mut Messages, request: &Half, response: Option<&Head>) {
        if let Some(Endpoint { session_id }) = &self.endpoint {
            messages.session_id.clone_from(session_id);
            messages.session = Some(SessionEvent::Whole);
        } else {
            let asked = header::text(&request.head.headers, SESSION);
            let given = response.and_then(|head| header::text(&head.headers, SESSION));
            let status = response.map_or(0, header::status);
            messages.session = match (self.verb, &asked, &given) {
                _ if messages.protocol_version.as_deref().is_some_and(header::is_stateless) => None,
                (Verb::Post, None, Some(_)) if self.pairing.initialize && (200..300).contains(&status) => {
                    Some(SessionEvent::Begins)
                }
                (Verb::Delete, Some(_), _) if (200..300).contains(&status) => Some(SessionEvent::Ends),
                (_, Some(_), _) if status == 404 => Some(SessionEvent::Expired),
                _ => None,
            };
            messages.session_id = asked.or(given).or_else(|| session::id_of_target(&request.head));
        }
        // A session that begins has a name from now on.
        let begins = messages.session_id.as_ref().filter(|_| messages.session == Some(SessionEvent::Begins));
        if let (Some(link), Some(key)) = (&self.link, begins.or(self.session.as_ref()).cloned()) {
            link.remember(&key, messages);
        }
    }
}

impl Message {
    /// Takes away what only messages of MCP have.
    fn forget_mcp(&mut self) {
        self.tool = None;
        self.prompt = None;
        self.resource = None;
        self.client = None;
        self.server = None;
        self.traceparent = None;
        self.tracestate = None;
        self.tool_error = false;
        self.result_type = None;
        self.arguments = None;
        self.result = None;
    }
}
