//! The sessions of MCP that have begun and are not over. Their exchanges go over any connections, so that all workers share them.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use crate::{
    capture::{Role, Timestamp},
    exchange::mcp::{Messages, SessionEvent},
    telemetry::Facts,
};

/// Sessions of the exchanges of one plan that are remembered. Most are never ended by anybody: beyond this the oldest is forgotten, and has no duration.
pub const MAX_SESSIONS: usize = 4096;

/// Whose session: ids are told apart by nobody but the server that gave them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Name {
    role: Role,
    namespace: Option<Box<str>>,
    service: Box<str>,
    id: Box<str>,
}

#[derive(Debug)]
struct Begun {
    start: Timestamp,
    protocol: Option<Box<str>>,
    /// Tells this session from an earlier one of its name.
    number: u64,
}

/// A session that is over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) duration: Duration,
    /// Revision of MCP.
    pub(super) protocol: Option<Box<str>>,
    pub(super) expired: bool,
}

/// The sessions that have begun.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    begun: HashMap<Name, Begun, foldhash::fast::RandomState>,
    /// In the order in which they began; those that are over stay until it is their turn.
    order: VecDeque<(Name, u64)>,
    number: u64,
}

impl Sessions {
    /// Takes what an exchange does to its session. Returns the session if it is over, and how many were forgotten.
    pub(super) fn take(&mut self, facts: &Facts<'_>, messages: &Messages) -> (Option<Ended>, u64) {
        let Some(event) = messages.session else { return (None, 0) };
        if event == SessionEvent::Whole {
            return (whole(facts, messages), 0);
        }
        let Some(id) = &messages.session_id else { return (None, 0) };
        let workload = &facts.exchange.connection.workload;
        let name = Name {
            role: facts.role,
            namespace: workload.namespace.as_deref().map(Into::into),
            service: workload.service_name.as_str().into(),
            id: id.clone(),
        };
        let request = &facts.exchange.request;
        if event == SessionEvent::Begins {
            return (None, self.begin(name, request.head.first_byte, messages.protocol_version.clone()));
        }
        let Some(begun) = self.begun.remove(&name) else { return (None, 0) };
        let end = facts.exchange.response.as_ref().map_or(request.last_byte, |response| response.last_byte);
        let ended = Ended {
            duration: end.since(begun.start),
            protocol: messages.protocol_version.clone().or(begun.protocol),
            expired: event == SessionEvent::Expired,
        };
        (Some(ended), 0)
    }

    fn begin(&mut self, name: Name, start: Timestamp, protocol: Option<Box<str>>) -> u64 {
        self.number += 1;
        let number = self.number;
        self.order.push_back((name.clone(), number));
        self.begun.insert(name, Begun { start, protocol, number });
        let mut forgotten = 0;
        // Each place in the order is of one session, so that this bounds both.
        while self.order.len() > MAX_SESSIONS {
            let Some((name, number)) = self.order.pop_front() else { break };
            if self.begun.get(&name).is_some_and(|begun| begun.number == number) {
                self.begun.remove(&name);
                forgotten += 1;
            }
        }
        forgotten
    }
}

/// A session that is one exchange: it lasts until its stream or the connection is over, whatever of it was lost meanwhile. `None` if its end was not seen.
fn whole(facts: &Facts<'_>, messages: &Messages) -> Option<Ended> {
    let exchange = facts.exchange;
    (exchange.closed || exchange.incomplete.is_none()).then(|| Ended {
        duration: exchange.end.since(exchange.request.head.first_byte),
        protocol: messages.protocol_version.clone(),
        expired: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        capture::GapReason,
        exchange::Call,
        protocol::Incomplete,
        telemetry::test_support::{Sample, calls::session},
    };

    fn event(sessions: &mut Sessions, role: Role, id: &str, event: SessionEvent) -> (Option<Ended>, u64) {
        let messages = Messages { session: Some(event), session_id: Some(id.into()), ..session(Vec::new()) };
        let sample = Sample::mcp(role, messages);
        sample.facts(|facts| {
            let Some(Call::Mcp(messages)) = &facts.exchange.call else { panic!("not MCP") };
            sessions.take(facts, messages)
        })
    }

    #[test]
    fn a_session_lasts_from_its_first_request_to_the_answer_of_its_last() {
        let mut sessions = Sessions::default();
        assert_eq!(event(&mut sessions, Role::Client, "a", SessionEvent::Begins), (None, 0));
        // Of the other end, which has not seen it begin.
        assert_eq!(event(&mut sessions, Role::Server, "a", SessionEvent::Ends), (None, 0));
        assert_eq!(event(&mut sessions, Role::Client, "b", SessionEvent::Ends), (None, 0));
        let (ended, _) = event(&mut sessions, Role::Client, "a", SessionEvent::Expired);
        let expected =
            Ended { duration: Duration::from_nanos(12_345_678), protocol: Some("2025-06-18".into()), expired: true };
        assert_eq!(ended, Some(expected));
        assert_eq!(event(&mut sessions, Role::Client, "a", SessionEvent::Ends), (None, 0));
    }

    #[test]
    fn a_stream_that_is_a_session_ends_with_its_connection() {
        let duration = |incomplete, closed| {
            let messages = Messages { session: Some(SessionEvent::Whole), session_id: None, ..session(Vec::new()) };
            let sample = Sample::mcp(Role::Server, messages.clone()).incomplete(incomplete);
            let sample = if closed { sample.closed() } else { sample };
            sample.facts(|facts| Sessions::default().take(facts, &messages).0.map(|ended| ended.duration.as_micros()))
        };
        // A stream of chunks that a close ends was cut, as HTTP sees it.
        assert_eq!(duration(Incomplete::Truncated, true), Some(12_345));
        assert_eq!(duration(Incomplete::Gap(GapReason::RingFull), true), Some(12_345));
        assert_eq!(duration(Incomplete::Truncated, false), None, "who watched left");
        assert_eq!(duration(Incomplete::Gap(GapReason::AgentLimit), false), None, "it was forgotten");
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let mut sessions = Sessions::default();
        let begin =
            |sessions: &mut Sessions, id: usize| event(sessions, Role::Client, &id.to_string(), SessionEvent::Begins).1;
        for id in 0..MAX_SESSIONS {
            assert_eq!(begin(&mut sessions, id), 0);
        }
        // One that is over costs nothing when its turn comes; one that began again is not the oldest.
        event(&mut sessions, Role::Client, "0", SessionEvent::Ends);
        assert_eq!(begin(&mut sessions, 1), 0);
        assert_eq!(begin(&mut sessions, MAX_SESSIONS), 0);
        assert_eq!(begin(&mut sessions, MAX_SESSIONS + 1), 1);
        assert!(event(&mut sessions, Role::Client, "1", SessionEvent::Ends).0.is_some());
        assert!(event(&mut sessions, Role::Client, "2", SessionEvent::Ends).0.is_none());
        assert!(sessions.begun.len() <= MAX_SESSIONS && sessions.order.len() <= MAX_SESSIONS);
    }
}
