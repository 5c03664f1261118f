//! Answers that come over another connection than their requests.
//!
//! The transport of 2024-11-05 answers a POST with 202 and sends the answer of its message on the stream of a GET, which goes over another connection
//! and may be seen by another worker. From 2025-03-26 on a broken stream may be resumed by a GET, and the client answers requests of the server with a
//! POST of its own. So whoever sees an answer whose request it does not have tells the [`Correlator`], which all workers share, and exchanges whose
//! answers may still come wait for it in the [`Waiting`](super::Waiting) of their own worker. What a server asks of a client is on a stream that may go on
//! for hours after the answer: it is registered when it is seen, and its answer kept until the stream is over.
//!
//! The lock is only taken for such messages. A worker that waits looks at one counter, and at the table only when that has changed.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{Messages, SessionEvent, bounded::Bounded, draft::Id, pairing::Answer};
use crate::{
    capture::{Role, Timestamp},
    exchange::Connection,
};

/// Longest wait for an answer, on the clock of the events, and longest that an answer is kept: five minutes, which clients give a stream by default.
pub const MAX_WAIT: Duration = Duration::from_mins(5);
/// Most answers that are kept until somebody asks for them, and most requests of servers that are registered; the oldest make room.
pub const MAX_ANSWERS: usize = 4096;
/// Most sessions that are remembered; the oldest make room.
pub const MAX_SESSIONS: usize = 4096;

/// What the bounds of a [`Correlator`] cost, and what it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Answers that came to their requests.
    pub joined: u64,
    /// Answers and requests of servers beyond [`MAX_ANSWERS`].
    pub answers_beyond: u64,
    /// Answers that nobody asked for in time.
    pub answers_unasked: u64,
    /// Sessions beyond [`MAX_SESSIONS`].
    pub sessions_beyond: u64,
    /// Exchanges beyond [`MAX_WAITING`](super::MAX_WAITING) or [`MAX_WAITING_CONTENT`](super::MAX_WAITING_CONTENT).
    pub waiting_beyond: u64,
    /// Exchanges whose answers did not come in time.
    pub waited_in_vain: u64,
    /// Messages of single exchanges beyond [`MAX_MESSAGES`](super::MAX_MESSAGES) or [`MAX_NOTIFICATIONS`](super::MAX_NOTIFICATIONS).
    pub messages_beyond: u64,
}

impl std::ops::AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        self.joined += other.joined;
        self.answers_beyond += other.answers_beyond;
        self.answers_unasked += other.answers_unasked;
        self.sessions_beyond += other.sessions_beyond;
        self.waiting_beyond += other.waiting_beyond;
        self.waited_in_vain += other.waited_in_vain;
        self.messages_beyond += other.messages_beyond;
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
            ("telltale.mcp.messages_beyond", "", self.messages_beyond),
        ]
        .into_iter()
    }
}

/// A session, as one end of it on this node sees it: both ends may be here, and neither may get what the other saw.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SessionKey {
    /// Cgroup of the process, else its id.
    owner: u64,
    client: bool,
    session: Box<str>,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct RequestKey {
    pub(super) session: SessionKey,
    /// The server asked the client.
    pub(super) from_server: bool,
    pub(super) id: Id,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    /// Streams of 2024-11-05 that are open.
    pub(super) streams: u32,
    /// Revision that was agreed to.
    pub(super) version: Option<Box<str>>,
    /// It is over: nothing of it is awaited any more.
    pub(super) ended: bool,
}

/// What became of a request.
#[derive(Clone, Debug)]
pub(super) enum Told {
    Answer(Answer),
    /// Who asked wants no answer any more.
    Cancelled(Timestamp),
}

impl Told {
    /// When.
    pub(super) const fn time(&self) -> Timestamp {
        match self {
            Self::Answer(answer) => answer.time,
            Self::Cancelled(time) => *time,
        }
    }
}

/// What a server asked of its client.
#[derive(Debug)]
pub(super) struct Asked {
    start: Timestamp,
    pub(super) told: Option<Told>,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    /// What became of requests that are elsewhere.
    pub(super) told: Bounded<RequestKey, Told>,
    /// Requests of servers on streams that are not over.
    pub(super) asked: Bounded<RequestKey, Asked>,
    pub(super) sessions: Bounded<SessionKey, Session>,
    pub(super) counters: Counters,
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
        self.table().told.len()
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        // What is in the table is whole between any two calls of it.
        self.shared.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those who wait that there is news.
    fn wake(&self) {
        self.shared.told.fetch_add(1, Ordering::Release);
    }

