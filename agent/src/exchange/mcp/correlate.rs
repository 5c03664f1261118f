//! Answers that come over another connection than their requests.
//!
//! The transport of 2024-11-05 answers a POST with 202 and sends the answer of its message on the stream of a GET, which goes over another connection
//! and may be seen by another worker. From 2025-03-26 on a broken stream may be resumed by a GET, and the client answers requests of the server with a
//! POST of its own. So whoever sees an answer whose request it does not have tells the [`Correlator`], which all workers share, and exchanges whose
//! answers may still come wait for it in the [`Waiting`] of their own worker.
//!
//! The lock is only taken for such messages. A worker that waits looks at one counter, and at the table only when that has changed.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    hash::Hash,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use foldhash::fast::RandomState;

use super::{Message, Messages, SessionEvent, header, pairing::Answer, session};
use crate::{
    capture::{Role, Timestamp},
    exchange::{Call, Connection, Exchange},
};

/// Most answers that are kept until somebody asks for them; the oldest make room.
pub const MAX_ANSWERS: usize = 4096;
/// Most sessions that are remembered; the oldest make room.
pub const MAX_SESSIONS: usize = 4096;
/// Most exchanges of one worker that wait for answers; the oldest make room, and are reported without.
pub const MAX_WAITING: usize = 1024;
/// Longest wait for an answer, on the clock of the events, and longest that an answer is kept: five minutes, which clients give a stream by default.
pub const MAX_WAIT: Duration = Duration::from_mins(5);

/// What the bounds of a [`Correlator`] cost, and what it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Answers that came to their requests.
    pub joined: u64,
    /// Answers beyond [`MAX_ANSWERS`].
    pub answers_beyond: u64,
    /// Answers that nobody asked for in time.
    pub answers_unasked: u64,
    /// Sessions beyond [`MAX_SESSIONS`].
    pub sessions_beyond: u64,
    /// Exchanges beyond [`MAX_WAITING`].
    pub waiting_beyond: u64,
    /// Exchanges whose answers did not come in time.
    pub waited_in_vain: u64,
}

impl std::ops::AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        self.joined += other.joined;
        self.answers_beyond += other.answers_beyond;
        self.answers_unasked += other.answers_unasked;
        self.sessions_beyond += other.sessions_beyond;
        self.waiting_beyond += other.waiting_beyond;
        self.waited_in_vain += other.waited_in_vain;
    }
}

impl Counters {
    /// Each count, with its name and reason in the agent's own metrics.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + use<> {
        [
            ("telltale.mcp.answers", "joined", self.joined),
            ("telltale.mcp.answers", "limit", self.answers_beyond),
            ("telltale.mcp.answers", "unasked", self.answers_unasked),
            ("telltale.mcp.sessions_forgotten", "", self.sessions_beyond),
            ("telltale.mcp.unanswered", "limit", self.waiting_beyond),
            ("telltale.mcp.unanswered", "in_vain", self.waited_in_vain),
        ]
        .into_iter()
    }
}

/// A session, as one end of it on this node sees it: both ends may be here, and neither may get what the other saw.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct SessionKey {
    /// Cgroup of the process, else its id.
    owner: u64,
    client: bool,
    session: Box<str>,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct RequestKey {
    session: SessionKey,
    /// The server asked the client.
    from_server: bool,
    id: Box<str>,
}

#[derive(Clone, Debug, Default)]
struct Session {
    /// Streams of 2024-11-05 that are open.
    streams: u32,
    /// Revision that was agreed to.
    version: Option<Box<str>>,
}

/// A map that forgets what was put into it first.
#[derive(Debug)]
struct Bounded<K, V> {
    values: HashMap<K, (u64, V), RandomState>,
    order: BTreeMap<u64, K>,
    next: u64,
}

impl<K, V> Default for Bounded<K, V> {
    fn default() -> Self {
        Self { values: HashMap::default(), order: BTreeMap::new(), next: 0 }
    }
}

impl<K: Clone + Eq + Hash, V> Bounded<K, V> {
    fn get(&self, key: &K) -> Option<&V> {
        self.values.get(key).map(|(_, value)| value)
    }

    fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.values.get_mut(key).map(|(_, value)| value)
    }

    fn remove(&mut self, key: &K) -> Option<V> {
        let (number, value) = self.values.remove(key)?;
        self.order.remove(&number);
        Some(value)
    }

    fn insert(&mut self, key: K, value: V) {
        self.remove(&key);
        self.order.insert(self.next, key.clone());
        self.values.insert(key, (self.next, value));
        self.next += 1;
    }

    fn oldest(&self) -> Option<&V> {
        self.order.first_key_value().and_then(|(_, key)| self.get(key))
    }

    fn pop_oldest(&mut self) -> Option<V> {
        let (_, key) = self.order.pop_first()?;
        self.values.remove(&key).map(|(_, value)| value)
    }

    fn len(&self) -> usize {
        self.values.len()
    }
}

#[derive(Debug, Default)]
struct Table {
    answers: Bounded<RequestKey, Answer>,
    sessions: Bounded<SessionKey, Session>,
    counters: Counters,
}

/// What all workers know of sessions that go over several connections. Bounded, and counted by [`Counters`]. A clone is the same for another worker,
/// which shares it with its own exchanges by an [`Arc`] of its own: that counts references, for which workers should not have to meet.
#[derive(Clone, Debug, Default)]
pub struct Correlator {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    table: Mutex<Table>,
    /// Answers that were told, and streams that ended.
    told: AtomicU64,
}

impl Correlator {
    /// Counts since anybody's last call, of all workers together.
    pub fn take_counters(&self) -> Counters {
        std::mem::take(&mut self.table().counters)
    }

    /// Answers that are kept.
    pub fn answers(&self) -> usize {
        self.table().answers.len()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // What is in the table is whole between any two calls of it.
        self.shared.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, key: RequestKey, answer: Answer) {
        let mut table = self.table();
        let Table { answers, counters, .. } = &mut *table;
        let now = answer.time;
        while answers.oldest().is_some_and(|oldest| now.since(oldest.time) > MAX_WAIT) {
            answers.pop_oldest();
            counters.answers_unasked += 1;
        }
        if answers.len() == MAX_ANSWERS && answers.get(&key).is_none() {
            answers.pop_oldest();
            counters.answers_beyond += 1;
        }
        answers.insert(key, answer);
        drop(table);
        self.shared.told.fetch_add(1, Ordering::Release);
    }
}

impl Table {
    /// The session, which is remembered from now on.
    fn session(&mut self, key: &SessionKey) -> Option<&mut Session> {
        if self.sessions.get(key).is_none() {
            if self.sessions.len() == MAX_SESSIONS {
                self.sessions.pop_oldest();
                self.counters.sessions_beyond += 1;
            }
            self.sessions.insert(key.clone(), Session::default());
        }
        self.sessions.get_mut(key)
    }
}

/// What a connection has to do with the other connections of its sessions.
#[derive(Clone, Debug)]
pub struct Link {
    correlator: Arc<Correlator>,
    owner: u64,
    client: bool,
}

impl Link {
    /// Of this connection, whose role has to be known.
    pub fn of(correlator: &Arc<Correlator>, connection: &Connection) -> Self {
        let open = &connection.open;
        Self {
            correlator: Arc::clone(correlator),
            owner: open.cgroup.unwrap_or(u64::from(open.pid)),
            client: connection.role == Role::Client,
        }
    }

    fn session(&self, session: &str) -> SessionKey {
        SessionKey { owner: self.owner, client: self.client, session: session.into() }
    }

    /// A stream of 2024-11-05 is open, as long as what is returned lives.
    pub(super) fn open_stream(&self, session: &str) -> Option<Stream> {
        let key = self.session(session);
        self.correlator.table().session(&key)?.streams += 1;
        Some(Stream { correlator: Arc::clone(&self.correlator), key })
    }

    /// Whether the stream of this session is seen.
    pub(super) fn knows(&self, session: &str) -> bool {
        let key = self.session(session);
        self.correlator.table().sessions.get(&key).is_some_and(|session| session.streams > 0)
    }

