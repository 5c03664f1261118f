//! Which request a response answers, decided by evidence only.
//!
//! Responses come in the order of their requests (RFC 9112 section 9.3.2), so what must be known is which requests are still
//! outstanding. As long as nothing was lost that is all of them. After a loss it is an interval:
//!
//! - Lost bytes of the response direction may have held any number of responses, but only to requests that had begun by then
//!   (a response never precedes its request in time). Of the outstanding requests a prefix may have been answered; those that
//!   began later are certain. A response *head* that was destroyed answered the first of them, unless interim responses are to
//!   be expected: the request asked for one, or the connection has shown one.
//! - Lost bytes of the request direction, and the time before a late join, may have held any number of requests
//!   ([`Entry::Unseen`]), at least one if a head was destroyed.
//!
//! A response that has one possible request is given to it, which makes everything certain again. If it has several, it is
//! given to the newest only if the connection is in lock-step: it was never seen to pipeline, exactly one request began
//! since the last byte of the response direction, and that moved after all bytes of requests that were lost. Otherwise it is dropped and counted, and so is the request.

use std::collections::VecDeque;

use crate::{capture::Timestamp, protocol::MAX_PIPELINE};

/// What of a request decides the framing of its response (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Head,
    Connect,
    Other,
}

/// A request that waits for its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) request: u64,
    pub(super) first_byte: Timestamp,
    pub(super) method: Method,
    /// `Expect: 100-continue`: an interim response is likely.
    pub(super) expects_interim: bool,
}

#[derive(Debug)]
enum Entry {
    Seen(Pending),
    /// Requests that were not seen, or were given up: at least this many, the first not before `since`. `until`: when the last
    /// of their bytes moved, if any moved since the connection was joined.
    Unseen {
        at_least: u32,
        since: Timestamp,
        until: Option<Timestamp>,
    },
}

impl Entry {
    fn first_byte(&self) -> Timestamp {
        match *self {
            Self::Seen(pending) => pending.first_byte,
            Self::Unseen { since, .. } => since,
        }
    }

    /// When the latest request is known to have moved that this stands for.
    fn last_seen(&self) -> Option<Timestamp> {
        match *self {
            Self::Seen(pending) => Some(pending.first_byte),
            Self::Unseen { until, .. } => until,
        }
    }
}

/// Whose response it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// This request's.
    To(Pending),
    /// A request's that was not seen.
    Orphan,
    /// One of several requests', which all had this method (`None`: they differ, or are not known).
    Ambiguous(Option<Method>),
    /// It cannot be known yet: the event of the request may still come.
    Wait,
}

/// The requests that wait for their responses.
#[derive(Debug, Default)]
pub(super) struct Pipeline {
    entries: VecDeque<Entry>,
    /// How many at the back are certainly outstanding; of those before them a prefix may have been answered.
    certain: usize,
    /// Bytes of the response direction were lost up to this time.
    lost_until: Option<Timestamp>,
    /// Response heads destroyed whose requests' events have not come yet.
    owed: u32,
    /// A request was sent before the response to an earlier one was complete.
    pipelines: bool,
    /// An interim response was seen: a head that is lost may be one.
    interim: bool,
}

impl Pipeline {
    /// A request began. `gone` is told the number of each request whose response cannot be known any more. False if
    /// [`MAX_PIPELINE`] was reached.
    pub(super) fn push(&mut self, pending: Pending, mut gone: impl FnMut(u64)) -> bool {
        if self.owed > 0 {
            if !self.is_after_loss(pending.first_byte) {
                self.owed -= 1;
                gone(pending.request);
                return true;
            }
            self.owed = 0;
        }
        if self.certain < self.entries.len() && !self.pipelines {
            // In lock-step, what may have been answered was; it is told now, so that a direction that is never seen costs nothing.
            self.forget_uncertain(&mut gone);
        }
        let room = self.entries.len() < MAX_PIPELINE;
        if !room {
            self.certain = 0;
            self.forget_uncertain(&mut gone);
            self.pipelines = true;
        }
        self.certain = if self.is_after_loss(pending.first_byte) { self.certain + 1 } else { 0 };
        self.entries.push_back(Entry::Seen(pending));
        room
    }

