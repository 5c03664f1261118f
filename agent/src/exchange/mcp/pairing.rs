//! The messages of one exchange: requests with their answers, by id.

use super::{
    MAX_MESSAGES, MAX_NOTIFICATIONS, Message, Party, RpcError,
    draft::{Draft, Id, Verdict},
    method::{self, Evidence, Target},
};
use crate::{capture::Timestamp, exchange::content::Which};

/// Most answers of one exchange that are kept until their request is known.
const MAX_LOOSE: usize = 64;
/// Most bytes of text that the messages of one exchange keep; messages beyond it are counted as those beyond [`MAX_MESSAGES`] are.
pub(super) const MAX_KEPT: usize = 32 << 10;

/// The answer to a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) id: Id,
    pub(super) error: Option<RpcError>,
    pub(super) tool_error: bool,
    pub(super) result_type: Option<Box<str>>,
    /// Revision that the server agrees to, in the answer to `initialize`.
    pub(super) agreed_version: Option<Box<str>>,
    pub(super) server: Option<Party>,
    /// Its end was seen: what it does not say, it does not say anywhere.
    pub(super) whole: bool,
    /// When its last byte moved.
    pub(super) time: Timestamp,
}

impl Answer {
    fn of(draft: Draft, whole: bool) -> Self {
        let task = || draft.is_task.then(|| "task".into());
        Self {
            result_type: draft.result_type.clone().or_else(task),
            id: draft.id,
            tool_error: draft.is_error && draft.error.is_none(),
            error: draft.error,
            agreed_version: draft.agreed_version,
            server: party(draft.server),
            whole,
            time: Timestamp(0),
        }
    }

    /// Puts it into the message of its request.
    pub(super) fn settle(self, message: &mut Message) {
        message.answered = true;
        message.end = self.whole.then_some(self.time);
        message.error = self.error;
        message.tool_error = self.tool_error;
        message.result_type = self.result_type;
        message.server = self.server;
    }
}

fn party(party: Party) -> Option<Party> {
    (party.name.is_some() || party.version.is_some()).then_some(party)
}

/// A message and what it is compared by.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) message: Message,
    pub(super) id: Id,
    /// It may have an id that was not read.
    pub(super) unread: bool,
}

/// Notification that cancels a request.
const CANCELLED: &str = "notifications/cancelled";

/// What the end of an item gives its time to.
#[derive(Clone, Copy, Debug)]
enum Touched {
    /// A message began with it, and if it wants no answer ended with it.
    Begun(usize),
    Answered(usize),
    Loose,
}

/// The messages of one exchange.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "what messages tell of the exchange, each apart from the others")]
pub(super) struct Pairing {
    pub(super) entries: Vec<Entry>,
    /// Messages that were not kept.
    pub(super) beyond: u64,
    /// Answers whose request is not among the messages: those of the response answer requests of the client, those of the request requests of the
    /// server.
    loose: [Vec<Answer>; 2],
    /// Of the request and of the response: what their current item gave, which has no time yet.
    touched: [Vec<Touched>; 2],
    /// There was a message of JSON-RPC.
    pub(super) any: bool,
    /// There was something else before.
    pub(super) refused: bool,
    /// The head of the request tells that it has messages.
    expected: bool,
    /// A message tells that this is MCP.
    pub(super) own: bool,
    /// A message could be one of MCP.
    pub(super) shared: bool,
    /// Revision that an answer to `initialize` agreed to.
    pub(super) agreed_version: Option<Box<str>>,
    /// Revision that a request named in `_meta`.
    pub(super) meta_version: Option<Box<str>>,
    /// The client asked to begin a session.
    pub(super) initialize: bool,
    /// Requests that the server sent in the current item.
    asked: Vec<usize>,
    /// Of the request and of the response: the requests that a notification cancels, until somebody takes them.
    cancelled: [Vec<Id>; 2],
    /// How many of the entries are notifications.
    notifications: usize,
    kept: usize,
}

const fn index(which: Which) -> usize {
    match which {
        Which::Request => 0,
        Which::Response => 1,
    }
}

impl Pairing {
    /// None yet. `expected`: the head of the request tells that there are some.
    pub(super) fn new(expected: bool) -> Self {
        Self { expected, ..Self::default() }
    }

    /// A message that was read, or as much of it as there was. Nothing is done with what is no message of JSON-RPC.
    ///
    /// `whole` is false if something of it is missing: an error whose code is, is no answer. Returns whether it is a message.
    pub(super) fn take(&mut self, which: Which, draft: Draft, whole: bool) -> bool {
        match draft.verdict() {
            Verdict::JsonRpc => {}
            // Cut before it said that it is one, where the head does.
            Verdict::Open if !whole && self.expected && draft.method.is_some() => {}
            Verdict::Open => return false,
            Verdict::Other => {
                self.refused |= !self.any;
                return false;
            }
        }
        self.any = true;
        if draft.method.is_some() {
            self.request(which, draft, whole);
        } else if whole || draft.error.is_none() || draft.has_code {
            self.answer(which, Answer::of(draft, whole));
        }
        true
    }