    /// An answer whose request went over another connection. An id that does not tell one request from another is of no use.
    pub(super) fn tell(&self, session: &str, from_server: bool, answer: Answer) {
        if let Some(id) = answer.id.text() {
            let key = RequestKey { session: self.session(session), from_server, id: id.into() };
            self.correlator.tell(key, answer);
        }
    }

    /// Keeps the revision that the ends of a session agreed to, and says it where a later exchange does not (before 2025-06-18 none does).
    pub(super) fn remember(&self, session: &str, messages: &mut Messages) {
        let key = self.session(session);
        let mut table = self.correlator.table();
        match (messages.session, &messages.protocol_version) {
            (Some(SessionEvent::Begins), Some(version)) => {
                let version = version.clone();
                if let Some(session) = table.session(&key) {
                    session.version = Some(version);
                }
            }
            (Some(SessionEvent::Ends | SessionEvent::Expired), _) => {
                let session = table.sessions.remove(&key);
                if messages.protocol_version.is_none() {
                    messages.protocol_version = session.and_then(|session| session.version);
                }
            }
            (_, None) => {
                messages.protocol_version = table.sessions.get(&key).and_then(|session| session.version.clone());
            }
            (_, Some(_)) => {}
        }
    }
}

/// An open stream of 2024-11-05.
#[derive(Debug)]
pub(super) struct Stream {
    correlator: Arc<Correlator>,
    key: SessionKey,
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut table = self.correlator.table();
        if let Some(session) = table.sessions.get_mut(&self.key) {
            session.streams = session.streams.saturating_sub(1);
            if session.streams == 0 {
                table.sessions.remove(&self.key);
            }
        }
        drop(table);
        // Who waits for it waits in vain.
        self.correlator.shared.told.fetch_add(1, Ordering::Release);
    }
}

/// An exchange that waits.
#[derive(Debug)]
struct Held<T> {
    exchange: Exchange,
    with: T,
    /// Requests without an answer: where they are in [`Messages::messages`].
    open: Vec<(usize, RequestKey)>,
    until: Timestamp,
    /// They can only come over a stream of 2024-11-05.
    by_stream: bool,
}

/// The exchanges of one worker that wait for answers over other connections. With each, something of the caller's is kept.
#[derive(Debug)]
pub struct Waiting<T> {
    correlator: Arc<Correlator>,
    held: VecDeque<Held<T>>,
    /// So much had been told when the table was last asked.
    asked_at: u64,
}

