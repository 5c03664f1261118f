//! Where the access logs of policies go: one writer for each place, shared by all plans that name it.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use super::{
    ACCESS_LOG, Limited, LineQueue, LineSender, LineSink, LogFile, Output, Place, RateLimit, Reopen,
    otlp::{ExportRecord as _, Exporters, RecordSender},
};
use crate::{
    admin::{Counter, Health, table},
    policy::{
        model::PolicyKey,
        plan::{Plan, Receiver, access_log::Sink},
    },
    telemetry::{LogSink, access_log::LineRecord},
};

/// Files at one time, those that are being ended included. Lines of sinks beyond it are dropped and counted.
pub const MAX_FILES: usize = 64;
/// Lines and bytes that may wait for one file.
const MAX_WAITING: (usize, usize) = (8192, 1024 * 1024);
/// The name of all files in metrics.
pub const ACCESS_LOG_FILE: &str = "access_log_file";
/// Policies whose limits are remembered before those that are not in use are forgotten.
const MAX_LIMITS: usize = 4096;

/// Who takes lines as OTLP log records.
#[derive(Clone, Debug)]
pub struct LogExporters {
    /// The agent's own exporter, if there is one (`OTEL_*`).
    pub own: Option<RecordSender<LineRecord>>,
    /// Those that policies name.
    pub named: Exporters<LineRecord>,
}

/// How lines are written.
#[derive(Clone, Debug, Default)]
pub struct LogSettings {
    /// Lines per second that each policy may write to standard output; none is no limit (`run`).
    pub stdout_limit: Option<NonZeroU32>,
    /// Below which directory files are; none is wherever policies say (`run`).
    #[cfg(unix)]
    pub directory: Option<Arc<super::LogDirectory>>,
    /// Has all files opened again; whoever made this may open others by it.
    pub reopen: Reopen,
    /// Who takes log records; without it (no runtime) they are dropped and counted.
    pub exporters: Option<LogExporters>,
}

/// Opens the sinks of plans. Clones are the same.
#[derive(Clone)]
pub struct LogSinks(Arc<Shared>);

struct Shared {
    settings: LogSettings,
    health: Arc<Health>,
    limited: Counter,
    lost: Counter,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stdout: Option<LineQueue>,
    files: HashMap<PathBuf, Weak<Lease>>,
    ending: Vec<LineQueue>,
    limits: HashMap<PolicyKey, Arc<RateLimit>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, path: &std::path::Path) -> Place {
        #[cfg(unix)]
        if let Some(directory) = &self.settings.directory {
            return Place::Below(Arc::clone(directory), path.to_owned());
        }
        Place::Path(path.to_owned())
    }
}

/// A file that is written. The last one who drops it ends it.
struct Lease {
    shared: Arc<Shared>,
    path: PathBuf,
    sender: LineSender,
    queue: Mutex<Option<LineQueue>>,
}

impl Lease {
    fn take(&self) -> Option<LineQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let queue = self.take();
        let mut state = self.shared.lock();
        // Another one of the same path may have been opened in the meantime.
        if state.files.get(&self.path).is_some_and(|lease| lease.strong_count() == 0) {
            state.files.remove(&self.path);
        }
        if let Some(queue) = queue {
            queue.end();
            state.ending.push(queue);
        }
    }
}

impl LogSinks {
    /// Sinks of which standard output is this queue; without it lines that go there are not made.
    pub fn new(stdout: Option<LineQueue>, settings: LogSettings, health: &Arc<Health>) -> Self {
        Self(Arc::new(Shared {
            settings,
            health: Arc::clone(health),
            limited: health.shared_counter(&table::QUEUE_DROPPED, &[ACCESS_LOG, "rate_limit"]),
            lost: health.shared_counter(&table::QUEUE_DROPPED, &[ACCESS_LOG_FILE, "too_many_files"]),
            state: Mutex::new(State { stdout, ..State::default() }),
        }))
    }

    /// One worker's sinks of a plan.
    pub fn open(&self, plan: &Plan) -> Vec<Box<dyn LogSink>> {
        let sinks = plan.access_logs.iter().flat_map(|logs| &logs.sinks);
        sinks
            .filter_map(|sink| match sink {
                Sink::Stdout => self.stdout(plan.policy.as_ref()),
                Sink::File(path) => Some(Box::new(FileSink::new(self.clone(), path.clone())) as Box<dyn LogSink>),
                Sink::Otlp(receiver) => Some(self.otlp(receiver.as_ref())),
            })
            .collect()
    }