    /// So much news there was.
    pub(super) fn news(&self) -> u64 {
        self.shared.told.load(Ordering::Acquire)
    }
}

impl Table {
    fn tell(&mut self, key: RequestKey, told: Told) {
        let now = told.time();
        if let Some(asked) = self.asked.get_mut(&key) {
            if now >= asked.start {
                asked.told.get_or_insert(told);
            }
            return;
        }
        while self.told.oldest().is_some_and(|oldest| now.since(oldest.time()) > MAX_WAIT) {
            let oldest = self.told.pop_oldest();
            self.counters.answers_unasked += u64::from(matches!(oldest, Some(Told::Answer(_))));
        }
        if self.told.len() == MAX_ANSWERS && self.told.get(&key).is_none() {
            self.told.pop_oldest();
            self.counters.answers_beyond += 1;
        }
        self.told.insert(key, told);
    }

    fn ask(&mut self, key: RequestKey, start: Timestamp) {
        if self.asked.len() == MAX_ANSWERS && self.asked.get(&key).is_none() {
            self.asked.pop_oldest();
            self.counters.answers_beyond += 1;
        }
        let told = self.told.remove(&key).filter(|told| told.time() >= start);
        self.asked.insert(key, Asked { start, told });
    }

    /// The session, which is remembered from now on.
    fn session(&mut self, key: &SessionKey) -> Option<&mut Session> {
        if self.sessions.get(key).is_none() {
            if self.sessions.len() == MAX_SESSIONS {
                let oldest = self.sessions.pop_oldest();
                self.counters.sessions_beyond += u64::from(oldest.is_some_and(|oldest| !oldest.ended));
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

    pub(super) fn session(&self, session: &str) -> SessionKey {
        SessionKey { owner: self.owner, client: self.client, session: session.into() }
    }

    /// A stream of 2024-11-05 is open, as long as what is returned lives.
    pub(super) fn open_stream(&self, session: &str) -> Option<Stream> {
        let key = self.session(session);
        let mut table = self.correlator.table();
        let session = table.session(&key)?;
        (session.streams, session.ended) = (session.streams + 1, false);
        drop(table);
        Some(Stream { correlator: Arc::clone(&self.correlator), key })
    }

    /// Whether the stream of this session is seen.
    pub(super) fn knows(&self, session: &str) -> bool {
        let key = self.session(session);
        self.correlator.table().sessions.get(&key).is_some_and(|session| session.streams > 0)
    }

    /// So many messages of an exchange were not kept.
    pub(super) fn beyond(&self, messages: u64) {
        self.correlator.table().counters.messages_beyond += messages;
    }

    /// An answer whose request went over another connection. An id that does not tell one request from another is of no use.
    pub(super) fn tell(&self, session: &str, from_server: bool, answer: Answer) {
        self.told(session, from_server, answer.id.clone(), Told::Answer(answer));
    }

    /// Who sent this request wants no answer any more.
    pub(super) fn cancel(&self, session: &str, from_server: bool, id: Id, time: Timestamp) {
        self.told(session, from_server, id, Told::Cancelled(time));
    }

    fn told(&self, session: &str, from_server: bool, id: Id, told: Told) {
        if id.tells() {
            let key = RequestKey { session: self.session(session), from_server, id };
            self.correlator.table().tell(key, told);
            self.correlator.wake();
        }
    }

    /// A request of the server, on a stream that goes on.
    pub(super) fn ask(&self, session: &str, id: Id, start: Timestamp) {
        if id.tells() {
            let key = RequestKey { session: self.session(session), from_server: true, id };
            self.correlator.table().ask(key, start);
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
                    (session.version, session.ended) = (Some(version), false);
                }
            }
            (Some(SessionEvent::Ends | SessionEvent::Expired), _) => {
                let version = table.session(&key).and_then(|session| {
                    session.ended = true;
                    session.version.take()
                });
                if messages.protocol_version.is_none() {
                    messages.protocol_version = version;
                }
                drop(table);
                // Who waits for something of it waits in vain.
                self.correlator.wake();
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
        self.correlator.wake();
    }
}