impl<T> Waiting<T> {
    /// None yet.
    pub const fn new(correlator: Arc<Correlator>) -> Self {
        Self { correlator, held: VecDeque::new(), asked_at: 0 }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether an exchange has anything that could come over another connection, so that it is worth an offer.
    pub fn concerns(exchange: &Exchange) -> bool {
        matches!(&exchange.call, Some(Call::Mcp(messages)) if messages.messages.iter().any(is_open))
    }

    /// An exchange that is over as far as HTTP goes. It comes back at once if nothing of it can come over another connection, or all of it has; what is
    /// pushed out by the bound comes back as well.
    pub fn offer(&mut self, mut exchange: Exchange, with: T) -> Option<(Exchange, T)> {
        let Some((open, may_come)) = open_requests(&self.correlator, &exchange) else { return Some((exchange, with)) };
        let open = join(&self.correlator, &mut exchange, open);
        if open.is_empty() || !may_come {
            return Some((exchange, with));
        }
        let until = Timestamp(exchange.end.0.saturating_add(MAX_WAIT.as_nanos() as u64));
        let response = exchange.response.as_ref();
        let by_stream = response.is_some_and(|response| header::status(&response.head) == 202);
        self.held.push_back(Held { exchange, with, open, until, by_stream });
        if self.held.len() <= MAX_WAITING {
            return None;
        }
        self.correlator.table().counters.waiting_beyond += 1;
        self.held.pop_front().map(|held| (held.exchange, held.with))
    }

    /// Those that need wait no longer at this time: their answers came, or the stream that would have brought them ended, or it is too late. In the
    /// order in which they began to wait.
    pub fn take_ready(&mut self, now: Timestamp) -> Vec<(Exchange, T)> {
        if self.held.is_empty() {
            return Vec::new();
        }
        let told = self.correlator.shared.told.load(Ordering::Acquire);
        let news = told != self.asked_at;
        self.asked_at = told;
        // The first began to wait first, so that it is the first for which it is too late.
        if !news && self.held.front().is_none_or(|first| now < first.until) {
            return Vec::new();
        }
        let mut ready = Vec::new();
        for mut held in std::mem::take(&mut self.held) {
            if news {
                held.open = join(&self.correlator, &mut held.exchange, held.open);
            }
            if held.open.is_empty() {
                ready.push((held.exchange, held.with));
            } else if now >= held.until || news && held.by_stream && !self.stream_is_open(&held) {
                self.correlator.table().counters.waited_in_vain += 1;
                ready.push((held.exchange, held.with));
            } else {
                self.held.push_back(held);
            }
        }
        ready
    }

    fn stream_is_open(&self, held: &Held<T>) -> bool {
        let table = self.correlator.table();
        held.open.iter().any(|(_, key)| table.sessions.get(&key.session).is_some_and(|session| session.streams > 0))
    }

    /// All that wait, since nothing more will come: with the answers that did.
    pub fn take_all(&mut self) -> Vec<(Exchange, T)> {
        self.take_ready(Timestamp(u64::MAX))
    }
}

/// Whether a message is a request without an answer.
const fn is_open(message: &Message) -> bool {
    !message.notification && !message.answered && message.id.is_some()
}

/// The requests of an exchange that have no answer, and whether one can still come over another connection.
fn open_requests(correlator: &Arc<Correlator>, exchange: &Exchange) -> Option<(Vec<(usize, RequestKey)>, bool)> {
    let Some(Call::Mcp(messages)) = &exchange.call else { return None };
    if !messages.messages.iter().any(is_open) {
        return None;
    }
    let link = Link::of(correlator, &exchange.connection);
    let session = session::key(&exchange.request.head)?;
    let open = messages.messages.iter().enumerate().filter(|(_, message)| is_open(message));
    let open = open.filter_map(|(at, message)| {
        let id = message.id.clone()?;
        Some((at, RequestKey { session: link.session(&session), from_server: message.from_server, id }))
    });
    let response = exchange.response.as_ref()?;
    let may_come = match header::status(&response.head) {
        202 => link.knows(&session),
        // The server ended the stream before the answer: the client resumes it (2025-03-26 to 2025-11-25).
        200 => {
            response.complete
                && exchange.request.head.headers.contains(header::SESSION)
                && header::is_event_stream(&response.head.headers)
        }
        _ => false,
    };
    // A server that asked on a stream which is over was answered before, or never will be.
    let may_come = may_come && messages.messages.iter().any(|message| is_open(message) && !message.from_server);
    Some((open.collect(), may_come))
}

/// Puts the answers that were told into the messages; what is left is returned.
fn join(
    correlator: &Arc<Correlator>,
    exchange: &mut Exchange,
    open: Vec<(usize, RequestKey)>,
) -> Vec<(usize, RequestKey)> {
    let Some(Call::Mcp(messages)) = &mut exchange.call else { return Vec::new() };
    let mut table = correlator.table();
    let mut left = Vec::new();
    for (at, key) in open {
        let Some(answer) = table.answers.remove(&key) else {
            left.push((at, key));
            continue;
        };
        table.counters.joined += 1;
        let Some(message) = messages.messages.get_mut(at) else { continue };
        if let Some(version) = answer.agreed_version.clone().filter(|_| &*message.method == "initialize") {
            if let Some(session) = table.sessions.get_mut(&key.session) {
                session.version = Some(version.clone());
            }
            messages.protocol_version = Some(version);
        }
        answer.settle(message);
    }
    // Requests of the server do not keep an exchange waiting.
    if left.iter().all(|(_, key)| key.from_server) {
        left.clear();
    }
    left
}