    fn otlp(&self, receiver: Option<&Arc<Receiver>>) -> Box<dyn LogSink> {
        let exporters = self.0.settings.exporters.as_ref();
        let found = exporters.and_then(|exporters| match receiver {
            Some(receiver) => Some(Box::new(exporters.named.sink(receiver)) as Box<dyn LogSink>),
            None => exporters.own.clone().map(|own| Box::new(own) as Box<dyn LogSink>),
        });
        found.unwrap_or_else(|| {
            tracing::error!(
                "a policy sends its access log to the agent's OTLP exporter, and there is none: name an endpoint"
            );
            Box::new(Nobody(self.0.health.shared_counter(&table::QUEUE_DROPPED, &[LineRecord::NAME, "no_exporter"])))
        })
    }

    fn stdout(&self, policy: Option<&PolicyKey>) -> Option<Box<dyn LogSink>> {
        let mut state = self.0.lock();
        let sender = state.stdout.as_ref()?.sender();
        let (Some(policy), Some(per_second)) = (policy, self.0.settings.stdout_limit) else {
            return Some(Box::new(sender));
        };
        if state.limits.len() >= MAX_LIMITS {
            state.limits.retain(|_, limit| Arc::strong_count(limit) > 1);
        }
        let limit = (state.limits.entry(policy.clone()))
            .or_insert_with(|| Arc::new(RateLimit::new(per_second, self.0.limited.clone())));
        Some(Box::new(Limited::new(sender, Arc::clone(limit))))
    }

    /// How many lines of a policy its limit refused: its `Programmed` message names them.
    pub fn refused(&self, policy: &PolicyKey) -> u64 {
        self.0.lock().limits.get(policy).map_or(0, |limit| limit.refused())
    }

    /// Has each file opened again before its next line (`SIGHUP`, after a rotation). Whether there is any.
    pub fn reopen(&self) -> bool {
        self.0.settings.reopen.ask();
        !self.0.lock().files.is_empty()
    }

    /// Writes what waits, for at most this long, and stops. What was not written by then is counted. All sinks are gone before.
    pub fn close(self, deadline: Duration) {
        let end = Instant::now() + deadline;
        let (stdout, ending, open) = {
            let mut state = self.0.lock();
            let open: Vec<Arc<Lease>> = state.files.values().filter_map(Weak::upgrade).collect();
            (state.stdout.take(), std::mem::take(&mut state.ending), open)
        };
        let queues: Vec<LineQueue> =
            stdout.into_iter().chain(ending).chain(open.iter().filter_map(|lease| lease.take())).collect();
        // All at once, so that one that hangs takes no time from the others.
        for queue in &queues {
            queue.end();
        }
        for queue in queues {
            queue.close(end.saturating_duration_since(Instant::now()));
        }
    }

    fn lease(&self, path: &PathBuf) -> Option<Arc<Lease>> {
        let mut state = self.0.lock();
        if let Some(lease) = state.files.get(path).and_then(Weak::upgrade) {
            return Some(lease);
        }
        state.ending.retain(|queue| !queue.has_ended());
        if state.files.len() + state.ending.len() >= MAX_FILES {
            return None;
        }
        let file = LogFile::new(self.0.place(path), self.0.settings.reopen.clone());
        let output = Output { name: path.display().to_string(), writer: Box::new(file) };
        let (lines, bytes) = MAX_WAITING;
        let queue = LineQueue::with_limits(ACCESS_LOG_FILE, output, &self.0.health, lines, bytes).ok()?;
        let lease = Arc::new(Lease {
            shared: Arc::clone(&self.0),
            path: path.clone(),
            sender: queue.sender(),
            queue: Mutex::new(Some(queue)),
        });
        state.files.insert(path.clone(), Arc::downgrade(&lease));
        Some(lease)
    }
}

/// Counts.
struct Nobody(Counter);

impl LineSink for Nobody {
    fn line(&mut self, _: &[u8]) {
        self.0.add(1);
    }
}

/// One worker's way to a file, for one plan.
struct FileSink {
    sinks: LogSinks,
    path: PathBuf,
    /// The lease keeps the file; the sender is the worker's own.
    open: Option<(LineSender, Arc<Lease>)>,
}

impl FileSink {
    fn new(sinks: LogSinks, path: PathBuf) -> Self {
        let mut sink = Self { sinks, path, open: None };
        sink.try_open();
        if sink.open.is_none() {
            tracing::error!("cannot write access logs to {}: there are {MAX_FILES} files already", sink.path.display());
        }
        sink
    }

    fn try_open(&mut self) {
        self.open = self.sinks.lease(&self.path).map(|lease| (lease.sender.clone(), lease));
    }
}

impl LineSink for FileSink {
    fn line(&mut self, line: &[u8]) {
        if self.open.is_none() {
            // One may have ended meanwhile.
            self.try_open();
        }
        match &mut self.open {
            Some((sender, _)) => sender.line(line),
            None => self.sinks.0.lost.add(1),
        }
    }
}

#[cfg(all(test, unix))]
mod tests;
