//! Whose turn it is to be looked at: nobody keeps the others waiting by being told of all the time, or by files that take long.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

/// Why a process is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// It was there before.
    Start,
    /// It executes another program.
    Exec,
    /// Its dynamic linker has mapped libraries.
    Libraries,
    /// It has a connection in scope.
    Connection,
    /// Nobody told of its libraries.
    Again,
    /// What was told of it may have been lost.
    Lost,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Start, Self::Exec, Self::Libraries, Self::Connection, Self::Again, Self::Lost];

    /// A word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Exec => "exec",
            Self::Libraries => "libraries",
            Self::Connection => "connection",
            Self::Again => "again",
            Self::Lost => "lost",
        }
    }
}

/// Processes that are to be looked at, each once, in the order of their times and then as they came.
#[derive(Debug, Default)]
pub(super) struct Later {
    order: BTreeSet<(Duration, u64, u32)>,
    processes: HashMap<u32, (Duration, u64, Cause)>,
    put: u64,
}

impl Later {
    /// Number of processes.
    pub(super) fn len(&self) -> usize {
        self.processes.len()
    }

    /// The processes, in no order.
    pub(super) fn pids(&self) -> impl Iterator<Item = u32> {
        self.processes.keys().copied()
    }

    /// From then on it is its turn. Who waits already keeps its place; that it executes another program is not forgotten.
    pub(super) fn put(&mut self, pid: u32, cause: Cause, at: Duration) {
        if let Some((_, _, known)) = self.processes.get_mut(&pid) {
            if cause == Cause::Exec {
                *known = cause;
            }
            return;
        }
        self.put += 1;
        self.order.insert((at, self.put, pid));
        self.processes.insert(pid, (at, self.put, cause));
    }

    /// Whose turn it is.
    pub(super) fn take(&mut self, now: Duration) -> Option<(u32, Cause)> {
        let &(_, _, pid) = self.order.first().filter(|(at, ..)| *at <= now)?;
        let (.., cause) = self.remove(pid)?;
        Some((pid, cause))
    }

    /// It waits no more.
    pub(super) fn remove(&mut self, pid: u32) -> Option<(Duration, u64, Cause)> {
        let found = self.processes.remove(&pid)?;
        self.order.remove(&(found.0, found.1, pid));
        Some(found)
    }

    /// Whether it is anybody's turn.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.next().is_some_and(|at| at <= now)
    }

    /// When it is somebody's turn.
    pub(super) fn next(&self) -> Option<Duration> {
        self.order.first().map(|(at, ..)| *at)
    }
}

/// How far apart looks at one process are in the long run.
const INTERVAL: Duration = Duration::from_millis(100);
/// Looks that it may be ahead of that: programs load hundreds of libraries when they start, and each is told of at once.
const AHEAD: u32 = 256;
/// Bytes of files that take as much as a look.
const BYTES: u64 = 4 << 20;

/// How often processes were looked at, as times at which all their looks would be over if they were [`INTERVAL`] apart. Who is not here was not lately.
#[derive(Debug, Default)]
pub(super) struct Paces(HashMap<u32, Duration>);

impl Paces {
    /// When a process may be looked at next; nothing if it may be now.
    pub(super) fn next(&self, pid: u32, now: Duration) -> Option<Duration> {
        let may = self.0.get(&pid)?.saturating_sub(INTERVAL * AHEAD);
        (may > now).then_some(may)
    }

    /// It was looked at, and so much was read.
    pub(super) fn took(&mut self, pid: u32, now: Duration, bytes: u64) {
        let parts = u32::try_from(bytes / BYTES).unwrap_or(u32::MAX).saturating_add(1);
        let over = self.0.entry(pid).or_default();
        *over = (*over).max(now).saturating_add(INTERVAL.saturating_mul(parts));
    }

    /// Forgets those whose looks are over.
    pub(super) fn forget(&mut self, now: Duration) {
        self.0.retain(|_, over| *over > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_keeps_its_place() {
        let (mut later, second) = (Later::default(), Duration::from_secs(1));
        later.put(1, Cause::Start, second);
        later.put(2, Cause::Libraries, second);
        later.put(3, Cause::Start, Duration::ZERO);
        later.put(1, Cause::Exec, Duration::ZERO);
        later.put(2, Cause::Lost, Duration::ZERO);
        assert_eq!((later.len(), later.next()), (3, Some(Duration::ZERO)));
        assert_eq!(later.take(Duration::ZERO), Some((3, Cause::Start)));
        assert_eq!(later.take(Duration::ZERO), None);
        assert!(later.is_due(second));
        assert_eq!(later.take(second), Some((1, Cause::Exec)));
        assert_eq!(later.remove(2).map(|(.., cause)| cause), Some(Cause::Libraries));
        assert_eq!((later.len(), later.take(second)), (0, None));
    }

    #[test]
    fn looks_at_one_process_are_apart_in_the_long_run() {
        let (mut paces, begin) = (Paces::default(), Duration::from_secs(1000));
        let mut looks = 0;
        for millisecond in 0..60_000 {
            let now = begin + Duration::from_millis(millisecond);
            // It is told of ten times in each millisecond.
            for _ in 0..10 {
                if paces.next(7, now).is_none() {
                    paces.took(7, now, 0);
                    looks += 1;
                }
            }
        }
        assert!((600..=600 + AHEAD + 1).contains(&looks), "{looks}");
        assert_eq!(paces.next(8, begin), None);
        // As many bytes as it is ahead.
        paces.took(8, begin, BYTES * u64::from(AHEAD + 1));
        let next = paces.next(8, begin).unwrap();
        assert!(next > begin && paces.next(8, next).is_none());
        paces.forget(begin + Duration::from_hours(1));
        assert!(paces.0.is_empty());
    }
}
