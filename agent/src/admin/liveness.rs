//! Whether the threads that do the work still do it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// A thread that has not shown life for so long does not live: a worker does so ten times a second.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What `/healthz` says: every heart beats.
#[derive(Clone, Debug, Default)]
pub struct Liveness(Arc<Mutex<Vec<Arc<Heart>>>>);

#[derive(Debug)]
struct Heart {
    name: String,
    /// It waits for as long as nothing happens: only a panic is a fault of it.
    may_be_silent: bool,
    start: Instant,
    /// Milliseconds from `start` to the last beat; [`STOPPED`] if the thread panicked.
    last: AtomicU64,
}

const STOPPED: u64 = u64::MAX;

/// What a thread shows life with. Dropped in a panic it has stopped for good, which `/healthz` says; else the thread came to its regular end.
#[derive(Debug)]
pub struct Heartbeat {
    heart: Arc<Heart>,
    liveness: Liveness,
}

impl Liveness {
    /// A heart, which beats now.
    pub fn heartbeat(&self, name: impl Into<String>) -> Heartbeat {
        self.heart(name.into(), false)
    }

    /// A heart that need not beat: of a thread or a task that may wait for long.
    pub fn silent(&self, name: impl Into<String>) -> Heartbeat {
        self.heart(name.into(), true)
    }

    /// The same task, of which a panic is told.
    pub fn task<F: Future>(&self, name: &str, task: F) -> impl Future<Output = F::Output> + use<F> {
        let heartbeat = self.silent(name);
        async move {
            let _heartbeat = heartbeat;
            task.await
        }
    }

    fn heart(&self, name: String, may_be_silent: bool) -> Heartbeat {
        let heart = Arc::new(Heart { name, may_be_silent, start: Instant::now(), last: AtomicU64::new(0) });
        self.lock().push(Arc::clone(&heart));
        Heartbeat { heart, liveness: self.clone() }
    }

    /// Time from the last beat of every heart that has to beat to `now`, by name; `None` of one that has stopped.
    pub fn since_last(&self, now: Instant) -> Vec<(String, Option<Duration>)> {
        let hearts = self.lock();
        hearts.iter().filter(|heart| !heart.may_be_silent).map(|heart| (heart.name.clone(), heart.since(now))).collect()
    }

    /// What is wrong at this time, a sentence for each thread; empty if nothing is.
    pub fn faults(&self, now: Instant) -> Vec<String> {
        let fault = |heart: &Arc<Heart>| match heart.since(now) {
            None => Some(format!("{} has panicked", heart.name)),
            Some(since) if since >= PATIENCE && !heart.may_be_silent => {
                Some(format!("{} has not shown life for {} seconds", heart.name, since.as_secs()))
            }
            Some(_) => None,
        };
        self.lock().iter().filter_map(fault).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Heart>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heart {
    /// Time from the last beat; `None` if it has stopped.
    fn since(&self, now: Instant) -> Option<Duration> {
        let last = self.last.load(Ordering::Relaxed);
        let since = || now.saturating_duration_since(self.start).saturating_sub(Duration::from_millis(last));
        (last != STOPPED).then(since)
    }
}

impl Heartbeat {
    /// The thread lives. One store, without lock.
    pub fn beat(&self) {
        self.heart.last.store(self.heart.start.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// Of which thread.
    pub fn name(&self) -> &str {
        &self.heart.name
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.heart.last.store(STOPPED, Ordering::Relaxed);
        } else {
            self.liveness.lock().retain(|heart| !Arc::ptr_eq(heart, &self.heart));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_shows_no_life_is_named() {
        let liveness = Liveness::default();
        let (silent, ended) = (liveness.heartbeat("telltale-0"), liveness.heartbeat("telltale-1"));
        silent.beat();
        let now = Instant::now();
        assert_eq!(liveness.faults(now), [""; 0]);
        drop(ended);
        let faults = liveness.faults(now + PATIENCE);
        assert!(faults.len() == 1 && faults[0].starts_with("telltale-0 has not shown life for "), "{faults:?}");
    }

    #[tokio::test]
    async fn a_task_may_be_silent_and_is_named_only_when_it_panics() {
        let liveness = Liveness::default();
        let ended = tokio::spawn(liveness.task("ended", async {}));
        let dropped = tokio::spawn(liveness.task("dropped", std::future::pending::<()>()));
        let panicked = tokio::spawn(liveness.task("panicked", async { panic!("as a task would") }));
        ended.await.unwrap();
        panicked.await.unwrap_err();
        let later = Instant::now() + PATIENCE * 2;
        assert_eq!(liveness.faults(later), ["panicked has panicked"]);
        assert_eq!(liveness.since_last(later), []);
        dropped.abort();
        dropped.await.unwrap_err();
        assert_eq!(liveness.faults(later), ["panicked has panicked"]);
    }

    #[test]
    fn a_thread_that_panics_is_named() {
        let liveness = Liveness::default();
        let heartbeat = liveness.heartbeat("telltale-0");
        let thread = std::thread::spawn(move || {
            heartbeat.beat();
            panic!("as a worker would");
        });
        thread.join().unwrap_err();
        assert_eq!(liveness.faults(Instant::now()), ["telltale-0 has panicked"]);
    }
}
