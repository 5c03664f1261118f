//! Access-log lines to a file or to standard output.

use std::{
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::Output;
use crate::admin::{Counter, Gauge, Health, table};

/// Takes lines, each with its newline.
pub trait LineSink: Send {
    /// Takes one line. Never blocks on a slow reader under `run`; what it cannot take it counts.
    fn line(&mut self, line: &[u8]);
    /// Writes out what is buffered (end of a replay).
    fn flush(&mut self) {}
}

/// The name in metrics of the lines that go to standard output or where `--logs` says.
pub const ACCESS_LOG: &str = "access_log";

/// Writes, counts what could not be written, and says so once per failure, not per line.
struct Target {
    output: Output,
    exported: Counter,
    dropped: Counter,
    failed: bool,
    /// The last byte written is inside a line.
    torn: bool,
}

impl Target {
    fn new(name: &str, output: Output, health: &Health) -> Self {
        Self {
            output,
            exported: health.shared_counter(&table::EXPORTED, &[name]),
            dropped: health.shared_counter(&table::QUEUE_DROPPED, &[name, "write_failed"]),
            failed: false,
            torn: false,
        }
    }

    /// Writes whole lines. After a failure in the middle of a line its rest is lost: the next write first ends it.
    fn write(&mut self, lines: &[u8]) {
        if self.torn && write_counted(&mut *self.output.writer, b"\n").is_ok() {
            self.torn = false;
        }
        match write_counted(&mut *self.output.writer, lines) {
            Ok(()) => {
                self.exported.add(count_lines(lines));
                if self.failed {
                    tracing::info!("access log to {} works again", self.output.name);
                }
                self.failed = false;
            }
            Err((written, error)) => {
                self.torn |= lines[..written].last().is_some_and(|&last| last != b'\n');
                self.exported.add(count_lines(&lines[..written]));
                self.dropped.add(count_lines(&lines[written..]));
                if !self.failed {
                    tracing::error!(
                        "cannot write the access log to {}: {error}; lines are lost and counted until it works again",
                        self.output.name
                    );
                }
                self.failed = true;
            }
        }
    }
}

/// `write_all` that says how much was written before it failed.
fn write_counted(writer: &mut dyn Write, mut bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let whole = bytes.len();
    while !bytes.is_empty() {
        match writer.write(bytes) {
            Ok(0) => return Err((whole - bytes.len(), io::ErrorKind::WriteZero.into())),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((whole - bytes.len(), error)),
        }
    }
    writer.flush().map_err(|error| (whole, error))
}

fn count_lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// Writes in the caller's thread, buffered: for replays, which must not lose or reorder.
pub struct LineWriter {
    target: Target,
    buffer: Vec<u8>,
}

/// Lines are written together up to this many bytes.
const WRITE_SIZE: usize = 64 * 1024;

impl LineWriter {
    /// A sink that writes there.
    pub fn new(output: Output, health: &Health) -> Self {
        Self { target: Target::new(ACCESS_LOG, output, health), buffer: Vec::with_capacity(WRITE_SIZE) }
    }
}

impl LineSink for LineWriter {
    fn line(&mut self, line: &[u8]) {
        self.buffer.extend_from_slice(line);
        if self.buffer.len() >= WRITE_SIZE {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.buffer.is_empty() {
            self.target.write(&self.buffer);
            self.buffer.clear();
        }
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        self.flush();
    }
}

/// What the workers and the writer thread share.
struct Shared {
    state: Mutex<State>,
    filled: Condvar,
    emptied: Condvar,
    length: Gauge,
}

#[derive(Default)]
struct State {
    buffer: Vec<u8>,
    lines: usize,
    writing: bool,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A bounded queue to one thread that writes what has gathered in one call. A line that finds it full is dropped and counted, so a reader that does
/// not read never delays a worker.
pub struct LineQueue {
    name: &'static str,
    shared: Arc<Shared>,
    limit_lines: usize,
    limit_bytes: usize,
    dropped: Counter,
    capacity: Gauge,
    health: Arc<Health>,
    thread: Option<JoinHandle<()>>,
}

/// Lines that may wait.
const MAX_LINES: usize = 8192;
/// Bytes that may wait.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// One worker's end of a [`LineQueue`].
#[derive(Clone)]
pub struct LineSender {
    shared: Arc<Shared>,
    limit_lines: usize,
    limit_bytes: usize,
    dropped: Counter,
}

impl LineQueue {
    /// Starts the writer thread.
    pub fn start(output: Output, health: &Arc<Health>) -> io::Result<Self> {
        Self::with_limits(ACCESS_LOG, output, health, MAX_LINES, MAX_BYTES)
    }

    /// As [`Self::start`], under this name in metrics, with at most this many lines and bytes waiting.
    pub fn with_limits(
        name: &'static str,
        output: Output,
        health: &Arc<Health>,
        lines: usize,
        bytes: usize,
    ) -> io::Result<Self> {
        let capacity = health.shared_gauge(&table::QUEUE_CAPACITY, &[name]);
        capacity.add(lines as i64);
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            length: health.shared_gauge(&table::QUEUE_LENGTH, &[name]),
        });
        let target = Target::new(name, output, health);
        let theirs = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("telltale-log".to_owned()).spawn(move || write_all(&theirs, target))?;
        Ok(Self {
            name,
            shared,
            limit_lines: lines,
            limit_bytes: bytes,
            dropped: health.shared_counter(&table::QUEUE_DROPPED, &[name, "full"]),
            capacity,
            health: Arc::clone(health),
            thread: Some(thread),
        })
    }

    /// An end for one worker.
    pub fn sender(&self) -> LineSender {
        LineSender {
            shared: Arc::clone(&self.shared),
            limit_lines: self.limit_lines,
            limit_bytes: self.limit_bytes,
            dropped: self.dropped.clone(),
        }
    }

    /// Takes nothing more in. The thread writes what waits and ends.
    pub fn end(&self) {
        self.shared.lock().closed = true;
        self.shared.filled.notify_one();
    }

    /// Whether the thread has ended.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Writes what waits, for at most this long, and stops the thread. What was not written by then is counted as dropped; lines sent
    /// later are too.
    pub fn close(mut self, deadline: Duration) {
        let end = Instant::now() + deadline;
        let mut state = self.shared.lock();
        state.closed = true;
        self.shared.filled.notify_one();
        while state.lines > 0 || state.writing {
            let Some(left) = end.checked_duration_since(Instant::now()) else { break };
            state = self.shared.emptied.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let late = std::mem::take(&mut state.lines) as u64;
        self.shared.length.add(-(late as i64));
        let stuck = state.writing;
        state.buffer.clear();
        drop(state);
        if late > 0 {
            self.health.shared_counter(&table::QUEUE_DROPPED, &[self.name, "shutdown"]).add(late);
            tracing::warn!("{late} access-log lines were not written before the deadline");
        }
        // A thread that hangs in a write to a reader that does not read cannot be joined; it ends with the process.
        if let Some(thread) = self.thread.take()
            && !stuck
        {
            let _ = thread.join();
        }
    }
}

impl Drop for LineQueue {
    fn drop(&mut self) {
        self.end();
        self.capacity.add(-(self.limit_lines as i64));
    }
}

impl LineSink for LineSender {
    fn line(&mut self, line: &[u8]) {
        let mut state = self.shared.lock();
        // A line that is longer than what may wait finds its place in an empty queue.
        let fits = state.buffer.is_empty() || state.buffer.len() + line.len() <= self.limit_bytes;
        if state.closed || state.lines >= self.limit_lines || !fits {
            drop(state);
            self.dropped.add(1);
            return;
        }
        state.buffer.extend_from_slice(line);
        state.lines += 1;
        self.shared.length.add(1);
        // The thread sleeps only on an empty queue.
        let wake = state.lines == 1;
        drop(state);
        if wake {
            self.shared.filled.notify_one();
        }
    }
}

fn write_all(shared: &Shared, mut target: Target) {
    let mut batch = Vec::new();
    loop {
        let mut state = shared.lock();
        state.writing = false;
        shared.emptied.notify_all();
        while state.lines == 0 {
            if state.closed {
                return;
            }
            state = shared.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(&mut batch, &mut state.buffer);
        shared.length.add(-(state.lines as i64));
        state.lines = 0;
        state.writing = true;
        drop(state);
        target.write(&batch);
        batch.clear();
        // A line with much content may have made it large.
        batch.shrink_to(MAX_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes into a shared buffer once it is let.
    #[derive(Clone, Default)]
    struct Gate(Arc<Gated>);

    #[derive(Default)]
    struct Gated {
        open: Mutex<bool>,
        opened: Condvar,
        written: Mutex<Vec<u8>>,
    }

    impl Gate {
        fn open(&self) {
            *self.0.open.lock().unwrap() = true;
            self.0.opened.notify_all();
        }

        fn output(&self) -> Output {
            Output { name: "gate".into(), writer: Box::new(self.clone()) }
        }
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut open = self.0.open.lock().unwrap();
            while !*open {
                open = self.0.opened.wait(open).unwrap();
            }
            self.0.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn dropped(health: &Health, reason: &str) -> u64 {
        health.value(&table::QUEUE_DROPPED, &[ACCESS_LOG, reason])
    }

    #[test]
    fn a_full_queue_drops_and_counts_every_line() {
        let gate = Gate::default();
        let health = Health::new();
        let queue = LineQueue::with_limits(ACCESS_LOG, gate.output(), &health, 4, 1000).unwrap();
        let mut sender = queue.sender();
        for _ in 0..100 {
            sender.line(b"line\n");
        }
        gate.open();
        queue.close(Duration::from_mins(1));
        let written = count_lines(&gate.0.written.lock().unwrap());
        // Up to four waited, and up to four more were with the thread.
        assert!((4..=8).contains(&written), "{written}");
        assert_eq!(written + dropped(&health, "full"), 100);
        assert_eq!(health.value(&table::EXPORTED, &[ACCESS_LOG]), written);
        sender.line(b"late\n");
        assert_eq!(written + dropped(&health, "full"), 101);
    }

    #[test]
    fn a_stuck_reader_costs_lines_not_the_shutdown() {
        let gate = Gate::default();
        let health = Health::new();
        let queue = LineQueue::with_limits(ACCESS_LOG, gate.output(), &health, 4, 1000).unwrap();
        let mut sender = queue.sender();
        sender.line(b"with the thread\n");
        while queue.shared.lock().lines > 0 {
            std::thread::yield_now();
        }
        sender.line(b"waiting\n");
        queue.close(Duration::from_millis(1));
        assert_eq!(dropped(&health, "shutdown"), 1);
        gate.open();
    }

    #[test]
    fn a_line_that_is_longer_than_what_may_wait_is_written_alone() {
        let gate = Gate::default();
        let health = Health::new();
        let queue = LineQueue::with_limits(ACCESS_LOG, gate.output(), &health, 4, 10).unwrap();
        let mut sender = queue.sender();
        sender.line(b"with the thread\n");
        while queue.shared.lock().lines > 0 {
            std::thread::yield_now();
        }
        sender.line(b"a line that is too long\n");
        sender.line(b"b\n");
        assert_eq!(dropped(&health, "full"), 1);
        gate.open();
        queue.close(Duration::from_mins(1));
        assert_eq!(*gate.0.written.lock().unwrap(), b"with the thread\na line that is too long\n");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_counted_line_by_line() {
        let health = Health::new();
        let full = || Output::open(std::path::Path::new("/dev/full"), true).unwrap();
        let mut writer = LineWriter::new(full(), &health);
        writer.line(b"one\n");
        writer.flush();
        writer.line(b"two\n");
        drop(writer);
        assert_eq!(dropped(&health, "write_failed"), 2);
        let queue = LineQueue::start(full(), &health).unwrap();
        queue.sender().line(b"three\n");
        queue.close(Duration::from_mins(1));
        assert_eq!(dropped(&health, "write_failed"), 3);
        assert_eq!(health.value(&table::EXPORTED, &[ACCESS_LOG]), 0);
    }
}
