//! Who leads, decided from what was read, what was answered and one local clock.
//!
//! The rule is that of client-go: a record is in force for its duration from the moment at which *this* process first saw it, so that clocks of two
//! machines are never compared. A leader counts from before it sent its last renewal and gives up earlier than anybody may take over; and a record
//! is replaced only as the version that was read. So two never lead at a time, however late an answer comes.

use std::time::Duration;

use crate::kube::known::Known;

/// Time of a local clock that never goes back, from wherever it starts. It should go on while the machine sleeps.
pub(super) type Local = Duration;

/// How long things last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long a record is in force after it was last renewed. Whole seconds, at least one: the Lease has them.
    pub lease: Duration,
    /// How long a leader leads on after its last renewal that was answered; less than `lease`, by more than clocks can drift apart in it.
    pub give_up: Duration,
    /// How often a leader renews.
    pub renew: Duration,
    /// How soon something that failed is tried again.
    pub retry: Duration,
    /// Candidates wait this long at most, by chance, before they take over, so that not all of a large cluster do at once: after a release, and three
    /// times that after an expiry.
    pub spread: Duration,
}

impl Default for Timing {
    /// A leader that dies is replaced within 18 seconds. Each node sees one renewal every 5 seconds.
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            give_up: Duration::from_secs(10),
            renew: Duration::from_secs(5),
            retry: Duration::from_secs(2),
            spread: Duration::from_secs(1),
        }
    }
}

/// What a Lease says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// `spec.holderIdentity`; empty when nobody holds it.
    pub(super) holder: String,
    /// `spec.renewTime` as it is written: only compared with itself.
    pub(super) renewed: String,
    /// `spec.leaseTransitions`
    pub(super) transitions: i32,
    /// `spec.leaseDurationSeconds`
    pub(super) duration: Duration,
}

/// A Lease as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// `metadata.resourceVersion`
    pub(super) version: String,
    /// What it says.
    pub(super) record: Record,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing before this time.
    Wait(Local),
    /// Read the Lease.
    Read,
    /// Create it, held by us.
    Create,
    /// Replace this version of it by one that is held by us.
    Replace {
        /// The version that was read.
        version: String,
        /// How often the holder has changed, with this change.
        transitions: i32,
        /// Whether we held it before.
        renewal: bool,
    },
}

/// How a write went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is what was sent, in this version.
    Written(Seen),
    /// Somebody else wrote before.
    Conflict,
    /// It failed, or it is not known how it went.
    Failed,
}

/// Everything that is known of the election.
#[derive(Clone, Debug)]
pub(super) struct LeaseState {
    identity: String,
    timing: Timing,
    /// What was read last, and when this record was first seen.
    known: Known<(Seen, Local)>,
    /// We lead until then.
    until: Option<Local>,
    /// Nothing is sent before.
    not_before: Local,
}

impl LeaseState {
    pub(super) fn new(identity: String, timing: Timing) -> Self {
        Self { identity, timing, known: Known::Unread, until: None, not_before: Local::ZERO }
    }

    /// Whether we lead.
    pub(super) fn leads(&self, now: Local) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Until when we lead if nothing else comes.
    pub(super) fn until(&self) -> Option<Local> {
        self.until
    }

    /// Whether the record that was read last is ours.
    pub(super) fn ours(&self) -> Option<&Seen> {
        self.known.there().map(|(seen, _)| seen).filter(|seen| seen.record.holder == self.identity)
    }

    /// The Lease was read, or there is none. `chance` is between 0 and 1.
    pub(super) fn read(&mut self, lease: Option<Seen>, now: Local, chance: f64) {
        let first = match (&lease, std::mem::take(&mut self.known)) {
            // The same record, whatever else of the object changed: it is not in force for longer.
            (Some(lease), Known::There((before, first))) if before.record == lease.record => first,
            _ => {
                if lease.as_ref().is_none_or(|lease| lease.record.holder.is_empty()) {
                    self.not_before = self.not_before.max(now + self.timing.spread.mul_f64(chance));
                }
                now
            }
        };
        if lease.as_ref().is_none_or(|lease| lease.record.holder != self.identity) {
            self.until = None;
        }
        self.known = lease.map(|lease| (lease, first)).into();
    }

    /// What a watch showed. It may be older than what we know, so that it takes nothing from who leads: a renewal finds out.
    pub(super) fn watched(&mut self, lease: Option<Seen>, now: Local, chance: f64) {
        if !self.leads(now) {
            self.read(lease, now, chance);
        }
    }

    /// What to do. `chance` is between 0 and 1, and the same until something was read or answered.
    pub(super) fn next(&self, now: Local, chance: f64) -> Action {
        if now < self.not_before {
            return Action::Wait(self.not_before);
        }
        let (seen, first) = match &self.known {
            Known::Unread => return Action::Read,
            Known::Absent => return Action::Create,
            Known::There((seen, first)) => (seen, first),
        };
        let record = &seen.record;
        if record.holder == self.identity {
            // Counted from what was answered last. Where no answer says that we lead, the record is still ours: another process has another identity.
            let renew = self.until.map(|until| until.saturating_sub(self.timing.give_up) + self.timing.renew);
            return match renew.filter(|renew| self.leads(now) && now < *renew) {
                Some(renew) => Action::Wait(renew),
                None => replace(seen, record.transitions, true),
            };
        }
        let over = if record.holder.is_empty() {
            *first
        } else {
            *first + record.duration + self.timing.spread.mul_f64(3.0 * chance)
        };
        if now < over {
            return Action::Wait(over);
        }
        replace(seen, record.transitions.saturating_add(1), false)
    }

    /// A write that was sent at `sent` was answered.
    pub(super) fn answered(&mut self, answer: Answer, sent: Local, now: Local) {
        match answer {
            Answer::Written(seen) => {
                self.until = Some(sent + self.timing.give_up);
                self.known = Known::There((seen, sent));
                self.not_before = now;
            }
            // Whose it is must be read; until then we lead on if we did, which nobody else can before our time is over.
            Answer::Conflict => self.known = Known::Unread,
            Answer::Failed => {
                self.known = Known::Unread;
                self.not_before = now + self.timing.retry;
            }
        }
    }

    /// A read failed.
    pub(super) fn read_failed(&mut self, now: Local) {
        self.not_before = now + self.timing.retry;
    }

    /// We lead no more, whatever was agreed: before the record is given up.
    pub(super) fn step_down(&mut self) {
        self.until = None;
    }
}

fn replace(seen: &Seen, transitions: i32, renewal: bool) -> Action {
    Action::Replace { version: seen.version.clone(), transitions, renewal }
}