    fn request(&mut self, which: Which, draft: Draft, whole: bool) {
        let Some(name) = draft.method else { return };
        let method = method::find(&name);
        match method.map(|method| method.evidence) {
            Some(Evidence::Own) => self.own = true,
            Some(Evidence::Shared) => self.shared = true,
            None => {}
        }
        if &*name == "initialize" && which == Which::Request {
            // The revision is what the Language Server Protocol does not have in its own.
            self.own |= draft.requested_version.is_some();
            self.initialize = true;
        }
        if let Some(version) = draft.meta_version {
            self.own = true;
            self.meta_version.get_or_insert(version);
        }
        let notification = match draft.id {
            Id::Absent if whole => true,
            Id::Absent => method::is_notification(&name),
            // Version 1.0 says so by an id that is null.
            Id::Null => draft.jsonrpc.as_deref() != Some("2.0"),
            Id::Number(_) | Id::Text(_) | Id::Long => false,
        };
        let cancelled = &mut self.cancelled[index(which)];
        if &*name == CANCELLED && draft.cancelled.tells() && cancelled.len() < MAX_LOOSE {
            cancelled.push(draft.cancelled);
        }
        let unread = !whole && draft.id == Id::Absent;
        let target = method.map_or(Target::Nothing, |method| method.target);
        let (tool, prompt, resource) = match target {
            Target::Nothing => (None, None, None),
            Target::Tool => (draft.name, None, None),
            Target::Prompt => (None, draft.name, None),
            Target::Resource => (None, None, draft.uri),
            Target::Reference => (None, draft.reference_name, draft.reference_uri),
        };
        let message = Message {
            method: name,
            from_server: which == Which::Response,
            notification,
            id: draft.id.text().map(Into::into),
            jsonrpc: draft.jsonrpc.filter(|version| &**version != "2.0"),
            tool,
            prompt,
            resource,
            client: party(draft.client),
            traceparent: draft.traceparent,
            tracestate: draft.tracestate,
            ..Message::default()
        };
        let size = size(&message);
        let crowded = notification && self.notifications == MAX_NOTIFICATIONS;
        if crowded || self.entries.len() == MAX_MESSAGES || self.kept + size > MAX_KEPT {
            self.beyond += 1;
            return;
        }
        self.notifications += usize::from(notification);
        self.kept += size;
        self.touched[index(which)].push(Touched::Begun(self.entries.len()));
        self.entries.push(Entry { message, id: draft.id, unread });
    }

    fn answer(&mut self, which: Which, answer: Answer) {
        let index = index(which);
        if let Some(at) = self.asked(which, &answer.id) {
            self.agreed(at, &answer);
            if answer.whole {
                self.touched[index].push(Touched::Answered(at));
            }
            answer.settle(&mut self.entries[at].message);
        } else if self.loose[index].len() < MAX_LOOSE {
            self.loose[index].push(answer);
            self.touched[index].push(Touched::Loose);
        } else {
            self.beyond += 1;
        }
    }

    /// The request that this id answers: of two that have it the first without an answer. An error whose id could not be read, and an answer of
    /// which the id was cut off, answers the only request that there is.
    fn asked(&self, which: Which, id: &Id) -> Option<usize> {
        let from_server = which == Which::Request;
        let mut open = self.entries.iter().enumerate().filter(|(_, Entry { message, .. })| {
            message.from_server == from_server && !message.answered && !(message.notification && id.tells())
        });
        if id.tells()
            && let Some((at, _)) = open.clone().find(|(_, entry)| entry.id == *id)
        {
            return Some(at);
        }
        let (at, only) = open.next()?;
        let alone = open.next().is_none() && self.beyond == 0;
        (alone && (!id.tells() || only.unread)).then_some(at)
    }

    fn agreed(&mut self, at: usize, answer: &Answer) {
        if &*self.entries[at].message.method == "initialize" && answer.agreed_version.is_some() {
            self.agreed_version.clone_from(&answer.agreed_version);
        }
    }

    /// The item of this message is over: what it gave has moved by now.
    pub(super) fn end_item(&mut self, which: Which, time: Timestamp) {
        let index = index(which);
        let mut loose = self.loose[index].len();
        for touched in self.touched[index].drain(..).rev() {
            match touched {
                Touched::Begun(at) => {
                    let Entry { message, id, .. } = &mut self.entries[at];
                    message.start = time;
                    if message.from_server && !message.notification && id.tells() {
                        self.asked.push(at);
                    }
                    if message.notification && !message.answered {
                        message.end = Some(time);
                    }
                }
                Touched::Answered(at) => self.entries[at].message.end = Some(time),
                Touched::Loose => {
                    loose -= 1;
                    self.loose[index][loose].time = time;
                }
            }
        }
    }

    /// Whether anything of this message is about requests that are elsewhere.
    pub(super) fn has_loose(&self, which: Which) -> bool {
        let index = index(which);
        !self.loose[index].is_empty() || !self.cancelled[index].is_empty()
    }

    /// The requests that this message cancels.
    pub(super) fn take_cancelled(&mut self, which: Which) -> Vec<Id> {
        std::mem::take(&mut self.cancelled[index(which)])
    }

    /// The requests that the server sent in the item that just ended.
    pub(super) fn take_asked(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.asked)
    }

    /// Answers of this message whose requests are elsewhere. Those whose requests came after them are put where they belong.
    pub(super) fn take_loose(&mut self, which: Which) -> Vec<Answer> {
        let mut loose = std::mem::take(&mut self.loose[index(which)]);
        loose.retain_mut(|answer| {
            let Some(at) = self.asked(which, &answer.id) else { return true };
            self.agreed(at, answer);
            std::mem::take(answer).settle(&mut self.entries[at].message);
            false
        });
        loose
    }
}

/// Bytes of text that a message keeps.
fn size(message: &Message) -> usize {
    let client = message.client.as_ref();
    let texts = [
        &message.id,
        &message.tool,
        &message.prompt,
        &message.resource,
        &message.traceparent,
        &message.tracestate,
        &client.and_then(|client| client.name.clone()),
        &client.and_then(|client| client.version.clone()),
    ];
    message.method.len() + texts.into_iter().flatten().map(|text| text.len()).sum::<usize>()
}
