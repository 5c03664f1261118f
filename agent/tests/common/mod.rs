//! What tests of the running agent share: programs, the agent, what it said.

pub(crate) mod agent;
pub(crate) mod cgroup;
pub(crate) mod confined;
pub(crate) mod namespaces;
pub(crate) mod program;
pub(crate) mod rotel;
pub(crate) mod seen;
pub(crate) mod tools;

use std::time::{Duration, Instant};

/// Longest wait for anything: generous, since the machine may be busy. Nothing measures it.
const PATIENCE: Duration = Duration::from_mins(3);

/// Asks until the answer is there; `None` if it never comes.
pub(crate) fn poll<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() > end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Asks until the answer is there.
pub(crate) fn wait_for<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    poll(ask).unwrap_or_else(|| panic!("waited in vain for {what}"))
}