    /// A final response begins whose first byte moved at `first_byte`; before it the last byte of its direction moved at
    /// `quiet_since`. If `patient`, the event of a request that moved earlier may still come.
    pub(super) fn answer(
        &mut self,
        first_byte: Timestamp,
        quiet_since: Timestamp,
        patient: bool,
        mut gone: impl FnMut(u64),
    ) -> Answer {
        if let Some(&Entry::Seen(pending)) = self.entries.front()
            && self.certain == self.entries.len()
        {
            if pending.first_byte > first_byte {
                return Answer::Orphan;
            }
            self.entries.pop_front();
            self.certain = self.entries.len();
            return Answer::To(pending);
        }
        let uncertain = self.entries.len() - self.certain;
        let mut candidates = 0;
        let mut last = 0;
        let mut newest: Option<(usize, Pending)> = None;
        let mut unseen = None;
        let mut method = None;
        let mut methods_differ = false;
        for (index, entry) in self.entries.iter().enumerate() {
            if entry.first_byte() > first_byte {
                break;
            }
            candidates += 1;
            last = index;
            match *entry {
                Entry::Seen(pending) => {
                    methods_differ |= method.is_some_and(|method| method != pending.method);
                    method = Some(pending.method);
                    newest = Some((index, pending));
                    if index >= uncertain {
                        break;
                    }
                }
                Entry::Unseen { at_least, .. } => {
                    unseen = Some((index, at_least));
                    if index >= uncertain && at_least > 0 {
                        break;
                    }
                }
            }
        }
        let began_since = |entry: &&Entry| matches!(entry, Entry::Seen(pending) if pending.first_byte > quiet_since && pending.first_byte <= first_byte);
        // In lock-step, what was sent before was answered before.
        let answered_since =
            |entry: &Entry| !matches!(*entry, Entry::Unseen { until: Some(until), .. } if until > quiet_since);
        let in_lock_step = !self.pipelines
            && self.entries.iter().filter(began_since).count() == 1
            && self.entries.iter().take(last + 1).all(answered_since);
        let later_request = self.entries.len() > last + 1 || candidates == 0 && !self.entries.is_empty();
        match (candidates, newest, unseen) {
            (0, ..) if later_request => Answer::Orphan,
            (0, ..) => Answer::Wait,
            // It may have been answered already, and the event of the next request may still come.
            (1, Some((index, _)), _) if patient && index < uncertain && !later_request => Answer::Wait,
            (1, Some((index, pending)), _) => {
                self.take(index, &mut gone);
                Answer::To(pending)
            }
            (1, None, Some((_, 0))) if !later_request => Answer::Wait,
            (1, None, Some((index, _))) => {
                self.forget(index, &mut gone);
                if let Some(Entry::Unseen { at_least, .. }) = self.entries.front_mut() {
                    *at_least = at_least.saturating_sub(1);
                }
                Answer::Orphan
            }
            (_, Some((index, pending)), _) if in_lock_step && pending.first_byte > quiet_since && index == last => {
                self.take(index, &mut gone);
                Answer::To(pending)
            }
            (_, _, Some(_)) => {
                // It may be an unseen request's, so that those behind may all still be outstanding, or not.
                self.certain = self.entries.len() - last - 1;
                self.forget_uncertain(&mut gone);
                Answer::Ambiguous(None)
            }
            _ => {
                // The first of them is certainly answered now: by this response or by a lost one.
                self.forget(1, &mut gone);
                self.certain = self.entries.len() - last;
                self.pipelines = true;
                Answer::Ambiguous(method.filter(|_| !methods_differ))
            }
        }
    }

    /// A response was complete at `time`.
    pub(super) fn response_ended(&mut self, time: Timestamp) {
        if self.entries.front().is_some_and(|entry| matches!(entry, Entry::Seen(_)) && entry.first_byte() < time) {
            self.pipelines = true;
        }
    }

