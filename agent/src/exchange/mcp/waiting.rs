//! Exchanges that wait for answers over other connections.

use std::{collections::VecDeque, sync::Arc};

use super::{
    Message, Messages,
    correlate::{Correlator, Link, MAX_WAIT, RequestKey, SessionKey, Table, Told},
    draft::Id,
};
use crate::{
    capture::Timestamp,
    exchange::{Call, Exchange, Half},
};

/// Most exchanges of one worker that wait for answers; the oldest make room, and are reported without.
pub const MAX_WAITING: usize = 1024;
/// Most bytes of content that those of one worker hold; the oldest make room.
pub const MAX_WAITING_CONTENT: usize = 4 << 20;

/// How an answer may come that the exchange of its request does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// On the stream of a session of 2024-11-05, which is open.
    Stream,
    /// On the stream of a GET that resumes the one that was broken off (2025-03-26 to 2025-11-25).
    Resumed,
}

/// Requests of an exchange whose answers were not in it, and what their answers are known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// What their session is known by.
    pub(super) session: Box<str>,
    /// Where they are in [`Messages::messages`].
    pub(super) open: Vec<(usize, Id)>,
    /// How those of the client may still be answered; `None` if they cannot be.
    pub(super) way: Option<Way>,
}

/// An exchange that waits.
#[derive(Debug)]
struct Held<T> {
    exchange: Exchange,
    with: T,
    session: SessionKey,
    /// Requests without an answer: where they are in [`Messages::messages`].
    open: Vec<(usize, RequestKey)>,
    way: Way,
    until: Timestamp,
    /// Bytes of content.
    size: usize,
}

/// The exchanges of one worker that wait for answers over other connections. With each, something of the caller's is kept.
#[derive(Debug)]
pub struct Waiting<T> {
    correlator: Arc<Correlator>,
    held: VecDeque<Held<T>>,
    /// Bytes of content that they hold.
    size: usize,
    /// So much had been told when the table was last asked.
    asked_at: u64,
}

impl<T> Waiting<T> {
    /// None yet.
    pub const fn new(correlator: Arc<Correlator>) -> Self {
        Self { correlator, held: VecDeque::new(), size: 0, asked_at: 0 }
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
        matches!(&exchange.call, Some(Call::Mcp(messages)) if messages.elsewhere.is_some())
    }

    /// An exchange that is over as far as HTTP goes. What need not wait comes back at once: nothing of it can come over another connection, or all of it
    /// has; and those that are pushed out by a bound.
    pub fn offer(&mut self, mut exchange: Exchange, with: T) -> Vec<(Exchange, T)> {
        let Some(Call::Mcp(messages)) = &mut exchange.call else { return vec![(exchange, with)] };
        let Some(elsewhere) = messages.elsewhere.take() else { return vec![(exchange, with)] };
        let Elsewhere { session, open, way } = *elsewhere;
        let session = Link::of(&self.correlator, &exchange.connection).session(&session);
        let said = messages.messages.iter().flat_map(|message| [&message.arguments, &message.result]);
        let said: usize = said.flatten().map(|text| text.len()).sum();
        let mut table = self.correlator.table();
        let mut requests = Vec::new();
        for (at, id) in open {
            let Some(message) = messages.messages.get_mut(at) else { continue };
            let key = RequestKey { session: session.clone(), from_server: message.from_server, id };
            if message.from_server {
                table.join_server(&key, message);
            } else {
                requests.push((at, key));
            }
        }
        let way = way.filter(|way| {
            table.join(messages, &mut requests);
            !requests.is_empty() && table.may_come(&session, *way)
        });
        let Some(way) = way else { return vec![(exchange, with)] };
        let until = Timestamp(exchange.end.0.saturating_add(MAX_WAIT.as_nanos() as u64));
        let size = content(Some(&exchange.request)) + content(exchange.response.as_ref()) + said;
        self.size += size;
        self.held.push_back(Held { exchange, with, session, open: requests, way, until, size });
        let mut pushed_out = Vec::new();
        while self.held.len() > MAX_WAITING || self.size > MAX_WAITING_CONTENT {
            let Some(oldest) = self.held.pop_front() else { break };
            self.size -= oldest.size;
            table.counters.waiting_beyond += 1;
            pushed_out.push((oldest.exchange, oldest.with));
        }
        pushed_out
    }

