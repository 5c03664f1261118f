//! Lines to a file or to standard output: of the access log, or of spans.

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

/// The name in metrics of the spans that go where `--spans` says, or to the console.
pub const SPAN_FILE: &str = "span_file";

/// What goes under this name, in messages.
fn called(name: &str) -> &'static str {
    if name == SPAN_FILE { "spans" } else { "access-log lines" }
}

/// Writes, counts what could not be written, and says so once per failure, not per line.
pub(super) struct Target {
    what: &'static str,
    output: Output,
    exported: Counter,
    dropped: Counter,
    failed: bool,
    /// The last byte written is inside a line.
    torn: bool,
}

impl Target {
    pub(super) fn new(name: &str, output: Output, health: &Health) -> Self {
        Self {
            what: called(name),
            output,
            exported: health.shared_counter(&table::EXPORTED, &[name]),
            dropped: health.shared_counter(&table::QUEUE_DROPPED, &[name, "write_failed"]),
            failed: false,
            torn: false,
        }
    }

    /// Writes whole lines, and counts. `counts` are the records of each line; it is empty where every line is one.
    pub(super) fn write(&mut self, lines: &[u8], counts: &[u32]) {
        let written = self.try_write(lines, counts);
        self.count(&written);
    }

    /// Writes whole lines. After a failure in the middle of a line its rest is lost: the next write first ends it.
    fn try_write(&mut self, lines: &[u8], counts: &[u32]) -> Written {
        if self.torn && write_counted(&mut *self.output.writer, b"\n").is_ok() {
            self.torn = false;
        }
        let all = count_records(lines, counts);
        match write_counted(&mut *self.output.writer, lines) {
            Ok(()) => {
                if self.failed {
                    tracing::info!("{} to {} can be written again", self.what, self.output.name);
                }
                self.failed = false;
                Written { exported: all, lost: 0 }
            }
            Err((written, error)) => {
                self.torn |= lines[..written].last().is_some_and(|&last| last != b'\n');
                if !self.failed {
                    tracing::error!(
                        "cannot write {} to {}: {error}; they are lost and counted until it works again",
                        self.what,
                        self.output.name
                    );
                }
                self.failed = true;
                let exported = count_records(&lines[..written], counts);
                Written { exported, lost: all - exported }
            }
        }
    }

    fn count(&self, written: &Written) {
        self.exported.add(written.exported);
        self.dropped.add(written.lost);
    }
}

/// What became of the records of a batch.
struct Written {
    exported: u64,
    lost: u64,
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

/// The records of the whole lines in `bytes`.
fn count_records(bytes: &[u8], counts: &[u32]) -> u64 {
    let lines = count_lines(bytes);
    if counts.is_empty() { lines } else { counts.iter().take(lines as usize).map(|&records| u64::from(records)).sum() }
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
            self.target.write(&self.buffer, &[]);
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
    /// The records of each line in the buffer; empty where every line is one.
    counts: Vec<u32>,
    /// Those in the buffer.
    records: usize,
    /// Those that the thread is writing.
    writing: usize,
    closed: bool,
    /// The deadline has passed: what the thread is writing is counted as lost already.
    given_up: bool,
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
    limits: Limits,
    full: Counter,
    late: Counter,
    capacity: Gauge,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, Copy)]
struct Limits {
    records: usize,
    bytes: usize,
}

/// Records that may wait.
const MAX_RECORDS: usize = 8192;
/// Bytes of access-log lines that may wait.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of spans that may wait; a span is some times as long as a line.
const MAX_SPAN_BYTES: usize = 16 * 1024 * 1024;

/// One worker's end of a [`LineQueue`].
#[derive(Clone)]
pub struct LineSender {
    shared: Arc<Shared>,
    limits: Limits,
    full: Counter,
    late: Counter,
}

impl LineQueue {
    /// Starts the writer thread, for an access log.
    ///
    /// # Errors
    /// There cannot be another thread.
    pub fn start(output: Output, health: &Arc<Health>) -> io::Result<Self> {
        Self::with_limits(ACCESS_LOG, output, health, MAX_RECORDS, MAX_BYTES)
    }

    /// The same for spans, at most 8192 of them and 16 MiB. Senders of it are for [`SpanFile::queued`](super::SpanFile::queued).
    ///
    /// # Errors
    /// There cannot be another thread.
    pub fn of_spans(output: Output, health: &Arc<Health>) -> io::Result<Self> {
        Self::with_limits(SPAN_FILE, output, health, MAX_RECORDS, MAX_SPAN_BYTES)
    }