    /// A request began in the very segment in which an earlier one did.
    pub(super) fn saw_pipelining(&mut self) {
        self.pipelines = true;
    }

    /// An interim response was seen.
    pub(super) fn saw_interim(&mut self) {
        self.interim = true;
    }

    /// A response that waited is given up: its request was not seen.
    pub(super) fn give_up_wait(&mut self) {
        if let Some(Entry::Unseen { at_least, .. }) = self.entries.front_mut() {
            *at_least = at_least.saturating_sub(1);
        }
    }

    /// Bytes of the response direction that moved until `time` were lost; with them the head of a response, if `head`.
    pub(super) fn response_lost(&mut self, time: Timestamp, head: bool, mut gone: impl FnMut(u64)) {
        self.lost_until = self.lost_until.max(Some(time));
        let mut seen = 0;
        if head {
            match self.entries.front_mut() {
                Some(entry) if entry.first_byte() > time => self.owed = self.owed.saturating_add(1),
                None => self.owed = self.owed.saturating_add(1),
                Some(Entry::Seen(pending)) if pending.expects_interim || self.interim => {}
                Some(Entry::Seen(pending)) => {
                    gone(pending.request);
                    self.entries.pop_front();
                    seen = 1;
                }
                Some(Entry::Unseen { at_least, .. }) => *at_least = at_least.saturating_sub(1),
            }
        }
        let mut begun = 0;
        for entry in &mut self.entries {
            if entry.first_byte() > time {
                break;
            }
            begun += 1;
            match entry {
                Entry::Unseen { at_least, .. } => *at_least = 0,
                Entry::Seen(_) => seen += 1,
            }
        }
        // Two requests before the loss was over: it cannot be told from pipelining.
        self.pipelines |= seen > 1;
        self.certain = self.certain.min(self.entries.len() - begun);
    }

    /// Bytes of the request direction that moved from `since` to `until` (`None`: before the connection was joined) were lost;
    /// with them the head of a request, if `head`.
    pub(super) fn request_lost(&mut self, since: Timestamp, until: Option<Timestamp>, head: bool) {
        if let Some(Entry::Unseen { at_least, until: latest, .. }) = self.entries.back_mut() {
            *at_least = at_least.saturating_add(u32::from(head));
            *latest = until.max(*latest);
        } else {
            self.entries.push_back(Entry::Unseen { at_least: u32::from(head), since, until });
            self.certain += 1;
        }
    }

    /// The connection is over, or not HTTP any more: no request is answered.
    pub(super) fn clear(&mut self, mut gone: impl FnMut(u64)) {
        self.forget(self.entries.len(), &mut gone);
    }

    /// Puts one [`Entry::Unseen`] in place of all entries that are not certain.
    fn forget_uncertain(&mut self, gone: &mut impl FnMut(u64)) {
        let Some(since) = self.entries.front().map(Entry::first_byte) else { return };
        let uncertain = self.entries.len() - self.certain;
        let until = self.entries.iter().take(uncertain).filter_map(Entry::last_seen).max();
        self.forget(uncertain, gone);
        self.entries.push_front(Entry::Unseen { at_least: 0, since, until });
        self.certain = self.entries.len();
    }

    fn is_after_loss(&self, time: Timestamp) -> bool {
        self.lost_until.is_none_or(|until| time > until)
    }

    /// Takes out the entry at `index`, which was answered, and those before it, which makes the rest certain.
    fn take(&mut self, index: usize, gone: &mut impl FnMut(u64)) {
        self.forget(index, gone);
        self.entries.pop_front();
        self.certain = self.entries.len();
    }

    /// Takes out the first entries, which makes the rest certain.
    fn forget(&mut self, count: usize, gone: &mut impl FnMut(u64)) {
        for entry in self.entries.drain(..count) {
            if let Entry::Seen(pending) = entry {
                gone(pending.request);
            }
        }
        self.certain = self.entries.len();
    }
}