    /// Those that need wait no longer at this time: their answers came, or what would have brought them ended, or it is too late. In the order in which
    /// they began to wait.
    pub fn take_ready(&mut self, now: Timestamp) -> Vec<(Exchange, T)> {
        if self.held.is_empty() {
            return Vec::new();
        }
        let told = self.correlator.news();
        let news = told != self.asked_at;
        self.asked_at = told;
        // The first began to wait first, so that it is the first for which it is too late.
        if !news && self.held.front().is_none_or(|first| now < first.until) {
            return Vec::new();
        }
        let mut ready = Vec::new();
        // Whoever closes a stream told what was on it before: under one lock, what is not there by now will not come.
        let mut table = self.correlator.table();
        for mut held in std::mem::take(&mut self.held) {
            if news && let Some(Call::Mcp(messages)) = &mut held.exchange.call {
                table.join(messages, &mut held.open);
            }
            let answered = held.open.is_empty();
            if answered || now >= held.until || news && !table.may_come(&held.session, held.way) {
                table.counters.waited_in_vain += u64::from(!answered);
                self.size -= held.size;
                ready.push((held.exchange, held.with));
            } else {
                self.held.push_back(held);
            }
        }
        ready
    }

    /// All that wait, since nothing more will come: with the answers that did.
    pub fn take_all(&mut self) -> Vec<(Exchange, T)> {
        self.take_ready(Timestamp(u64::MAX))
    }
}

/// Bytes of content that half an exchange holds.
fn content(half: Option<&Half>) -> usize {
    half.and_then(|half| half.content.as_ref()?.text.as_ref()).map_or(0, |text| text.len())
}

impl Table {
    /// Puts the answers that were told of requests of the client into the messages, and takes those requests off the list.
    fn join(&mut self, messages: &mut Messages, open: &mut Vec<(usize, RequestKey)>) {
        open.retain(|(at, key)| {
            let Some(message) = messages.messages.get_mut(*at) else { return false };
            // What was told before the request is of an earlier one of its id.
            let told = self.told.remove(key).filter(|told| told.time() >= message.start);
            let answer = match told {
                None => return true,
                Some(Told::Cancelled(_)) => return false,
                Some(Told::Answer(answer)) => answer,
            };
            self.counters.joined += 1;
            if let Some(version) = answer.agreed_version.clone().filter(|_| &*message.method == "initialize") {
                if let Some(session) = self.sessions.get_mut(&key.session) {
                    session.version = Some(version.clone());
                }
                messages.protocol_version = Some(version);
            }
            answer.settle(message);
            false
        });
    }

    /// Puts the answer of the client into a request of the server. None keeps an exchange waiting: what came on a stream that is over was answered
    /// before, or never will be.
    fn join_server(&mut self, key: &RequestKey, message: &mut Message) {
        let asked = self.asked.remove(key).and_then(|asked| asked.told);
        let told = asked.or_else(|| self.told.remove(key)).filter(|told| told.time() >= message.start);
        if let Some(Told::Answer(answer)) = told {
            self.counters.joined += 1;
            answer.settle(message);
        }
    }

    /// Whether anything can still come this way.
    fn may_come(&self, session: &SessionKey, way: Way) -> bool {
        let session = self.sessions.get(session);
        match way {
            Way::Stream => session.is_some_and(|session| session.streams > 0),
            // Of a session that began before the agent nothing is known.
            Way::Resumed => session.is_none_or(|session| !session.ended),
        }
    }
}
