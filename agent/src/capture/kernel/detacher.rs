//! Closes what the kernel takes long to let go of, many at once.
//!
//! It closes a link of probes when no CPU and no task is in them any more, and returns only then: some tens of milliseconds, in which hardly anybody
//! does anything. Those who wait at the same time wait for the same end, so that many threads are done hardly later than one.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

/// Stack of a thread that only closes.
const STACK: usize = 64 << 10;

/// Drops what it is given on threads of its own, which are there only while something is left.
#[derive(Debug)]
pub(super) struct Detacher<T> {
    shared: Arc<Shared<T>>,
}

#[derive(Debug)]
struct Shared<T> {
    /// Threads that there are at most.
    at_once: usize,
    state: Mutex<State<T>>,
    /// Told when nothing is left.
    done: Condvar,
}

#[derive(Debug)]
struct State<T> {
    left: VecDeque<T>,
    /// Threads that there are.
    threads: usize,
}

impl<T> Clone for Detacher<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T: Send + 'static> Detacher<T> {
    pub(super) fn new(at_once: usize) -> Self {
        let state = Mutex::new(State { left: VecDeque::new(), threads: 0 });
        Self { shared: Arc::new(Shared { at_once, state, done: Condvar::new() }) }
    }

    /// Drops it soon. Does not wait, unless the system has no thread to give.
    pub(super) fn take(&self, dropped: T) {
        let mut state = self.shared.state();
        state.left.push_back(dropped);
        if state.threads >= self.shared.at_once {
            return;
        }
        state.threads += 1;
        drop(state);
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new().name("telltale-detach".to_owned()).stack_size(STACK);
        if let Err(error) = thread.spawn(move || shared.work()) {
            tracing::debug!("probes are detached without a thread: {error}");
            self.shared.work();
        }
    }

    /// Waits until all is dropped that was given so far.
    pub(super) fn wait(&self) {
        let is_busy = |state: &mut State<T>| state.threads > 0;
        let _state = self.shared.done.wait_while(self.shared.state(), is_busy).unwrap_or_else(PoisonError::into_inner);
    }
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a thread does: drops one after another until nothing is left.
    fn work(&self) {
        while let Some(dropped) = self.next() {
            drop(dropped);
        }
    }

    /// The next one. Without one the thread is none any more: what is given from then on is for another one.
    fn next(&self) -> Option<T> {
        let mut state = self.state();
        let next = state.left.pop_front();
        if next.is_none() {
            state.threads -= 1;
            if state.threads == 0 {
                self.done.notify_all();
            }
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use super::*;

    const AT_ONCE: usize = 4;

    #[derive(Default)]
    struct Kernel {
        /// Those that are being dropped, and the most that were at once.
        inside: Mutex<(usize, usize)>,
        changed: Condvar,
        dropped: AtomicUsize,
    }

    /// What is let go of only when as many wait for it as may.
    struct Held(Arc<Kernel>);

    impl Drop for Held {
        fn drop(&mut self) {
            let mut inside = self.0.inside.lock().unwrap();
            inside.0 += 1;
            inside.1 = inside.1.max(inside.0);
            self.0.changed.notify_all();
            let fewer = |inside: &mut (usize, usize)| inside.1 < AT_ONCE;
            let (mut inside, _) = self.0.changed.wait_timeout_while(inside, Duration::from_mins(1), fewer).unwrap();
            inside.0 -= 1;
            drop(inside);
            self.0.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn as_many_as_may_are_waited_for_at_once() {
        let kernel = Arc::new(Kernel::default());
        let detacher = Detacher::new(AT_ONCE);
        detacher.wait();
        for _ in 0..5 * AT_ONCE {
            detacher.take(Held(Arc::clone(&kernel)));
        }
        detacher.wait();
        assert_eq!(kernel.dropped.load(Ordering::SeqCst), 5 * AT_ONCE);
        assert_eq!(*kernel.inside.lock().unwrap(), (0, AT_ONCE));
        // And once more, when its threads are gone.
        detacher.take(Held(Arc::clone(&kernel)));
        detacher.wait();
        assert_eq!(kernel.dropped.load(Ordering::SeqCst), 5 * AT_ONCE + 1);
    }
}