    /// As [`Self::start`], under this name in metrics, with at most this many records and bytes waiting.
    ///
    /// # Errors
    /// There cannot be another thread.
    pub fn with_limits(
        name: &'static str,
        output: Output,
        health: &Arc<Health>,
        records: usize,
        bytes: usize,
    ) -> io::Result<Self> {
        let capacity = health.shared_gauge(&table::QUEUE_CAPACITY, &[name]);
        capacity.add(records as i64);
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
            limits: Limits { records, bytes },
            full: health.shared_counter(&table::QUEUE_DROPPED, &[name, "full"]),
            late: health.shared_counter(&table::QUEUE_DROPPED, &[name, "shutdown"]),
            capacity,
            thread: Some(thread),
        })
    }

    /// An end for one worker.
    pub fn sender(&self) -> LineSender {
        LineSender {
            shared: Arc::clone(&self.shared),
            limits: self.limits,
            full: self.full.clone(),
            late: self.late.clone(),
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

    /// Writes what waits, for at most this long, and stops the thread. What was not written by then is counted as dropped, what the thread hangs in
    /// included; so are lines sent later.
    pub fn close(mut self, deadline: Duration) {
        let end = Instant::now() + deadline;
        let mut state = self.shared.lock();
        state.closed = true;
        self.shared.filled.notify_one();
        while state.records > 0 || state.writing > 0 {
            let Some(left) = end.checked_duration_since(Instant::now()) else { break };
            state = self.shared.emptied.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let waiting = std::mem::take(&mut state.records);
        self.shared.length.add(-(waiting as i64));
        let stuck = state.writing > 0;
        let late = (waiting + state.writing) as u64;
        state.given_up = stuck;
        state.buffer.clear();
        state.counts.clear();
        drop(state);
        if late > 0 {
            self.late.add(late);
            tracing::warn!("{late} {} were not written before the deadline", called(self.name));
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
        self.capacity.add(-(self.limits.records as i64));
    }
}

impl LineSender {
    /// Takes one line that holds so many records. All lines of a queue come so, or none.
    pub(super) fn records(&self, line: &[u8], records: u32) {
        self.push(line, Some(records));
    }

    fn push(&self, line: &[u8], several: Option<u32>) {
        let records = several.unwrap_or(1) as usize;
        let mut state = self.shared.lock();
        let lost = if state.closed {
            Some(&self.late)
        } else if !state.buffer.is_empty()
            && (state.buffer.len() + line.len() > self.limits.bytes || state.records + records > self.limits.records)
        {
            // What is more than may wait finds its place in an empty queue.
            Some(&self.full)
        } else {
            None
        };
        if let Some(lost) = lost {
            drop(state);
            lost.add(records as u64);
            return;
        }
        // The thread sleeps only on an empty queue.
        let wake = state.buffer.is_empty();
        state.buffer.extend_from_slice(line);
        state.counts.extend(several);
        state.records += records;
        self.shared.length.add(records as i64);
        drop(state);
        if wake {
            self.shared.filled.notify_one();
        }
    }
}

impl LineSink for LineSender {
    fn line(&mut self, line: &[u8]) {
        self.push(line, None);
    }
}

fn write_all(shared: &Shared, mut target: Target) {
    let (mut batch, mut counts) = (Vec::new(), Vec::new());
    let mut state = shared.lock();
    loop {
        while state.records == 0 {
            if state.closed {
                return;
            }
            state = shared.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(&mut batch, &mut state.buffer);
        std::mem::swap(&mut counts, &mut state.counts);
        shared.length.add(-(state.records as i64));
        state.writing = std::mem::take(&mut state.records);
        drop(state);
        let written = target.try_write(&batch, &counts);
        batch.clear();
        counts.clear();
        // A line with much content may have made it large.
        batch.shrink_to(MAX_BYTES);
        state = shared.lock();
        if !state.given_up {
            target.count(&written);
        }
        state.writing = 0;
        shared.emptied.notify_all();
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
        assert_eq!((written + dropped(&health, "full"), dropped(&health, "shutdown")), (100, 1));
    }

    #[test]
    fn a_stuck_reader_costs_lines_not_the_shutdown() {
        let gate = Gate::default();
        let health = Health::new();
        let queue = LineQueue::with_limits(ACCESS_LOG, gate.output(), &health, 4, 1000).unwrap();
        let mut sender = queue.sender();
        sender.line(b"with the thread\n");
        while queue.shared.lock().records > 0 {
            std::thread::yield_now();
        }
        sender.line(b"waiting\n");
        let shared = Arc::clone(&queue.shared);
        queue.close(Duration::from_millis(1));
        assert_eq!(dropped(&health, "shutdown"), 2, "what the thread holds is counted too");
        // What comes out late after all is not counted again.
        gate.open();
        while shared.lock().writing > 0 {
            std::thread::yield_now();
        }
        assert_eq!((dropped(&health, "shutdown"), health.value(&table::EXPORTED, &[ACCESS_LOG])), (2, 0));
    }

    #[test]
    fn a_line_that_is_longer_than_what_may_wait_is_written_alone() {
        let gate = Gate::default();
        let health = Health::new();
        let queue = LineQueue::with_limits(ACCESS_LOG, gate.output(), &health, 4, 10).unwrap();
        let mut sender = queue.sender();
        sender.line(b"with the thread\n");
        while queue.shared.lock().records > 0 {
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
