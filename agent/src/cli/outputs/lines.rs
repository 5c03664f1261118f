//! Access-log lines: to one writer, or to the sinks of each plan.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use super::LINE_DEADLINE;
use crate::{
    export::{LineQueue, LineSink, LineWriter, LogSinks},
    policy::Plan,
    telemetry::LogSink,
};

/// Access-log lines.
#[derive(Clone)]
pub(super) enum Logs {
    None,
    /// Of every plan to one writer, whatever its sinks, written by the worker itself, in order: for a replay.
    Direct(SharedLines),
    /// To the sinks of each plan, written by threads of their own: capture never waits for a reader.
    Sinks(LogSinks),
}

impl Logs {
    pub(super) fn open(&self, plan: &Plan) -> Vec<Box<dyn LogSink>> {
        match self {
            Self::None => Vec::new(),
            // Once, however many sinks it would go to.
            Self::Direct(lines) => {
                plan.access_logs.iter().map(|_| Box::new(lines.clone()) as Box<dyn LogSink>).collect()
            }
            Self::Sinks(sinks) => sinks.open(plan),
        }
    }
}

/// A line sink that several plans share.
#[derive(Clone)]
pub(super) struct SharedLines(Arc<Mutex<LineWriter>>);

impl SharedLines {
    pub(super) fn new(writer: LineWriter) -> Self {
        Self(Arc::new(Mutex::new(writer)))
    }
}

impl LineSink for SharedLines {
    fn line(&mut self, line: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).line(line);
    }

    fn flush(&mut self) {
        LineSink::flush(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Ends what threads of their own write, for at most [`LINE_DEADLINE`] together.
pub(super) fn close_lines(logs: Option<LogSinks>, spans: Vec<LineQueue>) {
    let end = Instant::now() + LINE_DEADLINE;
    // Before the first is waited for.
    for queue in &spans {
        queue.end();
    }
    if let Some(logs) = logs {
        logs.close(LINE_DEADLINE);
    }
    for queue in spans {
        queue.close(end.saturating_duration_since(Instant::now()));
    }
}
